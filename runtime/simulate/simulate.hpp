// Many markets, each from its own seed.
#pragma once
#include <functional>

#include <souk/runtime/simulate/market.hpp>

namespace souk::simulate {

struct settings {
    std::uint64_t seed = 1;   // of the first market; the next ones count on
    std::uint64_t markets = 1;
    unsigned jobs = 1;        // at once
    hazards faults = all_hazards();
    std::ostream* log = nullptr; // with one job only
    std::function<void(const story&)> told; // after each market, from one thread at a time; may be empty
};

struct tally {
    std::uint64_t markets = 0, lifecycles = 0, served = 0, undone = 0, failed = 0, refunded = 0, machines = 0, tunnels = 0, transfers = 0, streamed = 0, facts = 0, events = 0;
    std::uint64_t broken = 0; // markets in which a promise was
    std::chrono::milliseconds simulated{0};
    double seconds = 0; // real ones
    std::vector<story> first_broken; // at most 10 of them
};

tally run(const settings&);

} // namespace souk::simulate
