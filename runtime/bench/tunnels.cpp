// A visitor's request through a reverse tunnel of the stock client, from connection to first byte: our broker beside sshd.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <fstream>
#include <mutex>
#include <stdexcept>
#include <thread>

#include <souk/backends/tls/authority.hpp>
#include <souk/backends/tunnel/broker.hpp>
#include <souk/runtime/bench/bench.hpp>
#include <souk/runtime/bench/measure.hpp>
#include <souk/runtime/bench/scratch.hpp>
#include <souk/runtime/demo/free_port.hpp>
#include <souk/runtime/demo/process.hpp>

namespace souk::bench {

namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
constexpr auto patience = 15s;
constexpr std::size_t visits = 60;

int listen_anywhere(std::uint16_t& port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET, at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t n = sizeof at;
    if (fd < 0 || ::bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) || ::listen(fd, 64) || ::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &n))
        throw std::runtime_error("cannot listen on loopback");
    port = ntohs(at.sin_port);
    return fd;
}
int connect_to(std::uint16_t port) { // -1: nobody there
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval limit{10, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); // each write is a packet: what stalls then is the tunnel
    sockaddr_in at{};
    at.sin_family = AF_INET, at.sin_port = htons(port), at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0) return fd;
    ::close(fd);
    return -1;
}

