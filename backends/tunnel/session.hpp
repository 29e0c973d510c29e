// One SSH connection of a machine, and its channels as Asio streams, on libssh.
//
// A strand owns the ssh_session, an ssh_event that holds only that session, and the channels. libssh never waits: Asio waits for the
// descriptor, then ssh_event_dopoll(event, 0) runs the library. Requests of the client queue up in libssh and are answered in their
// order, some of them later, when the account's owner has been asked.
#pragma once
#include <list>
#include <map>
#include <optional>

#include <boost/asio/async_result.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <souk/backends/tunnel/engine.hpp>

namespace souk::tunnel {

using asio::ip::tcp;

// A started operation that waits for its result; the handler runs on its own executor, never inside libssh.
struct waiting {
    virtual ~waiting() = default;
    virtual void complete(error_code, std::size_t) = 0;
};

template <class Handler>
struct waiting_for : waiting {
    waiting_for(Handler h, strand s) : handler(std::move(h)), executor(asio::get_associated_executor(handler, s)) {}
    void complete(error_code e, std::size_t n) override {
        asio::post(executor, [h = std::move(handler), e, n]() mutable { std::move(h)(e, n); });
    }
    Handler handler;
    asio::associated_executor_t<Handler, strand> executor;
};

class channel_state; // lives on the session's strand

// One forwarded-tcpip channel: a Beast AsyncStream. One read and one write at a time; from any executor.
class channel {
public:
    using executor_type = strand;
    channel(std::shared_ptr<session>, std::string service, tcp::endpoint visitor);
    ~channel();
    channel(const channel&) = delete;
    channel& operator=(const channel&) = delete;
    executor_type get_executor() const { return strand_; }

    // connection_refused: the service refused. timed_out: the client did not answer. broken_pipe: the tunnel is gone or full.
    template <class Token>
    auto async_open(Token&& token) {
        return initiate(&channel::start_open, asio::mutable_buffer(), std::forward<Token>(token));
    }
    template <class Buffers, class Token>
    auto async_read_some(const Buffers& b, Token&& token) {
        return initiate(&channel::start_read, first<asio::mutable_buffer>(b), std::forward<Token>(token));
    }
    template <class Buffers, class Token>
    auto async_write_some(const Buffers& b, Token&& token) {
        const auto from = first<asio::const_buffer>(b);
        return initiate(&channel::start_write, asio::mutable_buffer(const_cast<void*>(from.data()), from.size()), std::forward<Token>(token));
    }
    void send_eof();
    void close(); // operations that wait end with operation_aborted

private:
    using op = std::unique_ptr<waiting>;
    using starter = void (channel::*)(asio::mutable_buffer, op);

    // The first buffer that is not empty: a stream may do less than it is asked.
    template <class Buffer, class Buffers>
    static Buffer first(const Buffers& b) {
        for (auto at = asio::buffer_sequence_begin(b); at != asio::buffer_sequence_end(b); ++at)
            if (const Buffer one(*at); one.size() != 0) return one;
        return {};
    }
    template <class Token>
    auto initiate(starter start, asio::mutable_buffer b, Token&& token) {
        return asio::async_initiate<Token, void(error_code, std::size_t)>(
            [this, start, b](auto handler) {
                (this->*start)(b, std::make_unique<waiting_for<decltype(handler)>>(std::move(handler), strand_));
            },
            token);
    }
    void start_open(asio::mutable_buffer, op);
    void start_read(asio::mutable_buffer, op);
    void start_write(asio::mutable_buffer, op);

    strand strand_;
    std::shared_ptr<channel_state> state_;
};

class session : public std::enable_shared_from_this<session> {
public:
    using socket = asio::basic_stream_socket<tcp, strand>;
    session(engine&, socket, std::uint64_t place); // among those who have not logged in
    ~session();
    void start(); // takes its place in engine.sessions
    // Any thread.
    void close_if(std::function<bool(const session&)> condition, std::string why);
    const std::string& did() const { return account_ ? account_->did : nobody_; } // on the strand
    std::optional<std::string> service_of(const std::string& label) const;         // any thread

private:
    friend class channel;
    friend class channel_state;

    void pump();
    void arm();
    void tick();
    void close(const char* why);
    std::size_t backlog();
    bool still_exchanging();

    // Requests of the client. A kept message is answered and freed later; until then no other is looked at.
    void next_requests();
    bool handle(ssh_message);
    bool asked_to_log_in(ssh_message);
    void decided(const std::string& user, const std::string& key, result<grant>);
    void answer_login(bool welcome, const std::string& user);
    bool asked_to_forward(ssh_message);
    void claim_answered(unsigned question, const route_change&, bool);
    void claimed(const route_change&, bool);
    void take_back(const route_change&);
    void refuse_forward(const std::string& why);
    bool cancel(const std::string& service);
    void answered();

    engine& engine_;
    std::shared_ptr<asio::io_context> io_; // a late answer may post to it
    strand strand_;
    socket socket_;
    asio::steady_timer timer_;
    const std::uint64_t place_;
    ssh_session session_ = nullptr;
    ssh_event event_ = nullptr;
    ssh_counter_struct wire_{}; // bytes read from and written to the socket
    std::list<std::shared_ptr<channel_state>> channels_;

    std::optional<grant> account_; // set once logged in
    std::string handle_;           // the name that it logged in with
    std::map<std::string, grant> known_keys_; // what this connection's keys were found to be, by user and key
    mutable std::mutex services_mutex_;
    std::map<std::string, std::string> services_; // label -> service, as forwarded
    ssh_message kept_ = nullptr;
    steady::time_point kept_since_;
    unsigned question_ = 0; // numbers what was asked, so that a late answer is known for one

    steady::time_point born_ = steady::now(), last_in_ = born_;
    std::uint64_t seen_ = 0, handled_ = 0, queued_from_ = 0;
    std::size_t queued_ = 0;
    steady::time_point pinged_ = born_;
    unsigned auth_tries_ = 0;
    unsigned claims_ = 0; // under way: a closed session stays until they are answered
    int asks_ = 0;
    bool exchanged_ = false, closed_ = false, wait_in_ = false, wait_out_ = false, entered_ = false;
    inline static const std::string nobody_;
};

// libssh reports the peer's packet size only in a log line; callback and level are per thread. Call once on each thread that runs sessions.
void watch_packet_sizes();

} // namespace souk::tunnel
