#include "loopback.hpp"

#include <atomic>
#include <random>
#include <set>

#include <souk/backends/http/server.hpp>
#include <souk/backends/pds/password_session.hpp>
#include <souk/backends/pds/remote_repository.hpp>
#include <souk/backends/records/network.hpp>
#include <souk/messages/json.hpp>

using namespace souk;
using namespace loopback;

namespace {

const std::string notes = "com.example.note", others = "com.example.other";
value note(std::string text) { return value::map{{"$type", notes}, {"text", std::move(text)}}; }

// A host for one account, that can be told to misbehave. What it keeps is a real repository; the reference host is met in tests/pds.
struct host {
    enum class mood { well, fails_before, fails_after, busy, expires }; // fails: answers 500, having done nothing or all
    const std::string did = "did:web:alice.example", password = "correct horse";
    directory home;
    std::unique_ptr<synced_repository> kept = open_repository(home / "records", did, crypto::generate(crypto::curve::k256));
    std::function<mood(const std::string& nsid)> how = [](const std::string&) { return mood::well; };
    std::atomic<int> logins{0}, renewals{0}, calls{0}, batches{0};
    std::atomic<std::int64_t> reset_at{0};
    std::uint16_t port = 0;
    std::unique_ptr<http::server> door;
    std::mutex guard;
    int generation = 0; // of the token that is good

    host() { open(); }
    void open() {
        http::server_options o;
        o.port = port;
        http::handler h;
        h.answer = [this](http::request r, http::responder say) { say(answer(r)); };
        door = std::make_unique<http::server>(o, h);
        port = door->port();
    }
    void close() { door.reset(); }
    std::string url() const { return "http://127.0.0.1:" + std::to_string(port); }
    std::size_t count() const { return kept->list(notes, 1000).size(); }

    static http::response no(const std::string& error) { return http::json_response(400, to_json(value::map{{"error", error}, {"message", "no"}})); }
    static http::response yes(value::map v) { return http::json_response(200, to_json(value(std::move(v)), json_form::atproto)); }
    http::response tokens() {
        const auto n = std::to_string(generation);
        return yes({{"did", did}, {"handle", "alice.example"}, {"accessJwt", "access" + n}, {"refreshJwt", "refresh" + n}});
    }
    value::map commit() { return {{"cid", kept->head().commit.text()}, {"rev", kept->head().rev}}; }
    http::response answer(const http::request& r) {
        const std::lock_guard hold(guard);
        ++calls;
        const auto nsid = r.path.substr(r.path.rfind('/') + 1);
        const auto body = from_json(r.body.empty() ? "{}" : r.body, json_form::atproto).value();
        if (nsid == "com.atproto.server.createSession") {
            ++logins;
            if (body.text("password") != password) return http::json_response(401, R"({"error":"AuthenticationRequired","message":"Invalid identifier or password"})");
            return tokens();
        }
        if (nsid == "com.atproto.server.refreshSession") {
            if (r.head.get("authorization") != "Bearer refresh" + std::to_string(generation)) return no("ExpiredToken");
            ++renewals, ++generation;
            return tokens();
        }
        if (r.head.get("authorization") != "Bearer access" + std::to_string(generation)) return no("InvalidToken");
        const auto now = how(nsid);
        if (now == mood::fails_before) return {500, {}, ""};
        if (now == mood::expires) return no("ExpiredToken");
        if (now == mood::busy) {
            http::response busy{429, {}, R"({"error":"RateLimitExceeded"})"};
            busy.head.set("RateLimit-Reset", std::to_string(reset_at));
            return busy;
        }
        auto said = done(nsid, r, body);
        return now == mood::fails_after ? http::response{500, {}, ""} : said;
    }
    http::response done(const std::string& nsid, const http::request& r, const value& body) {
        if (nsid == "com.atproto.sync.getLatestCommit") return yes(commit());
        if (nsid == "com.atproto.repo.getRecord") {
            const auto found = kept->get(std::string(r.param("collection")), std::string(r.param("rkey")));
            if (!found) return no("RecordNotFound");
            return yes({{"uri", found->uri.text()}, {"cid", found->cid.text()}, {"value", found->value}});
        }
        if (nsid == "com.atproto.repo.listRecords") {
            value::list all;
            const auto found = kept->list(std::string(r.param("collection")), 100, std::string(r.param("cursor")));
            for (const auto& one : found) all.push_back(value::map{{"uri", one.uri.text()}, {"cid", one.cid.text()}, {"value", one.value}});
            value::map m{{"records", all}};
            if (found.size() == 100) m.emplace("cursor", found.back().uri.rkey);
            return yes(m);
        }
        const auto swap = body.text("swapCommit");
        if (!swap.empty() && swap != kept->head().commit.text()) return no("InvalidSwap");
        const std::string collection(body.text("collection")), rkey(body.text("rkey"));
        if (nsid == "com.atproto.repo.applyWrites") {
            ++batches;
            const auto& writes = *body.find("writes")->as<value::list>();
            for (const auto& w : writes)
                if (w.find("value")->text("text") == "bad" || kept->get(std::string(w.text("collection")), std::string(w.text("rkey")))) return no("InvalidRequest");
            value::list results;
            for (const auto& w : writes) {
                const auto made = kept->create(std::string(w.text("collection")), std::string(w.text("rkey")), *w.find("value")).value();
                results.push_back(value::map{{"uri", made.uri.text()}, {"cid", made.cid.text()}});
            }
            return yes({{"commit", commit()}, {"results", results}});
        }
        const auto there = kept->get(collection, rkey);
        if (const auto* s = body.find("swapRecord"))
            if (s->is_null() ? there.has_value() : !there || there->cid.text() != body.text("swapRecord")) return no("InvalidSwap");
        if (nsid == "com.atproto.repo.deleteRecord") {
            (void)kept->remove(collection, rkey);
            return yes({{"commit", commit()}});
        }
        const auto& record = *body.find("record");
        if (record.text("text") == "bad" || (nsid == "com.atproto.repo.createRecord" && there)) return no("InvalidRequest");
        const auto made = kept->put(collection, rkey, record).value();
        return yes({{"uri", made.uri.text()}, {"cid", made.cid.text()}, {"commit", commit()}});
    }
};

// Alice's node, whose account is there.
struct guest {
    host& at;
    directory home;
    http::client web{[] { http::client_options o; o.allow_private = true; return o; }()};
    std::unique_ptr<kept_file> tokens = make_kept_file(home / "session");
    std::atomic<std::int64_t> skip_ms{0};
    std::string password = "correct horse";
    std::unique_ptr<pds::remote_repository> own;

