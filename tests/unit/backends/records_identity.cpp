#include "identity_support.hpp"

using namespace souk;
using namespace loopback;
using namespace identities;
using crypto::curve;

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

TEST_CASE("what was verified may be shown for a day, and is never acted upon once it is stale") {
    resolving r;
    const person alice;
    const std::string did = "did:web:alice.example";
    CHECK(code_of(r.show(did)) == "did_unresolved"); // nothing was ever known
    r.net.serve("alice.example/.well-known/did.json", to_json(to_json_document(document_for(did, alice))));
    r.ms += 6'000;
    auto shown = r.show(did);
    REQUIRE(shown);
    CHECK_FALSE(shown->stale);
    const auto verified = shown->as_of;
    CHECK(verified == instant(std::chrono::milliseconds(r.ms)));
    for (const auto& [status, body] : {std::pair{503U, std::string()}, {200U, std::string("{}")}, {200U, std::string("nonsense")}}) { // gone, and forged
        r.net.serve("alice.example/.well-known/did.json", body, status);
        r.ms += 301'000;
        CHECK(code_of(r.resolve(did)) == "did_unresolved");
        shown = r.show(did);
        REQUIRE(shown);
        CHECK(shown->stale);
        CHECK(shown->as_of == verified);
        CHECK(shown->document.signing == document_for(did, alice).signing);
    }
    r.ms += 24 * 3'600'000;
    CHECK(code_of(r.show(did)) == "did_unresolved");
    r.net.serve("alice.example/.well-known/did.json", to_json(to_json_document(document_for(did, alice))));
    r.ms += 6'000;
    REQUIRE(r.resolve(did));
    CHECK_FALSE(r.show(did)->stale);
}

TEST_CASE("being asked to look again stops nobody while nothing answers, and does where what is said does not verify") {
    resolving r;
    const person alice;
    const std::string did = "did:web:alice.example";
    r.net.serve("alice.example/.well-known/did.json", to_json(to_json_document(document_for(did, alice))));
    REQUIRE(r.resolve(did));
    r.ms += 6'000;
    r.net.serve("alice.example/.well-known/did.json", "", 503);
    r.resolver.forget(did);
    REQUIRE(r.resolve(did)); // six seconds old, and nobody denies it
    CHECK(r.net.asked == 2);
    r.net.serve("alice.example/.well-known/did.json", "{\"id\":\"did:web:eve.example\"}");
    r.ms += 6'000;
    r.resolver.forget(did);
    CHECK(code_of(r.resolve(did)) == "did_unresolved");
    CHECK(code_of(r.resolve(did)) == "did_unresolved");
    CHECK(r.net.asked == 3);
    CHECK(r.show(did)->stale);
    r.net.serve("alice.example/.well-known/did.json", to_json(to_json_document(document_for(did, alice))));
    r.ms += 6'000;
    REQUIRE(r.resolve(did));
}

TEST_CASE("a clock that was set back makes nothing fresh") {
    resolving r;
    const person alice;
    const std::string did = "did:web:alice.example";
    r.net.serve("alice.example/.well-known/did.json", to_json(to_json_document(document_for(did, alice))));
    REQUIRE(r.resolve(did));
    r.ms -= 500'000;
    r.net.serve("alice.example/.well-known/did.json", "", 503);
    CHECK(code_of(r.resolve(did)) == "did_unresolved");
}

TEST_CASE("a directory that forgets an operation is not believed, one that tells of a nullification is") {
    resolving r;
    const person alice, top;
    auto about = alice.about();
    about.recovery = {top.about().rotation.did_key()};
    const auto genesis = plc::genesis(about, alice.rotation);
    const auto did = plc::did_of(genesis);
    const value next = signed_by(changed(genesis, "eve.example"), alice.rotation), back = signed_by(changed(genesis, "safe.example"), top.rotation);
    const auto tell = [&](std::vector<std::pair<value, bool>> all) {
        value::list log;
        for (auto& [operation, nullified] : all)
            log.push_back(value::map{{"did", did}, {"operation", operation}, {"cid", cid_of(operation).text()}, {"nullified", nullified}, {"createdAt", "2026-01-01T00:00:00.000Z"}});
        r.net.serve("plc.example/" + did + "/log/audit", to_json(log));
    };
    tell({{genesis, false}, {next, false}});
    CHECK(r.resolve(did)->handles == std::vector<std::string>{"eve.example"});
    r.ms += 301'000;
    tell({{genesis, false}});
    CHECK(code_of(r.resolve(did)) == "did_unresolved");
    CHECK(r.show(did)->document.handles == std::vector<std::string>{"eve.example"});
    r.ms += 6'000;
    tell({{genesis, false}, {next, true}, {back, false}});
    CHECK(r.resolve(did)->handles == std::vector<std::string>{"safe.example"});
    r.ms += 301'000; // the bare log says nothing of it
    r.net.serve("plc.example/" + did + "/log/audit", "", 404);
    r.net.serve("plc.example/" + did + "/log", to_json(value::list{genesis, next}));
    CHECK(code_of(r.resolve(did)) == "did_unresolved");
    r.ms += 6'000;
    tell({{genesis, false}, {next, true}, {back, false}, {plc::tombstone(back, top.rotation).value(), false}});
    CHECK(code_of(r.resolve(did)) == "did_given_up");
    CHECK(code_of(r.show(did)) == "did_given_up"); // verified: nothing of it is shown any more
}

