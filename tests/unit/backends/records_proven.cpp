// Records that carry no signature of their own: what a host says of them, against what its account's signed commits say.
#include "loopback.hpp"

#include <atomic>
#include <set>

#include <souk/backends/records/network.hpp>
#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/json.hpp>

using namespace souk;
using namespace loopback;

namespace {

const std::string vouches = "sh.tangled.graph.vouch", alice = "did:web:alice.example";
value mark(const std::string& kind) { return value::map{{"$type", vouches}, {"kind", kind}, {"createdAt", "2026-01-01T00:00:00Z"}}; }
std::string about(int n) { return "did:web:n" + std::to_string(n) + ".example"; }

http::client_options local() {
    http::client_options o;
    o.allow_private = true;
    return o;
}

// Bob, at a host that may lie. His keys can be exchanged while we look on.
struct host {
    directory home;
    crypto::secret key = crypto::generate(crypto::curve::k256), other = crypto::generate(crypto::curve::k256);
    std::unique_ptr<synced_repository> own;
    std::function<std::optional<http::response>(const http::request&)> lie; // answers first
    std::atomic<int> singles{0}, exports{0}, identities{0};
    value log;
    std::unique_ptr<http::server> door;

    host() {
        http::server_options o;
        { const http::server probe(o, {[](http::request, http::responder) {}, {}}); o.port = probe.port(); }
        const auto open = crypto::public_of(crypto::curve::k256, key).value();
        const auto pds = "http://127.0.0.1:" + std::to_string(o.port);
        const auto genesis = plc::genesis({open, open, crypto::seal_did_key(crypto::generate_seal_pair().public32), "bob.example", pds}, key);
        log = value::list{genesis};
        own = open_repository(home / "records", plc::did_of(genesis), key.copy());
        http::handler h;
        h.answer = [this](http::request r, http::responder tell) {
            singles += r.path.ends_with("sync.getRecord"), exports += r.path.ends_with("sync.getRepo"), identities += r.path.starts_with("/did:plc:");
            if (lie)
                if (auto answer = lie(r)) return tell(std::move(*answer));
            const repository_door routes{*own, [this] { return plc::verify_log(own->did(), *log.as<value::list>()).value(); }, log};
            auto answer = routes.answer(r);
            tell(answer ? std::move(*answer) : http::response{404, {}, ""});
        };
        door = std::make_unique<http::server>(o, h);
    }
    std::string url() const { return "http://127.0.0.1:" + std::to_string(door->port()); }
    void publish(int count, const std::string& kind = "vouch") {
        for (int n = 0; n < count; ++n) REQUIRE(own->put(vouches, about(n), mark(kind)));
    }
    // The same records, in a repository whose commits another signs.
    void signed_by_another() {
        auto all = own->list(vouches, 1000);
        const auto did = own->did();
        own.reset();
        own = open_repository(home / "forged", did, other.copy());
        for (const auto& r : all) REQUIRE(own->put(vouches, r.uri.rkey, r.value));
    }
};

struct proving {
    host bob;
    directory home;
    http::client client{local()};
    identity_resolver resolver{client, {bob.url(), {}}};
    std::unique_ptr<synced_repository> own = open_repository(home / "records", alice, crypto::generate(crypto::curve::k256));
    std::unique_ptr<record_network> net = make_record_network(*own, resolver, client, home.path());

    result<std::vector<stored_record>> ask(bool proven = true) {
        inbox<result<std::vector<stored_record>>> told;
        const auto tell = [&](auto r) { told.put(std::move(r)); };
        proven ? net->list_proven(bob.own->did(), vouches, tell) : net->list(bob.own->did(), vouches, tell);
        return told.take();
    }
    std::string code() {
        const auto said = ask();
        return said ? "fine" : said.error().code;
    }
};

} // namespace

