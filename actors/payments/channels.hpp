// The receiver's payment channels: vouchers are judged here and journalled before anything is served on them; what was charged is claimed, and what is left
// goes back. What may be lost to a payer who withdraws unseen, or to a rail that is away, is capped: of one channel, of one payer, and in all.
#pragma once
#include <souk/actors/entity/entity_actor.hpp>
#include <souk/actors/payments/channel.hpp>

namespace souk {

struct channels_options {
    crypto::address pay_to;                // receives what is claimed
    crypto::address authorizer;            // signs claims and refunds: its key is the world's
    std::int64_t withdraw_delay = 86'400;  // seconds: so long there is to claim once a payer withdraws
    amount least_deposit = 1;
    amount most_unclaimed = 1'000'000, claim_at = 500'000; // of one channel
    amount most_of_payer = 2'000'000;                      // of all channels of one payer
    amount most_in_all = 20'000'000;
    std::size_t most_channels = 10'000; // that are not closed
    std::function<instant()> now;
    std::size_t shards = 2;
    std::chrono::milliseconds answer_within{20'000}; // a caller hears "unknown" then, and asks again
    on_trouble trouble;                              // may be empty
};

// What the entity's effects are on a rail. `authorizer` signs what is claimed and what goes back.
class channel_world final : public performer<channel> {
public:
    channel_world(channel_rail& rail, crypto::secret authorizer) : rail_(rail), authorizer_(std::move(authorizer)) {}
    void perform(const channel::fill&, reply_to<channel::fill>) override;
    void perform(const channel::look&, reply_to<channel::look>) override;
    void perform(const channel::claim&, reply_to<channel::claim>) override;
    void perform(const channel::give_back&, reply_to<channel::give_back>) override;

private:
    channel_rail& rail_;
    crypto::secret authorizer_;
};

// What such a node asks of a payer in a 402 answer, but for the price.
x402::requirements offer_of(const channels_options&, const channel_rail&);

// All references must outlive the actor. Throws std::invalid_argument where the options contradict each other.
channels_actor spawn_channels(caf::actor_system&, channels_options, journal&, channel_rail&, performer<channel>&);

} // namespace souk
