#include <souk/messages/bytes.hpp>

#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

namespace souk {

namespace {

constexpr std::size_t longest_base58 = 256;

using digits = std::array<std::int8_t, 256>; // -1: no digit

constexpr digits digits_of(std::string_view alphabet) {
    digits table{};
    for (auto& d : table) d = -1;
    for (std::size_t i = 0; i < alphabet.size(); ++i) table[static_cast<unsigned char>(alphabet[i])] = static_cast<std::int8_t>(i);
    return table;
}

constexpr std::string_view hex_alphabet = "0123456789abcdef";
constexpr std::string_view base32_alphabet = "abcdefghijklmnopqrstuvwxyz234567";
constexpr std::string_view base64_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view base64url_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::string_view base58_alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
constexpr auto base32_digits = digits_of(base32_alphabet);
constexpr auto base64_digits = digits_of(base64_alphabet);
constexpr auto base64url_digits = digits_of(base64url_alphabet);
constexpr auto base58_digits = digits_of(base58_alphabet);

unsigned char byte(char c) { return static_cast<unsigned char>(c); }

// The power-of-two bases: `width` bits a character, most significant first.
std::string write_bits(std::string_view bytes, std::string_view alphabet, unsigned width) {
    std::string out;
    out.reserve((bytes.size() * 8 + width - 1) / width + 3);
    std::uint32_t held = 0;
    unsigned bits = 0;
    for (char c : bytes) {
        held = (held << 8 | byte(c)) & 0xffffu;
        for (bits += 8; bits >= width; bits -= width) out += alphabet[held >> (bits - width) & ((1u << width) - 1)];
    }
    if (bits) out += alphabet[held << (width - bits) & ((1u << width) - 1)];
    return out;
}

result<std::string> read_bits(std::string_view text, const digits& table, unsigned width, const char* code) {
    std::string out;
    out.reserve(text.size() * width / 8);
    std::uint32_t held = 0;
    unsigned bits = 0;
    for (char c : text) {
        const int digit = table[byte(c)];
        if (digit < 0) return refusal{code, "a character outside the alphabet"};
        held = (held << width | static_cast<std::uint32_t>(digit)) & 0xffffu;
        bits += width;
        if (bits >= 8) out += static_cast<char>(held >> (bits -= 8) & 0xff);
    }
    if (bits >= width) return refusal{code, "a length that no bytes have"};
    if (held & ((1u << bits) - 1)) return refusal{code, "unused bits that are not zero"};
    return out;
}

// Length of the UTF-8 sequence that `rest` begins with; 0 when it is none.
std::size_t utf8_sequence(std::string_view rest) {
    const auto first = byte(rest[0]);
    if (first < 0x80) return 1;
    const std::size_t n = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || rest.size() < n) return 0;
    for (std::size_t i = 1; i < n; ++i)
        if ((byte(rest[i]) & 0xc0) != 0x80) return 0;
    const auto second = byte(rest[1]);
    const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
    const bool surrogate = first == 0xed && second >= 0xa0;
    const bool too_high = first == 0xf4 && second >= 0x90;
    return overlong || surrogate || too_high ? 0 : n;
}

} // namespace

std::string to_hex(std::string_view bytes) {
    std::string out;
    out.reserve(bytes.size() * 2);
    for (char c : bytes) {
        out += hex_alphabet[byte(c) >> 4];
        out += hex_alphabet[byte(c) & 15];
    }
    return out;
}

result<std::string> from_hex(std::string_view text) {
    static constexpr auto table = [] {
        auto t = digits_of(hex_alphabet);
        for (int i = 0; i < 6; ++i) t[static_cast<std::size_t>('A' + i)] = static_cast<std::int8_t>(10 + i);
        return t;
    }();
    if (text.size() % 2) return refusal{"bad_hex", "an odd number of digits"};
    return read_bits(text, table, 4, "bad_hex");
}

std::string to_base64(std::string_view bytes) {
    auto out = write_bits(bytes, base64_alphabet, 6);
    while (out.size() % 4) out += '=';
    return out;
}

result<std::string> from_base64(std::string_view text) {
    const auto full = text.size();
    while (!text.empty() && text.back() == '=' && full - text.size() < 2) text.remove_suffix(1);
    if (full != text.size() && (full % 4 || full - text.size() != (4 - text.size() % 4) % 4))
        return refusal{"bad_base64", "padding of the wrong length"};
    return read_bits(text, base64_digits, 6, "bad_base64");
}

std::string to_base64url(std::string_view bytes) { return write_bits(bytes, base64url_alphabet, 6); }

result<std::string> from_base64url(std::string_view text) { return read_bits(text, base64url_digits, 6, "bad_base64"); }

std::string to_base32(std::string_view bytes) { return write_bits(bytes, base32_alphabet, 5); }

result<std::string> from_base32(std::string_view text) { return read_bits(text, base32_digits, 5, "bad_base32"); }

std::string to_base58(std::string_view bytes) {
    std::vector<unsigned> number; // base 58, least significant first
    std::size_t zeros = 0;
    while (zeros < bytes.size() && bytes[zeros] == 0) ++zeros;
    for (char c : bytes.substr(zeros)) {
        unsigned carry = byte(c);
        for (auto& d : number) {
            carry += d << 8;
            d = carry % 58;
            carry /= 58;
        }
        for (; carry; carry /= 58) number.push_back(carry % 58);
    }
    std::string out(zeros, '1');
    for (auto d = number.rbegin(); d != number.rend(); ++d) out += base58_alphabet[*d];
    return out;
}

result<std::string> from_base58(std::string_view text) {
    if (text.size() > longest_base58) return refusal{"bad_base58", "more than 256 characters"};
    std::vector<unsigned> number; // base 256, least significant first
    std::size_t zeros = 0;
    while (zeros < text.size() && text[zeros] == '1') ++zeros;
    for (char c : text.substr(zeros)) {
        const int digit = base58_digits[byte(c)];
        if (digit < 0) return refusal{"bad_base58", "a character outside the alphabet"};
        auto carry = static_cast<unsigned>(digit);
        for (auto& d : number) {
            carry += d * 58;
            d = carry & 0xff;
            carry >>= 8;
        }
        for (; carry; carry >>= 8) number.push_back(carry & 0xff);
    }
    std::string out(zeros, '\0');
    for (auto d = number.rbegin(); d != number.rend(); ++d) out += static_cast<char>(*d);
    return out;
}

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        // Most texts are ASCII: eight bytes at a time while they are.
        std::uint64_t eight = 0;
        if (text.size() >= sizeof eight) {
            std::memcpy(&eight, text.data(), sizeof eight);
            if (!(eight & 0x8080808080808080ull)) {
                text.remove_prefix(sizeof eight);
                continue;
            }
        }
        const auto n = utf8_sequence(text);
        if (n == 0) return false;
        text.remove_prefix(n);
    }
    return true;
}

std::string to_utf8(std::string_view bytes) {
    std::string out;
    out.reserve(bytes.size());
    while (!bytes.empty()) {
        const auto n = utf8_sequence(bytes);
        if (n)
            out += bytes.substr(0, n);
        else
            out += "\xef\xbf\xbd";
        bytes.remove_prefix(n ? n : 1);
    }
    return out;
}

} // namespace souk
