// What the door of a node that keeps the development ledger is asked of its channels: POST /ledger/channel, one call in, books out.
#pragma once
#include <souk/backends/rails/ledger.hpp>

namespace souk {

struct ledger_call {
    std::string what; // fill, look, claim, give_back, begin_withdrawal, complete_withdrawal
    evm::channel::config channel;
    std::optional<evm::channel::deposit> deposit; // fill
    std::optional<evm::channel::claim> claim;     // claim
    std::int64_t amount = 0, nonce = 0;           // give_back; begin_withdrawal
    std::string signature; // claim, give_back: of the receiver's authorizer. Withdrawals: of the payer, over `digest_of` this call
    std::int64_t at = 0;   // withdrawals: when it was signed, in seconds; good for five minutes
};
BOOST_DESCRIBE_STRUCT(ledger_call, (), (what, channel, deposit, claim, amount, nonce, signature, at))

struct ledger_said {
    channel_books books;
    std::string transaction;
};
BOOST_DESCRIBE_STRUCT(ledger_said, (), (books, transaction))

result<std::string> digest_of(const ledger_call&); // 32 bytes; codes of evm::channel::id_of
// Carries it out. `no` with "unknown_call", "bad_signature", "call_expired", or what the ledger says.
void carry_out(embedded_ledger&, const ledger_call&, instant now, channel_rail::tell_books);

} // namespace souk
