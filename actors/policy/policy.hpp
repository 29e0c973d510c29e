// The policy engine: reads whom this node's account trusts, and judges candidates by it. When that cannot be read the verdict is `wait`.
#pragma once
#include <souk/backends/records/network.hpp>
#include <souk/messages/actors.hpp>

namespace souk {

struct policy_options {
    std::string self;               // DID whose vouches and denouncements count
    std::vector<std::string> rules; // in order, for questions that bring none; empty: the usual ones of the perspective
    std::function<instant()> now;
    std::chrono::milliseconds cache{30'000};       // how long what was read is believed
    std::chrono::milliseconds read_within{15'000}; // after that the verdict is `wait`
};

// The network must outlive the actor.
policy_actor spawn_policy(caf::actor_system&, policy_options, record_network&);

} // namespace souk
