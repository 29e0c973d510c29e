// Tokens as such, their claims, and ES256K.
#include <souk/messages/jwt.hpp>

#include <fmt/format.h>

#include <souk/messages/bytes.hpp>
#include <souk/messages/json.hpp>
#include <souk/messages/jwt_parts.hpp>

namespace souk::jwt {

namespace {

constexpr std::size_t longest_token = 8 * 1024;
constexpr json_limits token_json{.bytes = longest_token, .depth = 8, .items = 512};
using std::chrono::seconds;

// A NumericDate that is there and sane; the year 9999 bounds it, so that sums cannot overflow.
result<seconds> date(const value& claims, std::string_view name) {
    const auto* v = claims.find(name);
    const auto* n = v ? v->as<std::int64_t>() : nullptr;
    if (!n || *n < 0 || *n > 253'402'300'799)
        return refusal{"bad_token", fmt::format("\"{}\" is not a time in whole seconds", name)};
    return seconds(*n);
}

result<void> check_times(const value& claims, const expected& e) {
    const auto now = std::chrono::floor<seconds>(e.now.time_since_epoch());
    const auto exp = date(claims, "exp");
    if (!exp) return exp.error();
    auto issued = now;
    if (claims.find("iat")) {
        const auto iat = date(claims, "iat");
        if (!iat) return iat.error();
        if (*iat > now + e.leeway) return refusal{"token_not_yet", "the token was issued in the future"};
        issued = *iat;
    }
    if (claims.find("nbf")) {
        const auto nbf = date(claims, "nbf");
        if (!nbf) return nbf.error();
        if (*nbf > now + e.leeway) return refusal{"token_not_yet", "the token is not valid yet"};
    }
    if (*exp + e.leeway <= now) return refusal{"token_expired", "the token has expired"};
    if (*exp - issued > e.longest)
        return refusal{"token_too_long_lived", fmt::format("the token lives longer than {} s", e.longest.count())};
    return {};
}

} // namespace

result<parts> split(std::string_view token) {
    const refusal bad{"bad_token", "not three parts of base64url with JSON objects in the first two"};
    if (token.size() > longest_token) return refusal{"bad_token", "a token is at most 8 KiB"};
    const auto one = token.find('.'), two = token.rfind('.');
    if (one == std::string_view::npos || one == two || token.substr(one + 1, two - one - 1).find('.') != std::string_view::npos)
        return bad;
    const auto header = from_base64url(token.substr(0, one)), claims = from_base64url(token.substr(one + 1, two - one - 1));
    auto signature = from_base64url(token.substr(two + 1));
    if (!header || !claims || !signature) return bad;
    auto h = from_json(*header, json_form::plain, token_json), c = from_json(*claims, json_form::plain, token_json);
    if (!h || !c) return refusal{"bad_token", (h ? c : h).error().text};
    if (!h->as<value::map>() || !c->as<value::map>()) return bad;
    if (h->find("crit")) return refusal{"bad_token", "the header has critical extensions, of which none are known here"};
    return parts{std::move(*h), std::move(*c), std::string(token.substr(0, two)), std::move(*signature)};
}

result<void> check_claims(const value& claims, const expected& e) {
    if (auto times = check_times(claims, e); !times) return times;
    if (!e.issuer.empty() && claims.text("iss") != e.issuer) return refusal{"wrong_issuer", "the token is by another issuer"};
    const auto* aud = claims.find("aud");
    if (!aud || !aud->as<std::string>() || *aud->as<std::string>() != e.audience)
        return refusal{"wrong_audience", "the token is for another audience"};
    if (e.method && claims.text("lxm") != *e.method)
        return refusal{"wrong_method", "the token is for another method than " + *e.method};
    return {};
}

std::string signing_input(value::map header, value::map claims) {
    return to_base64url(to_json(value(std::move(header)))) + '.' + to_base64url(to_json(value(std::move(claims))));
}

result<parts> split_for(std::string_view token, std::string_view alg) {
    auto p = split(token);
    if (p && p->header.text("alg") != alg) return refusal{"bad_token", "the token is not signed with " + std::string(alg)};
    return p;
}

result<std::string> sign_es256k(value::map claims, const crypto::secret& key) {
    auto input = signing_input({{"typ", "JWT"}, {"alg", "ES256K"}}, std::move(claims));
    const auto signature = crypto::sign(crypto::curve::k256, key, input);
    if (!signature) return signature.error();
    return input + '.' + to_base64url(*signature);
}

result<value> verify_es256k(std::string_view token, const std::vector<crypto::public_key>& any_of, const expected& e) {
    auto p = split_for(token, "ES256K");
    if (!p) return p.error();
    result<void> checked = refusal{"unknown_key", "there is no secp256k1 key that could have signed this"};
    for (const auto& key : any_of) {
        if (key.on != crypto::curve::k256) continue;
        checked = crypto::verify(key, p->signed_bytes, p->signature);
        if (checked) break;
    }
    if (!checked) return checked.error();
    if (auto well = check_claims(p->claims, e); !well) return well.error();
    return std::move(p->claims);
}

} // namespace souk::jwt
