#include "loopback.hpp"

#include <thread>

#include <souk/backends/records/repository.hpp>
#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/time.hpp>

using namespace souk;
using namespace loopback;

namespace {

const std::string alice = "did:web:alice.example", notes = "com.example.note";
crypto::secret key() {
    static const auto one = crypto::generate(crypto::curve::k256);
    return one.copy();
}
value note(std::string text) { return value::map{{"$type", notes}, {"text", std::move(text)}}; }
std::string code_of(const result<stored_record>& r) { return r ? "kept" : r.error().code; }

} // namespace

TEST_SUITE("repository") {

TEST_CASE("a record is kept under its key with its CID, and read back as it was") {
    const directory home;
    const auto own = open_repository(home / "records", alice, key());
    const auto made = own->create(notes, "first", note("hello"));
    REQUIRE(made);
    CHECK(made->uri.text() == "at://did:web:alice.example/com.example.note/first");
    CHECK(made->cid == cid_of(note("hello")));
    const auto read = own->get(notes, "first");
    REQUIRE(read);
    CHECK(read->value == note("hello"));
    CHECK(read->cid == made->cid);
    CHECK(read->time_us == made->time_us);
    CHECK_FALSE(own->get(notes, "second"));
    CHECK_FALSE(own->get("com.example.other", "first"));
}

TEST_CASE("a repeated effect is one record; another under its key is refused") {
    const directory home;
    const auto own = open_repository(home / "records", alice, key());
    inbox<std::string> told;
    const auto ear = own->listen([&](const stored_record& r) { told.put(r.uri.rkey); });
    const auto first = own->create(notes, "k", note("a")), again = own->create(notes, "k", note("a")),
               other = own->create(notes, "k", note("b"));
    REQUIRE(again);
    CHECK(again->time_us == first->time_us);
    CHECK(code_of(other) == "record_exists");
    CHECK(own->get(notes, "k")->value == note("a"));
    CHECK(told.size() == 1);
    const auto put = own->put(notes, "k", note("b"));
    REQUIRE(put);
    CHECK(put->updated);
    CHECK(put->time_us > first->time_us);
    REQUIRE(own->put(notes, "k", note("b")));
    CHECK(told.size() == 2);
    REQUIRE(own->remove(notes, "k"));
    REQUIRE(own->remove(notes, "k"));
    CHECK_FALSE(own->get(notes, "k"));
}

TEST_CASE("without a key, a record gets a TID, and later ones sort later") {
    const directory home;
    const auto own = open_repository(home / "records", alice, key());
    std::string last;
    for (int i = 0; i < 20; ++i) {
        const auto made = own->create(notes, "", note(std::to_string(i)));
        REQUIRE(made);
        CHECK(is_tid(made->uri.rkey));
        CHECK(made->uri.rkey > last);
        last = made->uri.rkey;
    }
    const auto newest = own->list(notes, 3);
    REQUIRE(newest.size() == 3);
    CHECK(newest[0].value == note("19"));
    CHECK(own->list(notes, 100, newest[2].uri.rkey).size() == 17);
    CHECK(own->list(notes, 1, {}, true)[0].value == note("0"));
    CHECK(own->list(notes, 100, newest[2].uri.rkey, true).size() == 2);
    CHECK(own->list("com.example", 100).empty());
    REQUIRE(own->create("com.example.zebra", "", note("z")));
    REQUIRE(own->create("com.example.aardvark", "", note("a")));
    CHECK(own->collections() == std::vector<std::string>{"com.example.aardvark", notes, "com.example.zebra"});
}

TEST_CASE("time_us only grows: over restarts, removals and replacements") {
    const directory home;
    std::int64_t last = 0;
    for (int restart = 0; restart < 3; ++restart) {
        const auto own = open_repository(home / "records", alice, key());
        for (int i = 0; i < 50; ++i) {
            const auto made = own->put(notes, "same", note(std::to_string(restart * 100 + i)));
            REQUIRE(made);
            CHECK(made->time_us > last);
            last = made->time_us;
        }
        CHECK(own->since(0, 10).size() == 1 + static_cast<std::size_t>(restart)); // and the removals before
        CHECK(own->since(last - 1, 10).size() == 1);
        CHECK(own->since(last, 10).empty());
        REQUIRE(own->remove(notes, "same"));
    }
}

TEST_CASE("a page of what came since ends with its bytes or its number, and the next goes on from there") {
    const directory home;
    const auto own = open_repository(home / "records", alice, key());
    for (int i = 0; i < 10; ++i) REQUIRE(own->create(notes, "", note(std::string(1'000, 'x') + std::to_string(i))));
    CHECK(own->since(0, 10, 1).size() == 1); // one at least, or nobody would ever come further
    const auto page = own->since(0, 10, 2'500);
    REQUIRE(page.size() == 3);
    const auto rest = own->since(page.back().time_us, 10, 1 << 20);
    REQUIRE(rest.size() == 7);
    CHECK(rest.front().value.text("text").ends_with("3"));
    CHECK(own->since(0, 4, 1 << 20).size() == 4);
}

TEST_CASE("what many writers keep is told in order, once each, and all of it is there after a restart") {
    const directory home;
    inbox<std::int64_t> told;
    {
        const auto own = open_repository(home / "records", alice, key());
        const auto ear = own->listen([&](const stored_record& r) { told.put(r.time_us); });
        std::vector<std::thread> writers;
        for (int w = 0; w < 8; ++w)
            writers.emplace_back([&, w] {
                for (int i = 0; i < 40; ++i) (void)own->create(notes, std::to_string(w) + "-" + std::to_string(i), note("x"));
            });
        for (auto& w : writers) w.join();
    }
    REQUIRE(told.size() == 320);
    for (std::int64_t last = 0, i = 0; i < 320; ++i) {
        const auto next = told.take();
        CHECK(next > last);
        last = next;
    }
    CHECK(open_repository(home / "records", alice, key())->since(0, 1000).size() == 320);
}

TEST_CASE("a dropped token hears nothing more, and a listener that would wait for itself is refused") {
    const directory home;
    const auto own = open_repository(home / "records", alice, key());
    int heard = 0;
    auto ear = own->listen([&](const stored_record&) { ++heard; });
    REQUIRE(own->create(notes, "1", note("x")));
    ear.reset();
    REQUIRE(own->create(notes, "2", note("x")));
    CHECK(heard == 1);
    {
        std::string said;
        const auto writes = own->listen([&](const stored_record&) { said = code_of(own->create(notes, "4", note("x"))); });
        REQUIRE(own->create(notes, "3", note("x")));
        CHECK(said == "would_block");
    }
    CHECK(own->create(notes, "5", note("x")));
}

TEST_CASE("several records are kept together, each answered for itself, in their order") {
    const directory home;
    const auto own = open_repository(home / "records", alice, key());
    inbox<std::string> told;
    const auto ear = own->listen([&](const stored_record& r) { told.put(r.uri.rkey); });
    REQUIRE(own->create(notes, "b", note("x")));
    CHECK(told.take() == "b");
    inbox<std::vector<result<stored_record>>> answers;
    using how = record_write::kind;
    own->apply({{how::create, notes, "a", note("1")}, {how::create, notes, "b", note("another")}, {how::put, notes, "b", note("2")}, {how::create, "no nsid", "c", note("3")},
                {how::remove, notes, "a", {}}}, [&](std::vector<result<stored_record>> said) { answers.put(std::move(said)); });
    const auto said = answers.take();
    REQUIRE(said.size() == 5);
    CHECK(said[0]);
    CHECK(code_of(said[1]) == "record_exists");
    CHECK(said[2]);
    CHECK(code_of(said[3]) == "bad_record");
    CHECK(said[4]);
    CHECK(told.take() == "a");
    CHECK(told.take() == "b");
    CHECK_FALSE(own->get(notes, "a"));
    CHECK(own->get(notes, "b")->value == note("2"));
}

TEST_CASE("the newest of a collection is the one that was kept last, whatever its key") {
    const directory home;
    const auto own = open_repository(home / "records", alice, key());
    CHECK_FALSE(own->newest(notes));
    REQUIRE(own->create(notes, "b", note("1")));
    REQUIRE(own->create(notes, "a", note("2")));
    REQUIRE(own->create("app.example.other", "z", note("3")));
    CHECK(own->newest(notes)->uri.rkey == "a");
    REQUIRE(own->put(notes, "b", note("4")));
    CHECK(own->newest(notes)->uri.rkey == "b");
}

TEST_CASE("a full disk refuses the record and loses nothing") {
    const directory home;
    repository_limits small;
    small.file_bytes = 200'000;
    std::vector<std::string> kept;
    {
        const auto own = open_repository(home / "records", alice, key(), small);
        inbox<int> told;
        const auto ear = own->listen([&](const stored_record&) { told.put(1); });
        result<stored_record> last = refusal{"", ""};
        for (int i = 0; i < 100 && (kept.empty() || last); ++i) {
            last = own->create(notes, std::to_string(i), note(std::string(10'000, 'x')));
            if (last) kept.push_back(last->uri.rkey);
        }
        CHECK(code_of(last) == "disk_full");
        CHECK(kept.size() > 10);
        CHECK(told.size() == kept.size());
        CHECK(own->get(notes, kept.back())); // still serves
        REQUIRE(own->remove(notes, kept.front()));
        CHECK(own->create(notes, "again", note(std::string(9'000, 'x')))); // and takes records again once there is room
    }
    const auto own = open_repository(home / "records", alice, key(), small);
    for (std::size_t i = 1; i < kept.size(); ++i) CHECK(own->get(notes, kept[i]));
}

TEST_CASE("what is no record is refused") {
    const directory home;
    const auto own = open_repository(home / "records", alice, key());
    CHECK(code_of(own->create("nodots", "k", note("x"))) == "bad_record");
    CHECK(code_of(own->create(notes, "..", note("x"))) == "bad_record");
    CHECK(code_of(own->create(notes, "a/b", note("x"))) == "bad_record");
    CHECK(code_of(own->create(notes, "k", value("text"))) == "bad_record");
    CHECK(code_of(own->create(notes, "k", note(std::string(1 << 20, 'x')))) == "record_too_large");
}

TEST_CASE("a repository has one owner and one process") {
    const directory home;
    {
        const auto own = open_repository(home / "records", alice, key());
        CHECK_THROWS_WITH_AS(open_repository(home / "records", alice, key()), doctest::Contains("another process has it open"),
                             std::runtime_error);
    }
    CHECK_THROWS_WITH_AS(open_repository(home / "records", "did:web:eve.example", key()),
                         doctest::Contains("is that of did:web:alice.example"), std::runtime_error);
    CHECK_THROWS_AS(open_repository(home / "none" / "records", alice, key()), std::runtime_error);
    CHECK_NOTHROW(open_repository(home / "records", alice, key()));
}

} // TEST_SUITE
