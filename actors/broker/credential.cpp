#include <souk/actors/broker/credential.hpp>

namespace souk::credential {

namespace {

constexpr std::string_view scope_head = "repo:", scope_tail = "?action=create";

std::int64_t seconds_of(instant t) { return std::chrono::floor<std::chrono::seconds>(t.time_since_epoch()).count(); }

// One kind of record, to create only. No wildcard: "repo:*?action=create" is no NSID.
result<std::string> collection_in(std::string_view scope) {
    const refusal bad{"bad_scope", "expected the scope repo:NSID?action=create"};
    if (!scope.starts_with(scope_head) || !scope.ends_with(scope_tail) || scope.size() < scope_head.size() + scope_tail.size()) return bad;
    const auto nsid = scope.substr(scope_head.size(), scope.size() - scope_head.size() - scope_tail.size());
    if (!is_nsid(nsid)) return bad;
    return std::string(nsid);
}

result<std::string> did_in(std::string_view token, const char* code) {
    const auto parts = jwt::split(token);
    if (!parts) return parts.error();
    const auto did = parts->claims.text("iss");
    if (!is_did(did)) return refusal{code, "the token's issuer is no DID"};
    return std::string(did);
}

} // namespace

result<std::string> sign_grant(const grant_terms& g, const crypto::secret& account_key) {
    if (!is_did(g.account) || !is_did(g.relay) || !is_nsid(g.collection)) return refusal{"bad_grant", "a grant names an account, a relay and a collection"};
    if (g.life <= std::chrono::seconds{0} || g.life > longest_grant) return refusal{"bad_grant", "a grant lives for at most 31 days"};
    const auto now = seconds_of(g.now);
    value::map claims{{"iss", g.account},
                      {"aud", g.relay},
                      {"scope", std::string(scope_head) + g.collection + std::string(scope_tail)},
                      {"iat", now},
                      {"exp", now + g.life.count()}};
    if (!g.at.empty()) claims.emplace("at", g.at);
    return jwt::sign_es256k(std::move(claims), account_key);
}

result<std::string> grantor_of(std::string_view token) { return did_in(token, "bad_grant"); }
result<std::string> sender_of(std::string_view token) { return did_in(token, "bad_token"); }

result<grant> read_grant(const std::string& token, const std::string& account, const std::string& relay, const std::vector<crypto::public_key>& account_keys,
                         instant now) {
    jwt::expected by_account;
    by_account.issuer = account, by_account.audience = relay, by_account.now = now, by_account.longest = longest_grant;
    const auto claims = jwt::verify_es256k(token, account_keys, by_account);
    if (!claims) return claims.error();
    auto collection = collection_in(claims->text("scope"));
    if (!collection) return collection.error();
    const auto* exp = claims->find("exp")->as<std::int64_t>(); // there: it was checked
    grant g{account, std::move(*collection), instant{std::chrono::seconds{*exp}}, token, {}};
    if (const auto at = claims->text("at"); !at.empty()) g.at = std::string(at);
    return g;
}

result<std::string> service_token(const std::string& relay, const std::string& account, instant now, std::string id, const crypto::secret& relay_key) {
    const auto at = seconds_of(now);
    return jwt::sign_es256k(
        {{"iss", relay}, {"aud", account}, {"lxm", create_record}, {"iat", at}, {"exp", at + service_life.count()}, {"jti", std::move(id)}}, relay_key);
}

result<void> check_granted_write(const granted_write& w) {
    if (w.method != create_record) return refusal{"wrong_method", "a grant allows " + std::string(create_record) + " and nothing else"};
    jwt::expected by_relay;
    by_relay.issuer = w.relay, by_relay.audience = w.account, by_relay.method = create_record, by_relay.now = w.now;
    by_relay.longest = std::chrono::minutes{5};
    if (w.relay.empty()) return refusal{"wrong_issuer", "the service token's sender was not resolved"};
    if (const auto sent = jwt::verify_es256k(w.service_token, w.relay_keys, by_relay); !sent) return sent.error();

    const auto may = read_grant(w.grant_token, w.account, w.relay, {w.account_key}, w.now);
    if (!may) return may.error();
    if (w.body.text("repo") != w.account) return refusal{"wrong_repository", "the write is for another repository than " + w.account};
    if (w.body.text("collection") != may->collection)
        return refusal{"wrong_collection", "the grant is for " + may->collection + ", not for \"" + std::string(w.body.text("collection").substr(0, 317)) + '"'};
    return {};
}

} // namespace souk::credential
