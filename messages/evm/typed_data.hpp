// Typed structured data and what is signed of it. EIP-712: https://eips.ethereum.org/EIPS/eip-712
#pragma once
#include <souk/messages/evm/word.hpp>

#include <optional>
#include <vector>

namespace souk::evm {

// Of a struct whose members all fill one word: a text or a byte string goes in as its keccak-256. `type` is its full encoding, the structs it refers
// to behind it: "Transfer(address from,address to,uint256 value)".
std::string struct_hash(std::string_view type, const std::vector<word>& members);
// A domain without a salt. Some contracts have no version (Permit2). Code "bad_address".
result<std::string> domain_separator(std::string_view name, std::optional<std::string_view> version, std::uint64_t chain, std::string_view contract);
std::string typed_digest(std::string_view separator, std::string_view hash); // what is signed: 32 bytes

} // namespace souk::evm
