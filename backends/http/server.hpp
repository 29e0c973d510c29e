// A door: HTTP/1.1 and WebSocket over TCP, TLS 1.3 or a unix socket, on Boost.Beast. Everything from outside is bounded here.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <variant>

#include <souk/backends/http/message.hpp>
#include <souk/backends/limits.hpp>

namespace souk::http {

struct counters { // since start
    std::uint64_t accepted = 0, refused = 0, timed_out = 0, oversized = 0, malformed = 0, answered = 0, open = 0;
    std::uint64_t cut_off = 0; // WebSocket readers that did not keep up, or had to make room
    std::uint64_t streams = 0, stream_bytes = 0; // now: WebSocket readers, and what is held for all of them together
};

// One side of an open WebSocket. Thread-safe. Dropping the last reference does not close it: `close` does.
class stream {
public:
    virtual ~stream() = default;
    virtual void send(std::shared_ptr<const std::string> text) = 0; // what goes to many readers is held, and counted, once
    void send(std::string text) { send(std::make_shared<const std::string>(std::move(text))); }
    virtual void close(std::string why) = 0;
    virtual std::size_t queued() const = 0; // bytes given to `send` that are not yet with the kernel
    virtual void again() = 0;               // asks for `drained` once more, when others had their turn
};
struct stream_handler { // all on a door thread
    std::function<void(std::string text)> message;
    std::function<void()> closed; // once, last
    // All that was sent is with the kernel: a long replay goes on from here. Told first when the stream is open. May be empty.
    std::function<void()> drained;
    bool binary = false; // what is sent is bytes, not text
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
