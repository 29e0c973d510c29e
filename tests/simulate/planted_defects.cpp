// Each deliberate defect is found by some seed: a simulator that finds nothing proves nothing.
#include <doctest/doctest.h>

#include <boost/mp11.hpp>

#include <souk/actors/common/planted.hpp>
#include <souk/runtime/simulate/simulate.hpp>

#include "turns.hpp"

namespace {

constexpr std::uint64_t at_once = 20, most = 1'000; // markets

// What brings it to light soonest; most come to light in any weather.
simulate::hazards weather(defect d) {
    using enum simulate::hazard;
    if (d == defect::early_absence) return {rail_error, rail_lag, delay, drop};
    return simulate::all_hazards();
}

} // namespace

TEST_CASE("without a defect, none is found") {
    simulate::settings s;
    s.markets = 100, s.jobs = 2;
    CHECK(simulate::run(s).broken == 0);
}

TEST_CASE("every planted defect is found") {
    boost::mp11::mp_for_each<boost::describe::describe_enumerators<defect>>([](auto e) {
        if (e.value == defect::none) return;
        planted_defect = e.value;
        simulate::settings s;
        s.markets = at_once, s.jobs = 2, s.faults = weather(e.value);
        std::uint64_t contracts = 0;
        std::optional<simulate::story> found;
        for (s.seed = 1; s.seed <= most && !found; s.seed += at_once) {
            const auto t = simulate::run(s);
            contracts += t.lifecycles;
            for (const auto& one : t.first_broken)
                if (!found || one.seed < found->seed) found = one;
        }
        planted_defect = defect::none;
        const std::string name = e.name;
        CHECK_MESSAGE(found.has_value(), name << " was not found in " << most << " markets, " << contracts << " contracts");
        if (found) MESSAGE(name << ": found by market " << found->seed << ": " << found->broken.front());
    });
}

// One message that takes a wrong turn, on a path that is otherwise undisturbed, is enough for what only waits for that.
TEST_CASE("an answer that is misunderstood is found by one message that is late") {
    planted_defect = defect::unknown_is_failed;
    const auto& way = paths().front();
    const auto usual = live(way, {});
    std::vector<std::string> found;
    for (std::size_t i = 0; i < usual.messages.size() && found.empty(); ++i)
        for (const auto& f : fates(usual.messages[i].second))
            for (auto& b : live(way, {{i + 1, f}}).broken) found.push_back(text_of({i + 1, f}) + ": " + b);
    planted_defect = defect::none;
    REQUIRE(!found.empty());
    MESSAGE(found.front());
}
