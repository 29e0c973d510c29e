#include <souk/runtime/demo/free_port.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mutex>
#include <random>
#include <set>
#include <stdexcept>

namespace souk::demo {

namespace {

constexpr std::uint16_t first = 12'000, last = 32'000; // Linux gives 32768 and up to whoever connects

bool is_free(std::uint16_t port) {
    const int s = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s < 0) return false;
    sockaddr_in at{};
    at.sin_family = AF_INET, at.sin_port = htons(port), at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool bound = ::bind(s, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0;
    ::close(s);
    return bound;
}

} // namespace

std::uint16_t free_port() {
    static std::mutex guard;
    static std::set<std::uint16_t> given;
    static std::minstd_rand dice{std::random_device{}()};
    const std::lock_guard hold(guard);
    std::uniform_int_distribution<unsigned> some(first, last);
    for (int tries = 0; tries < 1'000; ++tries)
        if (const auto port = static_cast<std::uint16_t>(some(dice)); is_free(port) && given.insert(port).second) return port;
    throw std::runtime_error("no free port on 127.0.0.1");
}

} // namespace souk::demo
