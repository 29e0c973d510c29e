#include "loopback.hpp"

#include <atomic>
#include <thread>

#include <souk/backends/records/frames.hpp>
#include <souk/backends/records/network.hpp>
#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/firehose.hpp>
#include <souk/messages/json.hpp>

using namespace souk;
using namespace loopback;

namespace {

const std::string notes = "com.example.note";
value note(std::string text) { return value::map{{"$type", notes}, {"text", std::move(text)}}; }
http::client_options local() {
    http::client_options o;
    o.allow_private = true;
    return o;
}
template <class T>
std::string code_of(const result<T>& r) {
    return r ? "fine" : r.error().code;
}

// Bob: a did:plc whose operations, records and stream are all served by one door on loopback.
struct node {
    directory home;
    crypto::secret key = crypto::generate(crypto::curve::k256);
    value genesis;
    std::unique_ptr<synced_repository> own;
    std::function<std::optional<http::response>(const http::request&)> lie; // answers first
    std::atomic<int> subscriptions{0};
    std::unique_ptr<http::server> door;

    explicit node(http::server_limits limits = {}, const crypto::secret* commits_by = nullptr) {
        http::server_options o;
        o.limits = limits;
        // The port goes into the DID, so it must be known first.
        { const http::server probe(o, {[](http::request, http::responder) {}, {}}); o.port = probe.port(); }
        const auto open = crypto::public_of(crypto::curve::k256, key).value();
        genesis = plc::genesis({open, open, crypto::seal_did_key(crypto::generate_seal_pair().public32), "bob.example",
                                "http://127.0.0.1:" + std::to_string(o.port)},
                               key);
        own = open_repository(home / "records", plc::did_of(genesis), commits_by ? commits_by->copy() : key.copy());
        start(o);
    }
    void start(http::server_options o) {
        const repository_door routes{*own, [this] { return plc::verify_log(own->did(), value::list{genesis}).value(); },
                                     value::list{genesis}};
        http::handler h;
        h.answer = [this, routes](http::request r, http::responder tell) {
            if (lie)
                if (auto answer = lie(r)) return tell(std::move(*answer));
            auto answer = routes.answer(r);
            tell(answer ? std::move(*answer) : http::response{404, {}, ""});
        };
        h.upgrade = [this, routes](const http::request& r, std::shared_ptr<http::stream> s) {
            ++subscriptions;
            auto answer = routes.upgrade(r, s);
            return answer ? std::move(*answer) : std::variant<http::stream_handler, http::response>(http::response{404, {}, ""});
        };
        door = std::make_unique<http::server>(o, h);
    }
    std::string url() const { return "http://127.0.0.1:" + std::to_string(door->port()); }
};

std::string subscribe(const std::string& query) {
    return "GET /subscribe?" + query +
           " HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
}

// Alice looks at Bob's.
struct pair {
    node bob;
    directory home;
    http::client client{local()};
    identity_resolver resolver{client, {bob.url(), {}}};
    std::unique_ptr<synced_repository> own = open_repository(home / "records", "did:web:alice.example", crypto::generate(crypto::curve::k256));
    std::unique_ptr<record_network> net = make_record_network(*own, resolver, client);

    result<stored_record> fetch(const strong_ref& ref) {
        inbox<result<stored_record>> told;
        net->fetch(ref, [&](auto r) { told.put(std::move(r)); });
        return told.take();
    }
    result<std::vector<stored_record>> list(const std::string& did, const std::string& collection) {
        inbox<result<std::vector<stored_record>>> told;
        net->list(did, collection, [&](auto r) { told.put(std::move(r)); });
        return told.take();
    }
    http::response get(const std::string& target) {
        http::call c;
        c.url = bob.url() + target;
        return client.fetch_now(c).value();
    }
};

} // namespace

