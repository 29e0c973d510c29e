#include <souk/backends/tunnel/broker.hpp>

#include <algorithm>
#include <stdexcept>
#include <thread>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/basic_socket_acceptor.hpp>

#include <souk/backends/tunnel/name_certificates.hpp>
#include <souk/backends/tunnel/visitor.hpp>

namespace souk::tunnel {

using namespace std::chrono_literals;

namespace {

constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);
using acceptor = asio::basic_socket_acceptor<tcp, strand>;

std::shared_ptr<asio::ssl::context> make_tls(const broker_options& o) {
    auto tls = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
    tls->set_options(asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1 | SSL_OP_NO_RENEGOTIATION | asio::ssl::context::no_compression);
    SSL_CTX_set_session_cache_mode(tls->native_handle(), SSL_SESS_CACHE_OFF); // a session is resumed from its ticket; those without would be kept here
    tls->use_certificate_chain_file(o.certificate.string());
    tls->use_private_key_file(o.key.string(), asio::ssl::context::pem);
    // A client that offers h2 beside http/1.1 gets what is spoken here.
    SSL_CTX_set_alpn_select_cb(tls->native_handle(), [](SSL*, const unsigned char** out, unsigned char* n, const unsigned char* in, unsigned size, void*) {
        static const unsigned char ours[] = "\x08http/1.1";
        unsigned char* chosen = nullptr;
        const int rc = SSL_select_next_proto(&chosen, n, ours, sizeof ours - 1, in, size);
        *out = chosen;
        return rc == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
    }, nullptr);
    return tls;
}

} // namespace

class broker::impl {
public:
    explicit impl(broker_options o)
        : engine_(std::move(o)), work_(asio::make_work_guard(*engine_.io)), tls_(make_tls(engine_.options)),
          ssh_(asio::make_strand(*engine_.io)), https_(asio::make_strand(*engine_.io)) {
        if (!engine_.options.names_authority.empty()) {
            names_ = std::make_unique<name_certificates>(engine_.options.names_authority, engine_.options.domain);
            names_->serve(tls_->native_handle());
        }
        listen(ssh_, engine_.options.ssh_port);
        listen(https_, engine_.options.https_port);
        ssh_port = ssh_.local_endpoint().port();
        https_port = https_.local_endpoint().port();
        asio::co_spawn(ssh_.get_executor(), [this] { return accept_machines(); }, asio::detached);
        asio::co_spawn(https_.get_executor(), [this] { return accept_visitors(); }, asio::detached);
        for (unsigned i = 0; i < std::max(1u, engine_.options.threads); ++i)
            threads_.emplace_back([this] {
                engine_.dog.run_watched([this] {
                    watch_packet_sizes();
                    engine_.io->run();
                });
            });
    }

    ~impl() {
        asio::post(ssh_.get_executor(), [this] { close(ssh_); });
        asio::post(https_.get_executor(), [this] { close(https_); });
        std::set<std::shared_ptr<session>> open;
        {
            std::lock_guard lock{engine_.sessions_mutex};
            engine_.closing = true;
            open = engine_.sessions;
        }
        for (const auto& s : open) s->close_if([](const session&) { return true; }, "the broker closes");
        open.clear();
        {
            std::lock_guard lock{visits_mutex_};
            closing_ = true;
            for (const auto& weak : visits_)
                if (const auto v = weak.lock()) v->abort();
        }
        work_.reset(); // the threads end when nothing is left to do
        threads_.clear();
    }

    void close_account(const std::string& did) {
        std::lock_guard lock{engine_.sessions_mutex};
        for (const auto& s : engine_.sessions) s->close_if([did](const session& one) { return one.did() == did; }, "its grant was withdrawn");
    }

    engine engine_;
    std::uint16_t ssh_port = 0, https_port = 0;

private:
    void listen(acceptor& a, std::uint16_t port) {
        const tcp::endpoint at(asio::ip::make_address(engine_.options.address), port);
        error_code e;
        a.open(at.protocol());
        a.set_option(acceptor::reuse_address(true));
        a.bind(at, e);
        if (!e) a.listen(1024, e);
        if (e) throw std::runtime_error("tunnel: cannot listen on " + engine_.options.address + ':' + std::to_string(port) + ": " + e.message());
    }
    static void close(acceptor& a) {
        error_code e;
        a.close(e);
    }

