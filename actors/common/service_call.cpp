#include <souk/actors/common/service_call.hpp>

#include <algorithm>

#include <souk/actors/common/random_id.hpp>
#include <souk/messages/at.hpp>
#include <souk/messages/json.hpp>

namespace souk::service {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t longest_service = 2048;

std::int64_t seconds_of(instant t) { return std::chrono::floor<std::chrono::seconds>(t.time_since_epoch()).count(); }

bool is_web(std::string_view text) { return text.starts_with("https://") || text.starts_with("http://"); }
std::string without_slash(std::string url) {
    while (url.ends_with('/')) url.pop_back();
    return url;
}

jwt::expected expected_of(const claims& c, std::string_view method, instant now) {
    jwt::expected e;
    e.issuer = c.issuer, e.audience = c.audience, e.method = std::string(method), e.now = now, e.longest = longest_token;
    return e;
}

void post(const ports& p, const std::string& base, const std::string& audience, std::string_view method, const value& body, std::function<void(result<http::response>)> then) {
    const auto at = seconds_of(p.now());
    const auto token = jwt::sign_es256k({{"iss", p.did}, {"aud", audience}, {"lxm", std::string(method)}, {"iat", at}, {"exp", at + token_life.count()}, {"jti", random_id()}}, *p.key);
    if (!token) return then(token.error());
    http::call c;
    c.method = "POST", c.url = base + "/xrpc/" + std::string(method), c.body = to_json(body, json_form::atproto), c.within = 10s, c.largest_answer = 64 * 1024;
    c.head.set("Content-Type", "application/json"), c.head.set("Authorization", "Bearer " + *token);
    p.web(std::move(c), std::move(then));
}

} // namespace

result<std::string> did_of_door(const std::string& url) {
    const refusal bad{"bad_service", "a service is https://host or DID#id"};
    if (!is_web(url) || url.size() > longest_service) return bad;
    auto host = url.substr(url.find("://") + 3);
    host = host.substr(0, host.find('/'));
    if (const auto colon = host.find(':'); colon != host.npos) host.replace(colon, 1, "%3A");
    auto did = "did:web:" + host;
    if (!is_did(did)) return bad;
    return did;
}

void call(const ports& p, const std::string& service, std::string_view method, const value& body, std::function<void(result<http::response>)> then) {
    if (is_web(service)) {
        const auto did = did_of_door(service);
        if (!did) return then(did.error());
        return post(p, without_slash(service), *did + '#' + market_id, method, body, std::move(then));
    }
    const auto hash = service.find('#');
    const auto did = service.substr(0, hash);
    if (hash == service.npos || service.size() > longest_service || !is_did(did)) return then(refusal{"bad_service", "a service is https://host or DID#id"});
    p.resolve(did, [p, service, method = std::string(method), body, then = std::move(then)](result<did_document> doc) {
        if (!doc) return then(doc.error());
        const auto id = service.substr(service.find('#') + 1);
        const auto named = std::find_if(doc->services.begin(), doc->services.end(), [&](const did_service& s) { return s.id == id; });
        const auto at = named == doc->services.end() ? doc->pds : without_slash(named->endpoint);
        if (at.empty()) return then(refusal{"bad_service", service + " is nowhere: its document names no host"});
        post(p, at, service, method, body, then);
    });
}

verdict verdict_of(const result<http::response>& r) {
    if (r) return r->status == 200 ? verdict::done : r->status >= 500 || r->status == 408 || r->status == 429 ? verdict::unknown : verdict::failed;
    const auto& code = r.error().code;
    for (const auto* never : {"bad_service", "private_address", "bad_url", "bad_did", "bad_did_document", "did_given_up"})
        if (code == never) return verdict::failed;
    return verdict::unknown;
}

result<claims> peek(std::string_view token, const std::set<std::string>& ours, std::string_view method, instant now) {
    const auto parts = jwt::split(token);
    if (!parts) return parts.error();
    claims c{std::string(parts->claims.text("iss")), std::string(parts->claims.text("aud"))};
    if (!is_did(c.issuer)) return refusal{"bad_token", "the token's issuer is no DID"};
    if (!ours.contains(c.audience.substr(0, c.audience.find('#')))) return refusal{"wrong_audience", "the token is for another audience"};
    if (const auto well = jwt::check_claims(parts->claims, expected_of(c, method, now)); !well) return well.error();
    return c;
}

result<void> verify(std::string_view token, const claims& c, const std::vector<crypto::public_key>& keys, std::string_view method, instant now) {
    const auto signed_by = jwt::verify_es256k(token, keys, expected_of(c, method, now));
    if (!signed_by) return signed_by.error();
    return {};
}

} // namespace souk::service
