#include <thread>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <openssl/rand.h>

#include <souk/backends/http/address_guard.hpp>
#include <souk/backends/http/client.hpp>
#include <souk/backends/http/url.hpp>

namespace souk::http {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds connect_within{10'000}, handshake_within{15'000}, silent_for{60'000}; // a ping goes out at half of that
constexpr milliseconds first_delay{500}, longest_delay{30'000};

// "address:port" of the hosts map; brackets around IPv6.
std::optional<tcp::endpoint> numeric(const std::string& text) {
    const auto colon = text.rfind(':');
    if (colon == text.npos) return std::nullopt;
    auto host = text.substr(0, colon);
    if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
    error_code bad;
    const auto address = asio::ip::make_address(host, bad);
    const auto port = std::strtoul(text.c_str() + colon + 1, nullptr, 10);
    if (bad || port == 0 || port > 65535) return std::nullopt;
    return tcp::endpoint(address, static_cast<std::uint16_t>(port));
}

// Half to all of it, so that the watchers of a host that went down do not come back as one.
milliseconds jittered(milliseconds delay) {
    std::uint16_t random = 0;
    RAND_bytes(reinterpret_cast<unsigned char*>(&random), sizeof random);
    return delay / 2 + milliseconds(delay.count() / 2 * random / 65535);
}

} // namespace

class stream_client::impl {
public:
    impl(client_options o, events e, std::size_t largest) : options_(std::move(o)), events_(std::move(e)), largest_(largest) {
        SSL_CTX_set_min_proto_version(tls_.native_handle(), TLS1_2_VERSION);
        tls_.set_default_verify_paths();
        if (!options_.ca_file.empty()) {
            error_code error;
            tls_.load_verify_file(options_.ca_file.string(), error);
            if (error) throw std::runtime_error("cannot read the certificates in " + options_.ca_file.string());
        }
        tls_.set_verify_mode(asio::ssl::verify_peer);
        asio::co_spawn(context_, live(), asio::detached);
        thread_ = std::thread([this] { context_.run(); });
    }
    ~impl() {
        context_.stop();
        thread_.join();
    }

private:
    asio::awaitable<void> live() {
        auto delay = first_delay;
        asio::steady_timer timer(context_);
        for (;;) {
            heard_ = false;
            const std::string why = co_await connect_and_read();
            if (heard_) delay = first_delay;
            tell(false, why);
            timer.expires_after(jittered(delay));
            error_code ignored; // nobody cancels it
            co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
            delay = std::min(delay * 2, longest_delay);
        }
    }
    void tell(bool up, const std::string& why) {
        if (events_.state) events_.state(up, why);
    }

    // Returns why it ended.
    asio::awaitable<std::string> connect_and_read() {
        const auto url = internal::parse_url(events_.url());
        if (!url) co_return url.error().code + ": " + url.error().text;
        std::vector<tcp::endpoint> to;
        const std::string unresolved = co_await resolve(*url, to);
        if (!unresolved.empty()) co_return unresolved;
        const bool secure = url->scheme == "wss" || url->scheme == "https";
        if (!secure) {
            websocket::stream<beast::tcp_stream> ws(context_);
            const std::string failed = co_await connect(ws.next_layer(), to);
            if (!failed.empty()) co_return failed;
            co_return co_await converse(ws, *url);
        }
        websocket::stream<beast::ssl_stream<beast::tcp_stream>> ws(context_, tls_);
        const std::string failed = co_await connect(ws.next_layer().next_layer(), to);
        if (!failed.empty()) co_return failed;
        const std::string untrusted = co_await shake_hands(ws.next_layer(), url->host);
        if (!untrusted.empty()) co_return untrusted;
        co_return co_await converse(ws, *url);
    }
    asio::awaitable<std::string> resolve(const internal::url_parts& url, std::vector<tcp::endpoint>& into) {
        if (const auto at = options_.hosts.find(url.host); at != options_.hosts.end()) {
            const auto mapped = numeric(at->second);
            if (!mapped) co_return "the hosts map has no address:port for " + url.host;
            into.push_back(*mapped);
            co_return std::string();
        }
        error_code error;
        tcp::resolver resolver(context_);
        const auto found =
            co_await resolver.async_resolve(url.host, std::to_string(url.port), asio::redirect_error(asio::use_awaitable, error));
        if (error) co_return "http_unreachable: " + error.message();
        for (const auto& one : found)
            if (options_.allow_private || !internal::is_private(*one.endpoint().data())) into.push_back(one.endpoint());
        if (into.empty()) co_return "private_address: the host's address is a private one, and those are not called";
        co_return std::string();
    }
    // To exactly the addresses that were judged.
    asio::awaitable<std::string> connect(beast::tcp_stream& socket, const std::vector<tcp::endpoint>& to) {
        error_code error;
        socket.expires_after(connect_within);
        co_await socket.async_connect(to, asio::redirect_error(asio::use_awaitable, error));
        if (error) co_return "http_unreachable: " + error.message();
        socket.socket().set_option(tcp::no_delay(true), error);
        socket.expires_never(); // from here the WebSocket's own limits hold
        co_return std::string();
    }
    asio::awaitable<std::string> shake_hands(beast::ssl_stream<beast::tcp_stream>& tls, const std::string& host) {
        error_code error, not_an_ip;
        asio::ip::make_address(host, not_an_ip);
        if (not_an_ip && SSL_set_tlsext_host_name(tls.native_handle(), host.c_str()) != 1) co_return "bad_url: no name for TLS";
        tls.set_verify_callback(asio::ssl::host_name_verification(host));
        beast::get_lowest_layer(tls).expires_after(handshake_within);
        co_await tls.async_handshake(asio::ssl::stream_base::client, asio::redirect_error(asio::use_awaitable, error));
        if (error) co_return "http_unreachable: " + error.message();
        beast::get_lowest_layer(tls).expires_never();
        co_return std::string();
    }
    template <class Socket>
    asio::awaitable<std::string> converse(websocket::stream<Socket>& ws, const internal::url_parts& url) {
        ws.set_option(websocket::stream_base::timeout{handshake_within, silent_for, true});
        ws.read_message_max(largest_);
        error_code error;
        co_await ws.async_handshake(url.authority(), url.target, asio::redirect_error(asio::use_awaitable, error));
        if (error) co_return "http_unreachable: " + error.message();
        tell(true, {});
        beast::flat_buffer buffer;
        for (;;) {
            co_await ws.async_read(buffer, asio::redirect_error(asio::use_awaitable, error));
            if (error)
                co_return "http_broken: " +
                    (ws.reason().reason.empty() ? error.message() : std::string(ws.reason().reason.c_str()));
            heard_ = true;
            std::string text(static_cast<const char*>(buffer.data().data()), buffer.size());
            buffer.clear();
            events_.message(std::move(text));
        }
    }

    const client_options options_;
    const events events_;
    const std::size_t largest_;
    asio::io_context context_{1};
    asio::ssl::context tls_{asio::ssl::context::tls_client};
    bool heard_ = false; // this connection was good for something
    std::thread thread_;
};

stream_client::stream_client(client_options o, events e, std::size_t largest)
    : impl_(std::make_unique<impl>(std::move(o), std::move(e), largest)) {}
stream_client::~stream_client() = default;

} // namespace souk::http
