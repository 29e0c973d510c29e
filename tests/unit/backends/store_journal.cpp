#include "loopback.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>

#include <souk/backends/store/journal.hpp>

using namespace souk;
using namespace loopback;
using namespace std::chrono_literals;

namespace {

const instant long_ago{1'700'000'000s};

append_request facts(std::string stream, std::uint64_t expected, std::vector<std::string> events, instant at = long_ago) {
    append_request r;
    r.stream = std::move(stream), r.expected = expected, r.events = std::move(events), r.at = at;
    return r;
}
append_request with_snapshot(append_request r, std::string snapshot, bool closes = false) {
    r.snapshot = std::move(snapshot), r.closes = closes;
    return r;
}
append_answer kept(journal& log, append_request r) {
    inbox<append_answer> said;
    log.append(std::move(r), [&](append_answer a) { said.put(std::move(a)); });
    return said.take();
}
std::map<std::string, history> open_of(journal& log, std::string_view kind) {
    std::map<std::string, history> all;
    log.open_streams(kind, [&](std::string key, history h) { all.emplace(std::move(key), std::move(h)); });
    return all;
}
std::string text_of(const history& h) {
    std::string all = h.snapshot;
    for (const auto& f : h.facts) all += ' ' + f.bytes;
    return all;
}

} // namespace

TEST_SUITE("journal") {

TEST_CASE("what was acknowledged is there in the next process, in its order, from the last snapshot on") {
    const directory home;
    {
        sqlite_journal log(home / "journal.db");
        CHECK(kept(log, facts("lease/a", 0, {"1", "2"})).how == stored::yes);
        CHECK(kept(log, facts("lease/b", 0, {"1"})).how == stored::yes);
        CHECK(kept(log, with_snapshot(facts("lease/a", 2, {"3"}), "123")).how == stored::yes);
        CHECK(kept(log, facts("lease/a", 3, {"4"})).how == stored::yes);
        CHECK(kept(log, with_snapshot(facts("lease/b", 1, {"2"}), "12", true)).how == stored::yes);
        CHECK(kept(log, facts("machine/a", 0, {"x"})).how == stored::yes);
    }
    sqlite_journal log(home / "journal.db");
    const auto open = open_of(log, "lease");
    REQUIRE(open.size() == 1); // b is closed
    CHECK(text_of(open.at("a")) == "123 4");
    CHECK(open.at("a").last() == 4);
    CHECK(text_of(log.past("lease", "a")) == " 1 2 3 4"); // nothing of it was compacted
    CHECK(text_of(log.past("lease", "b")) == " 1 2");
    CHECK(log.past("lease", "c").last() == 0);
}

TEST_CASE("whoever writes from an old belief is told what is there instead") {
    const directory home;
    sqlite_journal log(home / "journal.db");
    kept(log, with_snapshot(facts("lease/a", 0, {"1", "2"}), "12")), kept(log, facts("lease/a", 2, {"3"}));
    const auto said = kept(log, facts("lease/a", 2, {"another"}));
    CHECK(said.how == stored::conflict);
    CHECK(text_of(said.found) == "12 3");
    CHECK(kept(log, facts("lease/a", 3, {})).how == stored::yes); // only asked
    CHECK(kept(log, facts("lease/a", 1, {})).how == stored::conflict);
}

TEST_CASE("compaction drops what an old snapshot stands for, and nothing else") {
    const directory home;
    sqlite_journal log(home / "journal.db");
    const auto lately = long_ago + 24h * 30;
    kept(log, with_snapshot(facts("lease/rests", 0, {"1", "2"}), "12")), kept(log, facts("lease/rests", 2, {"3"}));
    kept(log, with_snapshot(facts("lease/over", 0, {"1", "2", "3"}), "123", true));
    kept(log, with_snapshot(facts("lease/young", 0, {"1"}, lately), "1", true));
    kept(log, facts("lease/moves", 0, {"1", "2"}));
    CHECK(log.compact(lately) == 2);
    CHECK(log.compact(lately) == 0);
    CHECK(text_of(log.past("lease", "rests")) == "12 3");
    CHECK(log.past("lease", "rests").snapshot_made == long_ago);
    CHECK(text_of(log.past("lease", "over")) == "123");
    CHECK(text_of(log.past("lease", "young")) == " 1");
    CHECK(text_of(log.past("lease", "moves")) == " 1 2");
    // It goes on as before; what ended long ago still answers whoever comes back to it.
    CHECK(kept(log, with_snapshot(facts("lease/rests", 3, {"4"}), "1234")).how == stored::yes);
    CHECK(kept(log, facts("lease/rests", 4, {"5"})).how == stored::yes);
    CHECK(text_of(log.past("lease", "rests")) == "1234 5");
    CHECK(log.compact(lately) == 1);
    CHECK(text_of(log.past("lease", "rests")) == "1234 5");
    const auto said = kept(log, facts("lease/over", 0, {"again"}));
    CHECK(said.how == stored::conflict);
    CHECK(text_of(said.found) == "123");
}

TEST_CASE("with compaction a journal grows by what ended, not by how it came to that") {
    const directory home;
    const auto pages = [&] { return std::filesystem::file_size(home / "journal.db"); };
    std::uintmax_t with = 0, without = 0;
    for (const bool compacts : {true, false}) {
        std::filesystem::remove_all(home / "journal.db");
        {
            sqlite_journal log(home / "journal.db");
            for (int round = 0; round < 40; ++round) {
                inbox<int> done;
                for (int i = 0; i < 25; ++i)
                    log.append(with_snapshot(facts("lease/" + std::to_string(round) + '-' + std::to_string(i), 0, std::vector<std::string>(12, std::string(400, 'f'))), std::string(600, 's'), true),
                               [&, i](append_answer) { done.put(i); });
                for (int i = 0; i < 25; ++i) done.take();
                while (compacts && log.compact(long_ago + 1h) > 0) {}
            }
        } // closing writes all into the file
        (compacts ? with : without) = pages();
    }
    CHECK(with * 4 < without);
}

TEST_CASE("a process that is killed while it compacts has lost nothing") {
    const directory home;
    constexpr int streams = 400;
    {
        inbox<int> done;
        sqlite_journal log(home / "journal.db");
        for (int i = 0; i < streams; ++i)
            log.append(with_snapshot(facts("lease/" + std::to_string(i), 0, {"1", "2", "3", "4"}), "1234", i % 2 == 0), [&, i](append_answer) { done.put(i); });
        for (int i = 0; i < streams; ++i) done.take();
    }
    int compacted = 0, kills = 0;
    for (; compacted < streams; ++kills) {
        int said[2];
        REQUIRE(::pipe(said) == 0);
        const auto child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) { // says when it has done one more step, and is killed somewhere in the one after that
            try {
                sqlite_journal log(home / "journal.db");
                while (log.compact(long_ago + 1h, 7) > 0)
                    if (::write(said[1], "!", 1) != 1) break;
            } catch (...) {
            }
            ::_exit(0);
        }
        ::close(said[1]);
        char c = 0;
        for (int n = 0; n < 3 && ::read(said[0], &c, 1) == 1; ++n) {}
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
        ::close(said[0]);
        sqlite_journal log(home / "journal.db");
        int now = 0;
        for (int i = 0; i < streams; ++i) {
            const auto h = log.past("lease", std::to_string(i));
            REQUIRE(h.last() == 4);
            now += h.snapshot_at > 0;
            REQUIRE(text_of(h) == (h.snapshot_at > 0 ? "1234" : " 1 2 3 4"));
        }
        CHECK(now >= compacted);
        CHECK(open_of(log, "lease").size() == streams / 2);
        compacted = now;
        REQUIRE(kills < streams);
    }
    CHECK(kills > 5);
}

TEST_CASE("a journal says when too much waits to be written") {
    const directory home;
    std::atomic<std::size_t> told = 0;
    inbox<int> first, go;
    {
        sqlite_journal log(home / "journal.db");
        CHECK_FALSE(log.crowded());
        log.append(facts("lease/first", 0, {"1"}), [&](append_answer) { first.put(1), go.take(); }); // the writer waits here
        first.take();
        for (std::size_t i = 0; i < sqlite_journal::most_waiting; ++i) log.append(facts("lease/" + std::to_string(i), 0, {"1"}), [&](append_answer a) { told += a.how == stored::yes; });
        CHECK(log.crowded());
        go.put(1);
    }
    CHECK(told == sqlite_journal::most_waiting); // and what was taken is written
}

TEST_CASE("who reads on from the last end that he saw misses none, whatever was compacted meanwhile") {
    const directory home;
    sqlite_journal log(home / "journal.db");
    std::vector<std::string> seen;
    const auto read_on = [&](std::uint64_t mark, std::size_t most) {
        seen.clear();
        return log.ended({"lease", "payment"}, mark, most, [&](std::string name, const history& h) { seen.push_back(name + '=' + text_of(h)); });
    };
    CHECK(read_on(0, 10) == 0);
    kept(log, facts("lease/a", 0, {"1"}));
    kept(log, with_snapshot(facts("machine/m", 0, {"1"}), "1", true));
    kept(log, with_snapshot(facts("payment/b", 0, {"1"}), "1", true));
    kept(log, with_snapshot(facts("lease/a", 1, {"2"}), "12", true));
    kept(log, facts("lease/open", 0, {"1"}));
    auto mark = read_on(0, 2); // one of them of a kind that nobody asked for
    CHECK(seen == std::vector<std::string>{"payment/b= 1"});
    mark = read_on(mark, 10);
    CHECK(seen == std::vector<std::string>{"lease/a= 1 2"});
    CHECK(read_on(mark, 10) == mark);
    CHECK(seen.empty());
    // All facts of all that ended are dropped, the last one of the whole journal with them but for its number: the next has another.
    kept(log, with_snapshot(facts("lease/open", 1, {"2"}), "12", true));
    mark = read_on(mark, 10);
    while (log.compact(long_ago + 1h) > 0) {}
    kept(log, with_snapshot(facts("lease/next", 0, {"1"}), "1", true));
    CHECK(read_on(mark, 10) > mark);
    CHECK(seen == std::vector<std::string>{"lease/next= 1"});
    CHECK(read_on(0, 10) > 0);
    CHECK(seen.size() == 4);
    CHECK(seen[0] == "payment/b=1"); // what is left of it is its last state
}

} // TEST_SUITE
