// One visitor's HTTPS connection: each request finds its tunnel by its Host, and gets a channel of its own.
#pragma once
#include <atomic>
#include <optional>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>

#include <souk/backends/tls/stream.hpp>
#include <souk/backends/tunnel/head.hpp>
#include <souk/backends/tunnel/session.hpp>

namespace souk::tunnel {

class visitor : public std::enable_shared_from_this<visitor> {
public:
    using socket = asio::basic_stream_socket<tcp, strand>;
    visitor(engine&, socket, std::shared_ptr<asio::ssl::context>, tcp::endpoint);
    ~visitor();
    void start();
    void abort(); // any thread
    // Any thread. Asked for nothing just now; true once.
    bool gives_way() { return waits_.exchange(false); }
    const tcp::endpoint& from() const { return from_; }

private:
    using request_parser = http::request_parser<http::buffer_body>;
    using response_parser = http::response_parser<http::buffer_body>;
    struct exchange; // one request and its answer

    asio::awaitable<void> run();
    asio::awaitable<void> watch();
    asio::awaitable<bool> one_request();  // true: the connection may be asked again
    asio::awaitable<bool> relay(std::shared_ptr<exchange>);
    asio::awaitable<bool> read_answer_head(exchange&);
    asio::awaitable<bool> copy_answer(exchange&);
    asio::awaitable<bool> switch_protocols(std::shared_ptr<exchange>);
    asio::awaitable<void> copy_request_body(std::shared_ptr<exchange>);
    asio::awaitable<void> copy_raw_up(std::shared_ptr<exchange>);
    asio::awaitable<void> refuse(unsigned status, std::string text, bool with_body = true);
    asio::awaitable<bool> send(asio::const_buffer);
    asio::awaitable<void> say_goodbye();
    void within(std::chrono::milliseconds t) {
        deadline_ = steady::now() + t;
        if (deadline_ < timer_.expiry()) timer_.cancel(); // watch() sleeps until an older, later one
    }
    void still_alive() { within(engine_.options.limits.idle_visitor); }
    void cut();
    socket& wire() { return stream_ ? stream_->next_layer() : socket_; }

    engine& engine_;
    strand strand_;
    std::shared_ptr<asio::ssl::context> tls_;
    socket socket_;                                   // until it has said something: TLS is most of what a visitor costs
    std::optional<tls::stream<socket>> stream_; // from then on
    const tcp::endpoint from_;
    asio::steady_timer timer_;
    steady::time_point deadline_;
    boost::beast::flat_buffer buffer_;
    std::weak_ptr<exchange> current_;
    std::atomic<bool> waits_{true}; // for his own next word
    bool over_ = false;
    bool unread_ = false;    // a request body that nobody reads
    bool cut_short_ = false; // an answer that could not be finished
};

} // namespace souk::tunnel
