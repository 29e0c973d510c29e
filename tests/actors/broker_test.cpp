#include "stage.hpp"
#include "virtual_time.hpp"

#include <filesystem>

#include <unistd.h>

#include <souk/actors/broker/broker.hpp>
#include <souk/actors/broker/credential.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/json.hpp>
#include <souk/messages/rbac.hpp>

using namespace souk;

namespace {

const std::string alice_did = "did:plc:alice", eve_did = "did:plc:eve", keys_nsid{ssh_public_key::nsid};

std::string blob_of(char fill) {
    const auto field = [](const std::string& s) { return std::string(3, '\0') + static_cast<char>(s.size()) + s; };
    return field("ssh-ed25519") + field(std::string(32, fill));
}

struct with_broker : virtual_time {
    stage::party relay{"did:web:relay.example"}, alice{alice_did};
    stage::network net;
    stage::web web;
    stage::journal log;
    std::map<std::string, std::string> handles{{"alice.example", alice_did}, {"eve.example", eve_did}};
    std::vector<std::string> closed, forgotten;
    std::filesystem::path file = std::filesystem::temp_directory_path() / ("souk-broker-" + std::to_string(::getpid()) + ".json");
    std::unique_ptr<kept_file> kept_grants = make_kept_file(file);
    broker_actor broker = start();

    with_broker() { net.documents[alice_did] = alice.document("https://alice.example"); }
    ~with_broker() { std::filesystem::remove(file); }

    broker_actor start() {
        broker_options o;
        o.did = relay.did, o.domain = "relay.example", o.https_port = 8443, o.now = clock();
        o.close_account = [this](const std::string& did) { closed.push_back(did); };
        return keep(spawn_broker(sys, std::move(o),
                                 broker_world{log, *kept_grants, net,
                                              [this](const std::string& handle, std::function<void(result<did_document>)> tell) {
                                                  if (!handles.contains(handle)) return tell(refusal{"did_unresolved", "nobody is called " + handle});
                                                  did_document d;
                                                  d.did = handles[handle], d.handles = {handle};
                                                  tell(d);
                                              },
                                              [this](const std::string& did) { forgotten.push_back(did); },
                                              [this](http::call c, auto tell) { web.fetch(std::move(c), std::move(tell)); }, relay.key}));
    }
    void add_key(char fill, const std::string& service) {
        net.add(alice_did, keys_nsid, "k" + std::to_string(net.records[alice_did].size()),
                value::map{{"$type", keys_nsid}, {"key", "ssh-ed25519 " + to_base64(blob_of(fill))}, {"service", service}, {"createdAt", "2026-05-09T07:42:10Z"}});
    }
    login_answer log_in(const std::string& user, char fill) { return answer<login_answer>(broker, login_question{user, "ssh-ed25519", blob_of(fill)}); }
    static route_claim name(const std::string& service, bool up = true, const std::string& handle = "alice.example", const std::string& did = alice_did) {
        route_claim c;
        c.label = host_label(service, handle).value(), c.did = did, c.handle = handle, c.service = service, c.up = up;
        return c;
    }
    std::string claim(const route_claim& c) { return code(answer<kept>(broker, c).refused); }
    std::vector<route_view> names(const std::string& did = {}) {
        route_query q;
        q.did = did;
        return answer<route_list>(broker, q).all;
    }
    std::string give(const std::string& token) { return code(answer<kept>(broker, credential_grant{token}).refused); }
    std::string grant() { return credential::sign_grant({alice_did, relay.did, keys_nsid, now, 1h}, alice.key).value(); }
};

} // namespace

// -- logins -------------------------------------------------------------------------------------------------------------------

TEST_CASE_FIXTURE(with_broker, "a machine logs in as its tenant's handle or DID, with a key that the tenant's repository has") {
    add_key('a', "cfb3c8d2");
    for (const auto& user : {std::string("alice.example"), alice_did}) {
        const auto a = log_in(user, 'a');
        REQUIRE(code(a.refused) == "good");
        CHECK(a.did == alice_did);
        CHECK(a.services == std::vector<std::string>{"cfb3c8d2"});
    }
    CHECK(code(log_in("alice.example", 'b').refused) == "no_such_key");
    CHECK(code(log_in("eve.example", 'a').refused) == "no_such_key"); // Alice's key is not Eve's
    CHECK(code(log_in("nobody.example", 'a').refused) == "did_unresolved");
    for (const char* bad : {"", "root", "alice.example\n", "../alice", "did:"}) CHECK(code(log_in(bad, 'a').refused) == "bad_user");
}

