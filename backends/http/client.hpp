// Outgoing HTTP on libcurl (one multi handle, one thread), and outgoing WebSockets on Beast.
#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <memory>

#include <souk/backends/http/message.hpp>

namespace souk::http {

struct call {
    std::string method = "GET", url; // http or https only; no redirects are followed
    headers head;
    std::string body;
    std::chrono::milliseconds within{30'000};
    std::size_t largest_answer = 2 << 20;
    // Takes the body of a 200 a piece at a time, as it comes, on the client's thread: quickly. None of it is in the answer then, and a refusal breaks it
    // off and is the outcome. A body that all but stands still (less than 1 KiB a second for 30 s) is broken off too. May be empty.
    std::function<result<void>(std::string_view piece)> take = {};
    std::filesystem::path unix_socket; // talk to this instead of the URL's host
};

struct client_options {
    std::filesystem::path ca_file;                 // besides the system's roots
    // "name" -> "address:port" (or "[v6]:port"), like a hosts file: names that DNS does not know. The operator chose these
    // addresses, so they may be private.
    std::map<std::string, std::string> hosts;
    // Loopback, link-local, RFC 1918, ULA and the like: refused unless set ("private_address"). Judged by the address that is
    // connected to, so a name that resolves to another one the second time gains nothing.
    bool allow_private = false;
};

class client {
public:
    explicit client(client_options = {});
    ~client(); // pending calls end with "client_closed"

    // `tell` is called once, on the client's thread. Codes: "http_timeout" (it may have happened), "http_unreachable" (it did not:
    // not a byte of the request was sent), "http_broken" (it may have happened), "http_too_large" (it happened), "bad_url",
    // "bad_header", "private_address", "client_busy". A request is sent at most once, but for GET and HEAD.
    void fetch(call, std::function<void(result<response>)> tell);
    result<response> fetch_now(call); // waits; never from a door or actor thread

private:
    class impl;
    std::unique_ptr<impl> impl_;
};

// What actors are given of it: the means to ask, whoever answers.
using fetcher = std::function<void(call, std::function<void(result<response>)>)>;
inline fetcher fetcher_of(client& c) {
    return [&c](call what, std::function<void(result<response>)> tell) { c.fetch(std::move(what), std::move(tell)); };
}

// Reads a WebSocket for as long as it lives, reconnecting with doubled delays (0.5 s to 30 s, jittered).
class stream_client {
public:
    struct events {
        std::function<std::string()> url;              // asked before each connection, so that a cursor can move on
        std::function<void(std::string text)> message; // on the stream's thread
        std::function<void(bool up, std::string why)> state;
    };
    stream_client(client_options, events, std::size_t largest_message = 2 << 20);
    ~stream_client();

private:
    class impl;
    std::unique_ptr<impl> impl_;
};

} // namespace souk::http
