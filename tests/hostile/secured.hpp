// Strangers who speak TLS: they complete the handshake, or get stuck in it, and then say what they have to say and no more.
#pragma once
#include <fcntl.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include <deque>
#include <memory>
#include <vector>

#include "fort.hpp"

namespace hostile {

class secured {
public:
    struct habit {
        bool half_hello = false, hello_only = false; // the handshake is not gone on with
        std::string says;                            // when it is done
        bool drips = false;                          // and then a byte a second
    };
    struct manner {
        std::function<habit(std::size_t)> of; // the how-manieth
        int receives = 0;                     // bytes of the kernel's memory; 0: as usual
    };

    secured(std::uint16_t port, std::size_t n, manner m) : port_(port), manner_(std::move(m)), context_(SSL_CTX_new(TLS_client_method())), hello_(make_hello()) {
        // Some may believe that they are connected whom the listener's queue had no place for.
        const auto give_up = steady::now() + patience / 2;
        std::deque<std::size_t> busy; // with the handshake: so many at once as the listener's queue has places for
        for (std::size_t i = 0; (i < n || !busy.empty()) && steady::now() < give_up;) {
            for (; i < n && busy.size() < 256; ++i) {
                all_.push_back(connected(i));
                const auto h = manner_.of(i);
                if (h.half_hello) say(all_[i].fd, hello_.substr(0, 100));
                else if (h.hello_only) say(all_[i].fd, hello_);
                else busy.push_back(i);
            }
            const auto idle = busy.size();
            std::size_t moved = 0;
            for (std::size_t k = 0; k < idle; ++k) {
                const auto which = busy.front();
                busy.pop_front();
                auto& one = all_[which];
                const int r = SSL_connect(one.ssl.get());
                if (r == 1) ++moved, ++completed_, begin(one, manner_.of(which));
                else if (const auto why = SSL_get_error(one.ssl.get(), r); why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) busy.push_back(which);
                else ++moved, end(one);
            }
            if (moved == 0) ::usleep(1'000); // it is the node's turn
        }
    }
    secured(const secured&) = delete;
    ~secured() {
        for (auto& one : all_) end(one);
    }
    std::size_t completed() const { return completed_; }
    // Those whom the node has not cut off. Nobody reads who `never_reads`: he finds out by his own drip, or by the kernel's word.
    std::size_t left(bool never_reads = false) {
        const bool drip = steady::now() - dripped_ > 1s;
        if (drip) dripped_ = steady::now();
        std::size_t n = 0;
        for (auto& one : all_) {
            if (one.fd < 0) continue;
            if (drip && one.drips && SSL_write(one.ssl.get(), "x", 1) != 1) end(one);
            pollfd p{one.fd, static_cast<short>(never_reads ? POLLRDHUP : POLLIN | POLLRDHUP), 0};
            if (one.fd >= 0 && ::poll(&p, 1, 0) > 0) {
                char part[4096];
                if (p.revents & (POLLERR | POLLHUP | POLLRDHUP)) end(one);
                else if (const auto k = ::recv(one.fd, part, sizeof part, MSG_DONTWAIT); k == 0 || (k < 0 && errno != EAGAIN)) end(one);
            }
            n += one.fd >= 0;
        }
        return n;
    }

private:
    struct free_ssl {
        void operator()(SSL* s) const { SSL_free(s); }
        void operator()(SSL_CTX* c) const { SSL_CTX_free(c); }
    };
    struct stranger {
        int fd = -1;
        std::unique_ptr<SSL, free_ssl> ssl; // while he needs it
        bool drips = false;
    };

    static void say(int fd, const std::string& bytes) { (void)!::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT); }
    static void end(stranger& one) {
        one.ssl.reset();
        if (one.fd >= 0) ::close(one.fd);
        one.fd = -1;
    }
    stranger connected(std::size_t i) {
        stranger one;
        const auto h = manner_.of(i);
        const bool stuck = h.half_hello || h.hello_only; // he speaks at once, and so waits until he is connected
        one.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | (stuck ? 0 : SOCK_NONBLOCK), 0);
        REQUIRE(one.fd >= 0);
        if (manner_.receives) ::setsockopt(one.fd, SOL_SOCKET, SO_RCVBUF, &manner_.receives, sizeof manner_.receives);
        const auto from = at(0x7f000100u + 1u + static_cast<std::uint32_t>(i % addresses), 0), to = at(INADDR_LOOPBACK, port_);
        REQUIRE(::bind(one.fd, reinterpret_cast<const sockaddr*>(&from), sizeof from) == 0);
        (void)::connect(one.fd, reinterpret_cast<const sockaddr*>(&to), sizeof to);
        if (stuck) return one;
        one.ssl.reset(SSL_new(context_.get()));
        SSL_set_fd(one.ssl.get(), one.fd);
        return one;
    }
    static void begin(stranger& one, const habit& h) {
        if (!h.says.empty()) SSL_write(one.ssl.get(), h.says.data(), static_cast<int>(h.says.size()));
        one.drips = h.drips;
        if (h.drips) return;
        SSL_set_quiet_shutdown(one.ssl.get(), 1);
        one.ssl.reset(); // silent from now on: ten thousand of these would cost this process more than the node
    }
    std::string make_hello() {
        const std::unique_ptr<SSL, free_ssl> s(SSL_new(context_.get()));
        BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
        SSL_set_bio(s.get(), in, out);
        SSL_connect(s.get());
        char* data = nullptr;
        const auto size = BIO_get_mem_data(out, &data);
        return {data, static_cast<std::size_t>(size)};
    }

    const std::uint16_t port_;
    const manner manner_;
    std::unique_ptr<SSL_CTX, free_ssl> context_;
    const std::string hello_;
    std::vector<stranger> all_;
    std::size_t completed_ = 0;
    steady::time_point dripped_ = steady::now();
};

} // namespace hostile
