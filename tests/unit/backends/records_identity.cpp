#include "loopback.hpp"

#include <atomic>
#include <map>

#include <souk/backends/http/server.hpp>
#include <souk/backends/records/identity.hpp>
#include <souk/backends/tls/authority.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/json.hpp>

using namespace souk;
using namespace loopback;
using crypto::curve;

namespace {

struct person {
    crypto::secret rotation = crypto::generate(curve::k256), signing = crypto::generate(curve::k256);
    crypto::seal_pair seal = crypto::generate_seal_pair();
    plc::genesis_of about() const {
        return {crypto::public_of(curve::k256, rotation).value(), crypto::public_of(curve::k256, signing).value(),
                crypto::seal_did_key(seal.public32), "alice.example", "https://alice.example"};
    }
};

value signed_by(value::map operation, const crypto::secret& key) {
    operation.erase("sig");
    operation.emplace("sig", to_base64url(crypto::sign(curve::k256, key, encode_dag_cbor(operation)).value()));
    return operation;
}
value::map changed(const value& before, const std::string& handle) {
    auto next = *before.as<value::map>();
    next["alsoKnownAs"] = value::list{"at://" + handle};
    next["prev"] = cid_of(before).text();
    return next;
}
template <class T>
std::string code_of(const result<T>& r) {
    return r ? "fine" : r.error().code;
}

// The hosts of some identities: a door with TLS, and what each path answers.
struct hosts {
    directory home;
    std::mutex guard;
    std::map<std::string, http::response> pages; // "host/path"
    std::atomic<int> asked{0};
    std::unique_ptr<http::server> door;
    http::client_options trust;

    hosts() {
        const auto authority = tls::make_authority("Test CA");
        const auto leaf = tls::issue(authority, {"hosts", {"alice.example", "bob.example", "plc.example"}, {}});
        tls::write_secret(home / "ca.pem", authority.certificate);
        tls::write_secret(home / "pem", leaf.certificate);
        tls::write_secret(home / "key", leaf.key);
        http::server_options o;
        o.certificate = home / "pem", o.key = home / "key";
        http::handler h;
        h.answer = [this](http::request r, http::responder tell) {
            ++asked;
            const std::lock_guard hold(guard);
            const auto at = pages.find(std::string(r.head.get("Host")) + r.path);
            tell(at == pages.end() ? http::response{404, {}, ""} : at->second);
        };
        door = std::make_unique<http::server>(o, h);
        trust.ca_file = home / "ca.pem";
        for (const auto* name : {"alice.example", "bob.example", "plc.example"})
            trust.hosts[name] = "127.0.0.1:" + std::to_string(door->port());
    }
    void serve(const std::string& where, std::string body, unsigned status = 200) {
        const std::lock_guard hold(guard);
        pages[where] = {status, {}, std::move(body)};
    }
};

struct resolving {
    hosts net;
    std::atomic<std::int64_t> ms{1'000'000};
    http::client client{net.trust};
    identity_resolver resolver{client, {"https://plc.example", [this] { return instant(std::chrono::milliseconds(ms.load())); }}};
    result<did_document> resolve(const std::string& did) {
        inbox<result<did_document>> told;
        resolver.resolve(did, [&](auto r) { told.put(std::move(r)); });
        return told.take();
    }
    result<did_document> handle(const std::string& name) {
        inbox<result<did_document>> told;
        resolver.resolve_handle(name, [&](auto r) { told.put(std::move(r)); });
        return told.take();
    }
};

did_document document_for(const std::string& did, const person& who) {
    return {did,
            {"alice.example"},
            {crypto::public_of(curve::k256, who.signing).value()},
            crypto::seal_did_key(who.seal.public32),
            "https://alice.example"};
}

} // namespace

