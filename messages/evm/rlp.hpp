// Recursive length prefixes, written. https://ethereum.org/developers/docs/data-structures-and-encoding/rlp/
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace souk::evm::rlp {

std::string text(std::string_view bytes);
std::string number(std::uint64_t);               // no zeros in front; zero is the empty text
std::string integer(std::string_view big_endian); // the same, of any length
std::string list(std::string_view items);        // already encoded, one after the other

} // namespace souk::evm::rlp
