#include "stage.hpp"
#include "virtual_time.hpp"

#include <filesystem>

#include <unistd.h>

#include <souk/actors/broker/proxy.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/json.hpp>

using namespace souk;

namespace {

const std::string bobs = "https://issuer.bob.example", eves = "https://issuer.eve.example";
const std::string alice_did = "did:plc:5svqtrhheairglgiiyvutzik", for_alice = "api://ATProto?actx=" + alice_did;
const std::string subject = "actx:bobs-account:plc:5svqtrhheairglgiiyvutzik:role:my-cool-role";
const std::string keys_nsid{ssh_public_key::nsid}, host = "https://alice.example", create = "/xrpc/com.atproto.repo.createRecord";

// The whole of a machine's way to its tenant's repository, with no actor in it.
struct relay {
    instant now{std::chrono::seconds{1'778'312'530}};
    stage::party self{"did:web:relay.example"}, alice{alice_did};
    stage::network net;
    stage::web web;
    std::filesystem::path file = std::filesystem::temp_directory_path() / ("souk-proxy-" + std::to_string(::getpid()) + ".json");
    std::unique_ptr<kept_file> kept_grants = make_kept_file(file);
    grant_book grants{*kept_grants, {}, [](std::function<void()> f) { f(); }};
    std::unique_ptr<write_proxy> proxy;
    int answers = 0;

    relay() {
        write_proxy::ports p{[](std::function<void()> f) { f(); },
                             net,
                             [this](http::call c, auto tell) { web.fetch(std::move(c), std::move(tell)); },
                             grants,
                             self.key,
                             self.did,
                             [this] { return now; }};
        proxy = std::make_unique<write_proxy>(std::move(p));
        publish_issuer(bobs, {jwt::jwk_of(stage::rsa(0))});
        net.documents[alice_did] = alice.document(host);
        web.pages[host + create] = http::json_response(200, R"({"uri":"at://x","cid":"y"})");
        trust(bobs, subject, "workload");
        const auto token = credential::sign_grant({alice_did, self.did, keys_nsid, now, 1h}, alice.key).value();
        std::string said;
        grants.keep(credential::read_grant(token, alice_did, self.did, {alice.open}, now).value(), now, [&](result<void> r) { said = code(r); });
        REQUIRE(said == "good");
    }
    ~relay() { std::filesystem::remove(file); }

    void publish_issuer(const std::string& uri, value::list keys) {
        web.pages[uri + "/.well-known/openid-configuration"] =
            http::json_response(200, to_json(value::map{{"issuer", uri}, {"jwks_uri", uri + "/.well-known/jwks"}}));
        web.pages[uri + "/.well-known/jwks"] = http::json_response(200, to_json(value::map{{"keys", std::move(keys)}}));
    }
    static workload_grant grant_of(const std::string& issuer, const std::string& sub, const std::string& name) {
        workload_grant g;
        g.issuer = issuer, g.audience = for_alice, g.subject = sub, g.repository = alice_did, g.collection = keys_nsid, g.name = name;
        return g;
    }
    void trust(const std::string& issuer, const std::string& sub, const std::string& name) {
        net.add(alice_did, rbac::nsid, name + issuer.substr(8, 10), to_record(rbac_for(grant_of(issuer, sub, name), "2026-05-09T07:42:10Z")));
    }
    value::map claims() const {
        const auto t = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch()).count();
        return {{"iss", bobs}, {"aud", for_alice}, {"sub", subject}, {"iat", t}, {"exp", t + 600}};
    }
    std::string token(int key = 0) const { return jwt::sign_rs256(claims(), stage::rsa(key)).value(); }
    std::string token_but(const char* name, value v, int key = 0) const {
        auto c = claims();
        c.insert_or_assign(name, std::move(v));
        return jwt::sign_rs256(std::move(c), stage::rsa(key)).value();
    }
    static value::map record() {
        return {{"$type", keys_nsid}, {"key", "ssh-ed25519 AAAA"}, {"service", "cfb3c8d2"}, {"name", "vm"}, {"createdAt", "2026-05-09T07:42:10Z"}};
    }
    static std::string body(const std::string& collection = keys_nsid, value rec = record(), const std::string& repo = alice_did) {
        return to_json(value::map{{"repo", repo}, {"collection", collection}, {"record", std::move(rec)}});
    }
    std::optional<proxied_answer> said; // the last answer
    proxied_answer write(const std::string& with, const std::string& what, const std::string& path = create) {
        said.reset();
        proxied_write w;
        w.token = with, w.path = path, w.body = what;
        proxy->handle(std::move(w), [this](proxied_answer a) { said = std::move(a), ++answers; });
        REQUIRE(said.has_value());
        return *said;
    }
    // "403 ProxyRBACDenied"; checks that every refusal has the agreed form.
    std::string refused(const std::string& with, const std::string& what, const std::string& path = create) {
        const auto a = write(with, what, path);
        if (a.status == 200) return "200";
        const auto read = from_json(a.body);
        REQUIRE(read.has_value());
        CHECK(read->text("source") == "souk");
        CHECK(!read->text("message").empty());
        return std::to_string(a.status) + ' ' + std::string(read->text("error"));
    }
    bool reached_alice() const { return web.calls_to(host + create) > 0; }
};

} // namespace

TEST_CASE_FIXTURE(relay, "a machine writes its key into its tenant's repository, by the tenant's own credential") {
    const auto done = write(token(), body());
    CHECK(done.status == 200);
    CHECK(done.body == R"({"uri":"at://x","cid":"y"})");
    REQUIRE(reached_alice());
    const auto& sent = web.calls.back();
    CHECK(sent.method == "POST");
    const std::string service(sent.head.get("authorization").substr(7)), grant(sent.head.get("souk-grant"));
    const auto read = from_json(sent.body, json_form::atproto).value();
    CHECK(code(credential::check_granted_write({service, grant, alice_did, alice.open, self.did, {self.open}, credential::create_record, read, now})) == "good");
    CHECK(*read.find("record") == value(record()));
    CHECK(sent.body.find(token()) == std::string::npos); // the workload's own token goes no further
}

TEST_CASE_FIXTURE(relay, "what the account's host says is passed on as it is") {
    web.pages[host + create] = http::json_response(400, R"({"error":"InvalidRecord"})");
    const auto a = write(token(), body());
    CHECK(a.status == 400);
    CHECK(a.body == R"({"error":"InvalidRecord"})");
    web.pages.erase(host + create);
    CHECK(refused(token(), body()) == "502 ProxyUpstreamUnreachable");
}

TEST_CASE_FIXTURE(relay, "issuer confusion: a provider whom Alice trusts for one thing cannot speak for another provider's machine") {
    trust(eves, "actx:eves-account:plc:5svqtrhheairglgiiyvutzik:role:other", "eves");
    publish_issuer(eves, {jwt::jwk_of(stage::rsa(1))});
    // Eve mints Bob's subject with her own, perfectly valid key.
    CHECK(refused(token_but("iss", eves, 1), body()) == "403 ProxyRBACDenied");
    // Eve says that she is Bob: her key is not among his.
    CHECK(refused(token(1), body()) == "401 ProxyOIDCValidationFailed");
    CHECK(!reached_alice());
}

TEST_CASE_FIXTURE(relay, "an issuer whom no role of the account names is not even asked for its keys") {
    publish_issuer(eves, {jwt::jwk_of(stage::rsa(1))});
    CHECK(refused(token_but("iss", eves, 1), body()) == "401 ProxyOIDCValidationFailed");
    CHECK(web.calls.empty());
}

TEST_CASE_FIXTURE(relay, "the schema is enforced on the body: a key writer writes keys and nothing else") {
    CHECK(refused(token(), body("app.bsky.feed.post")) == "403 ProxyRBACDenied");
    CHECK(refused(token(), body("com.fedproxy.rbac")) == "403 ProxyRBACDenied");
    auto disguised = record();
    disguised.insert_or_assign("$type", "com.fedproxy.rbac");
    CHECK(refused(token(), body(keys_nsid, disguised)) == "403 ProxyRBACDenied");
    auto more = record();
    more.emplace("extra", true);
    CHECK(refused(token(), body(keys_nsid, more)) == "403 ProxyRBACDenied");
    auto no_service = record();
    no_service.erase("service");
    CHECK(refused(token(), body(keys_nsid, no_service)) == "403 ProxyRBACDenied");
    CHECK(refused(token(), body(keys_nsid, record(), "did:plc:eve")) == "403 ProxyRBACDenied");
    auto with_key = value::map{{"repo", alice_did}, {"collection", keys_nsid}, {"record", record()}, {"rkey", "self"}};
    CHECK(refused(token(), to_json(with_key)) == "403 ProxyRBACDenied");
    CHECK(refused(token(), "{") == "400 InvalidRequest");
    CHECK(refused(token(), R"({"repo":"a","repo":"b"})") == "400 InvalidRequest");
    CHECK(refused(token(), std::string(300'000, ' ')) == "413 InvalidRequest");
    CHECK(!reached_alice());
}

TEST_CASE_FIXTURE(relay, "a schema that leaves the repository open still opens no other") {
    net.records[alice_did].clear();
    auto open = rbac_for(grant_of(bobs, subject, "open"), "2026-05-09T07:42:10Z");
    open.policies.begin()->second = value::map{{"schemas", value::map{{create, value::map{{"type", "object"}}}}}};
    net.add(alice_did, rbac::nsid, "open", to_record(open));
    CHECK(refused(token(), body()) == "200");
    CHECK(refused(token(), body(keys_nsid, record(), "did:plc:carol")) == "403 ProxyRBACDenied");
    // and without a grant for that kind of record the relay has nothing to write with
    CHECK(refused(token(), body("app.bsky.feed.post")) == "401 ProxyNoATProtoSession");
}

TEST_CASE_FIXTURE(relay, "roles of different records are not merged: one record's policy serves no other's role") {
    net.records[alice_did].clear();
    auto role_only = rbac_for(grant_of(bobs, subject, "w"), "2026-05-09T07:42:10Z");
    auto policy_only = role_only;
    role_only.policies.clear();
    policy_only.roles.clear();
    net.add(alice_did, rbac::nsid, "a", to_record(role_only));
    net.add(alice_did, rbac::nsid, "b", to_record(policy_only));
    CHECK(refused(token(), body()) == "403 ProxyRBACDenied");

    // A later record with the same names takes nothing away from the one that allows it, and adds nothing to it.
    trust(bobs, subject, "w");
    net.add(alice_did, rbac::nsid, "z", to_record(rbac_for(grant_of(eves, "actx:e:plc:x:role:y", "w"), "2026-05-09T08:00:00Z")));
    CHECK(refused(token(), body()) == "200");
}

TEST_CASE_FIXTURE(relay, "a subject is matched as a whole: a delimiter inside a role makes another subject, not a longer match") {
    for (const auto& other : {subject + ":role:admin", subject + "-2", subject.substr(0, subject.size() - 1), "x" + subject, std::string("*"), std::string()})
        CHECK(refused(token_but("sub", other), body()) == "403 ProxyRBACDenied");
    CHECK(refused(token_but("sub", value::list{subject}), body()) == "403 ProxyRBACDenied");
}

TEST_CASE_FIXTURE(relay, "a token of another audience opens nothing here") {
    CHECK(refused(token_but("aud", "api://DigitalOcean?actx=bobs-account"), body()) == "400 ProxyInvalidActx");
    CHECK(refused(token_but("aud", "api://ATProto?actx=alice"), body()) == "400 ProxyInvalidActx");
    CHECK(refused(token_but("aud", value::list{for_alice}), body()) == "400 ProxyInvalidActx");
    CHECK(refused(token_but("aud", for_alice + "&actx=did:plc:eve"), body()) == "400 ProxyInvalidActx");
    CHECK(refused(token_but("aud", "api://ATProto?actx=did:plc:eve"), body()) == "403 ProxyRBACLoadFailed"); // Eve's account trusts nobody
    CHECK(!reached_alice());
}

TEST_CASE_FIXTURE(relay, "an expired token, one from the future and an unsigned one are refused") {
    const auto old = token();
    now += 11min;
    CHECK(refused(old, body()) == "401 ProxyOIDCValidationFailed");
    now -= 30min;
    CHECK(refused(old, body()) == "401 ProxyOIDCValidationFailed");
    now += 19min;
    const auto claims_on = old.substr(old.find('.'));
    CHECK(refused(to_base64url(R"({"alg":"none"})") + claims_on.substr(0, claims_on.rfind('.') + 1), body()) == "401 ProxyOIDCValidationFailed");
    CHECK(refused(to_base64url(R"({"alg":"HS256"})") + claims_on, body()) == "401 ProxyOIDCValidationFailed");
    CHECK(refused("", body()) == "401 ProxyUnauthenticated");
    CHECK(refused("not.a.token", body()) == "401 ProxyUnauthenticated");
    CHECK(refused(std::string(9000, 'a'), body()) == "401 ProxyUnauthenticated");
    CHECK(!reached_alice());
}

TEST_CASE_FIXTURE(relay, "only createRecord is passed on, under exactly its own name") {
    for (const char* path : {"/xrpc/com.atproto.repo.deleteRecord", "/xrpc/com.atproto.repo.createRecord/", "/x/xrpc/com.atproto.repo.createRecord",
                             "/xrpc//com.atproto.repo.createRecord", "/xrpc/com.atproto.repo.createRecord?x", ""})
        CHECK(refused(token(), body(), path) == "403 ProxyRBACDenied");
    CHECK(net.lists == 0);
}

TEST_CASE_FIXTURE(relay, "rules that cannot be read allow nothing, and one bad record spoils no good one") {
    net.add(alice_did, rbac::nsid, "bad", value::map{{"$type", rbac::nsid}, {"roles", 7}});
    CHECK(refused(token(), body()) == "200");
    net.unreachable.insert(alice_did);
    CHECK(refused(token(), body()) == "403 ProxyRBACLoadFailed");
    net.unreachable.clear();
    net.records[alice_did].clear();
    CHECK(refused(token(), body()) == "403 ProxyRBACLoadFailed");
}

TEST_CASE_FIXTURE(relay, "without the account's grant, or after its end, nothing is written") {
    now += 2h; // the grant was for one
    CHECK(refused(token(), body()) == "401 ProxyNoATProtoSession");
    CHECK(!reached_alice());
}

TEST_CASE_FIXTURE(relay, "an account whose records live at somebody else's host is written to at its own node, which its grant names") {
    const std::string node = "https://node.alice.example";
    web.pages[node + create] = http::json_response(200, R"({"uri":"at://z","cid":"z"})");
    const auto keep = [&](const std::string& at) { // it outlives the one that is there, and so takes its place
        const auto token = credential::sign_grant({alice_did, self.did, keys_nsid, now, 2h + std::chrono::seconds{at.size()}, at}, alice.key).value();
        grants.keep(credential::read_grant(token, alice_did, self.did, {alice.open}, now).value(), now, [](const result<void>&) {});
    };
    keep(node);
    CHECK(write(token(), body()).body == R"({"uri":"at://z","cid":"z"})");
    CHECK(!reached_alice());
    keep("http://in-the-clear.example/long");
    CHECK(refused(token(), body()) == "502 ProxyInvalidPDSURL");
}

TEST_CASE_FIXTURE(relay, "an account whose document names no https host is not written to") {
    for (const char* pds : {"", "http://alice.example", "https://u@alice.example", "ftp://alice.example"}) {
        net.documents[alice_did] = alice.document(pds);
        CHECK(refused(token(), body()) == "502 ProxyInvalidPDSURL");
    }
    net.documents.clear();
    CHECK(refused(token(), body()) == "502 ProxyIdentityLookupFailed");
}

TEST_CASE_FIXTURE(relay, "an issuer's documents are judged before they are believed") {
    const auto discovery = bobs + "/.well-known/openid-configuration";
    SUBCASE("another issuer's name") { web.pages[discovery] = http::json_response(200, to_json(value::map{{"issuer", eves}, {"jwks_uri", bobs + "/keys"}})); }
    SUBCASE("keys at another's") { web.pages[discovery] = http::json_response(200, to_json(value::map{{"issuer", bobs}, {"jwks_uri", eves + "/keys"}})); }
    SUBCASE("an error") { web.pages[discovery] = http::json_response(500, "{}"); }
    SUBCASE("nobody there") { web.pages.erase(discovery); }
    SUBCASE("keys that are no keys") { web.pages[bobs + "/.well-known/jwks"] = http::json_response(200, "[]"); }
    CHECK(refused(token(), body()) == "401 ProxyOIDCValidationFailed");
    CHECK(web.calls_to(eves + "/keys") == 0);
    publish_issuer(bobs, {jwt::jwk_of(stage::rsa(0))});
    CHECK(refused(token(), body()) == "200"); // a failure is not remembered
}

TEST_CASE_FIXTURE(relay, "an issuer is asked for its keys once in a while, not once a write") {
    const auto jwks = bobs + "/.well-known/jwks";
    for (int i = 0; i < 5; ++i) write(token(), body());
    CHECK(web.calls_to(jwks) == 1);
    now += 5min;
    write(token(), body());
    CHECK(web.calls_to(jwks) == 2);
}

TEST_CASE_FIXTURE(relay, "a token by a new key makes the relay look again, at most each ten seconds") {
    const auto jwks = bobs + "/.well-known/jwks";
    write(token(), body());
    publish_issuer(bobs, {jwt::jwk_of(stage::rsa(0)), jwt::jwk_of(stage::rsa(1))});
    CHECK(refused(token(1), body()) == "401 ProxyOIDCValidationFailed"); // it looked a moment ago
    CHECK(web.calls_to(jwks) == 1);
    now += 11s;
    CHECK(refused(token(1), body()) == "200");
    CHECK(web.calls_to(jwks) == 2);
    for (int i = 0; i < 5; ++i) refused(token(2), body()); // a key that nobody publishes
    CHECK(web.calls_to(jwks) == 2);
    now += 11s;
    for (int i = 0; i < 5; ++i) refused(token(2), body());
    CHECK(web.calls_to(jwks) == 3);
}

TEST_CASE_FIXTURE(relay, "so many writes are under way at once, each is answered once, and then there is room again") {
    net.out.hold = true;
    proxied_write w;
    w.token = token(), w.path = create, w.body = body();
    std::vector<std::uint32_t> statuses;
    for (std::size_t i = 0; i < write_proxy::most_under_way; ++i) proxy->handle(w, [&](proxied_answer a) { statuses.push_back(a.status); });
    CHECK(statuses.empty());
    CHECK(refused(token(), body()) == "503 ProxyBusy");
    net.out.release();
    CHECK(statuses.size() == write_proxy::most_under_way);
    CHECK(std::all_of(statuses.begin(), statuses.end(), [](auto s) { return s == 200; }));
    CHECK(refused(token(), body()) == "200");
}
