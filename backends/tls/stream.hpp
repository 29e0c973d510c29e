// Internal. The server's end of a TLS connection, as asio and Beast use a stream. OpenSSL works on the socket itself: asio's own stream keeps
// 68 KiB of buffers a connection beside OpenSSL's for as long as it lives, which is most of what ten thousand idle ones would cost.
#pragma once
#include <array>
#include <memory>
#include <optional>

#include <boost/asio/buffer.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/beast/core/role.hpp>
#include <openssl/ssl.h>

namespace souk::tls {

namespace asio = boost::asio;
using boost::system::error_code;

namespace internal {

struct free_ssl {
    void operator()(SSL* s) const { SSL_free(s); }
};
using ssl = std::unique_ptr<SSL, free_ssl>;

enum class wish { none, readable, writable }; // before it can go on
struct outcome {
    wish next = wish::none;
    error_code error;
    std::size_t size = 0;
};

ssl serve(SSL_CTX*, int descriptor); // throws std::runtime_error
outcome shake_hands(SSL*);
outcome read(SSL*, void*, std::size_t);
outcome write(SSL*, const void*, std::size_t);
outcome shut_down(SSL*); // both ways

constexpr std::size_t gathered = 4096; // a frame's head goes with what follows it, not in a record of its own

} // namespace internal

// Whether all of a peer's first record has come, so that TLS has something to do: until then it is kept by the kernel alone. If not, the socket is
// told to be readable when it has. True too where the answer can only be a refusal. `asked` is this function's, 0 at first.
bool first_record_is_here(int descriptor, int& asked);

// One reading and one writing operation at a time, all on one strand, as with any of asio's streams.
template <class Socket>
class stream {
public:
    using next_layer_type = Socket;
    using executor_type = typename Socket::executor_type;

    stream(Socket s, SSL_CTX* context) : next_(std::move(s)), ssl_(internal::serve(context, next_.native_handle())) {}

    Socket& next_layer() { return next_; }
    const Socket& next_layer() const { return next_; }
    executor_type get_executor() { return next_.get_executor(); }

    template <class Token>
    auto async_handshake(Token&& done) {
        return run<void(error_code)>([s = ssl_.get()] { return internal::shake_hands(s); }, done);
    }
    template <class Token>
    auto async_shutdown(Token&& done) {
        return run<void(error_code)>([s = ssl_.get()] { return internal::shut_down(s); }, done);
    }
    template <class Buffers, class Token>
    auto async_read_some(const Buffers& into, Token&& done) {
        const auto to = first_of<asio::mutable_buffer>(into);
        return run<void(error_code, std::size_t)>([s = ssl_.get(), to] { return internal::read(s, to.data(), to.size()); }, done);
    }
    template <class Buffers, class Token>
    auto async_write_some(const Buffers& from, Token&& done) {
        return run<void(error_code, std::size_t)>([s = ssl_.get(), from] { return write(s, from); }, done);
    }

private:
    template <class Buffer, class Buffers>
    static Buffer first_of(const Buffers& all) {
        for (auto at = asio::buffer_sequence_begin(all); at != asio::buffer_sequence_end(all); ++at)
            if (const Buffer b(*at); b.size()) return b;
        return {};
    }
    // Asked again, OpenSSL wants at least as much as before, from wherever it is now: the same is gathered again.
    template <class Buffers>
    static internal::outcome write(SSL* s, const Buffers& all) {
        const auto first = first_of<asio::const_buffer>(all);
        if (first.size() >= internal::gathered || first.size() == asio::buffer_size(all)) return internal::write(s, first.data(), first.size());
        std::array<char, internal::gathered> some;
        return internal::write(s, some.data(), asio::buffer_copy(asio::buffer(some), all));
    }

    template <class Step>
    struct operation {
        stream& on;
        Step step;
        std::optional<internal::outcome> ended;

        template <class Self>
        void operator()(Self& self, error_code waited) {
            if (waited) return finish(self, {internal::wish::none, waited, 0});
            const auto now = step();
            if (now.next == internal::wish::readable) return on.next_.async_wait(asio::socket_base::wait_read, std::move(self));
            if (now.next == internal::wish::writable) return on.next_.async_wait(asio::socket_base::wait_write, std::move(self));
            finish(self, now);
        }
        template <class Self>
        void operator()(Self& self) { // at first, and when what ended at once is told: not from within the call that began it
            if (ended) return finish(self, *ended);
            const auto now = step();
            if (now.next == internal::wish::readable) return on.next_.async_wait(asio::socket_base::wait_read, std::move(self));
            if (now.next == internal::wish::writable) return on.next_.async_wait(asio::socket_base::wait_write, std::move(self));
            ended = now;
            auto where = on.get_executor();
            asio::post(where, std::move(self));
        }
        template <class Self>
        static void finish(Self& self, const internal::outcome& o) {
            if constexpr (requires { self.complete(o.error, o.size); }) self.complete(o.error, o.size);
            else self.complete(o.error);
        }
    };
    template <class Signature, class Step, class Token>
    auto run(Step step, Token& done) {
        return asio::async_compose<Token, Signature>(operation<Step>{*this, std::move(step), {}}, done, next_);
    }

    Socket next_;
    internal::ssl ssl_;
};

// What Beast's WebSocket does with the stream below it when it is over.
template <class Socket, class Done>
void async_teardown(boost::beast::role_type, stream<Socket>& s, Done&& done) {
    s.async_shutdown(std::forward<Done>(done));
}

} // namespace souk::tls
