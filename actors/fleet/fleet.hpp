// The fleet of one operator: the live map of its hosts, and who gets the next machine. It owns nothing durable: what is reserved or
// running is known by the launchers, and asked for.
#pragma once
#include <map>

#include <souk/messages/actors.hpp>

namespace souk {

struct fleet_options {
    // The launchers of this operator that can be reached now, by host name.
    std::function<std::map<std::string, launcher_actor>()> hosts;
    std::chrono::milliseconds host_within{10'000};
};

// Which of the hosts that could take it should: the fullest one that still fits, so that big holes stay whole. Pure.
std::vector<std::string> best_fit(const std::vector<host_view>& hosts, const room_request&);

fleet_actor spawn_fleet(caf::actor_system&, fleet_options);

} // namespace souk
