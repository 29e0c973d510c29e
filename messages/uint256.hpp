// A decimal text as Ethereum's 32 big-endian bytes, which compare as the numbers do. Private to this room.
#pragma once
#include <string>
#include <string_view>

#include <souk/messages/result.hpp>

namespace souk::x402 {

inline result<std::string> uint256(std::string_view decimal) {
    constexpr std::size_t longest = 78; // digits of 2^256
    const bool digits = !decimal.empty() && decimal.find_first_not_of("0123456789") == std::string_view::npos;
    if (!digits || decimal.size() > longest || (decimal.size() > 1 && decimal[0] == '0'))
        return refusal{"bad_authorization", "expected a decimal number"};
    std::string word(32, '\0');
    for (char c : decimal) {
        auto carry = static_cast<unsigned>(c - '0');
        for (auto b = word.rbegin(); b != word.rend(); ++b) {
            carry += static_cast<unsigned char>(*b) * 10u;
            *b = static_cast<char>(carry & 0xff);
            carry >>= 8;
        }
        if (carry) return refusal{"bad_authorization", "a number beyond 256 bits"};
    }
    return word;
}

} // namespace souk::x402