    explicit guest(host& h) : at(h) { open(); }
    instant now() const { return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now()) + std::chrono::milliseconds(skip_ms); }
    std::unique_ptr<pds::session> session() {
        return std::make_unique<pds::password_session>(web, pds::account{at.url(), "alice.example", at.did, [this] { return result<crypto::secret>(crypto::secret(password)); }}, *tokens, [this] { return now(); });
    }
    void open() {
        pds::remote_options o;
        o.collections = {notes}, o.look_every = 20ms, o.patience = 200ms, o.first_pause = 2ms, o.now = [this] { return now(); };
        own = pds::open_remote_repository(open_repository(home / "copy", at.did, crypto::generate(crypto::curve::k256)), std::make_unique<pds::outbox>(home / "outbox"), session(), o);
    }
    std::vector<result<stored_record>> write(std::vector<record_write> all) {
        inbox<std::vector<result<stored_record>>> said;
        own->apply(std::move(all), [&](std::vector<result<stored_record>> r) { said.put(std::move(r)); });
        return said.take();
    }
};

} // namespace

TEST_CASE("a record written here is in the account at its host, and in the copy, under one name") {
    host h;
    guest g(h);
    REQUIRE(g.own->wait_until_current(patience));
    inbox<stored_record> heard;
    const auto ear = g.own->listen([&](const stored_record& r) { heard.put(r); });
    const auto made = g.own->create(notes, "", note("hello"));
    REQUIRE(made);
    CHECK(is_tid(made->uri.rkey));
    const auto there = h.kept->get(notes, made->uri.rkey);
    REQUIRE(there);
    CHECK(there->cid == made->cid);
    CHECK(heard.take().cid == made->cid);
    CHECK(g.own->create(notes, made->uri.rkey, note("hello"))->cid == made->cid);
    CHECK(g.own->create(notes, made->uri.rkey, note("other")).error().code == "record_exists");
    CHECK(g.own->put(notes, "k", note("one")));
    CHECK(g.own->put(notes, "k", note("two")));
    CHECK(h.kept->get(notes, "k")->value.text("text") == "two");
    CHECK(g.own->remove(notes, "k"));
    CHECK(!h.kept->get(notes, "k"));
    CHECK(!g.own->get(notes, "k"));
    CHECK(g.own->create("no collection", "", note("x")).error().code == "bad_record");
    CHECK(h.logins == 1);
}

