// What the door of a node that keeps the development ledger is asked of its escrow: POST /ledger/escrow, one call in, books out.
#pragma once
#include <souk/backends/rails/ledger.hpp>

namespace souk {

struct escrow_call {
    std::string what; // look, free, consume, order
    std::optional<escrow_source> source;                // look
    std::vector<std::string> nonces;                    // look
    std::string owner;                                  // free
    std::vector<evm::escrow::signed_request> requests;  // consume
    std::optional<escrow_order> order;                  // order
    std::int64_t at = 0;   // consume, order: when it was signed, in seconds; good for five minutes
    std::string signature; // over `digest_of` this call without it: a chain knows who sends, a door does not
};
BOOST_DESCRIBE_STRUCT(escrow_call, (), (what, source, nonces, owner, requests, order, at, signature))

struct escrow_call_said { // `refused`: nothing was done
    escrow_books books;
    std::int64_t free = 0;
    std::string credit, transaction;
    std::vector<escrow_bad> bad;
    std::optional<refusal> refused;
};
BOOST_DESCRIBE_STRUCT(escrow_call_said, (), (books, free, credit, transaction, bad, refused))

std::string digest_of(const escrow_call&); // 32 bytes
// Carries it out. None: it is not known. Refused also with "unknown_call", "bad_signature", "call_expired".
void carry_out(embedded_ledger&, const escrow_call&, instant now, std::function<void(std::optional<escrow_call_said>)>);

} // namespace souk