    // Out of descriptors or memory: a moment's rest instead of a loop.
    static asio::awaitable<void> rest(strand on) {
        asio::steady_timer timer(on, 100ms);
        co_await timer.async_wait(no_throw);
    }

    asio::awaitable<void> accept_machines() {
        while (ssh_.is_open()) {
            auto [e, s] = co_await ssh_.async_accept(asio::make_strand(*engine_.io), no_throw);
            if (e) {
                if (ssh_.is_open()) co_await rest(ssh_.get_executor());
                continue;
            }
            error_code gone;
            const auto peer = s.remote_endpoint(gone).address().to_string();
            const auto way = gone ? antechamber::entrance{} : engine_.pending.enter(peer);
            if (way.gives_way) way.gives_way->close_if([](const session& x) { return x.did().empty(); }, "others wait to log in");
            if (way.place == 0) {
                ++engine_.count.refused_logins;
                continue;
            }
            const auto on = s.get_executor();
            const auto one = std::make_shared<session>(engine_, std::move(s), way.place);
            engine_.pending.seat(way.place, one);
            asio::post(on, [one] { one->start(); });
        }
    }

    asio::awaitable<void> accept_visitors() {
        while (https_.is_open()) {
            auto [e, s] = co_await https_.async_accept(asio::make_strand(*engine_.io), no_throw);
            if (e) {
                if (https_.is_open()) co_await rest(https_.get_executor());
                continue;
            }
            error_code gone;
            const auto from = s.remote_endpoint(gone);
            if (gone || !has_place(from.address().to_string())) {
                ++engine_.count.refused_visitors;
                continue;
            }
            const auto on = s.get_executor();
            const auto v = std::make_shared<visitor>(engine_, std::move(s), tls_, from);
            remember(v);
            asio::post(on, [v] { v->start(); });
        }
    }

    // When all places are taken, the address that holds most of them gives up the oldest who waits for nothing.
    bool has_place(const std::string& address) {
        if (engine_.visitors.enter(address)) return true;
        const auto most = engine_.visitors.gives_way_to(address);
        if (most.empty()) return false;
        std::lock_guard lock{visits_mutex_};
        for (const auto& weak : visits_) {
            const auto v = weak.lock();
            if (!v || v->from().address().to_string() != most || !v->gives_way()) continue;
            v->abort();
            ++engine_.count.refused_visitors;
            engine_.visitors.enter_instead(address);
            return true;
        }
        return false;
    }

    void remember(const std::shared_ptr<visitor>& v) {
        std::lock_guard lock{visits_mutex_};
        if (++since_swept_ > visits_.size() / 2 + 64) {
            std::erase_if(visits_, [](const auto& weak) { return weak.expired(); });
            since_swept_ = 0;
        }
        visits_.push_back(v);
        if (closing_) v->abort();
    }

    asio::executor_work_guard<asio::io_context::executor_type> work_;
    std::unique_ptr<name_certificates> names_; // used by the context
    std::shared_ptr<asio::ssl::context> tls_;
    acceptor ssh_, https_;
    std::mutex visits_mutex_;
    std::vector<std::weak_ptr<visitor>> visits_;
    std::size_t since_swept_ = 0;
    bool closing_ = false;
    std::vector<std::jthread> threads_;
};

broker::broker(broker_options o) : impl_(std::make_shared<impl>(std::move(o))) {}
broker::~broker() = default;
std::uint16_t broker::ssh_port() const { return impl_->ssh_port; }
std::uint16_t broker::https_port() const { return impl_->https_port; }
std::string broker::host_key() const { return impl_->engine_.host_key; }
void broker::close_account(const std::string& did) { impl_->close_account(did); }

broker_counters broker::so_far() const {
    const auto& c = impl_->engine_.count;
    return {c.logins, c.refused_logins, c.tunnels, c.visitors, c.refused_visitors, c.bytes_up, c.bytes_down};
}

} // namespace souk::tunnel