TEST_CASE_FIXTURE(with_broker, "a machine whose key was written a moment ago gets in: \"no such key\" is never remembered") {
    CHECK(code(log_in(alice_did, 'a').refused) == "no_such_key");
    add_key('a', "web");
    CHECK(code(log_in(alice_did, 'a').refused) == "good");
}

TEST_CASE_FIXTURE(with_broker, "a key that was withdrawn is out within seconds") {
    add_key('a', "web");
    CHECK(code(log_in(alice_did, 'a').refused) == "good");
    net.records[alice_did].clear();
    CHECK(code(log_in(alice_did, 'a').refused) == "good"); // remembered
    pass(5s);
    CHECK(code(log_in(alice_did, 'a').refused) == "no_such_key");
}

TEST_CASE_FIXTURE(with_broker, "an account that cannot be looked up lets nobody in") {
    add_key('a', "web");
    net.unreachable.insert(alice_did);
    CHECK(code(log_in(alice_did, 'a').refused) == "did_unresolved");
}

TEST_CASE_FIXTURE(with_broker, "so many logins are looked up at once, and then there is room again") {
    add_key('a', "web");
    net.out.hold = true;
    std::vector<pending<login_answer>> asked;
    for (int i = 0; i < 256; ++i) asked.push_back(ask<login_answer>(broker, login_question{alice_did, "ssh-ed25519", blob_of('a')}));
    CHECK(code(log_in(alice_did, 'a').refused) == "not_now");
    net.out.release();
    sched.run();
    for (const auto& a : asked) {
        REQUIRE(a->has_value());
        CHECK(code((*a)->value().refused) == "good");
    }
    pass(6s);
    CHECK(code(log_in(alice_did, 'a').refused) == "good");
}

// -- names --------------------------------------------------------------------------------------------------------------------

TEST_CASE_FIXTURE(with_broker, "a machine's name stands where its tenant's URL says") {
    CHECK(claim(name("web")) == "good");
    REQUIRE(names().size() == 1);
    CHECK(names()[0].url == "https://web--alice-example.relay.example:8443/");
    CHECK(names()[0].up);
    CHECK(claim(name("web", false)) == "good");
    CHECK(!names().at(0).up);
    CHECK(names(eve_did).empty());
}

TEST_CASE_FIXTURE(with_broker, "host-label collision: the first account to claim a name keeps it, also while its machine is away") {
    const auto mine = name("web", true, "a.b.example");
    auto theirs = name("web", true, "a-b.example", eve_did); // flattens to the same label
    REQUIRE(theirs.label == mine.label);
    CHECK(claim(mine) == "good");
    CHECK(claim(theirs) == "label_taken");
    auto down = mine;
    down.up = false;
    CHECK(claim(down) == "good");
    CHECK(claim(theirs) == "label_taken");
    CHECK(names().at(0).did == alice_did);
}

TEST_CASE_FIXTURE(with_broker, "a label is what service and handle make, and nothing else") {
    auto other = name("web");
    other.label = "bank--alice-example";
    CHECK(claim(other) == "wrong_label");
    auto odd = name("web");
    odd.service = "a--b";
    CHECK(claim(odd) == "bad_label");
    auto nobody = name("web");
    nobody.did = "alice";
    CHECK(claim(nobody) == "bad_account");
    auto by_did = name("web", true, alice_did);
    CHECK(by_did.label == "web--did-plc-alice");
    CHECK(claim(by_did) == "good");
}

TEST_CASE_FIXTURE(with_broker, "when the broker starts again no tunnel is open, and every name still has its owner") {
    claim(name("web"));
    claim(name("api"));
    claim(name("api", false));
    caf::anon_send_exit(broker, caf::exit_reason::kill);
    sched.run();
    now += 1min;
    broker = start();
    REQUIRE(names().size() == 2);
    for (const auto& n : names()) CHECK(!n.up);
    CHECK(claim(name("web", true, "alice.example", eve_did)) == "label_taken");
    CHECK(claim(name("web")) == "good");
    const auto web_name = names();
    CHECK(std::count_if(web_name.begin(), web_name.end(), [](const auto& n) { return n.up; }) == 1);
}

