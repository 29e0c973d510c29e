// Escrow by allowance (deploy/contracts/Escrow.sol): what a payer signs request by request (EIP-712), and what the contract is asked. Amounts are
// decimal texts of the token's smallest unit, addresses, hashes and nonces "0x" and hexadecimal.
#pragma once
#include <vector>

#include <souk/messages/crypto.hpp>
#include <souk/messages/described.hpp>
#include <souk/messages/evm/word.hpp>

namespace souk::evm::escrow {

inline constexpr std::int64_t notice = 86'400;     // seconds between announcing that a budget leaves, and its leaving
inline constexpr std::size_t most_requests = 100; // in one call

struct place {
    std::uint64_t chain = 0;
    std::string contract;
};

struct request {
    std::string payer, provider, token;
    std::string price;
    std::string request_hash; // 32 bytes: of what is to be done, as both have it
    std::string credit = "0"; // the number of the trial credit that pays it; 0: what the payer set aside
    std::string nonce;        // 32 bytes; once for a payer and a provider, in no order
    std::int64_t expires = 0; // seconds
    bool operator==(const request&) const = default;
};
BOOST_DESCRIBE_STRUCT(request, (), (payer, provider, token, price, request_hash, credit, nonce, expires))
struct signed_request {
    escrow::request request;
    std::string signature;
    bool operator==(const signed_request&) const = default;
};
BOOST_DESCRIBE_STRUCT(signed_request, (), (request, signature))

// A nonce that begins with the second its request expires and the number of the credit that pays it, 8 bytes each: who has forgotten what expired cannot be
// brought it again under a later day, and who keeps count of each credit by itself cannot be brought one nonce under two of them. `rest`: 16 bytes.
std::string timed_nonce(std::int64_t expires, std::string_view credit, std::string_view rest);
bool is_timed(const request&);

// Codes "bad_address", "bad_number", "bad_hex".
result<std::string> digest_of(const place&, const request&); // 32 bytes
result<signed_request> sign(const place&, request, const crypto::secret& key);
// By the payer's key. Of a payer who is a contract, only his chain can say. Code "bad_signature", and those above.
result<void> check_signature(const place&, const signed_request&);

// Calls: selector and arguments. Of the last also "too_many".
result<std::string> deposit_call(std::string_view token, std::string_view amount);
result<std::string> withdraw_call(std::string_view token, std::string_view amount);
result<std::string> approve_call(std::string_view provider, std::string_view token, std::string_view price, std::string_view more);
result<std::string> announce_call(std::string_view provider, std::string_view token, std::string_view amount);
result<std::string> release_call(std::string_view provider, std::string_view token);
result<std::string> give_back_call(std::string_view payer, std::string_view token, std::string_view amount);
result<std::string> grant_call(std::string_view payer, std::string_view provider, std::string_view token, std::string_view amount,
                               std::int64_t expires);
result<std::string> reclaim_call(std::string_view credit);
result<std::string> consume_call(const signed_request&);
result<std::string> consume_call(const std::vector<signed_request>&);

// Questions, and what the answers say.
result<std::string> balance_query(std::string_view account, std::string_view token); // answers one number
result<std::string> allowance_query(std::string_view payer, std::string_view provider, std::string_view token);
result<std::string> credit_query(std::string_view credit);
result<std::string> used_query(std::string_view payer, std::string_view provider, std::string_view nonce); // answers 0 or 1

struct allowance {
    std::string budget, price, leaving;
    std::int64_t since = 0; // seconds; 0: nothing is leaving
    bool operator==(const allowance&) const = default;
};
struct credit {
    std::string grantor, payer, provider, token; // lower case
    std::int64_t expires = 0;
    std::string left;
    bool operator==(const credit&) const = default;
};
result<allowance> allowance_of(std::string_view answer); // code "bad_answer"
result<credit> credit_of(std::string_view answer);       // code "bad_answer"
// Whether a provider who serves this can be paid for it, as far as these answers say. `promised` is what he served and has not presented yet: both
// come out of one budget, which is his alone. Codes "price_too_high", "beyond_budget", "wrong_credit", "expired".
result<void> covered(const request&, const allowance&, std::string_view promised, instant now);
result<void> covered(const request&, const credit&, std::string_view promised, instant now);

// Topics of events, "0x" and 64 digits.
namespace topic {
const std::string& consumed();  // payer, provider and request's hash are indexed
const std::string& approved();  // payer, provider and token
const std::string& announced(); // payer, provider and token
const std::string& granted();   // credit, payer and provider
} // namespace topic

} // namespace souk::evm::escrow
