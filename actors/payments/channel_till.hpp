// A paid URL whose requests are paid from channels: x402's scheme batch-settlement between HTTP headers and the keeper of the channels. A request is
// judged and journalled before it is served, charged after; what the payer gets wrong is answered with what he needs to go on.
#pragma once
#include <souk/messages/actors.hpp>
#include <souk/messages/evm/channel.hpp>

namespace souk {

struct till_request {
    std::string url;
    std::string payment; // the header PAYMENT-SIGNATURE; "": none
    amount price = 0;    // at most: less may be charged
    std::vector<x402::requirements> beside = {}; // other ways to pay, that the same 402 answer offers first: whoever knows both takes the first he can
};
struct till_word {
    bool serve = false;     // then `served` or `dropped` follows; else it is answered with what is here
    std::string channel, id;
    unsigned status = 402;
    std::vector<std::pair<std::string, std::string>> head; // PAYMENT-REQUIRED, or PAYMENT-RESPONSE where something was settled
    std::string code;       // why it is not served; "": it was not paid for at all, or it was a refund
    x402::requirements offered;
    amount price = 0, deposited = 0; // what a deposit that came with it brought
};

// Thread-safe. The actor system must outlive it.
class channel_till {
public:
    channel_till(caf::actor_system& sys, channels_actor keeper) : sys_(sys), keeper_(std::move(keeper)) {}

    void ask(till_request, std::function<void(till_word)>) const; // once
    // What was served is charged, at most its price; the headers of its answer. "" in `code`: it is charged, durably.
    void served(const till_word&, amount charged, std::function<void(till_word)>) const;
    void dropped(const till_word&) const;

private:
    caf::actor_system& sys_;
    channels_actor keeper_;
};

} // namespace souk