TEST_CASE_FIXTURE(with_broker, "a name that the relay takes away loses its tunnels, and nobody has it for a month") {
    CHECK(claim(name("web")) == "good");
    const auto label = name("web").label;
    const auto take_away = [&] { return code(answer<kept>(broker, route_revocation{label, "abuse"}).refused); };
    CHECK(take_away() == "good");
    CHECK(closed == std::vector<std::string>{alice_did});
    CHECK(take_away() == "good"); // once is enough
    CHECK(claim(name("web")) == "label_revoked");
    CHECK(names().at(0).withdrawn == "abuse");
    CHECK(code(answer<kept>(broker, route_revocation{"nobody--has-this", "abuse"}).refused) == "unknown_name");
    for (int day = 0; day < 31; ++day) {
        now += 24h;
        sched.advance_time(1min);
        sched.run();
    }
    CHECK(claim(name("web")) == "good");
}

TEST_CASE_FIXTURE(with_broker, "a name that nobody served for a month is let go") {
    claim(name("web"));
    claim(name("web", false));
    for (int day = 0; day < 31; ++day) {
        now += 24h;
        sched.advance_time(1min);
        sched.run();
    }
    CHECK(names().empty());
    CHECK(claim(name("web", true, "alice.example", eve_did)) == "good"); // free again
}

// -- credentials, and what they are for -------------------------------------------------------------------------------------------

TEST_CASE_FIXTURE(with_broker, "an account's grant is kept, and nobody can give one for another") {
    CHECK(give(grant()) == "good");
    CHECK(give("") == "bad_token");
    stage::party eve{eve_did};
    net.documents[eve_did] = eve.document();
    CHECK(give(credential::sign_grant({alice_did, relay.did, keys_nsid, now, 1h}, eve.key).value()) == "bad_signature");
    CHECK(give(credential::sign_grant({eve_did, "did:web:other.example", keys_nsid, now, 1h}, eve.key).value()) == "wrong_audience");
    CHECK(give(credential::sign_grant({"did:plc:nobody", relay.did, keys_nsid, now, 1h}, eve.key).value()) == "did_unresolved");
}

TEST_CASE_FIXTURE(with_broker, "a grant by a new key makes the broker look once more at the account's document") {
    const auto old = net.documents[alice_did];
    stage::party renewed{alice_did};
    CHECK(give(credential::sign_grant({alice_did, relay.did, keys_nsid, now, 1h}, renewed.key).value()) == "bad_signature");
    CHECK(forgotten == std::vector{alice_did});
    CHECK(net.look_ups == 2);
    CHECK(give(grant()) == "good");
    CHECK(net.look_ups == 3);
}

TEST_CASE_FIXTURE(with_broker, "a machine's write goes through the broker, and still does after a restart") {
    const std::string issuer = "https://issuer.bob.example", subject = "actx:b:plc:alice:role:r", host = "https://alice.example/xrpc/com.atproto.repo.createRecord";
    web.pages[issuer + "/.well-known/openid-configuration"] =
        http::json_response(200, to_json(value::map{{"issuer", issuer}, {"jwks_uri", issuer + "/.well-known/jwks"}}));
    web.pages[issuer + "/.well-known/jwks"] = http::json_response(200, to_json(value::map{{"keys", value::list{jwt::jwk_of(stage::rsa())}}}));
    web.pages[host] = http::json_response(200, "{}");
    workload_grant g;
    g.issuer = issuer, g.audience = "api://ATProto?actx=" + alice_did, g.subject = subject, g.repository = alice_did, g.collection = keys_nsid, g.name = "w";
    net.add(alice_did, rbac::nsid, "w", to_record(rbac_for(g, "2026-05-09T07:42:10Z")));
    const auto t = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch()).count();

    proxied_write w;
    w.path = "/xrpc/com.atproto.repo.createRecord";
    w.token = jwt::sign_rs256({{"iss", issuer}, {"aud", g.audience}, {"sub", subject}, {"iat", t}, {"exp", t + 600}}, stage::rsa()).value();
    w.body = to_json(value::map{{"repo", alice_did},
                                {"collection", keys_nsid},
                                {"record", value::map{{"$type", keys_nsid}, {"key", "ssh-ed25519 AAAA"}, {"service", "web"}, {"createdAt", "2026-05-09T07:42:10Z"}}}});
    CHECK(answer<proxied_answer>(broker, w).status == 401); // Alice has not granted it
    CHECK(give(grant()) == "good");
    CHECK(answer<proxied_answer>(broker, w).status == 200);

    caf::anon_send_exit(broker, caf::exit_reason::kill);
    sched.run();
    broker = start();
    CHECK(answer<proxied_answer>(broker, w).status == 200);
    CHECK(web.calls_to(host) == 2);
}
