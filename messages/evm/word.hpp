// The words of 32 bytes that the EVM counts in, and the texts that its JSON has for them. Big-endian: words compare as their numbers do.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include <souk/messages/result.hpp>

namespace souk::evm {

using word = std::string; // 32 bytes

word number(std::uint64_t);
result<word> uint256(std::string_view decimal);      // one text a number: no leading zeros, no sign; code "bad_number"
result<word> uint128(std::string_view decimal);      // the same, below 2^128
std::string to_decimal(const word&);
result<std::uint64_t> small(const word&);            // code "bad_number" where it does not fit
result<word> address_word(std::string_view address); // "0x" and 40 digits, either case, left-padded; code "bad_address"
std::string address_of(const word&);                 // its last 20 bytes, lower case
result<std::string> bytes_of(std::string_view hex, std::size_t size); // "0x" and two digits a byte; code "bad_hex"
inline constexpr std::size_t any_size = static_cast<std::size_t>(-1);
std::string to_hex_text(std::string_view bytes);     // "0x..."

// JSON-RPC's numbers: "0x0", "0x1f", no leading zeros. https://ethereum.org/developers/docs/apis/json-rpc/#quantities-encoding
std::string quantity(std::uint64_t);
result<std::uint64_t> from_quantity(std::string_view); // zeros in front are read: some nodes write them; code "bad_number"

} // namespace souk::evm
