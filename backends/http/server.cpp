#include <souk/backends/http/server.hpp>

#include <sys/stat.h>
#include <sys/un.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>

#include <souk/backends/http/lobby.hpp>

namespace souk::http {

using namespace internal;
using asio::ip::tcp;
using local = asio::local::stream_protocol;

namespace {

constexpr long record_bytes = 4096; // of TLS, to a peer: one that stops reading holds a record, and the largest would be 16 KiB

// HTTP/1.1 is all that is spoken here; a client that offers it by ALPN is told so, one that offers only others is refused.
int choose_protocol(SSL*, const unsigned char** out, unsigned char* size, const unsigned char* in, unsigned in_size, void*) {
    static constexpr unsigned char ours[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    unsigned char* chosen = nullptr;
    if (SSL_select_next_proto(&chosen, size, ours, sizeof ours, in, in_size) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

std::optional<asio::ssl::context> make_tls(const server_options& o) {
    if (o.certificate.empty() != o.key.empty()) throw std::runtime_error("a door with TLS needs both a certificate and a key");
    if (o.certificate.empty()) return std::nullopt;
    asio::ssl::context tls(asio::ssl::context::tls_server);
    SSL_CTX_set_min_proto_version(tls.native_handle(), TLS1_3_VERSION);
    SSL_CTX_set_session_cache_mode(tls.native_handle(), SSL_SESS_CACHE_OFF);  // a session is resumed from its ticket, which costs nothing here
    SSL_CTX_set_max_send_fragment(tls.native_handle(), record_bytes);
    SSL_CTX_set_alpn_select_cb(tls.native_handle(), choose_protocol, nullptr);
    error_code error;
    tls.use_certificate_chain_file(o.certificate.string(), error);
    if (error) throw std::runtime_error("cannot use the certificate " + o.certificate.string() + ": " + error.message());
    tls.use_private_key_file(o.key.string(), asio::ssl::context::pem, error);
    if (error) throw std::runtime_error("cannot use the key " + o.key.string() + " with its certificate: " + error.message());
    return tls;
}

[[noreturn]] void cannot_listen(const std::string& where, const error_code& error) {
    const auto why = error == asio::error::address_in_use   ? "the port is in use by another process"
                     : error == asio::error::access_denied ? "permission denied"
                                                           : error.message();
    throw std::runtime_error("cannot listen on " + where + ": " + why);
}

std::vector<std::shared_ptr<lane>> make_lanes(unsigned threads) {
    std::vector<std::shared_ptr<lane>> all(std::max(1u, threads));
    for (auto& one : all) one = std::make_shared<lane>();
    return all;
}

// One household's IPv6 addresses are a /64, so that is what the per-peer cap counts.
std::string peer_key(const asio::ip::address& a) {
    if (!a.is_v6() || a.to_v6().is_v4_mapped()) return a.to_string();
    const auto bytes = a.to_v6().to_bytes();
    return {bytes.begin(), bytes.begin() + 8};
}

} // namespace

class server::impl : public std::enable_shared_from_this<server::impl> {
public:
    impl(server_options o, handler h)
        : door_(std::make_shared<door>(std::move(o), std::move(h))),
          tls_(make_tls(door_->options)),
          lanes_(make_lanes(door_->options.threads)),
          pause_(lanes_.front()->context()) {
        if (!door_->handle.answer) throw std::logic_error("a door without a handler");
        const auto& made = door_->options;
        if (made.unix_socket.empty()) listen_tcp(made.address, made.port);
        else listen_unix(made.unix_socket);
        for (const auto& l : lanes_) l->run();
    }
    ~impl() {
        asio::post(lanes_.front()->context(), [this] {
            error_code ignored;
            if (tcp_) tcp_->close(ignored);
            if (local_) local_->close(ignored);
            pause_.cancel();
        });
        for (const auto& l : lanes_) l->stop();
        std::error_code ignored; // someone may have tidied up already
        if (local_) std::filesystem::remove(door_->options.unix_socket, ignored);
    }

    std::uint16_t port() const { return port_; }
    counters so_far() const {
        const auto& c = door_->count;
        return {c.accepted, c.refused, c.timed_out, c.oversized, c.malformed, c.answered, c.open, c.cut_off, door_->streams.readers(), door_->streams.held()};
    }

private:
    void listen_tcp(const std::string& address, std::uint16_t port) {
        const auto where = address + ':' + std::to_string(port);
        error_code error;
        const auto ip = asio::ip::make_address(address, error);
        if (error) throw std::runtime_error("cannot listen on " + where + ": not an IP address");
        const tcp::endpoint at(ip, port);
        tcp_.emplace(lanes_.front()->context());
        tcp_->open(at.protocol(), error);
        if (!error) tcp_->set_option(tcp::acceptor::reuse_address(true), error); // not in use, only TIME_WAIT
        if (!error) tcp_->bind(at, error);
        if (!error) tcp_->listen(tcp::acceptor::max_listen_connections, error);
        if (error) cannot_listen(where, error);
        port_ = tcp_->local_endpoint().port();
        accept_tcp();
    }
    void listen_unix(const std::filesystem::path& path) {
        const auto where = "unix socket " + path.string();
        if (path.string().size() >= sizeof(sockaddr_un::sun_path))
            throw std::runtime_error("cannot listen on " + where + ": the path is too long");
        remove_stale(path, where);
        error_code error;
        local_.emplace(lanes_.front()->context());
        local_->open(local::endpoint(path.string()).protocol(), error);
        // Set before bind, the mode is the file's from its first moment.
        if (!error && ::fchmod(local_->native_handle(), 0600) != 0) error = error_code(errno, boost::system::system_category());
        if (!error) local_->bind(local::endpoint(path.string()), error);
        if (!error) local_->listen(local::acceptor::max_listen_connections, error);
        if (error) cannot_listen(where, error);
        accept_unix();
    }
    // What a killed process left is removed; a socket that answers, or any other file, is not.
    void remove_stale(const std::filesystem::path& path, const std::string& where) {
        const auto kind = std::filesystem::symlink_status(path).type();
        if (kind == std::filesystem::file_type::not_found) return;
        if (kind != std::filesystem::file_type::socket)
            throw std::runtime_error("cannot listen on " + where + ": a file of that name is there");
        local::socket probe(lanes_.front()->context());
        error_code error;
        probe.connect(local::endpoint(path.string()), error);
        if (!error) throw std::runtime_error("cannot listen on " + where + ": another process listens there");
        std::filesystem::remove(path);
    }

    void accept_tcp() {
        const auto& to = lanes_[next_++ % lanes_.size()];
        tcp_->async_accept(to->context(), [this, to](error_code error, asio::basic_stream_socket<tcp, executor> socket) {
            if (error) return retry(error, [this] { accept_tcp(); });
            error_code gone; // a peer that left already is found out by the first read
            const auto from = socket.remote_endpoint(gone).address();
            socket.set_option(tcp::no_delay(true), gone);
            if (!gone) admit(to, plain_socket(std::move(socket)), from.to_string(), peer_key(from));
            accept_tcp();
        });
    }
    void accept_unix() {
        const auto& to = lanes_[next_++ % lanes_.size()];
        local_->async_accept(to->context(), [this, to](error_code error, asio::basic_stream_socket<local, executor> socket) {
            if (error) return retry(error, [this] { accept_unix(); });
            admit(to, plain_socket(std::move(socket)), "unix", "unix");
            accept_unix();
        });
    }
    // Out of file descriptors, mostly: what is open goes on, and a moment later there may be room.
    template <class F>
    void retry(error_code error, F again) {
        if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) return;
        ++door_->count.refused;
        pause_.expires_after(std::chrono::milliseconds(50));
        pause_.async_wait([again](error_code stopped) {
            if (!stopped) again();
        });
    }
    void admit(const std::shared_ptr<lane>& to, plain_socket socket, std::string peer, const std::string& key) {
        auto place = slot::take(door_, key);
        if (!place) {
            ++door_->count.refused;
            return; // closes it
        }
        ++door_->count.accepted;
        std::shared_ptr<connection> made;
        if (tls_) made = std::make_shared<lobby>(to, door_, std::move(place), std::move(peer), std::move(socket), *tls_);
        else made = std::make_shared<session<plain_socket>>(to, door_, std::move(place), std::move(peer), std::move(socket));
        if (to->here()) return to->admit(std::move(made));
        to->post([to, made = std::move(made)]() mutable { to->admit(std::move(made)); });
    }

    std::shared_ptr<door> door_;
    std::optional<asio::ssl::context> tls_;
    std::vector<std::shared_ptr<lane>> lanes_;
    std::optional<asio::basic_socket_acceptor<tcp, executor>> tcp_;
    std::optional<asio::basic_socket_acceptor<local, executor>> local_;
    asio::steady_timer pause_;
    std::size_t next_ = 0;
    std::uint16_t port_ = 0;
};

server::server(server_options o, handler h) : impl_(std::make_shared<impl>(std::move(o), std::move(h))) {}
server::~server() = default;
std::uint16_t server::port() const { return impl_->port(); }
counters server::so_far() const { return impl_->so_far(); }

} // namespace souk::http
