#include "loopback.hpp"

#include <limits>

#include <sys/stat.h>

#include <souk/backends/book/store.hpp>

using namespace souk;
using namespace souk::book;
using namespace loopback;
using namespace std::chrono_literals;

namespace {

const instant noon{1'700'000'000s};
constexpr auto most = std::numeric_limits<amount>::max();

entry moved(std::string subject, amount v, instant at = noon, std::string contract = "bafyone", std::string party = "0xalice") {
    details d;
    d.what = kind::settled, d.subject = std::move(subject), d.contract = std::move(contract), d.party = std::move(party), d.at = at;
    return *entry::make(d, {{account::wallet, "x", v}, {account::revenue, "x", -v}});
}
entry with(kind what, std::string subject, std::vector<posting> p) {
    details d;
    d.what = what, d.subject = std::move(subject), d.contract = "bafyone", d.party = "0xalice", d.at = noon, d.until = what == kind::promised ? noon + 5min : instant{};
    return *entry::make(d, std::move(p));
}
page read(store& s, query q = {}) {
    inbox<result<page>> said;
    s.read(std::move(q), [&](result<page> p) { said.put(std::move(p)); });
    auto p = said.take();
    REQUIRE(p.has_value());
    return std::move(*p);
}
wide wallet(const std::vector<balance>& all, const std::string& asset = "x") {
    wide n = 0;
    for (const auto& b : all)
        if (b.in == account::wallet && b.asset == asset) n += b.sum;
    return n;
}

} // namespace

TEST_SUITE("book store") {

TEST_CASE("what was entered is there once, in the next process as well") {
    const directory home;
    {
        sqlite_store s(home / "books.db");
        s.write({{moved("a", 5)}, {}, {{"ended", 7}}, {}}, false);
        s.write({{moved("a", 5), moved("b", -3)}, {}, {}, {}}, false);
        s.write({{moved("a", 500)}, {}, {}, {}}, true); // the same event, told otherwise: the first word counts
        CHECK(s.mark("ended") == 0); // as it was when it was opened
        const auto p = read(s);
        CHECK(p.entries == 2);
        CHECK(wallet(p.all) == 2);
        struct stat st {};
        CHECK(::stat((home / "books.db").c_str(), &st) == 0);
        CHECK((st.st_mode & 0777) == 0600);
        CHECK_THROWS(sqlite_store(home / "books.db")); // one process at a time
    }
    sqlite_store s(home / "books.db");
    CHECK(s.mark("ended") == 7);
    s.write({{moved("b", -3), moved("c", 1)}, {}, {}, {}}, false);
    const auto p = read(s);
    CHECK(p.entries == 3);
    CHECK(wallet(p.all) == 3);
    CHECK(p.lines.size() == 3);
}

TEST_CASE("a window has what was before it, what is in it, and no more lines than were asked for") {
    const directory home;
    sqlite_store s(home / "books.db");
    for (int i = 0; i < 10; ++i) s.write({{moved("p" + std::to_string(i), 1 << i, noon + i * 1h)}, {}, {}, {}}, false);
    query q;
    q.from = noon + 3h, q.to = noon + 6h, q.most = 2;
    const auto p = read(s, q);
    CHECK(wallet(p.before) == 7);
    CHECK(wallet(p.within) == 8 + 16 + 32);
    CHECK(wallet(p.all) == 1023);
    CHECK(p.in_window == 3);
    REQUIRE(p.lines.size() == 2);
    CHECK(p.lines[0].what.subject == "p4");
    CHECK(p.lines[1].what.subject == "p5");
    CHECK(p.lines[1].postings.size() == 2);
}

TEST_CASE("labels say who is behind a contract and what a payment was for, whenever they come") {
    const directory home;
    sqlite_store s(home / "books.db");
    auto gas = details{};
    gas.what = kind::gas, gas.subject = "lane/1", gas.contract = "payment/k", gas.party = "eip155:1", gas.at = noon;
    s.write({{moved("k", 5), *entry::make(gas, {{account::gas, "y", 9}, {account::wallet, "y", -9}}), moved("other", 2, noon, "bafytwo", "0xcarol")}, {}, {}, {}}, false);
    CHECK(read(s).lines[0].what.party == "0xalice");
    s.write({{}, {{"payment/k", "bafyone", "", ""}, {"bafyone", "bafyone", "did:web:alice.example", "lease1"}}, {}, {}}, false);
    s.write({{}, {{"bafyone", "", "", ""}}, {}, {}}, false); // says nothing, and takes nothing away
    query q;
    q.contract = "lea";
    auto p = read(s, q);
    REQUIRE(p.lines.size() == 2);
    CHECK(p.lines[0].what.party == "did:web:alice.example");
    CHECK(p.lines[1].what.party == "eip155:1");
    CHECK(p.lines[1].what.contract == "bafyone");
    CHECK(p.lines[1].own == "lease1");
    q = {};
    q.party = "did:web:alice";
    p = read(s, q);
    CHECK(p.lines.size() == 1);
    REQUIRE(p.dealings.size() == 1);
    CHECK(p.dealings[0].in == 5);
    q.party = "%"; // a name, not a pattern
    CHECK(read(s, q).lines.empty());
    CHECK(read(s).dealings.size() == 3);
}

TEST_CASE("what is promised is open until it is settled or lapsed, in whichever order that is told") {
    const auto promise = [](const std::string& of) { return with(kind::promised, of, {{account::receivable, "x", 8}, {account::promised, "x", -8}}); };
    const auto settled = [](const std::string& of) {
        return with(kind::settled, of, {{account::wallet, "x", 8}, {account::receivable, "x", -8}, {account::promised, "x", 8}, {account::revenue, "x", -8}});
    };
    const directory home;
    sqlite_store s(home / "books.db");
    s.write({{promise("a"), promise("b"), settled("c"), settled("d")}, {}, {}, {}}, false);
    auto p = read(s);
    CHECK(p.open.size() == 4); // two promised, two settled whose promise is yet to be told of
    s.write({{settled("a"), promise("c"), promise("d")}, {}, {}, {}}, false);
    s.write({{with(kind::refund_owed, "d", {{account::refunds, "x", 3}, {account::payable, "x", -3}})}, {}, {}, {}}, false);
    p = read(s);
    REQUIRE(p.open.size() == 2);
    CHECK(p.open[0].what.subject == "b");
    CHECK(p.open[0].sum == 8);
    CHECK(p.open[0].what.until == noon + 5min);
    CHECK(p.open[1].what.subject == "d");
    CHECK(p.open[1].what.what == kind::refund_owed);
    CHECK(p.open[1].sum == -3);
}

TEST_CASE("sums do not wrap, however much there is") {
    const directory home;
    sqlite_store s(home / "books.db");
    for (int i = 0; i < 5; ++i) s.write({{moved("in" + std::to_string(i), most)}, {}, {}, {}}, false);
    s.write({{moved("out", -most)}, {}, {}, {}}, false);
    const auto p = read(s);
    CHECK(wallet(p.all) == static_cast<wide>(most) * 4);
    wide sum = 0;
    for (const auto& b : p.all) sum += b.sum;
    CHECK(sum == 0);
    CHECK(p.dealings[0].in == static_cast<wide>(most) * 5);
    CHECK(p.dealings[0].out == most);
}

TEST_CASE("whoever waits hears that it is kept, and what comes together is kept in one go") {
    const directory home;
    sqlite_store s(home / "books.db");
    inbox<result<void>> kept;
    const auto began = std::chrono::steady_clock::now();
    for (int i = 0; i < 20'000; ++i) s.write({{moved("p" + std::to_string(i), 1)}, {}, {}, {}}, false);
    const auto given = std::chrono::steady_clock::now() - began;
    s.write({{moved("last", 1)}, {}, {}, [&](const result<void>& r) { kept.put(r); }}, false);
    CHECK(kept.take().has_value());
    const auto all = std::chrono::steady_clock::now() - began;
    CHECK(read(s).entries == 20'001);
    using ms = std::chrono::duration<double, std::milli>;
    MESSAGE("20,000 entries given in " << ms(given).count() << " ms, kept after " << ms(all).count() << " ms");
}

TEST_CASE("what is too much is passed over and said, unless its giver waits") {
    const directory home;
    sqlite_store s(home / "books.db");
    writing w;
    for (int i = 0; i < 1'000; ++i) w.entries.push_back(moved("w" + std::to_string(i), 1));
    inbox<int> asked, go;
    s.read({}, [&](const result<page>&) { asked.put(1), go.take(); }); // the writer waits here
    asked.take();
    for (int i = 0; i < 60; ++i) s.write(w, false);
    inbox<result<void>> refused;
    s.write({{moved("too much", 1)}, {}, {}, [&](const result<void>& r) { refused.put(r); }}, false);
    CHECK(refused.take().error().code == "books_busy");
    go.put(1);
    s.write({{moved("waits", 1)}, {}, {}, {}}, true);
    const auto p = read(s);
    CHECK(p.entries == 1'001);
    CHECK(p.behind);
}

}
