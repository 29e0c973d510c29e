// What the tests of this room share: a raw TCP client on loopback, a directory of one's own, waiting with a deadline.
#pragma once
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include <souk/messages/result.hpp>

// A result is shown by its refusal; Boost would try to print the value too.
template <class T>
struct doctest::StringMaker<boost::system::result<T, souk::refusal>> {
    static String convert(const boost::system::result<T, souk::refusal>& r) {
        return r ? "a value" : (r.error().code + ": " + r.error().text).c_str();
    }
};

namespace loopback {

using namespace std::chrono_literals;
inline constexpr auto patience = 30s; // far more than anything here takes

class directory {
public:
    directory() {
        char name[] = "/tmp/souk-test-XXXXXX";
        if (!::mkdtemp(name)) throw std::runtime_error("no directory for the test");
        path_ = name;
    }
    directory(const directory&) = delete;
    ~directory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

// Values that other threads hand in; taken with patience.
template <class T>
class inbox {
public:
    void put(T value) {
        const std::lock_guard hold(guard_); // to the end: whoever takes it may be gone right afterwards, and this with him
        all_.push_back(std::move(value));
        arrived_.notify_all();
    }
    T take() {
        std::unique_lock hold(guard_);
        if (!arrived_.wait_for(hold, patience, [&] { return !all_.empty(); })) throw std::runtime_error("nothing arrived");
        T first = std::move(all_.front());
        all_.erase(all_.begin());
        return first;
    }
    std::size_t size() const {
        const std::lock_guard hold(guard_);
        return all_.size();
    }

private:
    mutable std::mutex guard_;
    std::condition_variable arrived_;
    std::vector<T> all_;
};

// Polls something another thread counts.
template <class Predicate>
bool soon(Predicate holds) {
    for (const auto end = std::chrono::steady_clock::now() + patience; std::chrono::steady_clock::now() < end; ::usleep(2000))
        if (holds()) return true;
    return holds();
}

class raw {
public:
    explicit raw(std::uint16_t port, const char* from = nullptr) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in to{}, own{};
        own.sin_family = AF_INET;
        if (from && (::inet_pton(AF_INET, from, &own.sin_addr) != 1 || ::bind(fd_, reinterpret_cast<sockaddr*>(&own), sizeof own) != 0)) throw std::runtime_error("no such address here");
        to.sin_family = AF_INET, to.sin_port = htons(port), to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) throw std::runtime_error("cannot connect");
    }
    raw(raw&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
    ~raw() {
        if (fd_ >= 0) ::close(fd_);
    }
    raw& say(const std::string& text) {
        for (std::size_t at = 0; at < text.size();) {
            const auto n = ::send(fd_, text.data() + at, text.size() - at, MSG_NOSIGNAL);
            if (n <= 0) break; // the other side has had enough; what it said is still to be read
            at += static_cast<std::size_t>(n);
        }
        return *this;
    }
    // All until the other side closes, or until `mark` has been read.
    std::string hear(const std::string& mark = {}) {
        std::string all;
        char part[4096];
        while (mark.empty() || all.find(mark) == all.npos) {
            pollfd wait{fd_, POLLIN, 0};
            if (::poll(&wait, 1, static_cast<int>(std::chrono::milliseconds(patience).count())) <= 0)
                throw std::runtime_error("nothing heard");
            const auto n = ::recv(fd_, part, sizeof part, 0);
            if (n <= 0) break;
            all.append(part, static_cast<std::size_t>(n));
        }
        return all;
    }
    bool open() { // nothing to read, and not closed
        pollfd wait{fd_, POLLIN, 0};
        return ::poll(&wait, 1, 0) == 0;
    }
    int fd() const { return fd_; }

private:
    int fd_;
};

} // namespace loopback
