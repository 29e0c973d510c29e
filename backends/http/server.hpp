// A door: HTTP/1.1 and WebSocket over TCP, TLS 1.3 or a unix socket, on Boost.Beast. Everything from outside is bounded here.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <variant>

#include <souk/backends/http/message.hpp>

namespace souk::http {

// What a door grants to strangers. One place, with names, so that docs/security.md can quote it.
struct server_limits {
    std::size_t connections = 4096;           // in all; more are accepted and closed at once
    std::size_t connections_per_peer = 1024; // one address
    std::size_t head_bytes = 48 * 1024;       // a payment header is up to 16 KiB
    std::size_t body_bytes = 1 << 20;
    std::chrono::milliseconds head_within{10'000}, body_within{30'000}, idle{60'000}, write_within{30'000};
    std::chrono::milliseconds handshake_within{5'000};
    std::chrono::milliseconds answer_within{120'000}; // a handler that never answers becomes a 504
    std::size_t stream_queue_bytes = 4 << 20;         // to one WebSocket reader; a slower one is cut off
    std::size_t stream_message_bytes = 64 * 1024;     // from one
};

struct counters { // since start
    std::uint64_t accepted = 0, refused = 0, timed_out = 0, oversized = 0, malformed = 0, answered = 0, open = 0;
    std::uint64_t cut_off = 0; // WebSocket readers that did not keep up
};

// One side of an open WebSocket. Thread-safe. Dropping the last reference does not close it: `close` does.
class stream {
public:
    virtual ~stream() = default;
    virtual void send(std::string text) = 0;
    virtual void close(std::string why) = 0;
    virtual std::size_t queued() const = 0; // bytes given to `send` that are not yet with the kernel
};
struct stream_handler { // all on a door thread
    std::function<void(std::string text)> message;
    std::function<void()> closed; // once, last
    std::function<void()> drained; // all that was sent is with the kernel: a long replay goes on from here. May be empty.
};

using responder = std::function<void(response)>; // called once, from any thread; dropped uncalled, it answers 500
struct handler {
    std::function<void(request, responder)> answer; // on a door thread: returns quickly
    // Asked for an upgrade. Returns what to do with it, or the refusal to answer with. May be empty: then all are refused.
    std::function<std::variant<stream_handler, response>(const request&, std::shared_ptr<stream>)> upgrade;
};

struct server_options {
    std::string address = "127.0.0.1";
    std::uint16_t port = 0;                    // 0: any
    std::filesystem::path unix_socket;         // instead of address and port; created 0600
    std::filesystem::path certificate, key;    // PEM; both or none
    unsigned threads = 1;
    server_limits limits;
};

class server {
public:
    server(server_options, handler); // listens; throws std::runtime_error with the address in it ("port in use")
    ~server();                       // closes every connection, joins its threads
    std::uint16_t port() const;
    counters so_far() const;

private:
    class impl;
    std::shared_ptr<impl> impl_;
};

} // namespace souk::http
