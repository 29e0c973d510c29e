// A node's own records as the network reads them: what it exports, proves and announces is verified as a stranger would.
#include "loopback.hpp"

#include <map>
#include <random>

#include <souk/backends/records/network.hpp>
#include <souk/backends/sqlite/database.hpp>
#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/firehose.hpp>

using namespace souk;
using namespace loopback;

namespace {

const std::string alice = "did:web:alice.example", notes = "com.example.note", others = "com.example.other";

value note(std::string text) { return value::map{{"$type", notes}, {"text", std::move(text)}}; }

http::client_options local() {
    http::client_options o;
    o.allow_private = true;
    return o;
}

struct home_of_records {
    directory home;
    crypto::secret key = crypto::generate(crypto::curve::k256);
    crypto::verifier known = crypto::verifier::of(crypto::public_of(crypto::curve::k256, key).value()).value();
    std::unique_ptr<synced_repository> own = open();

    std::unique_ptr<synced_repository> open() const { return open_repository(home / "records", alice, key.copy()); }
    void again() { own.reset(), own = open(); }

    std::string exported(const std::string& since = {}) const {
        const auto next = own->export_car(since).value();
        std::string all;
        for (auto piece = next().value(); !piece.empty(); piece = next().value()) all += piece;
        return all;
    }
    // Path and CID of every record, as a stranger finds them in the export.
    std::map<std::string, std::string> records() const {
        std::map<std::string, std::string> found;
        const auto said = verify_repo(exported(), alice, {&known, 1}, [&](std::string_view path, const cid& id, std::string_view, value&) -> result<void> {
            found.emplace(path, id.text());
            return {};
        });
        REQUIRE_MESSAGE(said, (said ? "" : said.error().code + ": " + said.error().text));
        CHECK(said->id == own->head().commit);
        CHECK(said->commit.rev == own->head().rev);
        return found;
    }
    // What the frames after `seq` say, each believed only as it follows on the one before.
    std::vector<firehose::verified_commit> frames(std::int64_t seq, std::optional<firehose::repo_state>& at) const {
        std::vector<firehose::verified_commit> all;
        for (;;) {
            const auto some = own->frames(seq, 100, 1 << 20);
            if (some.empty()) return all;
            for (const auto& f : some) {
                CHECK(f.seq == seq + 1);
                seq = f.seq;
                const auto event = firehose::decode(*f.bytes).value();
                if (const auto* state = std::get_if<firehose::sync_event>(&event)) {
                    const auto c = firehose::verify(*state, {&known, 1}).value();
                    at = firehose::repo_state{c.rev, c.data};
                    continue;
                }
                firehose::verify_options how;
                how.known = at;
                CAPTURE(seq);
                CAPTURE(std::get<firehose::commit_event>(event).rev);
                CAPTURE((at ? at->rev : ""));
                auto said = firehose::verify(std::get<firehose::commit_event>(event), {&known, 1}, how);
                REQUIRE_MESSAGE(said, (said ? "" : said.error().code + ": " + said.error().text));
                CHECK(said->inductive);
                at = firehose::repo_state{said->commit.rev, said->commit.data};
                all.push_back(std::move(*said));
            }
        }
    }
};

} // namespace

