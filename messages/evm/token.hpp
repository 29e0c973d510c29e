// A token of ERC-20 with EIP-3009, as USDC is: what is asked of it, and what it says.
#pragma once
#include <souk/messages/evm/word.hpp>
#include <souk/messages/x402.hpp>

namespace souk::evm::token {

// Calls. Addresses and nonces are texts as in JSON; codes "bad_address", "bad_hex", "bad_authorization", "bad_signature".
result<std::string> balance_of(std::string_view address);
result<std::string> allowance(std::string_view owner, std::string_view spender);
result<std::string> approve(std::string_view spender, std::string_view amount); // also code "bad_number"
result<std::string> authorization_state(std::string_view authorizer, std::string_view nonce);
std::string name();
std::string version();
// With 65 bytes of signature the overload that every such token has; with any other the one that asks the payer's contract.
result<std::string> transfer_with_authorization(const x402::authorization&, std::string_view signature);

// Topics of events, "0x" and 64 digits.
const std::string& transferred();         // Transfer(address indexed from, address indexed to, uint256 value)
const std::string& authorization_used();  // AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce)

// A contract wallet's word on a signature (EIP-1271): the call, and whether the answer is its yes.
result<std::string> is_valid_signature(std::string_view digest, std::string_view signature);
bool is_yes(std::string_view answer);

// A signature of a wallet that may not be deployed yet (EIP-6492): the wallet's own within it, and who would deploy it by what call.
struct wrapped {
    std::string factory; // address
    std::string deploy;  // call data
    std::string inner;
};
bool is_wrapped(std::string_view signature);
result<wrapped> unwrap(std::string_view signature); // code "bad_signature"

} // namespace souk::evm::token