TEST_CASE("an outage queues: what is written is published when the host is back, once, under the same key") {
    host h;
    guest g(h);
    REQUIRE(g.own->wait_until_current(patience));
    h.close();
    CHECK(g.own->create(notes, "a", note("first")).error().code == "record_pending");
    CHECK(!g.own->get(notes, "a")); // not said to be there before it is
    g.own.reset();                  // and the node stops
    g.open();
    CHECK(g.own->state().waiting == 1);
    h.open();
    CHECK(soon([&] { return g.own->get(notes, "a").has_value(); }));
    CHECK(h.kept->get(notes, "a")->value.text("text") == "first");
    CHECK(h.count() == 1);
    CHECK(soon([&] { return g.own->state().waiting == 0; }));
}

TEST_CASE("an answer that was lost is asked about, and nothing is there twice") {
    host h;
    guest g(h);
    REQUIRE(g.own->wait_until_current(patience));
    std::atomic<int> lose{1};
    h.how = [&](const std::string& nsid) { return nsid == "com.atproto.repo.createRecord" && lose-- > 0 ? host::mood::fails_after : host::mood::well; };
    const auto said = g.write({{record_write::kind::create, notes, "", note("once")}});
    REQUIRE(said.front());
    CHECK(h.count() == 1);
    CHECK(h.kept->get(notes, said.front()->uri.rkey)->cid == said.front()->cid);
}

TEST_CASE("what another run of the node has sent, without living to hear of it, is not sent again") {
    host h;
    auto g = std::make_unique<guest>(h);
    REQUIRE(g->own->wait_until_current(patience));
    h.how = [&](const std::string& nsid) { return nsid == "com.atproto.repo.createRecord" ? host::mood::fails_after : nsid == "com.atproto.repo.getRecord" ? host::mood::fails_before : host::mood::well; };
    CHECK(g->own->create(notes, "a", note("first")).error().code == "record_pending");
    CHECK(soon([&] { return h.count() == 1; }));
    g->own.reset();
    std::atomic<int> creations{0};
    {
        const std::lock_guard hold(h.guard);
        h.how = [&](const std::string& nsid) { return creations += nsid == "com.atproto.repo.createRecord", host::mood::well; };
    }
    g->open();
    CHECK(soon([&] { return g->own->get(notes, "a").has_value(); }));
    CHECK(soon([&] { return g->own->state().waiting == 0; }));
    CHECK(creations == 0);
    g->own.reset();
}

TEST_CASE("what the account's owner writes with another program is found, what they delete too, and theirs is not overwritten unread") {
    host h;
    guest g(h);
    REQUIRE(g.own->wait_until_current(patience));
    inbox<stored_record> heard;
    const auto ear = g.own->listen([&](const stored_record& r) { heard.put(r); });
    { const std::lock_guard hold(h.guard); (void)h.kept->put(notes, "vouch", note("denounced")); (void)h.kept->put(others, "post", note("not ours")); }
    CHECK(heard.take().uri.rkey == "vouch");
    CHECK(!g.own->get(others, "post"));
    { const std::lock_guard hold(h.guard); (void)h.kept->put(notes, "vouch", note("again")); }
    CHECK(g.own->put(notes, "vouch", note("mine"))); // theirs was read before, or the swap made it so
    CHECK(h.kept->get(notes, "vouch")->value.text("text") == "mine");
    { const std::lock_guard hold(h.guard); (void)h.kept->remove(notes, "vouch"); }
    CHECK(soon([&] { return !g.own->get(notes, "vouch"); }));
}

TEST_CASE("one record that the host refuses does not take the others with it") {
    host h;
    guest g(h);
    REQUIRE(g.own->wait_until_current(patience));
    std::vector<record_write> all;
    for (const auto* text : {"a", "bad", "c", "d"}) all.push_back({record_write::kind::create, notes, "", note(text)});
    const auto said = g.write(all);
    CHECK(said[0]);
    CHECK(said[1].error().code == "pds_refused");
    CHECK(said[2]);
    CHECK(said[3]);
    CHECK(h.count() == 3);
    CHECK(g.write({{record_write::kind::create, notes, "", note("e")}, {record_write::kind::create, notes, "", note("f")}}).size() == 2);
    CHECK(h.batches >= 2); // together again
}

