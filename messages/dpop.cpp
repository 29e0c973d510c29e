#include <souk/messages/dpop.hpp>

#include <algorithm>

#include <souk/messages/bytes.hpp>
#include <souk/messages/json.hpp>
#include <souk/messages/jwt_parts.hpp>
#include <souk/messages/p256.hpp>

namespace souk::dpop {

namespace {

constexpr std::size_t longest_challenge = 4096, longest_error = 100;

bool is_token_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}
bool same_word(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return (x | 0x20) == (y | 0x20); });
}

struct challenge_reader {
    std::string_view left;

    void blanks() { left.remove_prefix(std::min(left.find_first_not_of(" \t"), left.size())); }
    std::string_view word() {
        const auto end = std::find_if_not(left.begin(), left.end(), is_token_char);
        const auto found = left.substr(0, static_cast<std::size_t>(end - left.begin()));
        left.remove_prefix(found.size());
        return found;
    }
    std::string text() { // a word, or what stands in quotes
        if (!left.starts_with('"')) return std::string(word());
        std::string found;
        for (left.remove_prefix(1); !left.empty() && left[0] != '"'; left.remove_prefix(1)) {
            if (left[0] == '\\' && left.size() > 1) left.remove_prefix(1);
            found += left[0];
        }
        if (!left.empty()) left.remove_prefix(1);
        return found;
    }
};

} // namespace

result<value> jwk_of(const crypto::public_key& key) {
    if (key.on != crypto::curve::p256) return refusal{"bad_key", "a key of another curve than P-256"};
    const auto both = crypto::p256::coordinates(key.compressed);
    if (!both) return both.error();
    return value(value::map{{"kty", "EC"}, {"crv", "P-256"}, {"x", to_base64url(both->substr(0, 32))}, {"y", to_base64url(both->substr(32))}});
}

result<std::string> thumbprint_of(const crypto::public_key& key) {
    const auto jwk = jwk_of(key);
    if (!jwk) return jwk.error();
    // The members in the order of their names, which is not the order of to_json.
    const auto member = [&](const char* name) { return '"' + std::string(name) + "\":\"" + std::string(jwk->text(name)) + '"'; };
    return to_base64url(crypto::sha256('{' + member("crv") + ',' + member("kty") + ',' + member("x") + ',' + member("y") + '}'));
}

result<std::string> prove(const crypto::secret& key, const proof& p) {
    const auto known = crypto::public_of(crypto::curve::p256, key);
    if (!known) return known.error();
    auto jwk = jwk_of(*known);
    if (!jwk) return jwk.error();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(p.now.time_since_epoch()).count();
    value::map claims{{"jti", p.id}, {"htm", p.method}, {"htu", p.url.substr(0, p.url.find_first_of("?#"))}, {"iat", seconds}};
    if (!p.nonce.empty()) claims.emplace("nonce", p.nonce);
    if (!p.token.empty()) claims.emplace("ath", to_base64url(crypto::sha256(p.token)));
    auto input = jwt::signing_input({{"typ", "dpop+jwt"}, {"alg", "ES256"}, {"jwk", std::move(*jwk)}}, std::move(claims));
    const auto signature = crypto::sign(crypto::curve::p256, key, input);
    if (!signature) return signature.error();
    return input + '.' + to_base64url(*signature);
}

std::string challenge_error(std::string_view header) {
    challenge_reader r{header.substr(0, longest_challenge)};
    bool ours = false;
    while (!r.left.empty()) {
        r.blanks();
        const auto name = r.word();
        if (name.empty()) { // a comma, or what has no place here
            if (r.left.starts_with('"')) (void)r.text();
            else if (!r.left.empty()) r.left.remove_prefix(1);
            continue;
        }
        r.blanks();
        if (!r.left.starts_with('=')) { // no parameter: the next challenge begins
            ours = same_word(name, "dpop");
            continue;
        }
        r.left.remove_prefix(1);
        r.blanks();
        auto said = r.text();
        if (ours && same_word(name, "error")) return said.substr(0, longest_error);
    }
    return {};
}

} // namespace souk::dpop
