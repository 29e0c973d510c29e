// The provider's side of escrow by allowance: signed requests are judged here and journalled before anything is served for them; what was served is presented
// to the rail in batches, in time, and nothing else is. What may be lost to a rail that is away is capped: of one tab, and in all.
#pragma once
#include <souk/actors/entity/entity_actor.hpp>
#include <souk/actors/payments/tab.hpp>

namespace souk {

struct escrow_options {
    crypto::address provider;                         // who is paid: its key is the world's
    amount most_open = 1'000'000, present_at = 500'000; // of one tab: promised at most; and so much served is presented
    amount most_in_all = 20'000'000;
    std::chrono::seconds present_after{600};          // however little it is
    std::chrono::seconds before{600};                 // so long before a request expires it is presented at the latest; a request lives twice as long at least
    std::chrono::seconds latest{86'400};              // no request may expire later than that from now: for so long its nonce is remembered
    std::size_t most_tabs = 10'000;                   // with something open
    std::size_t most_looks = 64;                      // at the rail, for requests that what is known does not cover
    std::function<instant()> now;
    std::size_t shards = 2;
    std::chrono::milliseconds answer_within{20'000}; // a caller hears "unknown" then, and asks again
    on_trouble trouble;                              // may be empty
};

// What a tab's effects are on a rail. `provider` presents.
class escrow_world final : public performer<tab> {
public:
    escrow_world(escrow_rail& rail, crypto::secret provider) : rail_(rail), provider_(std::move(provider)) {}
    void perform(const tab::look&, reply_to<tab::look>) override;
    void perform(const tab::consume&, reply_to<tab::consume>) override;

private:
    escrow_rail& rail_;
    crypto::secret provider_;
};

// Codes of its refusals, beside the tab's, evm::escrow's and the rail's: "not_provider", "wrong_token", "nonce_not_timed", "expires_too_late", "not_now".
// All references must outlive the actor. Throws std::invalid_argument where the options contradict each other.
escrow_actor spawn_escrow_keeper(caf::actor_system&, escrow_options, journal&, escrow_rail&, performer<tab>&);

} // namespace souk