TEST_CASE("a session is renewed when it has ended, and a node that starts again does not log in again") {
    host h;
    guest g(h);
    REQUIRE(g.own->wait_until_current(patience));
    std::atomic<int> expired{1};
    { const std::lock_guard hold(h.guard); h.how = [&](const std::string&) { return expired-- > 0 ? host::mood::expires : host::mood::well; }; }
    CHECK(g.own->create(notes, "a", note("x")));
    CHECK(h.renewals == 1);
    g.own.reset();
    g.open();
    REQUIRE(g.own->wait_until_current(patience));
    CHECK(h.logins == 1);
    CHECK(std::filesystem::status(g.home / "session").permissions() == (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
}

TEST_CASE("a password that is refused is not tried again and again") {
    host h;
    guest g(h);
    g.own.reset();
    std::error_code ignored;
    std::filesystem::remove(g.home / "session", ignored);
    g.password = "wrong";
    const auto before = h.logins.load();
    auto s = g.session();
    for (int i = 0; i < 20; ++i) CHECK(s->call({"com.atproto.repo.listRecords", "", std::nullopt}).error().code == "pds_login");
    CHECK(h.logins == before + 1);
    g.skip_ms = 31'000;
    CHECK(s->log_in().error().code == "pds_login");
    CHECK(h.logins == before + 2);
    g.password = "correct horse", g.skip_ms = 200'000;
    CHECK(s->log_in());
    CHECK(s->did() == h.did);
}

TEST_CASE("a host that asks for a pause is left alone until the time that it says") {
    host h;
    guest g(h);
    g.own.reset();
    auto s = g.session();
    REQUIRE(s->log_in());
    std::atomic<bool> busy{true};
    h.reset_at = std::chrono::duration_cast<std::chrono::seconds>(g.now().time_since_epoch()).count() + 100;
    h.how = [&](const std::string&) { return busy ? host::mood::busy : host::mood::well; };
    const pds::request r{"com.atproto.sync.getLatestCommit", "did=x", std::nullopt};
    CHECK(s->call(r).error().code == "pds_paused");
    const auto calls = h.calls.load();
    for (int i = 0; i < 20; ++i) CHECK(s->call(r).error().code == "pds_paused");
    CHECK(h.calls == calls);
    busy = false, g.skip_ms = 101'000;
    CHECK(s->call(r));
}

TEST_CASE("where the account's host does not answer, the own list is not taken for whole") {
    host h;
    guest g(h);
    REQUIRE(g.own->wait_until_current(patience));
    identity_resolver who(g.web, {});
    const auto network = make_record_network(*g.own, who, g.web);
    const auto listed = [&] {
        inbox<result<std::vector<stored_record>>> said;
        network->list(h.did, notes, [&](result<std::vector<stored_record>> r) { said.put(std::move(r)); });
        return said.take();
    };
    CHECK(listed());
    h.close();
    g.skip_ms = 61'000;
    CHECK(listed().error().code == "record_unreachable");
    h.open();
    CHECK(soon([&] { return listed().has_value(); }));
}

TEST_CASE("an account of another DID is not written to") {
    host h;
    guest g(h);
    g.own.reset();
    auto file = make_kept_file(g.home / "other");
    pds::password_session s(g.web, {h.url(), "alice.example", "did:web:eve.example", [&] { return result<crypto::secret>(crypto::secret(h.password)); }}, *file, [&] { return g.now(); });
    CHECK(s.log_in().error().code == "pds_login");
}

TEST_CASE("whatever the host does, each record is there once and the copy says the same") {
    for (const unsigned seed : {1u, 2u, 3u}) {
        host h;
        guest g(h);
        REQUIRE(g.own->wait_until_current(patience));
        std::mt19937 dice(seed);
        {
            const std::lock_guard hold(h.guard);
            h.how = [&](const std::string&) {
                const auto n = dice() % 12;
                return n == 0 ? host::mood::fails_before : n == 1 ? host::mood::fails_after : n == 2 ? host::mood::expires : host::mood::well;
            };
        }
        std::atomic<int> well{0}, all{0};
        for (int i = 0; i < 60; ++i) {
            const auto rkey = "r" + std::to_string(i % 45); // some keys twice
            std::vector<record_write> w{{i % 7 == 3 ? record_write::kind::put : record_write::kind::create, notes, rkey, note(std::to_string(i % 45))}};
            g.own->apply(std::move(w), [&](std::vector<result<stored_record>> r) { well += r.front().has_value(), ++all; });
            if (i % 20 == 10) { const std::lock_guard hold(h.guard); (void)h.kept->put(notes, "theirs", note("of another program, " + std::to_string(i))); }
            if (i == 30) { // and it is stopped in the middle
                g.own.reset();
                g.open();
            }
        }
        CHECK(soon([&] { return all == 60; }));
        CHECK(soon([&] { return g.own->state().waiting == 0; }));
        { const std::lock_guard hold(h.guard); h.how = [](const std::string&) { return host::mood::well; }; }
        const auto same = [&] {
            const auto here = g.own->list(notes, 1000), there = h.kept->list(notes, 1000);
            return here.size() == 46 && there.size() == 46 &&
                   std::equal(here.begin(), here.end(), there.begin(), [](const auto& a, const auto& b) { return a.uri == b.uri && a.cid == b.cid; });
        };
        CHECK(soon(same));
        CHECK(well >= 25);
        g.own.reset();
    }
}
