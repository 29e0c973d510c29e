// What the tunnel's tests need around the broker: a directory, children, a certificate, a service and a visitor.
#pragma once
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace souk::testing {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

inline bool eventually(const std::function<bool()>& holds, std::chrono::milliseconds within = 10s) {
    const auto end = std::chrono::steady_clock::now() + within;
    while (!holds()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(5ms); // another process is being watched: nothing to wait on
    }
    return true;
}

struct scratch {
    fs::path path;
    scratch() {
        std::string name = (fs::temp_directory_path() / "souk-test-XXXXXX").string();
        if (!::mkdtemp(name.data())) throw std::runtime_error("mkdtemp");
        path = name;
    }
    ~scratch() {
        std::error_code e;
        fs::remove_all(path, e);
    }
    fs::path operator/(const std::string& name) const { return path / name; }
};

inline std::string read_file(const fs::path& p) {
    std::ifstream in(p, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

class child { // killed with its owner
public:
    child(std::vector<std::string> argv, const fs::path& output) {
        std::vector<char*> raw;
        for (auto& a : argv) raw.push_back(a.data());
        raw.push_back(nullptr);
        posix_spawn_file_actions_t files;
        posix_spawn_file_actions_init(&files);
        posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_addopen(&files, 1, output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
        posix_spawn_file_actions_adddup2(&files, 1, 2);
        const int failed = ::posix_spawnp(&pid_, raw[0], &files, nullptr, raw.data(), environ);
        posix_spawn_file_actions_destroy(&files);
        if (failed) throw std::runtime_error("cannot run " + argv[0]);
    }
    ~child() {
        if (pid_ < 0) return;
        ::kill(pid_, SIGCONT);
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    void signal(int s) { ::kill(pid_, s); }
    int wait(std::chrono::milliseconds within = 15s) { // its exit status, or -1
        int status = 0;
        const bool ended = eventually([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; }, within);
        if (!ended) return -1;
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    bool lives() const { return ::kill(pid_, 0) == 0; }
    pid_t pid() const { return pid_; }

private:
    pid_t pid_ = -1;
};

inline int run(std::vector<std::string> argv, const fs::path& output = "/dev/null") { return child(std::move(argv), output).wait(60s); }

inline void make_certificate(const fs::path& dir, const std::string& domain) {
    const int rc = run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=test",
                        "-addext", "subjectAltName=DNS:*." + domain, "-keyout", dir / "tls.key", "-out", dir / "tls.crt"});
    REQUIRE(rc == 0);
}

inline std::string make_key(const fs::path& file, const std::string& type = "ed25519") { // the public line
    REQUIRE(run({"ssh-keygen", "-q", "-t", type, "-N", "", "-f", file}) == 0);
    std::istringstream line(read_file(file.string() + ".pub"));
    std::string kind, base64;
    line >> kind >> base64;
    return kind + ' ' + base64;
}

// A blocking connection with a deadline on every read: no test waits for ever.
class wire {
public:
    explicit wire(int fd) : fd_(fd) {
        const timeval limit{15, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    }
    virtual ~wire() { ::close(fd_); }
    wire(const wire&) = delete;
    wire& operator=(const wire&) = delete;
    virtual long get(char* to, std::size_t n) { return ::recv(fd_, to, n, 0); }
    virtual bool put(std::string_view bytes) {
        while (!bytes.empty()) {
            const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (n <= 0) return false;
            bytes.remove_prefix(static_cast<std::size_t>(n));
        }
        return true;
    }
    // Up to and with `mark`; what came after it stays for the next call. "" at the end or when nothing comes.
    std::string until(std::string_view mark) {
        for (;;) {
            if (const auto at = kept_.find(mark); at != kept_.npos) return take(at + mark.size());
            if (!more()) return {};
        }
    }
    std::string exactly(std::size_t n) {
        while (kept_.size() < n)
            if (!more()) return {};
        return take(n);
    }
    std::string rest() {
        while (more()) {}
        return take(kept_.size());
    }
    int fd() const { return fd_; }
    bool ended() { // the other end is closed, and not just silent
        while (more()) {}
        char one;
        const auto n = ::recv(fd_, &one, 1, MSG_PEEK | MSG_DONTWAIT);
        return n == 0 || (n < 0 && errno == ECONNRESET);
    }

protected:
    bool more() {
        char data[16384];
        const auto n = get(data, sizeof data);
        if (n <= 0) return false;
        kept_.append(data, static_cast<std::size_t>(n));
        return true;
    }
    std::string take(std::size_t n) {
        auto out = kept_.substr(0, n);
        kept_.erase(0, n);
        return out;
    }
    int fd_;
    std::string kept_;
};

inline int connect_to(std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET, at.sin_port = htons(port), at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0) return fd;
    ::close(fd);
    return -1;
}

class tls_wire : public wire {
public:
    explicit tls_wire(std::uint16_t port, int version = 0) : wire(connect_to(port)) {
        context_ = SSL_CTX_new(TLS_client_method());
        if (version) SSL_CTX_set_min_proto_version(context_, version), SSL_CTX_set_max_proto_version(context_, version);
        ssl_ = SSL_new(context_);
        SSL_set_fd(ssl_, fd_);
        joined_ = SSL_connect(ssl_) == 1;
    }
    ~tls_wire() override {
        SSL_free(ssl_);
        SSL_CTX_free(context_);
    }
    bool joined() const { return joined_; }
    long get(char* to, std::size_t n) override { return SSL_read(ssl_, to, static_cast<int>(n)); }
    bool put(std::string_view bytes) override { return SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())) > 0; }

private:
    SSL_CTX* context_ = nullptr;
    SSL* ssl_ = nullptr;
    bool joined_ = false;
};

// A service on loopback: each connection is given to `serve` on a thread of its own.
class service {
public:
    explicit service(std::function<void(wire&)> serve) : serve_(std::move(serve)) {
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in at{};
        at.sin_family = AF_INET, at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t n = sizeof at;
        if (::bind(listener_, reinterpret_cast<sockaddr*>(&at), sizeof at) || ::listen(listener_, 64) || ::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &n))
            throw std::runtime_error("cannot listen");
        port_ = ntohs(at.sin_port);
        acceptor_ = std::jthread([this] {
            for (int fd; (fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
                std::lock_guard lock{mutex_};
                threads_.emplace_back([this, fd] {
                    wire w(fd);
                    serve_(w);
                });
            }
        });
    }
    ~service() {
        ::shutdown(listener_, SHUT_RDWR);
        acceptor_.join();
        ::close(listener_);
    }
    std::uint16_t port() const { return port_; }

private:
    std::function<void(wire&)> serve_;
    int listener_ = -1;
    std::uint16_t port_ = 0;
    std::mutex mutex_;
    std::vector<std::jthread> threads_;
    std::jthread acceptor_;
};

} // namespace souk::testing
