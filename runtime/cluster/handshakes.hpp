// Internal. Everything between a TCP connection and an authenticated session, on one thread of its own: accepting, dialling and TLS,
// bounded in number and time. A stranger costs one socket and no work until it has sent something; when all places are taken the
// slowest yields.
#pragma once
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <netinet/in.h>

#include <souk/messages/result.hpp>
#include <souk/runtime/cluster/credentials.hpp>
#include <souk/runtime/cluster/link_table.hpp>

namespace souk::carrier {

class descriptor { // owns one
public:
    explicit descriptor(int fd = -1) : fd_(fd) {}
    descriptor(descriptor&& other) noexcept : fd_(other.release()) {}
    descriptor& operator=(descriptor&& other) noexcept {
        reset(other.release());
        return *this;
    }
    ~descriptor() { reset(); }
    int get() const { return fd_; }
    int release() { return std::exchange(fd_, -1); }
    void reset(int fd = -1);

private:
    int fd_;
};

struct authenticated {
    descriptor socket;
    session tls;          // freed before the socket is closed
    std::string node, address;
};

struct refusals { // by reason, so far
    std::atomic<std::uint64_t> handshakes = 0, names = 0, frames = 0, offers = 0, lost = 0;
    std::atomic<std::uint64_t> turns = 0; // of the loop of all handshakes: what silent strangers cost
};

class handshakes {
public:
    using taken = std::function<void(authenticated)>;
    using dialled = std::function<void(result<authenticated>)>;

    // Listens: throws std::runtime_error when it cannot. Callbacks run on its thread and must not block.
    handshakes(const cluster_options&, const credentials&, const link_table&, refusals&, taken);
    ~handshakes(); // dials under way are answered "stopped"
    void start();

    std::uint16_t port() const { return port_; }
    void dial(const cluster_options::peer&, dialled);

private:
    struct attempt;
    struct inbox; // what other threads hand in; outlives us in the hands of a resolver
    struct request {
        cluster_options::peer peer;
        dialled then;
        steady::time_point deadline;
        std::vector<sockaddr_storage> addresses;
        std::string trouble;
    };

    void run();
    void take_requests();
    void accept_some(steady::time_point now);
    void admit(descriptor, std::string address, steady::time_point now);
    bool make_place(const std::string& address);
    void connect_next(attempt&);
    void advance(attempt&, short events);
    void shake(attempt&);
    void finish(attempt&, std::string why, bool by_name = false);
    int wait_for(steady::time_point now) const;
    void drop_ended();

    const cluster_options options_;
    const credentials& credentials_;
    const link_table& links_;
    refusals& refused_;
    taken taken_;
    descriptor listener_;
    std::uint16_t port_ = 0;
    std::shared_ptr<inbox> inbox_;
    std::vector<std::unique_ptr<attempt>> attempts_;
    steady::time_point accept_again_; // later than now: out of descriptors, do not spin
    std::thread thread_;
};

} // namespace souk::carrier