TEST_SUITE("synced repository") {

TEST_CASE("an empty repository is one that a stranger can verify") {
    home_of_records h;
    CHECK(h.records().empty());
    CHECK(h.own->last_frame() == 1); // the state to begin with
    const auto head = h.own->head();
    h.again();
    CHECK(h.own->head().commit == head.commit);
    CHECK(h.own->last_frame() == 1);
}

TEST_CASE("with another key, the repository is signed once more, and what it holds and how it goes on is the same") {
    home_of_records h;
    for (const char* name : {"one", "two"}) REQUIRE(h.own->create(notes, name, value::map{{"$type", notes}, {"text", name}}));
    const auto before = h.records();
    const auto head = h.own->head();
    const auto last = h.own->last_frame();
    h.key = crypto::generate(crypto::curve::k256);
    h.known = crypto::verifier::of(crypto::public_of(crypto::curve::k256, h.key).value()).value();
    h.again();
    CHECK(h.records() == before); // verified by the new key
    CHECK(h.own->head().rev > head.rev);
    CHECK(h.own->last_frame() == last + 1);
    const auto again = h.own->head();
    h.again();
    CHECK(h.own->head().commit == again.commit); // once
    REQUIRE(h.own->create(notes, "three", value::map{{"$type", notes}, {"text", "three"}}));
    std::optional<firehose::repo_state> at;
    CHECK(h.frames(last, at).size() == 1); // a reader is told of the state, and follows on from it
    CHECK(h.records().size() == 3);
}

TEST_CASE("whatever is written, replaced and removed, the export verifies and holds just that, and the frames lead to it") {
    home_of_records h;
    std::mt19937 dice(7); // the same in every run
    std::map<std::string, std::string> truth;
    std::optional<firehose::repo_state> at;
    std::int64_t seen = 0;
    for (int round = 0; round < 40; ++round) {
        std::vector<record_write> batch;
        for (auto n = 1 + dice() % 30; n > 0; --n) {
            const auto rkey = "k" + std::to_string(dice() % 60);
            const auto& collection = dice() % 4 ? notes : others;
            const auto path = collection + '/' + rkey;
            if (dice() % 4 == 0) {
                batch.push_back({record_write::kind::remove, collection, rkey, {}});
                truth.erase(path);
            } else {
                const auto what = note(std::to_string(dice() % 5)); // often what is there already, or elsewhere
                batch.push_back({record_write::kind::put, collection, rkey, what});
                truth[path] = cid_of(what).text();
            }
        }
        inbox<int> done;
        h.own->apply(std::move(batch), [&](auto all) {
            for (const auto& one : all) CHECK(one);
            done.put(1);
        });
        done.take();
        if (round % 10 == 9) h.again();
        CHECK(h.records() == truth);
        const auto said = h.frames(seen, at);
        seen = h.own->last_frame();
        REQUIRE(at);
        CHECK(at->rev == h.own->head().rev);
        for (const auto& c : said) CHECK(c.ops.size() <= firehose::most_ops);
    }
}

TEST_CASE("hundreds of writes at once are commits that every host takes") {
    home_of_records h;
    std::vector<record_write> batch;
    for (int i = 0; i < 450; ++i) batch.push_back({record_write::kind::create, notes, "k" + std::to_string(i), note(std::to_string(i))});
    for (int i = 0; i < 4; ++i) batch.push_back({record_write::kind::create, others, "large" + std::to_string(i), note(std::string(900'000, 'x'))});
    inbox<int> done;
    h.own->apply(std::move(batch), [&](auto) { done.put(1); });
    done.take();
    std::optional<firehose::repo_state> at;
    const auto said = h.frames(0, at);
    CHECK(said.size() >= 6);
    CHECK(h.records().size() == 454);
    for (const auto& c : said) CHECK(c.ops.size() <= 200);
}

TEST_CASE("what is newer than a revision is what a stranger lacks who has that one") {
    home_of_records h;
    for (int i = 0; i < 50; ++i) REQUIRE(h.own->create(notes, "k" + std::to_string(i), note(std::to_string(i))));
    const auto old = read_car(h.exported()).value();
    const auto since = h.own->head().rev;
    REQUIRE(h.own->create(notes, "new", note("new")));
    REQUIRE(h.own->put(notes, "k7", note("seven")));
    REQUIRE(h.own->remove(notes, "k9"));
    const auto news = h.exported(since);
    CHECK(news.size() < h.exported().size() / 2);
    auto both = old.blocks;
    for (const auto& [id, bytes] : read_car(news).value().blocks) both.put(id, bytes);
    const auto commit = decode_commit(*both.get(h.own->head().commit)).value();
    std::size_t records = 0;
    REQUIRE(mst(commit.data, both).walk([&](std::string_view, const cid& id) {
        CHECK(both.has(id));
        return ++records, true;
    }));
    CHECK(records == 50);
}

TEST_CASE("a record is proved to be there, or not to be there") {
    home_of_records h;
    for (int i = 0; i < 100; ++i) REQUIRE(h.own->create(notes, "k" + std::to_string(i), note(std::to_string(i))));
    for (const auto* rkey : {"k42", "none"}) {
        const auto proof = read_car(h.own->prove(notes, rkey).value()).value();
        REQUIRE(proof.roots == std::vector{h.own->head().commit});
        const auto commit = decode_commit(*proof.blocks.get(proof.roots[0])).value();
        REQUIRE(verify_commit(commit, alice, {&h.known, 1}));
        const auto found = mst(commit.data, proof.blocks).get(notes + '/' + rkey);
        REQUIRE(found);
        CHECK(found->has_value() == (rkey == std::string("k42")));
        if (*found) CHECK(decode_dag_cbor(*proof.blocks.get(**found)).value() == note("42"));
        CHECK(proof.blocks.size() < 12);
    }
}

TEST_CASE("a removal is told to whoever listens, and to whoever comes later") {
    home_of_records h;
    const auto made = h.own->create(notes, "k", note("a")).value();
    inbox<bool> told;
    const auto ear = h.own->listen([&](const stored_record& r) { told.put(r.removed); });
    REQUIRE(h.own->remove(notes, "k"));
    REQUIRE(h.own->remove(notes, "k")); // it is gone already: nobody is told again
    CHECK(told.size() == 1);
    CHECK(told.take());
    h.again();
    const auto since = h.own->since(made.time_us - 1, 10);
    REQUIRE(since.size() == 1);
    CHECK(since[0].removed);
    CHECK(since[0].uri == made.uri);
    CHECK(since[0].time_us > made.time_us);
    REQUIRE(h.own->create(notes, "k", note("a")));
    CHECK(h.own->since(made.time_us, 10).size() == 2); // gone, and there again
}

TEST_CASE("records of before there were commits are in the first one") {
    home_of_records h;
    REQUIRE(h.own->create(notes, "k1", note("a")));
    REQUIRE(h.own->create(notes, "k2", note("b")));
    h.own.reset();
    {
        sqlite::database db(h.home / "records");
        db.run("DROP TABLE head; DROP TABLE node; DROP TABLE frame; DROP INDEX record_by_cid; ALTER TABLE record DROP COLUMN rev;");
    }
    h.own = h.open();
    CHECK(h.records().size() == 2);
    REQUIRE(h.own->create(notes, "k3", note("c")));
    CHECK(h.records().size() == 3);
}

TEST_CASE("the sync routes say what the repository says") {
    home_of_records h;
    for (int i = 0; i < 2'000; ++i) REQUIRE((i % 200 || h.own->create(others, "o" + std::to_string(i), note("o"))));
    std::vector<record_write> batch;
    for (int i = 0; i < 2'000; ++i) batch.push_back({record_write::kind::create, notes, "k" + std::to_string(i), note(std::string(200, 'a' + static_cast<char>(i % 26)))});
    inbox<int> done;
    h.own->apply(std::move(batch), [&](auto) { done.put(1); });
    done.take();
    const repository_door routes{*h.own, [] { return did_document{}; }, {}};
    http::handler handler;
    handler.answer = [&](http::request r, http::responder tell) {
        auto answer = routes.answer(r);
        tell(answer ? std::move(*answer) : http::response{404, {}, ""});
    };
    handler.upgrade = [&](const http::request& r, std::shared_ptr<http::stream> s) {
        auto answer = routes.upgrade(r, std::move(s));
        return answer ? std::move(*answer) : std::variant<http::stream_handler, http::response>(http::response{404, {}, ""});
    };
    const http::server door({}, std::move(handler));
    http::client client{local()};
    const auto get = [&](const std::string& what) {
        http::call c;
        c.url = "http://127.0.0.1:" + std::to_string(door.port()) + "/xrpc/com.atproto.sync." + what;
        c.largest_answer = 64 << 20;
        return client.fetch_now(c).value();
    };
    const auto whole = get("getRepo?did=" + alice); // in chunks
    CHECK(whole.status == 200);
    CHECK(whole.head.get("Content-Type") == "application/vnd.ipld.car");
    CHECK(whole.body == h.exported());
    CHECK(get("getRepo?did=did:web:eve.example").status == 400);
    CHECK(get("getLatestCommit?did=" + alice).body.find(h.own->head().commit.text()) != std::string::npos);
    CHECK(read_car(get("getRecord?did=" + alice + "&collection=" + notes + "&rkey=k7").body).value().roots[0] == h.own->head().commit);
    CHECK(read_car(get("getBlocks?did=" + alice + "&cids=" + h.own->head().commit.text()).body).value().blocks.size() == 1);
    CHECK(get("getBlocks?did=" + alice + "&cids=" + cid_of(note("nowhere")).text()).body.find("BlockNotFound") != std::string::npos);
    CHECK(get("listRepos").body.find(alice) != std::string::npos);
    CHECK(get("listReposByCollection?collection=" + notes).body.find(alice) != std::string::npos);
    CHECK(get("listReposByCollection?collection=com.example.none").body.find(alice) == std::string::npos);
}

}
