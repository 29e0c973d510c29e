// One simulated market from its first request to the day after, and what must be true of it then.
#pragma once
#include <iosfwd>
#include <optional>

#include <souk/runtime/simulate/nodes.hpp>

namespace souk::simulate {

// The keys of everyone, made once: Alice buys; Bob and Carol are vouched for; Eve is cheaper than both and denounced, and wants a name of
// Alice's; Ruth has the relay.
class cast_of_market {
public:
    explicit cast_of_market(const std::filesystem::path& directory);
    party alice, bob, carol, eve, ruth;

private:
    std::vector<std::unique_ptr<keyring>> keys_;
};

struct story {
    std::uint64_t seed = 0;
    std::vector<std::string> broken; // promises, each with the facts
    std::uint64_t lifecycles = 0;    // purchases that were ordered
    // Of them: a machine was delivered; it ended before that; nothing was bought. And all or a part of the money came back.
    std::uint64_t served = 0, undone = 0, failed = 0, refunded = 0;
    std::uint64_t machines = 0, tunnels = 0, transfers = 0, streamed = 0, facts = 0, events = 0, entries = 0;
    std::chrono::milliseconds lasted{0};
};

// `log`: the story, a line an event; may be null.
story run_market(const cast_of_market&, std::uint64_t seed, const hazards&, std::ostream* log = nullptr);

} // namespace souk::simulate