TEST_CASE("nonsense displaces nobody, and what is too large is not read") {
    resolving r;
    const person alice;
    r.net.serve("alice.example/.well-known/did.json", to_json(to_json_document(document_for("did:web:alice.example", alice))));
    REQUIRE(r.resolve("did:web:alice.example"));
    for (int i = 0; i < 12'000; ++i) CHECK(code_of(r.resolve("did:nonsense:" + std::to_string(i))) == "bad_did");
    CHECK(code_of(r.resolve("did:" + std::string(5'000, 'x'))) == "bad_did");
    REQUIRE(r.resolve("did:web:alice.example"));
    CHECK(r.net.asked == 1);
    const auto did = plc::did_of(plc::genesis(alice.about(), alice.rotation));
    r.net.serve("plc.example/" + did + "/log/audit", '[' + std::string(3 << 20, ' ') + ']');
    CHECK(code_of(r.resolve(did)) == "did_unresolved");
    r.net.serve("plc.example/" + did + "/log/audit", std::string(200'000, '['));
    r.ms += 6'000;
    CHECK(code_of(r.resolve(did)) == "bad_plc_log");
}

TEST_CASE("nobody else is asked who we are") {
    hosts net;
    http::client client(net.trust);
    const person alice;
    identity_resolver::options o;
    o.own = document_for("did:web:alice.example", alice);
    identity_resolver resolver(client, o);
    inbox<result<did_document>> told;
    resolver.resolve("did:web:alice.example", [&](auto d) { told.put(std::move(d)); });
    CHECK(told.take()->handles == o.own->handles);
    CHECK(net.asked == 0);
}

TEST_CASE("did:web: redirections are followed within the host, thrice") {
    resolving r;
    const person alice;
    const auto document = to_json(to_json_document(document_for("did:web:alice.example", alice)));
    const auto fetch = [&] {
        r.ms += 301'000;
        return code_of(r.resolve("did:web:alice.example"));
    };
    r.net.serve("alice.example/3", document);
    r.net.lead("alice.example/.well-known/did.json", "/1"), r.net.lead("alice.example/1", "https://alice.example/2"), r.net.lead("alice.example/2", "/3");
    CHECK(fetch() == "fine");
    r.net.lead("alice.example/3", "/4"), r.net.serve("alice.example/4", document);
    CHECK(fetch() == "did_unresolved");
    r.net.serve("bob.example/3", document);
    for (const auto* away : {"https://bob.example/3", "//bob.example/3", "http://alice.example/3", "https://alice.example:444/3", "https://alice.example.evil/3", ""}) {
        CAPTURE(away);
        r.net.lead("alice.example/.well-known/did.json", away);
        CHECK(fetch() == "did_unresolved");
    }
}

TEST_CASE("did:web: an address is no host, and a document too large is none") {
    resolving r;
    for (const auto* did : {"did:web:127.0.0.1", "did:web:localhost", "did:web:localhost%3A8080", "did:web:alice.example%3A0", "did:web:alice.example%3A070", "did:web:alice.example%3A65536",
                            "did:web:alice.example%3A", "did:web:-a.example", "did:web:alice.example:a:.", "did:web:a"}) {
        CAPTURE(did);
        CHECK(code_of(r.resolve(did)) == "bad_did");
    }
    CHECK(r.net.asked == 0);
    r.net.serve("alice.example/.well-known/did.json", std::string(300 * 1024, ' '));
    CHECK(code_of(r.resolve("did:web:alice.example")) == "did_unresolved");
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
