#include <souk/backends/http/address_guard.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include <netinet/in.h>

namespace souk::http::internal {

namespace {

struct range4 {
    std::uint32_t net;
    int bits;
};
// IANA's special-purpose registry for IPv4.
constexpr range4 not_public[] = {
    {0x00000000, 8}, // this network
    {0x0a000000, 8}, // RFC 1918
    {0x64400000, 10}, // carrier-grade NAT
    {0x7f000000, 8}, // loopback
    {0xa9fe0000, 16}, // link-local, and the clouds' metadata
    {0xac100000, 12}, // RFC 1918
    {0xc0000000, 24}, // protocol assignments
    {0xc0000200, 24}, // documentation
    {0xc0a80000, 16}, // RFC 1918
    {0xc6120000, 15}, // benchmarks
    {0xc6336400, 24}, // documentation
    {0xcb007100, 24}, // documentation
    {0xe0000000, 3}, // multicast, reserved, broadcast
};

bool is_private4(std::uint32_t address) {
    return std::any_of(std::begin(not_public), std::end(not_public),
                       [&](const range4& r) { return ((address ^ r.net) >> (32 - r.bits)) == 0; });
}

bool is_private6(const std::array<std::uint8_t, 16>& a) {
    const auto carried = [&](std::size_t at) {
        return is_private4(std::uint32_t{a[at]} << 24 | std::uint32_t{a[at + 1]} << 16 | std::uint32_t{a[at + 2]} << 8 | a[at + 3]);
    };
    const auto begins = [&](std::initializer_list<std::uint8_t> with) { return std::equal(with.begin(), with.end(), a.begin()); };
    if (begins({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff})) return carried(12);             // v4-mapped
    if (begins({0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0})) return carried(12);          // NAT64
    if (begins({0x20, 0x02})) return carried(2);                                            // 6to4
    const bool documentation = begins({0x20, 0x01, 0x0d, 0xb8}), teredo = begins({0x20, 0x01, 0, 0});
    return (a[0] & 0xe0) != 0x20 || documentation || teredo; // the first: not global unicast
}

} // namespace

bool is_private(const sockaddr& address) {
    if (address.sa_family == AF_INET) {
        sockaddr_in v4;
        std::memcpy(&v4, &address, sizeof v4);
        return is_private4(ntohl(v4.sin_addr.s_addr));
    }
    if (address.sa_family == AF_INET6) {
        sockaddr_in6 v6;
        std::memcpy(&v6, &address, sizeof v6);
        std::array<std::uint8_t, 16> bytes;
        std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
        return is_private6(bytes);
    }
    return true;
}

} // namespace souk::http::internal
