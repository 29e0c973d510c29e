// Ten thousand strangers at each door of one node, who keep silent, drip, send nonsense or hang up halfway. Meanwhile others are served, the
// node's memory stays within what backends/limits.hpp says, and in the end each of them is cut off.
#include <doctest/doctest.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <optional>

#include "fort.hpp"

using namespace hostile;

namespace {

// -- those who besiege it ----------------------------------------------------------------------------------------------------------

// Connected from ten addresses; of each hundred, ninety are silent, five send nonsense, three drip a byte a second, two hang up halfway.
class crowd {
public:
    crowd(std::uint16_t port, std::size_t n) {
        for (std::size_t i = 0; i < n; ++i) {
            const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
            REQUIRE(fd >= 0);
            const auto from = at(0x7f000100u + 1u + static_cast<std::uint32_t>(i % addresses), 0);
            REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&from), sizeof from) == 0);
            const auto to = at(INADDR_LOOPBACK, port);
            (void)::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to);
            all_.push_back({fd, POLLIN, 0});
            if (i % 512 == 511) ::usleep(20'000); // the listener's queue is finite: those who do not get in would only wait longer
        }
        static const std::string nonsense(200, '\xee');
        for (std::size_t i = 0; i < n; ++i) {
            if (i % 100 >= 90 && i % 100 < 95) say(all_[i].fd, nonsense);
            if (i % 100 >= 98) ::shutdown(all_[i].fd, SHUT_WR);
        }
    }
    crowd(const crowd&) = delete;
    ~crowd() {
        for (const auto& p : all_)
            if (p.fd >= 0) ::close(p.fd);
    }
    // Those who got in, or wait for it, and were not cut off; of them, some drip. Whom the listener's queue had no place for is not the
    // door's business: he asks again by himself, later and later.
    std::size_t left() {
        const bool drip = steady::now() - dripped_ > 1s;
        if (drip) dripped_ = steady::now();
        std::size_t n = 0, i = 0;
        (void)::poll(all_.data(), all_.size(), 0);
        for (auto& p : all_) {
            const auto which = i++ % 100;
            if (p.fd < 0) continue;
            if (p.revents != 0) {
                char part[4096];
                const auto k = ::recv(p.fd, part, sizeof part, 0);
                if (k == 0 || (k < 0 && errno != EAGAIN)) {
                    ::close(p.fd), p.fd = -1;
                    continue;
                }
            }
            if (drip && which >= 95 && which < 98) say(p.fd, "G");
            sockaddr_in other{};
            socklen_t size = sizeof other;
            n += ::getpeername(p.fd, reinterpret_cast<sockaddr*>(&other), &size) == 0;
        }
        return n;
    }

    void speak() {
        for (const auto& p : all_)
            if (p.fd >= 0) say(p.fd, "?");
    }

private:
    static void say(int fd, const std::string& bytes) { (void)!::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT); }
    std::vector<pollfd> all_;
    steady::time_point dripped_ = steady::now();
};

// -- an honest one ------------------------------------------------------------------------------------------------------------------

bool hears_a_greeting(std::uint16_t port, const std::string& first) { // whoever speaks first there
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval t{5, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
    const auto to = at(INADDR_LOOPBACK, port);
    std::string heard(first.size(), '\0');
    const bool so = ::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 && ::recv(fd, heard.data(), heard.size(), MSG_WAITALL) == static_cast<ssize_t>(heard.size());
    ::close(fd);
    return so && heard == first;
}
bool shakes_hands(std::uint16_t port) { // TLS 1.3 as far as the server's own certificate: it then wants ours
    const auto said = demo::run_to_end({"openssl", "s_client", "-connect", "127.0.0.1:" + std::to_string(port), "-tls1_3"}, 5);
    return said.output.find("BEGIN CERTIFICATE") != said.output.npos;
}

struct door {
    const char* name;
    std::uint16_t port;
    std::size_t most;                  // bytes
    std::function<bool()> serves;      // an honest client, within five seconds
    std::function<std::int64_t()> counted; // of those who were refused
};

} // namespace

TEST_CASE("ten thousand strangers at a door cost little, keep nobody out, and are cut off") {
    const auto strangers = as_many_as_may_be();
    fort f;
    const most_memory most;
    const std::vector<door> doors{
        {"http", f.http, most.http, [&] { return f.status_of(f.http) == 200; }, [&] { return f.counted("door", "refused"); }},
        {"cluster", f.cluster, most.cluster, [&] { return shakes_hands(f.cluster); }, [&] { return f.counted("cluster", "refused_handshakes"); }},
        {"ssh", f.ssh, most.ssh, [&] { return hears_a_greeting(f.ssh, "SSH-2.0-"); }, [&] { return f.counted("tunnels", "refused_logins"); }},
        {"https", f.https, most.https, [&] { return f.status_of(f.https) != 0; }, [&] { return f.counted("tunnels", "refused_visitors"); }},
    };
    for (const auto& d : doors) {
        const std::string name = d.name;
        CAPTURE(name);
        REQUIRE(d.serves());
        const auto before = f.memory(), files = f.descriptors();
        const auto refused = d.counted();
        std::size_t peak = 0, served = 0, tried = 0, most_files = 0;
        const auto began = steady::now();
        std::optional<steady::duration> gone;
        {
            crowd c(d.port, strangers);
            for (const auto end = began + patience; steady::now() < end && !gone; ::usleep(50'000)) {
                peak = std::max(peak, f.memory()), most_files = std::max(most_files, f.descriptors());
                if (tried < 5) ++tried, served += d.serves(); // the first five times it is full of them
                // By the node's own count of what it holds. Some may believe that they are connected whose last word was lost in a full queue: they
                // find out when they speak.
                const bool few = c.left() <= strangers / 100, none = f.descriptors() <= files + 8;
                if (few && none) gone = steady::now() - began;
                else if (none) c.speak();
            }
        }
        REQUIRE(f.runs());
        CHECK(served + 1 >= tried); // a door that is full may turn one away; the next is let in
        CHECK(peak - std::min(peak, before) <= d.most);
        CHECK(gone.has_value());
        CHECK(d.counted() > refused);
        CHECK(f.soon([&] { return f.descriptors() <= files + 8; }));
        CHECK(d.serves());
        MESSAGE(name << ": " << strangers << " strangers, at most " << most_files - files << " let in at once, " << (peak - std::min(peak, before)) / 1024 / 1024 << " MiB, " << served << " of " << tried
                       << " served meanwhile, all gone after " << (gone ? std::chrono::duration_cast<std::chrono::seconds>(*gone).count() : -1) << " s, " << d.counted() - refused << " counted");
    }
}
