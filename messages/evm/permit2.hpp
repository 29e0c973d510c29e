// Payments by Permit2: a token that is approved to one contract moves by a signature for each payment, which names a proxy of x402 as the spender and, as
// its witness, for whom the money is. Of `exact` all that is permitted moves, of `upto` as much as the one facilitator says that the witness names.
// https://docs.uniswap.org/contracts/permit2/overview
#pragma once
#include <souk/messages/evm/word.hpp>
#include <souk/messages/x402.hpp>

namespace souk::evm::permit2 {

using permit = x402::permit2_authorization;

inline constexpr std::string_view contract = "0x000000000022D473030F116dDEE9F6B43aC78BA3"; // the same on every chain, as are the proxies
inline constexpr std::string_view exact_proxy = "0x402085c248EeA27D92E8b30b2C58ed07f9E20001";
inline constexpr std::string_view upto_proxy = "0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002";

inline bool is_upto(const permit& p) { return p.witness.facilitator.has_value(); }
inline std::string proxy_of(const permit& p) { return std::string(is_upto(p) ? upto_proxy : exact_proxy); }
// Whether it is by a permit that these requirements want to be met, and can be.
bool is_asked_for(const x402::requirements&);

// What it moves when `value` of it is settled, in the words of an authorisation. Code "bad_authorization".
result<x402::authorization> as_authorization(const permit&, std::string_view value);
result<word> nonce_of(std::string_view authorization_nonce); // "permit2:0x..."; code "bad_hex"

// -- what is signed -------------------------------------------------------------------------------------------------
result<std::string> digest_of(std::uint64_t chain, const permit&); // 32 bytes; codes "bad_address", "bad_number"
result<x402::exact_payload> sign(std::uint64_t chain, const permit&, const crypto::secret& key);
// For what is offered, from now on until then. Codes "invalid_network", "bad_address", "bad_number", "bad_hex".
result<x402::exact_payload> authorise(const x402::requirements& offered, const crypto::secret& key, std::string_view nonce, instant valid_before);

// -- rules ----------------------------------------------------------------------------------------------------------
// In the official facilitator's order and with its codes; a chain, where one is asked, says between the two whether the asset is a contract.
// `facilitators`: who may settle here. Also code "invalid_payload": fields of no such shape.
result<void> check_terms(const x402::payment&, const x402::requirements& offered, const std::vector<std::string>& facilitators, instant now);
// 65 bytes with a low s, by the payer's key. Codes "invalid_permit2_signature".
result<crypto::address> check_signature(std::uint64_t chain, const x402::exact_payload&);
// What is to be moved of it. Codes "invalid_upto_evm_payload_settlement_exceeds_amount", "permit2_amount_mismatch", "invalid_payload".
result<void> check_amount(const x402::exact_payload&);

// -- the contracts --------------------------------------------------------------------------------------------------
// Codes "bad_address", "bad_number", "bad_signature".
result<std::string> settle_call(const permit&, std::string_view value, std::string_view signature); // of the proxy
std::string proxy_query();                                                      // which Permit2 a proxy works with: whether it is one
result<std::string> nonces_query(std::string_view owner, const word& nonce);    // of Permit2: the word that has its bit
result<bool> is_used(std::string_view answer, const word& nonce);               // code "bad_answer"

struct settled { // what a transaction to a proxy asked of it
    std::string owner, token, to; // lower case
    word nonce, value;
};
std::optional<settled> read_settle(std::string_view to, std::string_view data);

// UnorderedNonceInvalidation(address indexed owner, uint256 word, uint256 mask): the owner made signatures void himself.
const std::string& invalidated();
bool voids(std::string_view event_data, const word& nonce);

} // namespace souk::evm::permit2
