// What a seller says of a channel in x402's headers: how it stands, and what sets a payer right who went on from something older.
#pragma once
#include <souk/messages/actors.hpp>
#include <souk/messages/evm/channel.hpp>

namespace souk {

// x402's SettleResponse, with what channels add. `transaction` is "" where nothing was moved.
struct channel_settled {
    bool success = false;
    std::string transaction, network;
    std::optional<std::string> payer, amount, errorReason, errorMessage;
    std::optional<value> extra;
};
BOOST_DESCRIBE_STRUCT(channel_settled, (), (success, transaction, network, payer, amount, errorReason, errorMessage, extra))

// `delay`: of withdrawals, in seconds.
evm::channel::state state_of(const channel_view&, std::int64_t delay);
// The newest total, and the payer's own signature under what he promised: into what is offered to him.
void set_right(x402::requirements& offered, const channel_view&, std::int64_t delay);
// What a URL's 402 answer offers, beside other ways to pay.
x402::requirements requirements_of(const channel_offer&, amount price);
inline evm::channel::place place_of(const channel_offer& o) { return {static_cast<std::uint64_t>(o.chain), o.contract, o.collector}; }
bool is_paid_by_channel(std::string_view payment_header); // by this scheme, and not by another
// What such a header holds. Codes of x402::from_header and evm::channel::payload_of.
struct channel_paid {
    x402::requirements accepted;
    value payload;
};
BOOST_DESCRIBE_STRUCT(channel_paid, (), (accepted, payload))
// And what a payer puts into it.
struct channel_payment_header {
    std::int64_t x402Version = 2;
    x402::requirements accepted;
    value payload;
};
BOOST_DESCRIBE_STRUCT(channel_payment_header, (), (x402Version, accepted, payload))

} // namespace souk