TEST_SUITE("identity") {

TEST_CASE("a DID document says keys, seal, handle and host, and is read as it was written") {
    const person alice;
    auto d = document_for("did:web:alice.example", alice);
    auto read = read_document(to_json_document(d), d.did);
    REQUIRE(read);
    CHECK(read->signing == d.signing);
    CHECK(read->seal_key == d.seal_key);
    CHECK(read->handles == d.handles);
    CHECK(read->pds == d.pds);
    const auto text = to_json(to_json_document(d));
    CHECK(text.find("did:web:alice.example#seal") != text.npos);
    CHECK(text.find("\"z6LS") != text.npos);
    CHECK(text.find("did:web:alice.example#attestation") != text.npos);
    for (int i = 0; i < 3; ++i) d.signing.push_back(crypto::public_of(curve::p256, crypto::generate(curve::p256)).value());
    read = read_document(to_json_document(d), d.did);
    REQUIRE(read);
    CHECK(read->signing == d.signing);
}

TEST_CASE("a document about another, or with another's keys in it, is not believed") {
    const person alice;
    const auto d = document_for("did:web:alice.example", alice);
    CHECK(code_of(read_document(to_json_document(d), "did:web:bob.example")) == "bad_did_document");
    CHECK(code_of(read_document(value("text"), d.did)) == "bad_did_document");
    auto json = *to_json_document(d).as<value::map>();
    for (auto& one : *json["verificationMethod"].as<value::list>()) (*one.as<value::map>())["controller"] = "did:web:eve.example";
    const auto read = read_document(json, d.did);
    REQUIRE(read);
    CHECK(read->signing.empty());
    json["service"] = value::list{
        value::map{{"id", "#atproto_pds"}, {"type", "AtprotoPersonalDataServer"}, {"serviceEndpoint", "http://10.0.0.1/"}}};
    CHECK(code_of(read_document(json, d.did)) == "bad_did_document");
    json["service"] = "none";
    CHECK(code_of(read_document(json, d.did)) == "bad_did_document");
}

TEST_CASE("did:plc: the log certifies itself") {
    const person alice, eve;
    const auto genesis = plc::genesis(alice.about(), alice.rotation);
    const auto did = plc::did_of(genesis);
    CHECK(did.starts_with("did:plc:"));
    CHECK(did.size() == 32);
    auto d = plc::verify_log(did, value::list{genesis});
    REQUIRE(d);
    CHECK(d->handles == std::vector<std::string>{"alice.example"});
    CHECK(d->signing == std::vector{alice.about().signing});
    CHECK(d->seal_key == alice.about().seal_key);
    CHECK(d->pds == "https://alice.example");
    // JSON on the way changes nothing.
    CHECK(plc::verify_log(did, from_json(to_json(value::list{genesis})).value()));

    const auto next = signed_by(changed(genesis, "alice.new.example"), alice.rotation);
    d = plc::verify_log(did, value::list{genesis, next});
    REQUIRE(d);
    CHECK(d->handles == std::vector<std::string>{"alice.new.example"});

    const auto refused = [&](value::list log) { return code_of(plc::verify_log(did, log)) == "bad_plc_log"; };
    CHECK(refused({}));
    CHECK(refused({next}));                                                              // no beginning
    CHECK(refused({genesis, genesis}));                                                  // does not follow
    CHECK(refused({genesis, signed_by(changed(genesis, "eve.example"), eve.rotation)})); // not her key
    CHECK(refused({genesis, signed_by(changed(next, "eve.example"), alice.rotation)})); // follows another
    CHECK(refused({plc::genesis(eve.about(), eve.rotation)}));                           // another's DID
    auto tampered = *genesis.as<value::map>();
    tampered["alsoKnownAs"] = value::list{"at://eve.example"};
    CHECK(refused({tampered}));
    // A key that a later operation took away counts no more.
    auto moved = changed(genesis, "alice.example");
    moved["rotationKeys"] = value::list{eve.about().rotation.did_key()};
    const auto away = signed_by(moved, alice.rotation);
    CHECK(plc::verify_log(did, value::list{genesis, away}));
    CHECK(refused({genesis, away, signed_by(changed(away, "alice.example"), alice.rotation)}));
    CHECK(plc::verify_log(did, value::list{genesis, away, signed_by(changed(away, "alice.example"), eve.rotation)}));
    // Given up.
    const auto stone = signed_by({{"type", "plc_tombstone"}, {"prev", cid_of(genesis).text()}}, alice.rotation);
    CHECK(refused({genesis, stone}));
}

TEST_CASE("did:plc: a log that the reference server wrote verifies, and no other DID's") {
    const auto log = from_json(tls::read_file(SOUK_TEST_DATA "/plc/reference-server-log.json")).value();
    const auto d = plc::verify_log("did:plc:cbgihy4rjgcpmrlgnjlndyuk", log);
    REQUIRE(d);
    CHECK(d->handles == std::vector<std::string>{"alice.test"});
    CHECK(d->pds == "http://localhost:2583");
    CHECK(d->signing.at(0).did_key() == "did:key:zQ3shXgfkn6aSX4vzwg2U9Bd33XQi9tKBiFKUcQ3kgNqUBbbz");
    CHECK(code_of(plc::verify_log("did:plc:cbgihy4rjgcpmrlgnjlndyux", log)) == "bad_plc_log");
}

TEST_CASE("did:plc: the legacy first operation still counts") {
    const person old;
    const value::map create{
        {"type", "create"},        {"signingKey", old.about().signing.did_key()}, {"recoveryKey", old.about().rotation.did_key()},
        {"handle", "old.example"}, {"service", "https://old.example/"},           {"prev", null_t{}}};
    const auto genesis = signed_by(create, old.signing); // either key may
    const auto d = plc::verify_log(plc::did_of(genesis), value::list{genesis});
    REQUIRE(d);
    CHECK(d->handles == std::vector<std::string>{"old.example"});
    CHECK(d->pds == "https://old.example");
    CHECK(d->signing == std::vector{old.about().signing});
}

TEST_CASE("did:key is its own document") {
    resolving r;
    const person alice;
    const auto d = r.resolve(alice.about().signing.did_key());
    REQUIRE(d);
    CHECK(d->signing == std::vector{alice.about().signing});
    CHECK(r.resolve(alice.about().seal_key)->seal_key == alice.about().seal_key);
    CHECK(code_of(r.resolve("did:key:zNonsense")) == "bad_did_document");
    CHECK(code_of(r.resolve("did:example:x")) == "bad_did");
}

TEST_CASE("did:web: at a host, with a port, with a path") {
    resolving r;
    const person alice;
    const auto serve = [&](const std::string& did, const std::string& where) {
        r.net.serve(where, to_json(to_json_document(document_for(did, alice))));
    };
    serve("did:web:alice.example", "alice.example/.well-known/did.json");
    serve("did:web:alice.example%3A8443", "alice.example:8443/.well-known/did.json");
    serve("did:web:alice.example%3A8443:people:alice", "alice.example:8443/people/alice/did.json");
    for (const auto* did : {"did:web:alice.example", "did:web:alice.example%3A8443", "did:web:alice.example%3A8443:people:alice"}) {
        CAPTURE(did);
        const auto d = r.resolve(did);
        REQUIRE(d);
        CHECK(d->did == did);
    }
    for (const auto* bad : {"did:web:alice.example:..:etc", "did:web:alice.example%2Fx", "did:web:alice.example%3A80%3A90",
                            "did:web:alice.example:a%2Fb"}) {
        CAPTURE(bad);
        CHECK_FALSE(r.resolve(bad));
    }
    CHECK(r.net.asked == 3);
    CHECK(code_of(r.resolve("did:web:bob.example")) == "did_unresolved"); // 404: wait, not pass
    r.net.serve("bob.example/.well-known/did.json", "{\"id\":\"did:web:alice.example\"}");
    r.ms += 10'000;
    CHECK(code_of(r.resolve("did:web:bob.example")) == "bad_did_document");
}

TEST_CASE("did:plc is fetched as a log and verified, whatever the directory says") {
    resolving r;
    const person alice, eve;
    const auto genesis = plc::genesis(alice.about(), alice.rotation);
    const auto did = plc::did_of(genesis);
    r.net.serve("plc.example/" + did + "/log", to_json(value::list{plc::genesis(eve.about(), eve.rotation)}));
    CHECK(code_of(r.resolve(did)) == "bad_plc_log");
    r.net.serve("plc.example/" + did + "/log", to_json(value::list{genesis}));
    r.ms += 10'000;
    REQUIRE(r.resolve(did));
}

TEST_CASE("documents are cached for a while, misses for less, and asked for once however many wait") {
    resolving r;
    const person alice;
    const std::string did = "did:web:alice.example";
    CHECK(code_of(r.resolve(did)) == "did_unresolved");
    r.net.serve("alice.example/.well-known/did.json", to_json(to_json_document(document_for(did, alice))));
    CHECK(code_of(r.resolve(did)) == "did_unresolved");
    CHECK(r.net.asked == 1);
    r.ms += 5'001;
    inbox<std::string> told;
    for (int i = 0; i < 20; ++i) r.resolver.resolve(did, [&](auto d) { told.put(code_of(d)); });
    for (int i = 0; i < 20; ++i) CHECK(told.take() == "fine");
    CHECK(r.net.asked == 2);
    r.ms += 299'000;
    REQUIRE(r.resolve(did));
    CHECK(r.net.asked == 2);
    r.ms += 1'001;
    REQUIRE(r.resolve(did));
    CHECK(r.net.asked == 3);
    r.resolver.forget(did); // just fetched: a forged signature does not make us fetch again
    REQUIRE(r.resolve(did));
    CHECK(r.net.asked == 3);
    r.ms += 5'001;
    r.resolver.forget(did);
    REQUIRE(r.resolve(did));
    CHECK(r.net.asked == 4);
}

TEST_CASE("a handle counts when the DID claims it in turn") {
    resolving r;
    const person alice;
    r.net.serve("alice.example/.well-known/did.json", to_json(to_json_document(document_for("did:web:alice.example", alice))));
    r.net.serve("alice.example/.well-known/atproto-did", "did:web:alice.example\n");
    r.net.serve("bob.example/.well-known/atproto-did", "did:web:alice.example");
    CHECK(r.handle("alice.example")->did == "did:web:alice.example");
    CHECK(code_of(r.handle("bob.example")) == "handle_not_claimed");
    CHECK(code_of(r.handle("plc.example")) == "did_unresolved");
    CHECK(code_of(r.handle("not a handle")) == "bad_handle");
}

TEST_CASE("whoever waits is told, even when resolver and client go first") {
    hosts net;
    inbox<std::string> told;
    {
        http::client client(net.trust);
        identity_resolver resolver(client, {"https://plc.example", {}});
        for (int i = 0; i < 10; ++i)
            resolver.resolve("did:web:alice.example%3A" + std::to_string(1000 + i), [&](auto d) { told.put(code_of(d)); });
    }
    for (int i = 0; i < 10; ++i) CHECK(told.take() == "did_unresolved");
}

} // TEST_SUITE
