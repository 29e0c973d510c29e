#include <souk/messages/evm/word.hpp>

#include <algorithm>
#include <charconv>

#include <souk/messages/bytes.hpp>

namespace souk::evm {

word number(std::uint64_t n) {
    word w(32, '\0');
    for (std::size_t i = 0; i < 8; ++i) w[31 - i] = static_cast<char>(n >> (8 * i) & 0xff);
    return w;
}

result<word> uint256(std::string_view decimal) {
    constexpr std::size_t longest = 78; // digits of 2^256
    const bool digits = !decimal.empty() && decimal.find_first_not_of("0123456789") == std::string_view::npos;
    if (!digits || decimal.size() > longest || (decimal.size() > 1 && decimal[0] == '0')) return refusal{"bad_number", "expected a decimal number"};
    word w(32, '\0');
    for (char c : decimal) {
        auto carry = static_cast<unsigned>(c - '0');
        for (auto b = w.rbegin(); b != w.rend(); ++b) {
            carry += static_cast<unsigned char>(*b) * 10u;
            *b = static_cast<char>(carry & 0xff);
            carry >>= 8;
        }
        if (carry) return refusal{"bad_number", "a number beyond 256 bits"};
    }
    return w;
}

result<word> uint128(std::string_view decimal) {
    auto w = uint256(decimal);
    if (w && w->find_first_not_of('\0') < 16) return refusal{"bad_number", "a number beyond 128 bits"};
    return w;
}

std::string to_decimal(const word& w) {
    auto left = w;
    std::string digits;
    while (left.find_first_not_of('\0') != word::npos) {
        unsigned rest = 0;
        for (auto& b : left) {
            rest = rest << 8 | static_cast<unsigned char>(b);
            b = static_cast<char>(rest / 10);
            rest %= 10;
        }
        digits += static_cast<char>('0' + rest);
    }
    std::reverse(digits.begin(), digits.end());
    return digits.empty() ? "0" : digits;
}

result<std::uint64_t> small(const word& w) {
    if (w.size() != 32 || w.find_first_not_of('\0') < 24) return refusal{"bad_number", "expected a number of 64 bits"};
    std::uint64_t n = 0;
    for (std::size_t i = 24; i < 32; ++i) n = n << 8 | static_cast<unsigned char>(w[i]);
    return n;
}

result<word> address_word(std::string_view address) {
    auto bytes = bytes_of(address, 20);
    if (!bytes) return refusal{"bad_address", "an address is 0x and 40 hexadecimal digits"};
    return word(12, '\0') + *bytes;
}

std::string address_of(const word& w) { return to_hex_text(std::string_view(w).substr(w.size() < 20 ? 0 : w.size() - 20)); }

result<std::string> bytes_of(std::string_view hex, std::size_t size) {
    const refusal bad{"bad_hex", size == any_size ? std::string("expected 0x and hexadecimal digits") : "expected 0x and " + std::to_string(2 * size) + " hexadecimal digits"};
    if (!hex.starts_with("0x") || (size != any_size && hex.size() != 2 + 2 * size)) return bad;
    auto bytes = from_hex(hex.substr(2));
    if (!bytes) return bad;
    return bytes;
}

std::string to_hex_text(std::string_view bytes) { return "0x" + to_hex(bytes); }

std::string quantity(std::uint64_t n) {
    char text[16];
    const auto end = std::to_chars(text, text + sizeof text, n, 16).ptr;
    return "0x" + std::string(text, end);
}

result<std::uint64_t> from_quantity(std::string_view text) {
    const refusal bad{"bad_number", "expected 0x and a hexadecimal number of 64 bits"};
    if (!text.starts_with("0x") || text.size() < 3 || text[2] == '-') return bad;
    std::uint64_t n = 0;
    const auto [end, error] = std::from_chars(text.data() + 2, text.data() + text.size(), n, 16);
    if (error != std::errc() || end != text.data() + text.size()) return bad;
    return n;
}

} // namespace souk::evm
