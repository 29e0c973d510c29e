// Internal. Which addresses a node does not call on a stranger's word.
#pragma once
#include <string_view>

struct sockaddr;

namespace souk::http::internal {

// Loopback, unspecified, private, link-local, carrier-grade NAT, multicast, reserved; and IPv6
// forms that carry such an IPv4 address.
bool is_private(const sockaddr&); // of another family than IPv4 and IPv6: true

} // namespace souk::http::internal