TEST_SUITE("record network") {

TEST_CASE("a strongRef is resolved with its CID, from the author's host") {
    pair p;
    const auto made =
        p.bob.own->create(notes, "n1", value::map{{"text", "hi"}, {"data", octets{"\x01\x02"}}, {"link", cid_of(note("x"))}})
            .value();
    const auto got = p.fetch(made.ref());
    REQUIRE(got);
    CHECK(got->value == made.value);
    CHECK(got->uri == made.uri);
    CHECK(got->cid == made.cid);
    CHECK(code_of(p.fetch({"at://" + p.bob.own->did() + "/com.example.note/other", made.cid.text()})) == "record_not_found");
    CHECK(code_of(p.fetch({"at://bob.example/com.example.note/n1", made.cid.text()})) == "bad_at_uri"); // by DID, never by handle
    CHECK(code_of(p.fetch({made.uri.text(), "nonsense"})) == "bad_cid");
    CHECK(code_of(p.fetch({"at://did:plc:aaaaaaaaaaaaaaaaaaaaaaaa/com.example.note/n1", made.cid.text()})) == "did_unresolved");
}

TEST_CASE("a record that was swapped after signing is refused, whether the host is honest or lies") {
    pair p;
    const auto signed_one = p.bob.own->create(notes, "n1", note("I pay 5")).value();
    REQUIRE(p.bob.own->put(notes, "n1", note("I pay 500")));
    CHECK(code_of(p.fetch(signed_one.ref())) == "record_not_found"); // the honest host has only the other
    const auto answer = [&](const stored_record& r, std::string cid) {
        return http::json_response(
            200,
            to_json(value::map{{"uri", r.uri.text()}, {"cid", std::move(cid)}, {"value", note("I pay 500")}}, json_form::atproto));
    };
    p.bob.lie = [&](const http::request& r) -> std::optional<http::response> { // another content under the CID asked for
        if (!r.path.ends_with("getRecord")) return std::nullopt;
        return answer(signed_one, signed_one.cid.text());
    };
    CHECK(code_of(p.fetch(signed_one.ref())) == "cid_mismatch");
    p.bob.lie = [&](const http::request& r) -> std::optional<http::response> { // another content, truly labelled
        if (!r.path.ends_with("getRecord")) return std::nullopt;
        return answer(signed_one, cid_of(note("I pay 500")).text());
    };
    CHECK(code_of(p.fetch(signed_one.ref())) == "cid_mismatch");
    p.bob.lie = [&](const http::request& r) -> std::optional<http::response> { // the right content under another name
        if (!r.path.ends_with("getRecord")) return std::nullopt;
        return http::json_response(200, to_json(value::map{{"uri", "at://did:web:eve.example/com.example.note/n1"},
                                                           {"cid", signed_one.cid.text()},
                                                           {"value", note("I pay 5")}}));
    };
    CHECK(code_of(p.fetch(signed_one.ref())) == "bad_record");
}

TEST_CASE("the own repository is held to the same rule") {
    pair p;
    const auto mine = p.own->create(notes, "n1", note("a")).value();
    CHECK(p.fetch(mine.ref())->value == note("a"));
    REQUIRE(p.own->put(notes, "n1", note("b")));
    CHECK(code_of(p.fetch(mine.ref())) == "cid_mismatch");
    CHECK(p.list("did:web:alice.example", notes)->size() == 1);
}

TEST_CASE("a host that fails is unreachable, not empty") {
    pair p;
    const auto made = p.bob.own->create(notes, "n1", note("hi")).value();
    REQUIRE(p.fetch(made.ref())); // the DID is known now
    for (const auto& bad : {http::response{500, {}, "oops"}, http::response{404, {}, ""},
                            http::response{400, {}, "{\"error\":\"InvalidRequest\"}"}}) {
        p.bob.lie = [&](const http::request&) -> std::optional<http::response> { return bad; };
        CHECK(code_of(p.fetch(made.ref())) == "record_unreachable");
        CHECK(code_of(p.list(p.bob.own->did(), notes)) == "record_unreachable");
    }
    for (const auto* bad : {"", "[]", "{}", "{\"uri\":1}", "{\"records\":{}}", "{\"a\":1.5}"}) {
        CAPTURE(bad);
        p.bob.lie = [&](const http::request&) -> std::optional<http::response> { return http::json_response(200, bad); };
        CHECK(code_of(p.fetch(made.ref())) == "bad_record");
        CHECK(code_of(p.list(p.bob.own->did(), notes)) == "bad_record");
    }
    p.bob.door.reset();
    CHECK(code_of(p.fetch(made.ref())) == "record_unreachable");
}

TEST_CASE("a list comes in pages, whole; one lie in it refuses it all") {
    pair p;
    for (int i = 0; i < 250; ++i) REQUIRE(p.bob.own->create(notes, "", note(std::to_string(i))));
    const auto all = p.list(p.bob.own->did(), notes);
    REQUIRE(all);
    CHECK(all->size() == 250);
    CHECK(all->front().value == note("249"));
    CHECK(all->back().value == note("0"));
    CHECK(p.list(p.bob.own->did(), "com.example.none")->empty());
    p.bob.lie = [&](const http::request&) -> std::optional<http::response> {
        const value entry = value::map{
            {"uri", "at://" + p.bob.own->did() + "/com.example.note/x"}, {"cid", cid_of(note("a")).text()}, {"value", note("b")}};
        return http::json_response(200, to_json(value::map{{"records", value::list{entry}}}));
    };
    CHECK(code_of(p.list(p.bob.own->did(), notes)) == "cid_mismatch");
    p.bob.lie = [&](const http::request& r) -> std::optional<http::response> { // pages without end
        const auto rkey = std::to_string(std::atoi(std::string(r.param("cursor")).c_str()) + 1);
        const value entry = value::map{{"uri", "at://" + p.bob.own->did() + "/com.example.note/" + rkey},
                                       {"cid", cid_of(note("a")).text()},
                                       {"value", note("a")}};
        return http::json_response(200, to_json(value::map{{"records", value::list(100, entry)}, {"cursor", rkey}}));
    };
    CHECK(p.list(p.bob.own->did(), notes)->size() == 1000);
}

} // TEST_SUITE

