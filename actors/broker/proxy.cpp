#include <souk/actors/broker/proxy.hpp>

#include <algorithm>

#include <souk/actors/broker/discovery.hpp>
#include <souk/actors/issuer/tokens.hpp>
#include <souk/actors/common/random_id.hpp>
#include <souk/messages/json.hpp>

namespace souk {

namespace {

constexpr std::string_view only_path = "/xrpc/com.atproto.repo.createRecord";
constexpr std::chrono::milliseconds forward_within{30'000};

proxied_answer refusing(unsigned status, const char* code, std::string message) {
    proxied_answer a;
    a.status = status;
    a.body = to_json(value::map{{"error", code}, {"message", std::move(message)}, {"source", "souk"}});
    return a;
}

std::string_view issuer_of(const value& role) {
    const auto* definition = role.find("definition");
    return definition ? definition->text("iss") : std::string_view();
}

} // namespace

result<unverified_token> peek(std::string_view token) {
    const auto parts = jwt::split(token);
    if (!parts) return parts.error();
    unverified_token out;
    out.issuer = parts->claims.text("iss");
    out.audience = parts->claims.text("aud"); // "" for an array of audiences
    auto account = workload::account_of(out.audience);
    if (!account) return account.error();
    out.account = std::move(*account);
    if (out.issuer.empty()) return refusal{"wrong_issuer", "the token names no issuer"};
    return out;
}

std::vector<rbac> readable(const std::vector<stored_record>& records) {
    std::vector<rbac> out;
    for (const auto& r : records)
        if (auto read = from_record<rbac>(r.value)) out.push_back(std::move(*read));
    return out;
}

bool is_candidate(const std::vector<rbac>& records, std::string_view issuer) {
    return !issuer.empty() && std::any_of(records.begin(), records.end(), [&](const rbac& r) {
        return std::any_of(r.roles.begin(), r.roles.end(), [&](const auto& role) { return issuer_of(role.second) == issuer; });
    });
}

struct write_proxy::job {
    proxied_write what;
    unverified_token token;
    std::vector<rbac> rules;
    value body;
    reply tell;
};

write_proxy::write_proxy(ports p) : out_(std::move(p)), keys_({out_.post, out_.fetch, out_.now, out_.issuer_cache, out_.allow_http}) {}

void write_proxy::handle(proxied_write what, reply tell) {
    if (under_way_ >= most_under_way) return tell(refusing(503, "ProxyBusy", "too many writes are under way: try again in a moment"));
    if (what.path != only_path) return tell(refusing(403, "ProxyRBACDenied", "this relay passes on nothing but " + std::string(only_path)));
    if (what.token.empty()) return tell(refusing(401, "ProxyUnauthenticated", "a workload token is needed: Authorization: Bearer ..."));
    auto token = peek(what.token);
    if (!token && token.error().code == "bad_audience") return tell(refusing(400, "ProxyInvalidActx", token.error().text));
    if (!token) return tell(refusing(401, "ProxyUnauthenticated", token.error().text));
    if (what.body.size() > largest_body) return tell(refusing(413, "InvalidRequest", "the body is larger than 256 KiB"));

    ++under_way_;
    auto j = std::make_shared<job>();
    j->what = std::move(what), j->token = std::move(*token);
    j->tell = [this, tell = std::move(tell)](proxied_answer a) {
        --under_way_;
        tell(std::move(a));
    };
    load_rbac(j);
}

void write_proxy::load_rbac(const shared& j) {
    out_.records.list(j->token.account, std::string(rbac::nsid), [this, post = out_.post, j](result<std::vector<stored_record>> got) {
        post([this, j, got = std::move(got)] {
            if (!got) return j->tell(refusing(403, "ProxyRBACLoadFailed", "the account's RBAC records cannot be read: " + got.error().text));
            j->rules = readable(*got);
            if (j->rules.empty()) return j->tell(refusing(403, "ProxyRBACLoadFailed", "the account has no RBAC record that can be read"));
            if (!is_candidate(j->rules, j->token.issuer))
                return j->tell(refusing(401, "ProxyOIDCValidationFailed", "no role of the account trusts the token's issuer"));
            keys_.get(j->token.issuer, [this, j](const result<value>& jwks) {
                if (!jwks) return j->tell(refusing(401, "ProxyOIDCValidationFailed", jwks.error().text));
                verify(j, *jwks, true);
            });
        });
    });
}

void write_proxy::verify(const shared& j, const value& jwks, bool may_ask_again) {
    jwt::expected by_issuer;
    by_issuer.issuer = j->token.issuer, by_issuer.audience = j->token.audience, by_issuer.now = out_.now();
    const auto claims = jwt::verify_rs256(j->what.token, jwks, by_issuer);
    if (claims) return authorise(j, std::string(claims->text("sub")));
    if (claims.error().code != "unknown_key" || !may_ask_again) return j->tell(refusing(401, "ProxyOIDCValidationFailed", claims.error().text));
    keys_.get_newer(j->token.issuer, [this, j](const result<value>& newer) {
        if (!newer) return j->tell(refusing(401, "ProxyOIDCValidationFailed", newer.error().text));
        verify(j, *newer, false);
    });
}

void write_proxy::authorise(const shared& j, const std::string& subject) {
    auto body = from_json(j->what.body, json_form::atproto);
    if (!body) return j->tell(refusing(400, "InvalidRequest", "the body cannot be read: " + body.error().text));
    j->body = std::move(*body);
    const auto allowed = allows(j->rules, j->token.issuer, j->token.audience, subject, {std::string(only_path), "create", j->body});
    if (!allowed) return j->tell(refusing(403, "ProxyRBACDenied", allowed.error().text));
    // Whatever the account's schema leaves open: a workload writes into the repository that its token names.
    if (j->body.text("repo") != j->token.account) return j->tell(refusing(403, "ProxyRBACDenied", "the write is for another repository than the token's"));
    const auto* grant = out_.grants.find(j->token.account, std::string(j->body.text("collection")), out_.now());
    if (!grant) return j->tell(refusing(401, "ProxyNoATProtoSession", "the account has not let this relay write such records for it"));
    find_host(j, *grant);
}

void write_proxy::find_host(const shared& j, const credential::grant& grant) {
    if (grant.at) { // the account's word, by its own key
        if (!oidc::origin_of(*grant.at, out_.allow_http)) return j->tell(refusing(502, "ProxyInvalidPDSURL", "the account's grant names no host"));
        return forward(j, *grant.at, grant.token);
    }
    out_.records.keys(j->token.account, [this, post = out_.post, j, grant_token = grant.token](result<did_document> got) {
        post([this, j, grant_token, got = std::move(got)] {
            if (!got) return j->tell(refusing(502, "ProxyIdentityLookupFailed", "the account's host cannot be found: " + got.error().text));
            if (!oidc::origin_of(got->pds, out_.allow_http)) return j->tell(refusing(502, "ProxyInvalidPDSURL", "the account's document names no host"));
            forward(j, got->pds, grant_token);
        });
    });
}

void write_proxy::forward(const shared& j, const std::string& host, const std::string& grant_token) {
    const auto service = credential::service_token(out_.did, j->token.account, out_.now(), random_id(), out_.signing);
    if (!service) return j->tell(refusing(500, "InternalServerError", "this relay cannot sign: " + service.error().text));
    http::call call;
    call.method = "POST", call.url = host + std::string(only_path), call.within = forward_within;
    call.head.set("Content-Type", "application/json");
    call.head.set("Authorization", "Bearer " + *service);
    call.head.set(credential::grant_header, grant_token);
    call.body = to_json(j->body, json_form::atproto); // written anew: the host reads what was judged, not what it resembles
    out_.fetch(std::move(call), [post = out_.post, j](result<http::response> got) {
        post([j, got = std::move(got)] {
            if (!got) return j->tell(refusing(502, "ProxyUpstreamUnreachable", "the account's host: " + got.error().text));
            proxied_answer a;
            a.status = got->status, a.body = got->body;
            j->tell(std::move(a));
        });
    });
}

} // namespace souk
