// wire NAMESPACE NAMESPACE: a cable between two network namespaces, each of which gets an Ethernet device "wire0". What it does to frames is
// said on standard input, a line each, and answered with "ok":
//   there MILLISECONDS PERCENT    delay and loss from the first to the second; 100 percent is a cable that is cut, without a word to anyone
//   back  MILLISECONDS PERCENT    the other way
// It ends with its input. The losses are the same in every run.
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <deque>
#include <iostream>
#include <random>
#include <sstream>
#include <string>

namespace {

using steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

struct frame {
    steady::time_point due;
    std::string bytes;
};
struct direction {
    milliseconds delay{0};
    unsigned loss = 0; // percent
    std::deque<frame> under_way;
};
constexpr std::size_t most_under_way = 10'000; // more are lost, as in any switch

int device_in(const std::string& name) {
    const int space = ::open(("/var/run/netns/" + name).c_str(), O_RDONLY | O_CLOEXEC);
    if (space < 0 || ::setns(space, CLONE_NEWNET) != 0) return -1;
    ::close(space);
    const int fd = ::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    ifreq want{};
    want.ifr_flags = IFF_TAP | IFF_NO_PI;
    std::strncpy(want.ifr_name, "wire0", IFNAMSIZ - 1);
    if (fd < 0 || ::ioctl(fd, TUNSETIFF, &want) != 0) return -1;
    return fd;
}

bool obey(const std::string& line, direction& there, direction& back) {
    std::istringstream in(line);
    std::string which;
    long delay = 0;
    unsigned loss = 0;
    if (!(in >> which >> delay >> loss) || delay < 0 || delay > 60'000 || loss > 100 || (which != "there" && which != "back")) return false;
    auto& d = which == "there" ? there : back;
    d.delay = milliseconds{delay}, d.loss = loss;
    return true;
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 3) return std::fputs("usage: wire NAMESPACE NAMESPACE\n", stderr), 2;
    std::array<int, 2> ends{};
    for (int i = 0; i < 2; ++i)
        if ((ends[static_cast<std::size_t>(i)] = device_in(argv[i + 1])) < 0) return std::perror(argv[i + 1]), 1;
    std::array<direction, 2> ways; // from end 0, from end 1
    std::mt19937 dice{1};
    std::puts("ok");
    std::fflush(stdout);
    std::string heard;
    for (;;) {
        auto next = steady::time_point::max();
        for (const auto& w : ways)
            if (!w.under_way.empty()) next = std::min(next, w.under_way.front().due);
        const auto wait = next == steady::time_point::max() ? -1 : static_cast<int>(std::max<std::int64_t>(0, std::chrono::ceil<milliseconds>(next - steady::now()).count()));
        std::array<pollfd, 3> all{{{ends[0], POLLIN, 0}, {ends[1], POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}}};
        if (::poll(all.data(), all.size(), wait) < 0) return std::perror("poll"), 1;
        for (std::size_t from = 0; from < 2; ++from) {
            auto& w = ways[from];
            char part[65'536];
            for (ssize_t n; (n = ::read(ends[from], part, sizeof part)) > 0;) {
                if (dice() % 100 < w.loss || w.under_way.size() >= most_under_way) continue;
                w.under_way.push_back({steady::now() + w.delay, std::string(part, static_cast<std::size_t>(n))});
            }
            for (; !w.under_way.empty() && w.under_way.front().due <= steady::now(); w.under_way.pop_front()) {
                const auto& f = w.under_way.front().bytes;
                (void)!::write(ends[1 - from], f.data(), f.size()); // a device that is down takes none: lost, as it should be
            }
        }
        if (all[2].revents == 0) continue;
        char part[256];
        const auto n = ::read(STDIN_FILENO, part, sizeof part);
        if (n <= 0) return 0;
        heard.append(part, static_cast<std::size_t>(n));
        for (std::size_t end; (end = heard.find('\n')) != heard.npos; heard.erase(0, end + 1)) {
            std::puts(obey(heard.substr(0, end), ways[0], ways[1]) ? "ok" : "what?");
            std::fflush(stdout);
        }
    }
}
