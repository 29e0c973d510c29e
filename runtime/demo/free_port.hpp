// A TCP port on loopback for a server that is started a little later.
#pragma once
#include <cstdint>

namespace souk::demo {

// Free now, given once in this process, and below those that the kernel hands to outgoing connections, which would take it meanwhile.
// Throws std::runtime_error when there is none.
std::uint16_t free_port();

} // namespace souk::demo
