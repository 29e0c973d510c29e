// Those who come to a node's port: with nothing, with a certificate, or as a member who speaks BASP by hand.
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <caf/binary_serializer.hpp>
#include <caf/scoped_execution_unit.hpp>

#include "hosts.hpp"

namespace hosts {

class stranger {
public:
    explicit stranger(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        const timeval t{30, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
        ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t);
        sockaddr_in to{};
        to.sin_family = AF_INET, to.sin_port = htons(port), to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        connected_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
    }
    ~stranger() {
        if (fd_ >= 0) ::close(fd_);
    }
    stranger(stranger&& o) noexcept : fd_(std::exchange(o.fd_, -1)), connected_(o.connected_) {}
    stranger(const stranger&) = delete;

    void say(const std::string& bytes) const { (void)!::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }
    bool hears_the_end() const { // reads until the other side closes; false: it did not in time
        char part[4096];
        for (;;) {
            const auto n = ::recv(fd_, part, sizeof part, 0);
            if (n > 0) continue;
            return n == 0 || errno == ECONNRESET;
        }
    }
    int fd() const { return fd_; }
    bool connected() const { return connected_; }

private:
    int fd_;
    bool connected_ = false;
};

struct free_ssl {
    void operator()(SSL* s) const { SSL_free(s); }
    void operator()(SSL_CTX* c) const { SSL_CTX_free(c); }
};

// TLS with whatever certificate. The server's is not looked at.
class tls_stranger {
public:
    tls_stranger(std::uint16_t port, const fs::path& certificate, const fs::path& key, int newest = TLS1_3_VERSION) : tcp_(port), context_(SSL_CTX_new(TLS_method())) {
        if (!certificate.empty()) {
            SSL_CTX_use_certificate_chain_file(context_.get(), certificate.c_str());
            SSL_CTX_use_PrivateKey_file(context_.get(), key.c_str(), SSL_FILETYPE_PEM);
        }
        SSL_CTX_set_max_proto_version(context_.get(), newest);
        tls_.reset(SSL_new(context_.get()));
        SSL_set_fd(tls_.get(), tcp_.fd());
        shaken_ = SSL_connect(tls_.get()) == 1;
    }
    bool shaken() const { return shaken_; } // on our side: TLS 1.3's client is done before the server has judged it
    void say(const std::string& bytes) { SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size())); }
    std::string hear(std::size_t n) { // "" when it ends before
        std::string all;
        while (all.size() < n) {
            char part[4096];
            const int k = SSL_read(tls_.get(), part, static_cast<int>(std::min(n - all.size(), sizeof part)));
            if (k <= 0) return {};
            all.append(part, static_cast<std::size_t>(k));
        }
        return all;
    }
    bool hears_the_end() {
        char part[4096];
        for (;;) {
            const int n = SSL_read(tls_.get(), part, sizeof part);
            if (n > 0) continue;
            const int kind = SSL_get_error(tls_.get(), n);
            ERR_clear_error();
            if (kind == SSL_ERROR_SYSCALL && errno == EAGAIN) return false;
            return tcp_.hears_the_end(); // the alert comes first, the refusal is counted before the end
        }
    }

private:
    stranger tcp_;
    std::unique_ptr<SSL_CTX, free_ssl> context_;
    std::unique_ptr<SSL, free_ssl> tls_;
    bool shaken_ = false;
};

// -- BASP by hand -------------------------------------------------------------------------------------------------------------

inline std::string number(std::uint64_t x, std::size_t bytes) {
    std::string out;
    while (bytes-- > 0) out += static_cast<char>(x >> (8 * bytes));
    return out;
}
struct frame {
    std::uint8_t operation = 0, flags = 0;
    std::string payload = {};
    std::uint64_t data = 0, source = 0, destination = 0;
    std::optional<std::uint32_t> claimed = {}; // instead of the payload's true length

    std::string bytes() const {
        return number(operation, 1) + number(0, 2) + number(flags, 1) + number(claimed ? *claimed : payload.size(), 4) + number(data, 8) + number(source, 8) +
               number(destination, 8) + payload;
    }
};
inline std::string node_id_bytes(std::uint32_t process, char host) {
    return number(static_cast<std::uint64_t>(caf::atom("default")), 8) + number(process, 4) + std::string(20, host);
}

// Serialises as CAF would.
template <class... Ts>
std::string serialised(caf::actor_system& sys, const Ts&... xs) {
    caf::scoped_execution_unit unit(&sys);
    std::vector<char> out;
    caf::binary_serializer sink(&unit, out);
    if (auto err = sink(xs...)) throw std::runtime_error(caf::to_string(err));
    return {out.begin(), out.end()};
}

// A member of the cluster, as far as its certificate goes.
class raw_member : public tls_stranger {
public:
    raw_member(authority& ca, const std::string& certificate_of, std::uint16_t port, const std::string& own_id = node_id_bytes(4711, 'x'))
        : tls_stranger(port, ca.options(certificate_of).certificate, ca.options(certificate_of).key), id(own_id) {
        say(frame{1, 0, id}.bytes());
        const auto head = hear(32);
        if (head.empty()) return;
        std::size_t length = 0;
        for (int i = 4; i < 8; ++i) length = length << 8 | static_cast<unsigned char>(head[static_cast<std::size_t>(i)]);
        const auto payload = hear(length);
        if (payload.size() < 40) return;
        their_id = payload.substr(0, 32);
        auto at = std::size_t{33}; // a count of application ids, then each with its length
        for (int n = payload[32]; n > 0; --n) at += 1 + static_cast<unsigned char>(payload[at]);
        for (std::size_t i = 0; i < 8; ++i) directory = directory << 8 | static_cast<unsigned char>(payload[at + i]);
    }
    void request(caf::actor_system& sys, const caf::message& m) {
        say(frame{2, 0, serialised(sys, std::vector<caf::strong_actor_ptr>{}, m), (std::uint64_t{1} << 60) | 7, 99, directory}.bytes());
    }

    std::string id, their_id;
    std::uint64_t directory = 0; // its actor id
};

} // namespace hosts
