// What the paid URL says of a contract, by x402, and what is read of those who pay there: drawn from the lease, the rail and the keeper of channels. Pure.
#pragma once
#include <souk/actors/bidder/lease.hpp>
#include <souk/actors/payments/channel_words.hpp>

namespace souk::paid_url {

paid_answer answer_of(std::uint32_t status, const refusal&);
paid_answer answer_of(std::uint32_t status, value::map body);

// With the payment's outcome in its headers, where there was one. `network`: the rail's.
paid_answer delivered(const lease::state&, const std::string& network); // 200: the receipt's name
paid_answer over(const lease::state&, const std::string& network);      // 410
paid_answer pending(const lease::state&, const std::string& network);   // 202
paid_answer promised(const lease::state&, amount in_all, const channel_view& stands, const std::optional<x402::requirements>& streamed, const std::string& network); // 200

// Why it is not paid: what the last payment was refused for, or "payment_required".
refusal unpaid_because(const lease::state&);
// 402, or 412 where the payer has to approve something first. Two ways to pay; `streamed` is the one by channel, if there is one now.
paid_answer unpaid(const lease::state&, const paid_request&, const rail_view&, std::optional<x402::requirements> streamed, const refusal& why);

// -- at once: x402's scheme exact
x402::requirements offer(const lease::state&, const rail_view&);
// Codes of x402::from_header, "invalid_payment_requirements", "payment_for_another_resource". Not judged yet.
result<x402::payment> read_payment(const paid_request&, const x402::requirements& offered);

// -- while it runs: x402's scheme batch-settlement. Its amount is a step's price, and every voucher promises that much at least.
std::optional<x402::requirements> offer_from_channel(const lease::state&, const channel_offer&); // none: this contract's steps are too dear for what may be unclaimed

struct promise_read { // its signatures are checked
    std::string channel, payer;
    octets payload, voucher;
    std::int64_t total = 0;
    bool deposits = false; // signed by the payer himself
};
// Codes of x402::from_header and of evm::channel's checks, "invalid_payment_requirements".
result<promise_read> read_promise(const std::string& header, const x402::requirements& offered, const channel_offer&, instant now);
std::int64_t withdrawal_delay(const x402::requirements& offered); // seconds; 0: it says none

} // namespace souk::paid_url
