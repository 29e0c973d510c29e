#include <souk/backends/pds/oauth_server.hpp>

#include <algorithm>
#include <stdexcept>

#include <souk/backends/pds/session.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/dpop.hpp>
#include <souk/messages/json.hpp>

namespace souk::pds::oauth {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t largest_answer = 64 * 1024, longest_url = 2048, longest_nonce = 512, most_origins = 8;
constexpr unsigned most_nonces = 3; // asked for one after another, before a server is not believed
constexpr auto step_within = 10s;

refusal lacks(const std::string& who, const std::string& what) {
    return {"pds_no_oauth", who + " cannot be logged in to by OAuth as the AT Protocol has it: " + what};
}

std::string origin_of(const std::string& url) {
    const auto start = url.find("://");
    return url.substr(0, start == url.npos ? url.npos : url.find_first_of("/?#", start + 3));
}
// A host without TLS is on loopback, for tests (the configuration sees to that); then its authorization server may be so too.
bool is_safe(const std::string& url, bool plain) {
    const auto has_no_place = [](char c) { return c <= ' ' || c > '~' || c == '#' || c == '"' || c == '@'; };
    if (url.size() > longest_url || std::any_of(url.begin(), url.end(), has_no_place)) return false;
    if (url.starts_with("https://")) return url.size() > 8;
    const auto origin = origin_of(url);
    const auto host = origin.substr(0, origin.rfind(':') > 6 ? origin.rfind(':') : origin.npos);
    return plain && (host == "http://localhost" || host == "http://127.0.0.1");
}
bool has(const value& document, std::string_view key, std::string_view one) {
    const auto* found = document.find(key);
    const auto* all = found ? found->as<value::list>() : nullptr;
    return all && std::any_of(all->begin(), all->end(), [&](const value& v) { return v.as<std::string>() && *v.as<std::string>() == one; });
}
bool says(const value& document, std::string_view key) {
    const auto* found = document.find(key);
    return found && found->as<bool>() && *found->as<bool>();
}
// Redirections are not followed, here as anywhere: the profile forbids them.
result<value> document_at(const asker& ask, const std::string& url) {
    http::call c;
    c.url = url, c.within = step_within, c.largest_answer = largest_answer;
    c.head.set("Accept", "application/json");
    const auto said = ask(std::move(c));
    if (!said) {
        if (said.error().code == "pds_stopped") return said.error();
        return refusal{"pds_unreachable", said.error().text}; // reading has no effect
    }
    if (said->status >= 500 || said->status == 429) return refusal{"pds_unreachable", url + " answered " + std::to_string(said->status)};
    if (said->status != 200) return lacks(origin_of(url), url + " answered " + std::to_string(said->status));
    auto body = from_json(said->body);
    if (!body) return lacks(origin_of(url), url + " is no JSON");
    return body;
}

} // namespace

const std::string scope = "atproto transition:generic";
const std::string client_id = "http://localhost?redirect_uri=" + http::percent_encode("http://127.0.0.1/") + "&scope=" + http::percent_encode(scope);

result<server> discover(const asker& ask, const std::string& host) {
    const auto resource = document_at(ask, host + "/.well-known/oauth-protected-resource");
    if (!resource) return resource.error();
    if (resource->text("resource") != host) return lacks(host, "it calls itself something else");
    const auto* named = resource->find("authorization_servers");
    const auto* all = named ? named->as<value::list>() : nullptr;
    if (!all || all->size() != 1 || !all->front().as<std::string>()) return lacks(host, "it does not name one authorization server");
    server s;
    s.issuer = *all->front().as<std::string>();
    const bool plain = host.starts_with("http://");
    if (!is_safe(s.issuer, plain) || origin_of(s.issuer) != s.issuer) return lacks(host, "its authorization server is no https origin");

    const auto about = document_at(ask, s.issuer + "/.well-known/oauth-authorization-server");
    if (!about) return about.error();
    if (about->text("issuer") != s.issuer) return lacks(s.issuer, "it says it is another issuer");
    for (const auto* flag :
         {"authorization_response_iss_parameter_supported", "require_pushed_authorization_requests", "client_id_metadata_document_supported"})
        if (!says(*about, flag)) return lacks(s.issuer, std::string(flag) + " is not true");
    const std::pair<const char*, const char*> needed[] = {
        {"response_types_supported", "code"},         {"grant_types_supported", "authorization_code"},   {"grant_types_supported", "refresh_token"},
        {"code_challenge_methods_supported", "S256"}, {"token_endpoint_auth_methods_supported", "none"}, {"dpop_signing_alg_values_supported", "ES256"},
        {"scopes_supported", "atproto"}};
    for (const auto& [key, one] : needed)
        if (!has(*about, key, one)) return lacks(s.issuer, std::string(key) + " lacks " + one);
    s.authorize = about->text("authorization_endpoint"), s.token = about->text("token_endpoint");
    s.push = about->text("pushed_authorization_request_endpoint"), s.revoke = about->text("revocation_endpoint");
    for (const auto* url : {&s.authorize, &s.token, &s.push})
        if (!is_safe(*url, plain)) return lacks(s.issuer, "one of its endpoints is no https URL");
    if (!is_safe(s.revoke, plain)) s.revoke.clear();
    return s;
}

