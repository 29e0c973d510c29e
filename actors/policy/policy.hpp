// The policy engine: reads whom this node's account trusts, and whom those trust as far as the rules look, and judges candidates by it. What it
// keeps is evidence, not conclusions: a verdict is drawn anew each time, so that a vouch that is withdrawn takes what followed from it along.
// When something that could be a veto cannot be read the verdict is `wait`.
#pragma once
#include <souk/backends/http/client.hpp>
#include <souk/backends/records/network.hpp>
#include <souk/messages/actors.hpp>

namespace souk {

struct policy_options {
    std::string self;               // DID whose vouches and denouncements count
    std::vector<std::string> rules; // in order, for questions that bring none; empty: the usual ones of the perspective
    std::function<instant()> now;
    std::chrono::milliseconds cache{30'000};          // how long what was read of self is believed
    std::chrono::milliseconds read_within{8'000};     // after that the verdict is `wait`: sooner than whoever asks gives up
    std::chrono::milliseconds cache_others{300'000};  // of others; their notes end it sooner
    http::fetcher web = {};                           // for remote engines; empty: they cannot be asked, and their rule waits
    std::function<result<std::string>(value::map claims)> sign = {}; // a service token of this account (ES256K)
};

// The network must outlive the actor. Throws std::invalid_argument: a rule that is none.
policy_actor spawn_policy(caf::actor_system&, policy_options, record_network&);

} // namespace souk
