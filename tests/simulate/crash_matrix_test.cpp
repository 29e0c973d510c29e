// A node is killed before, after and right behind every single write of every party, on every path that a contract can take. What the
// outside sees of the contract is the same as without that; only the times differ.
#include <fmt/format.h>

#include "paths.hpp"

namespace {

struct seen {
    purchase::phase at{};
    amount paid = 0;
    std::string back; // "none", "a part", "all"
    std::size_t runs = 0, statements = 0, bids = 0;
    bool operator==(const seen&) const = default;
    std::string text() const {
        return fmt::format("{}, {} paid, {} back, {} runs, {} statements, {} bids", boost::describe::enum_to_string(at, "?"), paid, back, runs, statements, bids);
    }
};

enum class writer { alices_journal, alices_records, bobs_journal, bobs_records, hosts_journal };
constexpr std::array writers{writer::alices_journal, writer::alices_records, writer::bobs_journal, writer::bobs_records, writer::hosts_journal};

simulate::trap& trap_of(little_market& s, writer w) {
    switch (w) {
    case writer::alices_journal: return s.alice.log().trap();
    case writer::alices_records: return s.alice.records().trap();
    case writer::bobs_journal: return s.bob.log().trap();
    case writer::bobs_records: return s.bob.records().trap();
    default: return s.host.log().trap();
    }
}
node& owner_of(little_market& s, writer w) {
    if (w == writer::hosts_journal) return s.host;
    if (w == writer::alices_journal || w == writer::alices_records) return s.alice;
    return s.bob;
}

struct ending {
    seen what;
    std::map<writer, std::uint64_t> writes;
    bool sprung = true;
};

// One contract on one path; killed at the n-th write of one writer, if any.
ending live(const path& way, std::optional<writer> who = {}, std::uint64_t nth = 0, point at = {}) {
    little_market s({2, 4096, 65'536}, 60);
    s.window = 30s; // longer than anybody is away
    way.story(s);
    ending e;
    for (const auto w : writers) e.writes[w] = trap_of(s, w).count();
    if (who) {
        e.sprung = false;
        trap_of(s, *who).set(nth, at, [&] {
            e.sprung = true;
            auto& n = owner_of(s, *who);
            n.kill("the test says so");
            s.u.later(300ms, [&n] { n.start(); });
        });
    }
    s.wants("p", 1, s.ceiling);
    REQUIRE(s.ends("p"));
    s.pass(900'000ms); // offers run out, the sweeps come round
    for (const auto w : writers) e.writes[w] = trap_of(s, w).count() - e.writes[w];
    const auto p = s.alice.purchase_of("p");
    e.what.at = p.at, e.what.paid = p.paid;
    e.what.back = p.refunded == 0 ? "none" : p.refunded == p.paid ? "all" : "a part";
    for (const auto& [tag, runs] : s.host.machines().history()) e.what.runs += runs.size();
    e.what.statements = s.bob.records().count(std::string(ccf::nsid)), e.what.bids = s.bob.records().count(std::string(ccb::nsid));
    CHECK(e.what.runs <= 1);
    if (way.races && p.paid == 0 && p.at == purchase::phase::failed) e.what.at = purchase::phase::closed; // failed: she found out before he stated it
    if (way.races) e.what.runs = 0, e.what.back = p.refunded == 0 ? "none" : "some";
    CHECK(s.machines() == 0);
    CHECK(s.free_cpus() == 2);
    CHECK(s.spent() == p.paid - p.refunded);
    using book::account;
    const bool told = s.alice.money().sum(account::wallet) == -s.spent() && s.bob.money().sum(account::wallet) == s.spent();
    CHECK(told); // both sides' books say so
    const bool even = s.alice.money().sum(account::promised) == 0 && s.bob.money().sum(account::promised) == 0 && s.bob.money().sum(account::payable) == 0;
    CHECK(even);
    return e;
}

} // namespace

TEST_CASE("killed before, after and right behind every write, a contract ends as it would have") {
    std::uint64_t crashes = 0;
    for (const auto& way : paths()) {
        CAPTURE(way.name);
        const auto usual = live(way);
        for (const auto w : writers)
            for (std::uint64_t n = 1; n <= usual.writes.at(w); ++n)
                for (const auto at : {point::before, point::durable, point::heard}) {
                    const auto name = fmt::format("writer {}, write {}, point {}", static_cast<int>(w), n, static_cast<int>(at));
                    CAPTURE(name);
                    const auto e = live(way, w, n, at);
                    CHECK(e.sprung);
                    CHECK_MESSAGE(e.what == usual.what, e.what.text() << " instead of " << usual.what.text());
                    ++crashes;
                }
        MESSAGE(way.name << ": " << usual.what.text());
    }
    MESSAGE(paths().size() << " paths, " << crashes << " crashes");
}
