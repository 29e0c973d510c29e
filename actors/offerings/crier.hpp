// Keeps a seller's one offering current: what the fleet has, on the terms of the configuration. What it says follows hosts that come, are drained or
// are taken away, not each lease; and a change counts once it has lasted for a while, so that a host that restarts is no news.
#pragma once
#include <souk/actors/entity/entity_actor.hpp>
#include <souk/actors/offerings/standing.hpp>
#include <souk/actors/offerings/terms.hpp>

namespace souk {

struct crier_options {
    std::string did;
    offerings::for_sale terms;
    bool offers = true; // false: what was offered before is withdrawn, and nothing more is said
    std::function<instant()> now;
    std::chrono::milliseconds look_every{10'000}, settles{30'000};
    on_trouble trouble; // may be empty
};

class offering_world final : public performer<standing_offer> {
public:
    offering_world(caf::actor_system& sys, signer_actor signer) : sys_(sys), signer_(std::move(signer)) {}
    void perform(const standing_offer::publish&, reply_to<standing_offer::publish>) override;
    void perform(const standing_offer::withdraw&, reply_to<standing_offer::withdraw>) override;

private:
    caf::actor_system& sys_;
    signer_actor signer_;
};

// Nobody asks it anything: it lives for what it does. What is given outlives it.
caf::actor spawn_crier(caf::actor_system&, crier_options, fleet_actor, journal&, performer<standing_offer>&);

} // namespace souk