// The service at the tunnel's end: answers each connection once its head has come, then closes.
class service {
public:
    service() : listener_(listen_anywhere(port_)), serves_([this] { serve(); }) {}
    service(const service&) = delete;
    service& operator=(const service&) = delete;
    ~service() {
        ::shutdown(listener_, SHUT_RDWR);
        serves_.join();
        ::close(listener_);
    }
    std::uint16_t port() const { return port_; }

private:
    void serve() {
        for (int fd; (fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0; ::close(fd)) {
            const timeval limit{10, 0};
            ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
            std::string head;
            char some[4096];
            while (head.find("\r\n\r\n") == head.npos && head.size() < 16 * 1024) {
                const auto n = ::recv(fd, some, sizeof some, 0);
                if (n <= 0) break;
                head.append(some, static_cast<std::size_t>(n));
            }
            constexpr std::string_view answer = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\nConnection: close\r\n\r\nHello World!";
            (void)::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
            ::shutdown(fd, SHUT_WR);
            (void)::recv(fd, some, sizeof some, 0); // until the other side closes
        }
    }
    std::uint16_t port_ = 0;
    int listener_;
    std::thread serves_;
};

// A visitor's connection: plain, or over TLS as the public names have it.
class visitor {
public:
    visitor(std::uint16_t port, SSL_CTX* tls, const std::string& host) : fd_(connect_to(port)) {
        if (fd_ < 0) throw std::runtime_error("a visitor cannot connect");
        if (!tls) return;
        ssl_ = SSL_new(tls);
        SSL_set_fd(ssl_, fd_), SSL_set_tlsext_host_name(ssl_, host.c_str());
        if (SSL_connect(ssl_) != 1) throw std::runtime_error("a visitor's TLS handshake failed");
    }
    visitor(const visitor&) = delete;
    visitor& operator=(const visitor&) = delete;
    ~visitor() {
        SSL_free(ssl_);
        if (fd_ >= 0) ::close(fd_);
    }
    void write(std::string_view s) {
        const auto n = ssl_ ? SSL_write(ssl_, s.data(), static_cast<int>(s.size())) : static_cast<int>(::send(fd_, s.data(), s.size(), MSG_NOSIGNAL));
        if (n != static_cast<int>(s.size())) throw std::runtime_error("a visitor cannot write");
    }
    std::string some() {
        char data[4096];
        const auto n = ssl_ ? SSL_read(ssl_, data, sizeof data) : static_cast<int>(::recv(fd_, data, sizeof data, 0));
        return {data, static_cast<std::size_t>(std::max(n, 0))};
    }

private:
    int fd_;
    SSL* ssl_ = nullptr;
};

struct road { // how a visitor gets to the service
    std::uint16_t port = 0;
    SSL_CTX* tls = nullptr;
    std::string host = "127.0.0.1";
};
struct times {
    std::vector<double> with_handshake, request; // ms to the first byte: from connect, from the first byte asked
};
void visit(const road& r, unsigned pieces, times& into) {
    const std::string head = "GET / HTTP/1.1\r\nHost: " + r.host + "\r\nConnection: close\r\n\r\n";
    const auto from = wall();
    visitor v(r.port, r.tls, r.host);
    const auto joined = wall();
    const auto part = head.size() / pieces;
    for (unsigned i = 0; i < pieces; ++i) v.write(std::string_view(head).substr(i * part, i + 1 < pieces ? part : head.npos));
    const auto got = v.some();
    const auto end = wall();
    if (!got.starts_with("HTTP/1.1 200")) throw std::runtime_error("a visitor got no page but: " + got.substr(0, 200));
    into.with_handshake.push_back((end - from) * 1e3), into.request.push_back((end - joined) * 1e3);
    while (!v.some().empty()) {}
}
bool answers(std::uint16_t port) {
    const int fd = connect_to(port);
    if (fd >= 0) ::close(fd);
    return fd >= 0;
}
bool eventually(const std::function<bool()>& holds) {
    const auto end = wall() + std::chrono::duration<double>(patience).count();
    while (!holds()) {
        if (wall() > end) return false;
        std::this_thread::sleep_for(10ms); // another process is waited for
    }
    return true;
}

std::vector<std::string> ssh(const fs::path& home, std::uint16_t port, const std::string& host_key, const std::string& forward, const std::string& user, const std::string& name) {
    const auto known = home / ("known-" + name);
    std::ofstream(known) << "[127.0.0.1]:" << port << ' ' << host_key << '\n';
    return {"/usr/bin/ssh", "-F", "/dev/null", "-NnT", "-p", std::to_string(port), "-i", home / "id", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "UserKnownHostsFile=" + known.string(),
            "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-o", "ConnectTimeout=10", "-R", forward, user + "@127.0.0.1"};
}
std::string first_two_words(const fs::path& file) {
    std::ifstream in(file);
    std::string kind, key;
    in >> kind >> key;
    return kind + ' ' + key;
}

std::string text_of(const fs::path& file) {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
}

class ours { // our broker with a stock client behind it
public:
    ours(const fs::path& home, const service& page) {
        const auto authority = tls::make_authority("Benchmark");
        tls::leaf l;
        l.common_name = name, l.dns = {name};
        const auto leaf = tls::issue(authority, l);
        tls::write_secret(home / "tls.crt", leaf.certificate), tls::write_secret(home / "tls.key", leaf.key);
        tunnel::broker_options o;
        o.host_key = home / "broker_key", o.certificate = home / "tls.crt", o.key = home / "tls.key", o.domain = "localhost";
        o.authorise = [](const std::string&, const std::string&, const std::string&, auto answer) { answer(tunnel::grant{"did:web:alice.example", {"*"}}); };
        o.claim = [](const tunnel::route_change&, auto answer) { answer(true); };
        o.changed = [this](const tunnel::route_change& c) {
            const std::lock_guard hold(guard_);
            up_ = c.up;
            changed_.notify_all();
        };
        broker_ = std::make_unique<tunnel::broker>(std::move(o));
        client_ = std::make_unique<demo::process>("ssh", ssh(home, broker_->ssh_port(), broker_->host_key(), "page:80:127.0.0.1:" + std::to_string(page.port()), "alice.example", "ours"),
                                                  home / "ours.log");
        client_->start();
        std::unique_lock hold(guard_);
        if (!changed_.wait_for(hold, patience, [this] { return up_; })) throw std::runtime_error("the client's tunnel to our broker did not come up: " + text_of(home / "ours.log"));
    }
    ~ours() {
        client_.reset();
        broker_.reset();
        SSL_CTX_free(tls_);
    }
    ours(const ours&) = delete;
    ours& operator=(const ours&) = delete;
    road to() const { return {broker_->https_port(), tls_, name}; }

private:
    static constexpr const char* name = "page--alice-example.localhost";
    std::mutex guard_;
    std::condition_variable changed_;
    bool up_ = false;
    SSL_CTX* tls_ = SSL_CTX_new(TLS_client_method());
    std::unique_ptr<tunnel::broker> broker_;
    std::unique_ptr<demo::process> client_;
};

// As root sshd wants this directory, which its service makes when it starts: made here when it is not there, and taken away again.
class separation_directory {
public:
    separation_directory() {
        std::error_code ignored;
        if (::getuid() == 0) made_ = fs::create_directory(path, ignored);
    }
    separation_directory(const separation_directory&) = delete;
    separation_directory& operator=(const separation_directory&) = delete;
    ~separation_directory() {
        std::error_code ignored;
        if (made_) fs::remove(path, ignored); // only while it is empty
    }

private:
    static constexpr const char* path = "/run/sshd";
    bool made_ = false;
};

class stock { // sshd, and ssh -N -R
public:
    stock(const fs::path& home, const service& page) : ssh_port_(demo::free_port()), port_(demo::free_port()) {
        if (!fs::exists("/usr/sbin/sshd")) throw std::runtime_error("there is no /usr/sbin/sshd to compare with (package openssh-server)");
        if (demo::run_to_end({"/usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / "sshd_key"}, 20).status != 0) throw std::runtime_error("ssh-keygen failed");
        fs::copy_file(home / "id.pub", home / "authorized");
        std::ofstream(home / "sshd_config") << "ListenAddress 127.0.0.1:" << ssh_port_ << "\nHostKey " << (home / "sshd_key").string() << "\nAuthorizedKeysFile " << (home / "authorized").string()
                                            << "\nPidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n";
        server_ = std::make_unique<demo::process>("sshd", std::vector<std::string>{"/usr/sbin/sshd", "-D", "-e", "-f", home / "sshd_config"}, home / "sshd.log");
        server_->start();
        if (!eventually([this] { return answers(ssh_port_); })) throw std::runtime_error("sshd does not listen: " + text_of(home / "sshd.log"));
        const auto* me = ::getpwuid(::getuid());
        client_ = std::make_unique<demo::process>(
            "ssh", ssh(home, ssh_port_, first_two_words(home / "sshd_key.pub"), "127.0.0.1:" + std::to_string(port_) + ":127.0.0.1:" + std::to_string(page.port()), me ? me->pw_name : "root", "stock"),
            home / "stock.log");
        client_->start();
        if (!eventually([this] { return answers(port_); })) throw std::runtime_error("the tunnel through sshd does not come up: " + text_of(home / "stock.log"));
    }
    ~stock() {
        client_.reset();
        server_.reset();
    }
    stock(const stock&) = delete;
    stock& operator=(const stock&) = delete;
    road to() const { return {port_, nullptr, "127.0.0.1"}; }

private:
    separation_directory needed_;
    std::uint16_t ssh_port_, port_;
    std::unique_ptr<demo::process> server_, client_;
};

} // namespace

std::vector<row> tunnels(const settings& s) {
    const scratch files(s.directory);
    const auto& home = files.path();
    if (demo::run_to_end({"/usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / "id"}, 20).status != 0) throw std::runtime_error("ssh-keygen failed");
    const service page;
    const ours a(home, page);
    const stock b(home, page);
    std::vector<row> out;
    for (const unsigned pieces : {1u, 3u}) {
        std::vector<double> p50, p99, whole50, stock50, stock99;
        for (unsigned i = 0; i < s.repetitions; ++i) {
            times mine, theirs;
            for (std::size_t n = 0; n < visits; ++n) visit(a.to(), pieces, mine), visit(b.to(), pieces, theirs);
            p50.push_back(quantile(mine.request, 0.5)), p99.push_back(quantile(mine.request, 0.99)), whole50.push_back(quantile(mine.with_handshake, 0.5));
            stock50.push_back(quantile(theirs.with_handshake, 0.5)), stock99.push_back(quantile(theirs.with_handshake, 0.99));
        }
        const std::string in = pieces == 1 ? "in one write, " : "in three writes, ";
        out.push_back({in + "p50", median(p50), "ms", median(stock50), "sshd", 1, true});
        out.push_back({in + "p99", median(p99), "ms", median(stock99), "sshd", 0, true});
        out.push_back({in + "p50 with our TLS handshake", median(whole50), "ms", median(stock50), "sshd, which has none", 0, true});
    }
    return out;
}

} // namespace souk::bench
