#include <souk/backends/tls/stream.hpp>

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>

#include <souk/backends/tls/openssl.hpp>

namespace souk::tls::internal {

namespace {

// OpenSSL's own would raise SIGPIPE, and waits where the socket does.
int send_some(BIO* b, const char* data, std::size_t size, std::size_t* sent) {
    BIO_clear_retry_flags(b);
    const auto n = ::send(static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(b))), data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(b);
    *sent = n > 0 ? static_cast<std::size_t>(n) : 0;
    return n > 0;
}
int receive_some(BIO* b, char* data, std::size_t size, std::size_t* got) {
    BIO_clear_retry_flags(b);
    const auto n = ::recv(static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(b))), data, size, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(b);
    if (n == 0) errno = 0;
    *got = n > 0 ? static_cast<std::size_t>(n) : 0;
    return n > 0;
}
long control(BIO*, int what, long, void*) { return what == BIO_CTRL_FLUSH; }

const BIO_METHOD* on_socket() {
    static const auto made = [] {
        std::unique_ptr<BIO_METHOD, freed<BIO_meth_free>> m(must(BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "souk's socket"), "BIO"));
        BIO_meth_set_write_ex(m.get(), send_some);
        BIO_meth_set_read_ex(m.get(), receive_some);
        BIO_meth_set_ctrl(m.get(), control);
        return m;
    }();
    return made.get();
}

template <class Call>
outcome ask(SSL* s, Call call) {
    ERR_clear_error(); // another connection's, on this thread
    std::size_t size = 0;
    errno = 0;
    const int good = call(&size);
    if (good > 0) return {wish::none, {}, size};
    switch (SSL_get_error(s, good)) {
    case SSL_ERROR_WANT_READ: return {wish::readable, {}, 0};
    case SSL_ERROR_WANT_WRITE: return {wish::writable, {}, 0};
    case SSL_ERROR_ZERO_RETURN: return {wish::none, asio::error::eof, 0};
    case SSL_ERROR_SYSCALL:
        if (errno != 0) return {wish::none, error_code(errno, boost::system::system_category()), 0};
        return {wish::none, asio::ssl::error::stream_truncated, 0};
    default: {
        const auto why = ERR_get_error();
        ERR_clear_error();
        if (ERR_GET_REASON(why) == SSL_R_UNEXPECTED_EOF_WHILE_READING) return {wish::none, asio::ssl::error::stream_truncated, 0};
        return {wish::none, error_code(static_cast<int>(why), asio::error::get_ssl_category()), 0};
    }
    }
}

} // namespace

ssl serve(SSL_CTX* context, int descriptor) {
    ssl made(must(SSL_new(context), "TLS"));
    BIO* wire = must(BIO_new(on_socket()), "BIO");
    BIO_set_data(wire, reinterpret_cast<void*>(static_cast<std::intptr_t>(descriptor)));
    BIO_set_init(wire, 1);
    SSL_set_bio(made.get(), wire, wire);
    SSL_set_accept_state(made.get());
    // Its buffers live for as long as there is something in them.
    SSL_set_mode(made.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return made;
}

outcome shake_hands(SSL* s) {
    return ask(s, [&](std::size_t*) { return SSL_do_handshake(s); });
}
outcome read(SSL* s, void* into, std::size_t most) {
    if (most == 0) return {};
    return ask(s, [&](std::size_t* got) { return SSL_read_ex(s, into, most, got); });
}
outcome write(SSL* s, const void* from, std::size_t size) {
    if (size == 0) return {};
    return ask(s, [&](std::size_t* sent) { return SSL_write_ex(s, from, size, sent); });
}
outcome shut_down(SSL* s) {
    if (!SSL_is_init_finished(s)) return {wish::none, asio::ssl::error::stream_truncated, 0}; // there is nothing to shut down
    const auto ours = ask(s, [&](std::size_t*) {
        const int n = SSL_shutdown(s);
        return n == 0 ? SSL_shutdown(s) : n; // said; now the other's
    });
    return ours;
}

} // namespace souk::tls::internal

namespace souk::tls {

bool first_record_is_here(int descriptor, int& asked) {
    constexpr int head_bytes = 5, largest = 16'384;
    std::array<unsigned char, head_bytes> head{};
    const auto n = ::recv(descriptor, head.data(), head.size(), MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    int there = 0;
    if (n > 0 && head[0] == SSL3_RT_HANDSHAKE && ::ioctl(descriptor, FIONREAD, &there) == 0) {
        const int need = head_bytes + (n < head_bytes ? 0 : head[3] * 256 + head[4]);
        // Readable with less than was asked for: the other side has ended, or the kernel has no more room.
        if (there < need && need <= head_bytes + largest && asked < need) {
            asked = need;
            return ::setsockopt(descriptor, SOL_SOCKET, SO_RCVLOWAT, &need, sizeof need) != 0;
        }
    }
    const int any = 1;
    if (asked) ::setsockopt(descriptor, SOL_SOCKET, SO_RCVLOWAT, &any, sizeof any);
    return true;
}

} // namespace souk::tls
