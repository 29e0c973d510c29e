// The relay's public names: their entities, and the table of what stands where.
#pragma once
#include <memory>

#include <souk/actors/broker/route.hpp>
#include <souk/actors/entity/entity_actor.hpp>

namespace souk {

// What a name must be before its entity is asked. Codes "bad_label", "wrong_label", "bad_account".
result<void> check_claim(const route_claim&);

class route_board {
public:
    struct options {
        std::string domain;            // names are https://LABEL.domain:port/
        std::uint16_t https_port = 443;
        std::function<instant()> now;
        std::function<void(const std::string& did)> close_account; // ends the tunnels of an account
    };
    // Names are few bytes each and kept for long, so an account may own only so many; "too_many_names".
    static constexpr std::size_t most_per_account = 1024;

    // Loads what the journal has; every route that was up goes down, since no tunnel outlives the broker.
    route_board(caf::actor_system&, journal&, options);

    result<void> check_room(const route_claim&) const;
    const entity_handle<route>& shard(const std::string& label) const { return entities_->shard(label); }
    route_list list(const std::string& did) const; // "": all

private:
    class table;

    options options_;
    std::shared_ptr<table> table_;
    std::unique_ptr<entities<route>> entities_;
};

} // namespace souk
