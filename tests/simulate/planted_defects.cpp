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

// A single message that does not take its usual course, on one of the paths, is enough for those that wait for just that.
TEST_CASE("a wrong turn of one message brings defects to light") {
    for (const auto d : {defect::effect_before_intent, defect::nonce_not_derived, defect::unknown_is_failed, defect::early_absence, defect::end_unconfirmed, defect::refund_forgotten}) {
        planted_defect = d;
        std::string found;
        std::size_t tried = 0;
        for (const auto& way : paths()) {
            const auto usual = live(way, {});
            if (!usual.broken.empty()) found = way.name + ": " + usual.broken.front();
            for (std::size_t i = 0; i < usual.messages.size() && found.empty(); ++i)
                for (const auto& f : fates(usual.messages[i].second)) {
                    const auto e = live(way, {{i + 1, f}});
                    ++tried;
                    if (!e.broken.empty() && found.empty()) found = way.name + "; " + text_of({i + 1, f}) + ": " + e.broken.front();
                }
            if (!found.empty()) break;
        }
        planted_defect = defect::none;
        MESSAGE(boost::describe::enum_to_string(d, "?") << ": " << (found.empty() ? "not found" : found) << " (after " << tried << ")");
    }
}
