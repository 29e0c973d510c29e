#include <souk/messages/evm/rlp.hpp>

#include <algorithm>

namespace souk::evm::rlp {

namespace {

std::string minimal(std::uint64_t n) {
    std::string out;
    for (; n; n >>= 8) out += static_cast<char>(n & 0xff);
    std::reverse(out.begin(), out.end());
    return out;
}
// Up to 55 bytes the length is in the first byte; beyond, the first byte says how long the length is.
std::string prefixed(std::string_view bytes, unsigned char base) {
    if (bytes.size() <= 55) return static_cast<char>(base + bytes.size()) + std::string(bytes);
    const auto length = minimal(bytes.size());
    return static_cast<char>(base + 55 + length.size()) + length + std::string(bytes);
}

} // namespace

std::string text(std::string_view bytes) {
    if (bytes.size() == 1 && static_cast<unsigned char>(bytes[0]) < 0x80) return std::string(bytes);
    return prefixed(bytes, 0x80);
}
std::string number(std::uint64_t n) { return text(minimal(n)); }
std::string integer(std::string_view big_endian) {
    return text(big_endian.substr(std::min(big_endian.find_first_not_of('\0'), big_endian.size())));
}
std::string list(std::string_view items) { return prefixed(items, 0xc0); }

} // namespace souk::evm::rlp
