#include <souk/backends/store/file_lock.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <thread>

namespace souk {

namespace {
constexpr std::chrono::milliseconds look_again{10}; // whoever holds it is waiting for a host
}

std::optional<file_lock> file_lock::take(const std::filesystem::path& file, std::chrono::milliseconds within, const std::function<bool()>& give_up) {
    file_lock held(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (held.fd_ < 0) return std::nullopt;
    for (const auto end = std::chrono::steady_clock::now() + within; ::flock(held.fd_, LOCK_EX | LOCK_NB) != 0; std::this_thread::sleep_for(look_again))
        if (give_up() || std::chrono::steady_clock::now() >= end) return std::nullopt;
    return held;
}

file_lock::~file_lock() {
    if (fd_ >= 0) ::close(fd_);
}

} // namespace souk