std::string random_text() { return to_base64url(crypto::generate(crypto::curve::p256).view()); }

// -- proofs --------------------------------------------------------------------------------------------------------------------------------
prover::prover(crypto::secret key, std::function<instant()> now) : key_(std::move(key)), now_(std::move(now)) {
    if (!crypto::public_of(crypto::curve::p256, key_)) throw std::invalid_argument("no key of P-256 to prove anything with");
}

result<void> prover::show(http::call& c, const crypto::secret* token) {
    auto& known = by_origin_[origin_of(c.url)];
    known.shown = known.next;
    const std::string bearer(token ? token->view() : std::string_view());
    auto made = dpop::prove(key_, {c.method, c.url, random_text(), known.shown, bearer, now_()});
    if (!made) return made.error();
    c.head.set("DPoP", std::move(*made));
    if (token) c.head.set("Authorization", "DPoP " + bearer);
    return {};
}

void prover::hear(const std::string& url, const http::response& r) {
    const auto nonce = r.head.get("dpop-nonce");
    if (nonce.empty() || nonce.size() > longest_nonce || std::any_of(nonce.begin(), nonce.end(), [](char c) { return c <= ' ' || c > '~'; })) return;
    const auto origin = origin_of(url);
    if (by_origin_.size() >= most_origins && !by_origin_.contains(origin)) by_origin_.clear();
    by_origin_[origin].next = nonce;
}

bool prover::has_better(const std::string& url) const {
    const auto at = by_origin_.find(origin_of(url));
    return at != by_origin_.end() && at->second.next != at->second.shown;
}

result<answer> post(const asker& ask, prover& by, const std::string& url, const form& fields) {
    std::string body;
    for (const auto& [name, text] : fields) ((body += body.empty() ? "" : "&") += name) += '=' + http::percent_encode(text);
    for (unsigned tried = 1;; ++tried) {
        http::call c;
        c.method = "POST", c.url = url, c.body = body, c.within = step_within, c.largest_answer = largest_answer;
        c.head.set("Content-Type", "application/x-www-form-urlencoded");
        if (const auto shown = by.show(c); !shown) return shown.error();
        auto said = ask(std::move(c));
        if (!said) return said.error();
        by.hear(url, *said);
        if (said->status >= 500) return refusal{"pds_unknown", url + " answered " + std::to_string(said->status)};
        answer a;
        a.status = said->status;
        if (auto read = from_json(said->body)) a.body = std::move(*read);
        else if (a.well()) return refusal{"pds_unknown", url + " answered what is no JSON"};
        said->body.clear(), a.raw = std::move(*said);
        if (a.well()) return a;
        a.error = a.body.text("error").substr(0, 100), a.text = a.body.text("error_description").substr(0, 300);
        if (a.error.empty()) a.error = dpop::challenge_error(a.raw.head.get("www-authenticate"));
        if (a.error.empty()) a.error = "HTTP " + std::to_string(a.status);
        if (a.error != "use_dpop_nonce") return a;
        if (!by.has_better(url) || tried == most_nonces)
            return refusal{"pds_unreachable", url + " wants a nonce in each proof, and takes none that it gives"};
    }
}

} // namespace souk::pds::oauth
