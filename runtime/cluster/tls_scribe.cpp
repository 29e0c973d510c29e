#include <souk/runtime/cluster/tls_scribe.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <caf/io/middleman.hpp>
#include <caf/io/network/default_multiplexer.hpp>
#include <caf/io/network/stream.hpp>
#include <openssl/err.h>

#include <souk/runtime/cluster/frame_guard.hpp>

namespace souk::carrier {

namespace net = caf::io::network;

namespace {

constexpr std::size_t record_bytes = 16 * 1024; // TLS's largest

// Reads and writes one session for CAF's stream; the guard stands between. Event loop only.
class policy {
public:
    policy(std::shared_ptr<switchboard> board, link_ptr l, session tls)
        : board_(std::move(board)), link_(std::move(l)), tls_(std::move(tls)),
          guard_(board_->limits.frame_bytes, link_->dialled, board_->own_id, [b = board_.get(), l = link_](const std::string& id) { return b->table.introduce(l, id); }),
          in_(record_bytes + frame_guard::longest_beginning) {}
    ~policy() {
        lost("the link was closed");
        link_->released();
        board_->table.drop(link_);
        ERR_clear_error();
    }
    policy(const policy&) = delete;
    policy& operator=(const policy&) = delete;

    net::rw_state read_some(std::size_t& n, net::native_socket, void* to, std::size_t room) {
        n = 0;
        if (taken_ == cleared_ && !refill()) return net::rw_state::failure;
        n = std::min(room, cleared_ - taken_);
        std::memcpy(to, in_.data() + taken_, n);
        taken_ += n;
        return net::rw_state::success;
    }
    // What OpenSSL or we hold already will not wake the event loop again.
    bool must_read_more(net::native_socket, std::size_t) { return taken_ < cleared_ || (!ended_ && SSL_pending(tls_.get()) > 0); }

    net::rw_state write_some(std::size_t& n, net::native_socket, const void* from, std::size_t size) {
        n = 0;
        if (size == 0) return net::rw_state::indeterminate;
        ERR_clear_error();
        errno = 0;
        const int r = SSL_write_ex(tls_.get(), from, size, &n);
        unfinished_ = r != 1;
        if (r == 1) return net::rw_state::success;
        n = 0;
        return goes_on(r) ? net::rw_state::success : net::rw_state::failure;
    }

    void say_goodbye() { // TLS's half-close; BASP needs no answer to it
        if (ended_ || unfinished_) return;
        ERR_clear_error();
        SSL_shutdown(tls_.get());
        ERR_clear_error();
    }
    void cut(const std::string& why) {
        link_->cut(why);
        lost(why);
    }

private:
    bool refill() { // false: the link has ended
        if (ended_) return false;
        if (taken_ > 0) std::memmove(in_.data(), in_.data() + taken_, filled_ - taken_);
        filled_ -= taken_, taken_ = cleared_ = 0;
        ERR_clear_error();
        errno = 0;
        std::size_t got = 0;
        const int r = SSL_read_ex(tls_.get(), in_.data() + filled_, in_.size() - filled_, &got);
        if (r != 1) return goes_on(r);
        link_->heard(steady::now());
        filled_ += got;
        cleared_ = guard_.clear(in_.data(), filled_);
        if (!guard_.refused()) return true;
        ++board_->refused.frames;
        ended_ = true;
        cut("refused: " + guard_.why());
        return false;
    }
    bool goes_on(int r) {
        const int kind = SSL_get_error(tls_.get(), r);
        if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE) return true;
        ended_ = true;
        bool by_name = false;
        cut(tls_failure(tls_.get(), r, by_name));
        return false;
    }
    void lost(const std::string& why) {
        if (link_->told_lost()) return;
        link_->cut(why);
        ++(link_->introduced() ? board_->refused.lost : board_->refused.handshakes);
        if (board_->lost) board_->lost(link_);
    }

    std::shared_ptr<switchboard> board_;
    link_ptr link_;
    session tls_;
    frame_guard guard_;
    std::vector<char> in_;                            // taken by CAF, cleared by the guard, filled by TLS: in this order
    std::size_t taken_ = 0, cleared_ = 0, filled_ = 0;
    bool ended_ = false, unfinished_ = false;         // unfinished: a write that OpenSSL must be given again first
};

class tls_stream final : public net::stream {
public:
    tls_stream(net::default_multiplexer& loop, net::native_socket fd, std::shared_ptr<switchboard> b, link_ptr l, session tls)
        : net::stream(loop, fd), policy_(std::move(b), std::move(l), std::move(tls)) {}
    void handle_event(net::operation op) override { handle_event_impl(op, policy_); }
    policy& session_policy() { return policy_; }

private:
    policy policy_;
};

class tls_scribe final : public caf::io::scribe {
public:
    tls_scribe(net::default_multiplexer& loop, std::shared_ptr<switchboard> b, link_ptr l, authenticated a)
        : tls_scribe(loop, a.socket.release(), std::move(b), std::move(l), std::move(a.tls)) {}

    void configure_read(caf::io::receive_policy::config c) override {
        stream_.configure_read(c);
        if (std::exchange(started_, true)) return;
        stream_.start(this);
    }
    void ack_writes(bool on) override { stream_.ack_writes(on); }
    std::vector<char>& wr_buf() override { return stream_.wr_buf(); }
    std::vector<char>& rd_buf() override { return stream_.rd_buf(); }
    void graceful_shutdown() override {
        if (stream_.wr_buf().empty()) stream_.session_policy().say_goodbye();
        stream_.graceful_shutdown();
        detach(&stream_.backend(), false);
    }
    void flush() override {
        if (stream_.wr_buf().size() > unsent_) stream_.session_policy().cut("it does not take what is sent to it");
        stream_.flush(this);
    }
    std::string addr() const override { return address_; }
    std::uint16_t port() const override {
        const auto p = net::remote_port_of_fd(stream_.fd());
        return p ? *p : std::uint16_t{0};
    }
    void add_to_loop() override { stream_.activate(this); }
    void remove_from_loop() override { stream_.passivate(); }

private:
    tls_scribe(net::default_multiplexer& loop, int fd, std::shared_ptr<switchboard> b, link_ptr l, session tls)
        : caf::io::scribe(net::conn_hdl_from_socket(fd)), address_(l->address), unsent_(b->limits.unsent_bytes),
          stream_(loop, fd, std::move(b), std::move(l), std::move(tls)) {}

    std::string address_;
    std::size_t unsent_;
    bool started_ = false;
    tls_stream stream_;
};

} // namespace

caf::io::scribe_ptr make_scribe(caf::actor_system& sys, std::shared_ptr<switchboard> board, link_ptr l, authenticated a) {
    auto& loop = dynamic_cast<net::default_multiplexer&>(sys.middleman().backend());
    return caf::make_counted<tls_scribe>(loop, std::move(board), std::move(l), std::move(a));
}

} // namespace souk::carrier