TEST_SUITE("proven records") {

TEST_CASE_FIXTURE(proving, "few are proven each by itself, and not again within the hour") {
    bob.publish(10);
    const auto got = ask();
    REQUIRE(got);
    CHECK(got->size() == 10);
    CHECK(bob.singles == 10);
    CHECK(code() == "fine");
    CHECK(bob.singles == 10);
    REQUIRE(bob.own->put(vouches, about(3), mark("denounce"))); // another record under the name
    CHECK(code() == "fine");
    CHECK(bob.singles == 11);
    CHECK(bob.exports == 0);
}

TEST_CASE_FIXTURE(proving, "of many, the repository is read and verified, and leaves no file") {
    bob.publish(80);
    REQUIRE(bob.own->create("com.example.other", "x", value::map{{"$type", "com.example.other"}}));
    const auto got = ask(), listed = ask(false);
    REQUIRE(got);
    REQUIRE(listed);
    REQUIRE(got->size() == 80);
    CHECK(bob.singles == 0);
    CHECK(bob.exports == 1);
    std::set<std::string> a, b;
    for (const auto& r : *got) a.insert(r.uri.text() + r.cid.text() + to_json(r.value));
    for (const auto& r : *listed) b.insert(r.uri.text() + r.cid.text() + to_json(r.value));
    CHECK(a == b);
    CHECK(std::is_sorted(got->rbegin(), got->rend(), [](const auto& x, const auto& y) { return x.uri.rkey < y.uri.rkey; })); // newest key first, as lists are
    for (const auto& file : std::filesystem::directory_iterator(home.path())) CHECK(file.path().filename().string().starts_with("records"));
}

TEST_CASE_FIXTURE(proving, "what a host left out of its list is in the repository") {
    bob.publish(80, "denounce");
    bob.lie = [&](const http::request& r) -> std::optional<http::response> {
        if (!r.path.ends_with("listRecords")) return std::nullopt;
        value::list some;
        for (const auto& one : bob.own->list(vouches, 70)) some.push_back(value::map{{"uri", one.uri.text()}, {"cid", one.cid.text()}, {"value", one.value}});
        return http::json_response(200, to_json(value::map{{"records", std::move(some)}}, json_form::atproto));
    };
    CHECK(ask(false)->size() == 70);
    CHECK(ask()->size() == 80);
}

TEST_CASE_FIXTURE(proving, "a vouch that only the host made up is not believed") {
    bob.publish(3);
    bob.lie = [&](const http::request& r) -> std::optional<http::response> {
        if (!r.path.ends_with("listRecords")) return std::nullopt;
        const value entry = value::map{{"uri", "at://" + bob.own->did() + '/' + vouches + "/did:web:eve.example"}, {"cid", cid_of(mark("vouch")).text()}, {"value", mark("vouch")}};
        return http::json_response(200, to_json(value::map{{"records", value::list{entry}}}, json_form::atproto));
    };
    CHECK(ask(false)->size() == 1); // its CID is right
    const auto said = ask();
    REQUIRE(said.has_error());
    CHECK(said.error().code == "record_not_proven");
    CHECK(said.error().text.find("the repository has nothing there") != std::string::npos);
}

TEST_CASE_FIXTURE(proving, "a proof under a commit that the account did not sign is none, for few and for many") {
    for (const int count : {3, 80}) {
        bob.publish(count);
        bob.signed_by_another();
        const auto said = ask();
        REQUIRE(said.has_error());
        CHECK(said.error().code == "record_not_proven");
        CHECK(said.error().text.find("bad_signature") != std::string::npos);
        bob.own = open_repository(bob.home / "again", bob.own->did(), bob.key.copy());
    }
}

TEST_CASE_FIXTURE(proving, "a host that gives no proof, or half of one, is not believed for its list") {
    for (const int count : {3, 80}) {
        bob.publish(count);
        const auto with = [&](http::response said) {
            bob.lie = [said](const http::request& r) -> std::optional<http::response> {
                return r.path.starts_with("/xrpc/com.atproto.sync.") ? std::optional(said) : std::nullopt;
            };
            return code();
        };
        CHECK(with({404, {}, ""}) == "record_unreachable");
        CHECK(with({501, {}, ""}) == "record_unreachable");
        CHECK(with({200, {}, ""}) == "record_not_proven");
        CHECK(with({200, {}, "nonsense that is no CAR"}) == "record_not_proven");
        bob.lie = {};
        CHECK(code() == "fine");
        REQUIRE(bob.own->remove(vouches, about(0)));
    }
}

TEST_CASE_FIXTURE(proving, "more questions than repositories are read at once wait for their turn, and all are answered") {
    bob.publish(80);
    inbox<result<std::vector<stored_record>>> told;
    for (int i = 0; i < 12; ++i) net->list_proven(bob.own->did(), vouches, [&](auto r) { told.put(std::move(r)); });
    for (int i = 0; i < 12; ++i) CHECK(told.take());
}

TEST_CASE_FIXTURE(proving, "one's own records need no proof, and nobody is asked") {
    REQUIRE(own->put(vouches, about(1), mark("vouch")));
    inbox<result<std::vector<stored_record>>> told;
    net->list_proven(alice, vouches, [&](auto r) { told.put(std::move(r)); });
    CHECK(told.take()->size() == 1);
    CHECK(bob.singles + bob.exports == 0);
}

} // TEST_SUITE
