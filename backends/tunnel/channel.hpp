// A channel as its session sees it: on the session's strand only.
#pragma once
#include <libssh/callbacks.h>

#include <souk/backends/tunnel/session.hpp>

namespace souk::tunnel {

class channel_state : public std::enable_shared_from_this<channel_state> {
public:
    channel_state(std::shared_ptr<session> s, std::string service, tcp::endpoint visitor)
        : session_(std::move(s)), service_(std::move(service)), visitor_(std::move(visitor)) {}
    using op = std::unique_ptr<waiting>;

    void start(op& slot, op);
    void progress(); // moves whatever can move; called after every round of the library
    void send_eof();
    void close();

    op open, read, write;
    asio::mutable_buffer to;
    asio::const_buffer from;

private:
    static void finish(op& slot, error_code e, std::size_t n) {
        if (auto done = std::move(slot)) done->complete(e, n);
    }
    bool create();
    void progress_open();
    void progress_write();
    void progress_read();
    bool is_open() const { return ssh_channel_is_open(channel_); }
    std::size_t take(const char*, std::size_t); // from libssh into a waiting read

    std::shared_ptr<session> session_;
    ssh_channel channel_ = nullptr;
    ssh_channel_callbacks_struct callbacks_{};
    const std::string service_;
    const tcp::endpoint visitor_;
    steady::time_point born_ = steady::now();
    bool held_ = false; // libssh holds bytes that no read has taken
    bool remote_eof_ = false, closed_ = false;
};

// libssh 0.10.6 never returns from ssh_channel_write when the peer's largest packet is 10 bytes: it takes 10 off and writes nothing.
// There is no accessor for that size; its log line, made before the channel opens, is the only sign.
bool tiny_packets_seen(); // on this thread, since it was last asked

} // namespace souk::tunnel