TEST_SUITE("repository door") {

TEST_CASE("getRecord: with and without a CID, by DID and by handle") {
    pair p;
    const auto made = p.bob.own->create(notes, "n1", note("hi")).value();
    const auto at = "/xrpc/com.atproto.repo.getRecord?collection=com.example.note&rkey=n1&repo=";
    auto r = p.get(at + http::percent_encode(p.bob.own->did()));
    CHECK(r.status == 200);
    CHECK(r.head.get("Content-Type") == "application/json");
    CHECK(r.body == "{\"cid\":\"" + made.cid.text() + "\",\"uri\":\"" + made.uri.text() +
                        "\",\"value\":{\"text\":\"hi\",\"$type\":\"com.example.note\"}}");
    CHECK(p.get(at + std::string("bob.example&cid=") + made.cid.text()).status == 200);
    r = p.get(at + std::string("bob.example&cid=") + cid_of(note("other")).text());
    CHECK(r.status == 400);
    CHECK(r.body.find("\"error\":\"RecordNotFound\"") != r.body.npos);
    r = p.get(at + std::string("eve.example"));
    CHECK(r.status == 400);
    CHECK(r.body.find("\"error\":\"InvalidRequest\"") != r.body.npos);
    CHECK(p.get("/xrpc/com.atproto.repo.getRecord").status == 400);
    CHECK(p.get("/xrpc/com.atproto.repo.createRecord").status == 404); // another's route
}

TEST_CASE("listRecords: limit, cursor, reverse") {
    pair p;
    for (int i = 0; i < 5; ++i) REQUIRE(p.bob.own->create(notes, "k" + std::to_string(i), note(std::to_string(i))));
    const std::string at = "/xrpc/com.atproto.repo.listRecords?repo=bob.example&collection=com.example.note";
    auto page = from_json(p.get(at + "&limit=2").body).value();
    CHECK(page.find("records")->as<value::list>()->size() == 2);
    CHECK(page.text("cursor") == "k3");
    page = from_json(p.get(at + "&limit=2&cursor=k3").body).value();
    CHECK((*page.find("records")->as<value::list>())[0].find("value")->text("text") == "2");
    page = from_json(p.get(at + "&reverse=true").body).value();
    CHECK((*page.find("records")->as<value::list>())[0].find("value")->text("text") == "0");
    CHECK(page.find("cursor") == nullptr);
    for (const auto* bad : {"&limit=0", "&limit=101", "&limit=x", "&cursor=a/b"}) CHECK(p.get(at + bad).status == 400);
}

TEST_CASE("describeRepo, did.json, atproto-did and the log") {
    pair p;
    REQUIRE(p.bob.own->create(notes, "k", note("x")));
    const auto about = from_json(p.get("/xrpc/com.atproto.repo.describeRepo?repo=bob.example").body).value();
    CHECK(about.text("did") == p.bob.own->did());
    CHECK(about.text("handle") == "bob.example");
    CHECK(*about.find("collections") == value(value::list{notes}));
    CHECK(about.find("didDoc")->text("id") == p.bob.own->did());
    CHECK(read_document(from_json(p.get("/.well-known/did.json").body).value(), p.bob.own->did()));
    CHECK(p.get("/.well-known/atproto-did").body == p.bob.own->did());
    CHECK(plc::verify_log(p.bob.own->did(), from_json(p.get("/" + p.bob.own->did() + "/log").body).value()));
    CHECK(p.get("/did:plc:aaaaaaaaaaaaaaaaaaaaaaaa/log").status == 404);
}

TEST_CASE("the stream replays from a cursor and goes on live, without gap or duplicate, while writers write") {
    node bob;
    constexpr int before = 300, during = 700, watchers = 4;
    for (int i = 0; i < before; ++i) REQUIRE(bob.own->create(notes, "", note(std::to_string(i))));
    inbox<std::int64_t> got[watchers];
    std::vector<std::unique_ptr<record_watch>> all;
    std::thread writer([&] {
        for (int i = 0; i < during; ++i) (void)bob.own->create(notes, "", note(std::to_string(before + i)));
    });
    for (auto& box : got)
        all.push_back(std::make_unique<record_watch>(local(), record_watch::options{bob.url(), {notes}, 1},
                                                     [&](const stored_record& r) { box.put(r.time_us); }));
    writer.join();
    const auto kept = bob.own->since(0, 10'000);
    REQUIRE(kept.size() == before + during);
    for (auto& box : got) {
        for (const auto& r : kept) REQUIRE(box.take() == r.time_us);
        CHECK(box.size() == 0);
    }
    for (const auto& w : all) CHECK(w->refused() == 0);
}

TEST_CASE("a watch that was cut off comes back to where it was") {
    node bob;
    inbox<std::string> got, states;
    const record_watch watch(
        local(), {bob.url(), {notes}, 0}, [&](const stored_record& r) { got.put(std::string(r.value.text("text"))); },
        [&](bool up, std::string) { states.put(up ? "up" : "down"); });
    CHECK(states.take() == "up");
    REQUIRE(bob.own->create(notes, "", note("one")));
    CHECK(got.take() == "one");
    http::server_options same;
    same.port = bob.door->port();
    bob.door.reset();
    CHECK(states.take() == "down");
    REQUIRE(bob.own->create(notes, "", note("two"))); // while nobody listens
    bob.start(same);
    CHECK(got.take() == "two");
    REQUIRE(bob.own->create(notes, "", note("three")));
    CHECK(got.take() == "three");
    CHECK(got.size() == 0);
}

TEST_CASE("only the wanted collections come, and replacements are told as updates") {
    node bob;
    inbox<stored_record> got;
    REQUIRE(bob.own->create(notes, "k", note("a")));
    REQUIRE(bob.own->create("com.other.note", "k", note("x")));
    const record_watch watch(local(), {bob.url(), {notes}, 1}, [&](const stored_record& r) { got.put(r); });
    CHECK_FALSE(got.take().updated);
    REQUIRE(bob.own->put(notes, "k", note("b")));
    const auto second = got.take();
    CHECK(second.updated);
    CHECK(second.value == note("b"));
    CHECK(got.size() == 0);
    inbox<stored_record> by_prefix;
    const record_watch prefix(local(), {bob.url() + "/", {}, 1}, [&](const stored_record& r) { by_prefix.put(r); });
    CHECK(by_prefix.take().uri.collection == "com.other.note");
    CHECK(by_prefix.take().uri.collection == notes);
    raw bad(bob.door->port());
    bad.say(subscribe("cursor=x"));
    CHECK(bad.hear("}").starts_with("HTTP/1.1 400 "));
}

TEST_CASE("a frame that lies is dropped and counted, and the next is heard") {
    inbox<std::shared_ptr<http::stream>> opened;
    http::handler h;
    h.answer = [](http::request, http::responder tell) { tell({404, {}, ""}); };
    h.upgrade = [&](const http::request&, std::shared_ptr<http::stream> s) -> std::variant<http::stream_handler, http::response> {
        opened.put(s);
        return http::stream_handler{[](std::string) {}, [] {}, {}};
    };
    const http::server liar({}, h);
    inbox<std::string> got;
    const record_watch watch(local(), {"http://127.0.0.1:" + std::to_string(liar.port()), {notes}, 1},
                             [&](const stored_record& r) { got.put(r.removed ? "gone" : std::string(r.value.text("text"))); });
    const auto to = opened.take();
    const auto frame = [&](std::string did, std::string collection, std::string cid, value record,
                           std::string operation = "create") {
        return to_json(value::map{
            {"did", did},
            {"time_us", 5},
            {"kind", "commit"},
            {"commit",
             value::map{{"operation", operation}, {"collection", collection}, {"rkey", "k"}, {"cid", cid}, {"record", record}}}});
    };
    const auto right = cid_of(note("a")).text();
    to->send("nonsense");
    to->send(frame("did:web:bob.example", notes, right, note("b")));        // not what the CID says
    to->send(frame("bob.example", notes, right, note("a")));                // no DID
    to->send(frame("did:web:bob.example", "com.other.x", right, note("a"))); // not asked for
    to->send(frame("did:web:bob.example", notes, right, "text"));
    to->send(frame("did:web:bob.example", notes, right, note("a"), "invent"));
    to->send(frame("did:web:bob.example", notes, right, note("a"), "delete")); // nobody's word but the stream's
    to->send("{\"kind\":\"identity\",\"did\":\"did:web:bob.example\"}");
    to->send(frame("did:web:bob.example", notes, right, note("a")));
    CHECK(got.take() == "gone");
    CHECK(got.take() == "a");
    CHECK(watch.refused() == 6);
}

TEST_CASE("a frame is made once for all who wait for it, and is gone with the last of them") {
    node bob;
    const auto r = bob.own->create(notes, "k", note("a")).value();
    internal::frame_shelf shelf;
    auto one = shelf.of(r);
    CHECK(*one == internal::to_frame(r));
    CHECK(shelf.of(bob.own->since(0, 1).front()) == one); // read again
    CHECK(shelf.of(bob.own->put(notes, "k", note("b")).value()) != one);
    CHECK(shelf.size() == 1);
    one = nullptr;
    CHECK(shelf.size() == 0);
}

TEST_CASE("a reader who asks for all of history costs a page of it") {
    node bob;
    const std::string big(10'000, 'x');
    for (int i = 0; i < 400; ++i) REQUIRE(bob.own->create(notes, "", note(big + std::to_string(i))));
    std::vector<raw> stuck;
    for (int i = 0; i < 20; ++i) stuck.emplace_back(bob.door->port()).say(subscribe("cursor=1"));
    inbox<int> got;
    const record_watch watch(local(), {bob.url(), {notes}, 1}, [&](const stored_record&) { got.put(1); });
    for (int i = 0; i < 400; ++i) got.take();
    const auto page = 32 * 1024 + 12'000; // and the frame with which it is full
    CHECK(bob.door->so_far().streams == 21);
    CHECK(bob.door->so_far().stream_bytes <= 20 * page);
    CHECK(bob.door->so_far().stream_bytes > 0);
}

TEST_CASE("a replay of which nothing is wanted holds nobody up, and goes on live") {
    node bob;
    for (int i = 0; i < 1'000; ++i) bob.own->apply({{record_write::kind::create, notes, "", note(std::to_string(i))}}, [](auto) {});
    REQUIRE(bob.own->create(notes, "", note("last")));
    raw picky(bob.door->port());
    picky.say(subscribe("cursor=1&wantedCollections=com.other.note")).hear("\r\n\r\n");
    http::client web(local());
    http::call c;
    c.url = bob.url() + "/.well-known/atproto-did";
    CHECK(web.fetch_now(c).value().status == 200);
    REQUIRE(bob.own->create("com.other.note", "", note("for him")));
    CHECK(picky.hear("for him").find("for him") != std::string::npos);
}

TEST_CASE("a long replay to a slow reader never overflows, and one that stops is cut off") {
    http::server_limits limits;
    limits.stream_write_within = 2s; // a watcher on a busy machine may pause for a moment
    node bob(limits);
    const std::string big(100'000, 'x');
    for (int i = 0; i < 100; ++i)
        REQUIRE(bob.own->create(notes, "", note(big + std::to_string(i)))); // 10 MB: more than a queue holds
    inbox<int> got;
    {
        const record_watch watch(local(), {bob.url(), {notes}, 1}, [&](const stored_record&) { got.put(1); });
        for (int i = 0; i < 100; ++i) got.take();
    }
    CHECK(bob.door->so_far().cut_off == 0);
    raw stuck(bob.door->port());
    stuck.say(subscribe("cursor=1"));
    CHECK(soon([&] { return bob.door->so_far().cut_off == 1; }));
    CHECK(bob.own->create(notes, "", note("the writer was never held up")));
}

TEST_CASE("what a host's own stream says is told when its signature and its proofs hold, in order, and once") {
    pair p;
    REQUIRE(p.bob.own->create(notes, "before", note("0")));
    inbox<stored_record> told;
    inbox<bool> up;
    const auto watch = [&](std::int64_t cursor) {
        sync_watch::events e;
        e.record = [&](const stored_record& r) { told.put(r); };
        e.state = [&](bool is_up, const std::string&) { up.put(is_up); };
        return std::make_unique<sync_watch>(local(), sync_watch::options{p.bob.url(), {notes}, cursor}, p.resolver, std::move(e));
    };
    auto one = watch(0);
    REQUIRE(up.take());
    REQUIRE(p.bob.own->create("com.example.unwanted", "x", note("x")));
    const auto made = p.bob.own->create(notes, "k", note("1")).value();
    REQUIRE(p.bob.own->put(notes, "k", note("2")));
    REQUIRE(p.bob.own->remove(notes, "k"));
    const auto created = told.take(), updated = told.take(), removed = told.take();
    CHECK(created.uri == made.uri);
    CHECK(created.cid == made.cid);
    CHECK(created.value == note("1"));
    CHECK(updated.updated);
    CHECK(updated.value == note("2"));
    CHECK(removed.removed);
    CHECK(one->so_far().commits == 3);
    CHECK(one->so_far().refused == 0);
    one.reset();
    REQUIRE(p.bob.own->create(notes, "later", note("3")));
    one = watch(created.time_us);
    CHECK(told.take().updated); // what came after the cursor comes again
    CHECK(told.take().removed);
    CHECK(told.take().uri.rkey == "later");
}

TEST_CASE("a stream whose commits are signed by another key than the author's tells nothing") {
    const auto other = crypto::generate(crypto::curve::k256);
    node bob({}, &other);
    http::client client{local()};
    identity_resolver resolver{client, {bob.url(), {}}};
    inbox<stored_record> told;
    inbox<bool> up;
    sync_watch::events e;
    e.record = [&](const stored_record& r) { told.put(r); };
    e.state = [&](bool is_up, const std::string&) { up.put(is_up); };
    const sync_watch watch(local(), sync_watch::options{bob.url(), {notes}, 0}, resolver, std::move(e));
    REQUIRE(up.take());
    REQUIRE(bob.own->create(notes, "k", note("1")));
    CHECK(soon([&] { return watch.so_far().refused == 1; }));
    CHECK(told.size() == 0);
}

TEST_CASE("an author who cannot be resolved just now is named before the cursor is past what he said") {
    node bob;
    bob.lie = [&](const http::request& r) -> std::optional<http::response> { // the directory is away
        return r.path.starts_with("/did:plc:") ? std::optional(http::response{503, {}, ""}) : std::nullopt;
    };
    http::client client{local()};
    identity_resolver resolver{client, {bob.url(), {}}};
    inbox<std::string> told;
    std::atomic<std::int64_t> passed{0};
    sync_watch::events e;
    e.record = [&](const stored_record& r) { told.put(r.uri.rkey); };
    e.missed = [&](const std::string& did) { told.put(did + (passed > 0 ? " too late" : "")); };
    e.passed = [&](std::int64_t seq) { passed = seq; };
    REQUIRE(bob.own->create(notes, "k", note("1")));
    const sync_watch watch(local(), sync_watch::options{bob.url(), {notes}, 1}, resolver, std::move(e));
    CHECK(told.take() == bob.own->did());
    CHECK(soon([&] { return watch.so_far().unresolved == 1; }));
    for (int i = 0; i < 70; ++i) REQUIRE(bob.own->create("com.example.unwanted", "", note("x")));
    CHECK(soon([&] { return passed > 0; }));
}

TEST_CASE("a host that declares an account's state anew says whose repository is to be read, and one that has forgotten says so") {
    http::handler h;
    h.answer = [](http::request, http::responder tell) { tell({404, {}, ""}); };
    h.upgrade = [](const http::request&, std::shared_ptr<http::stream> to) -> std::variant<http::stream_handler, http::response> {
        const auto did = "did:web:carol.example";
        const auto key = crypto::generate(crypto::curve::k256);
        directory home;
        const auto theirs = open_repository(home / "records", did, key.copy());
        REQUIRE(theirs->create(notes, "k", note("1")));
        firehose::sync_event s{7, did, theirs->head().rev, {}, "2026-01-01T00:00:00Z"};
        s.blocks = theirs->prove(notes, "none").value(); // a CAR with the commit
        const auto frame = firehose::encode(s);
        const auto info = firehose::encode(firehose::info_event{"OutdatedCursor", std::nullopt});
        REQUIRE(info);
        to->send(*info);
        if (frame) to->send(*frame);
        return http::stream_handler{[](std::string) {}, [] {}, [] {}, true};
    };
    const http::server door({}, h);
    http::client client{local()};
    identity_resolver who(client, {});
    inbox<std::string> told;
    sync_watch::events e;
    e.record = [](const stored_record&) {};
    e.gap = [&] { told.put("gap"); };
    e.missed = [&](const std::string& did) { told.put(did); };
    const sync_watch watch(local(), sync_watch::options{"http://127.0.0.1:" + std::to_string(door.port()), {notes}, 1}, who, std::move(e));
    CHECK(told.take() == "gap");
    CHECK(told.take() == "did:web:carol.example");
}

} // TEST_SUITE
