// Markets in which things go wrong: fixed seeds, so that a failure is one that can be replayed.
#include <doctest/doctest.h>

#include <sstream>

#include <souk/runtime/simulate/simulate.hpp>

using namespace souk::simulate;

namespace {

#ifdef SOUK_TESTS_THE_SANITIZED
constexpr std::uint64_t share = 8; // of the markets: each takes ten times as long
#else
constexpr std::uint64_t share = 1;
#endif

tally run_some(hazards faults, std::uint64_t seed, std::uint64_t markets) {
    settings s;
    s.seed = seed, s.markets = (markets + share - 1) / share, s.jobs = 2, s.faults = std::move(faults);
    const auto t = run(s);
    for (const auto& one : t.first_broken)
        for (const auto& b : one.broken) FAIL_CHECK("seed " << one.seed << ": " << b);
    return t;
}

} // namespace

TEST_CASE("when nothing goes wrong, every order ends in a machine or in a reason, and nobody is paid back for nothing") {
    const auto t = run_some({}, 1, 40);
    CHECK(t.served + t.undone + t.failed == t.lifecycles);
    CHECK(t.served > t.lifecycles / 2);
    CHECK(t.machines >= t.served);
    CHECK(t.machines <= t.served + t.undone);
    CHECK(t.tunnels > t.machines * 3 / 4); // the rest: a grant that ran out, a handle that changed hands
}

TEST_CASE("each fault by itself breaks no promise") {
    for (const auto h : all_hazards()) {
        CAPTURE(name_of(h));
        const auto t = run_some({h}, 1'000 * (static_cast<std::uint64_t>(h) + 1), 20);
        CHECK(t.served > t.lifecycles / 4);
    }
}

TEST_CASE("all faults together break no promise, and contracts are served all the same") {
    const auto t = run_some(all_hazards(), 1, 400);
    CHECK(t.served > t.lifecycles / 3);
    MESSAGE(t.lifecycles << " contracts, " << t.served << " served, " << t.events << " events, " << static_cast<std::uint64_t>(static_cast<double>(t.simulated.count()) / 1000 / t.seconds) << " simulated seconds a second");
}

TEST_CASE("the same seed is the same market, event by event") {
    const auto told = [] {
        std::ostringstream out;
        settings s;
        s.seed = 8, s.log = &out;
        (void)run(s);
        return out.str();
    };
    const auto once = told();
    CHECK(once.size() > 10'000);
    CHECK(once == told());
}

TEST_CASE("faults are chosen by name, and an unknown name is refused with the known ones") {
    CHECK(parse_hazards("all")->size() == all_hazards().size());
    CHECK(parse_hazards("none")->empty());
    CHECK(*parse_hazards("kill,torn_write") == hazards{hazard::kill, hazard::torn_write});
    CHECK(parse_hazards("kill,earthquake").error().text.find("torn_write") != std::string::npos);
}
