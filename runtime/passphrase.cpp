#include <souk/runtime/passphrase.hpp>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <fmt/format.h>

namespace souk {

namespace {

constexpr const char* variable = "SOUK_PASSPHRASE";

volatile std::sig_atomic_t interrupted = 0;
void note_interruption(int which) { interrupted = which; }

// Shows nothing of what is typed; whatever ends it, the terminal is as it was, and a signal that came meanwhile is taken then.
class unseen {
public:
    explicit unseen(int fd) : fd_(fd) {
        interrupted = 0;
        struct sigaction catching{};
        catching.sa_handler = note_interruption; // without SA_RESTART: the read ends
        for (std::size_t i = 0; i < std::size(which); ++i) ::sigaction(which[i], &catching, &before_[i]);
        ::tcgetattr(fd_, &shown_);
        auto hidden = shown_;
        hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        ::tcsetattr(fd_, TCSAFLUSH, &hidden);
    }
    unseen(const unseen&) = delete;
    ~unseen() {
        ::tcsetattr(fd_, TCSAFLUSH, &shown_);
        fmt::print(stderr, "\n");
        for (std::size_t i = 0; i < std::size(which); ++i) ::sigaction(which[i], &before_[i], nullptr);
        if (interrupted) ::raise(interrupted);
    }

private:
    static constexpr int which[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    int fd_;
    termios shown_{};
    struct sigaction before_[std::size(which)]{};
};

// Without a buffer of anybody else's: what follows the line stays to be read.
result<crypto::secret> line_of(int fd) {
    std::string line;
    line.reserve(most_passphrase + 1); // so that no copy is left behind by growth
    const auto wiped = [&](refusal why) { return sodium_memzero(line.data(), line.size()), why; };
    for (;;) {
        char c = 0;
        const auto n = ::read(fd, &c, 1);
        if (n < 0 && errno == EINTR && !interrupted) continue;
        if (n < 0) return wiped({"no_passphrase", "no passphrase was given"});
        if (n == 0 && line.empty()) return refusal{"no_passphrase", "no passphrase was given"};
        if (n == 0 || c == '\n') break;
        if (line.size() == most_passphrase) return wiped({"bad_passphrase", "a passphrase has at most 1,024 bytes"});
        line += c;
    }
    if (line.ends_with('\r')) line.pop_back();
    return crypto::secret(std::move(line));
}

} // namespace

std::shared_ptr<const crypto::secret> take_passphrase_from_environment() {
    char* said = std::getenv(variable);
    if (!said) return nullptr;
    auto kept = std::make_shared<const crypto::secret>(std::string(said));
    sodium_memzero(said, std::strlen(said)); // /proc/PID/environ shows this very memory
    ::unsetenv(variable);
    return kept->empty() ? nullptr : kept;
}

result<crypto::secret> read_passphrase(const std::filesystem::path& file) {
    const auto refuse = [&](const std::string& why) { return refusal{"bad_passphrase_file", file.string() + ": " + why}; };
    struct opened {
        int fd;
        ~opened() {
            if (fd >= 0) ::close(fd);
        }
    } const in{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
    struct stat is{};
    if (in.fd < 0 || ::fstat(in.fd, &is) != 0) return refuse(std::strerror(errno));
    if (!S_ISREG(is.st_mode)) return refuse("it is no plain file");
    if (is.st_uid != ::geteuid() && is.st_uid != 0) return refuse("it belongs to another user");
    if (is.st_mode & (is.st_uid == ::geteuid() ? 077 : 037)) return refuse("others may read it; chmod 600");
    auto line = line_of(in.fd);
    if (!line) return refuse(line.error().text);
    if (line->empty()) return refuse("its first line is empty");
    return line;
}

result<crypto::secret> ask_passphrase(const std::string& prompt, int fd) {
    if (!::isatty(fd)) return line_of(fd);
    fmt::print(stderr, "{}: ", prompt);
    std::fflush(stderr);
    const unseen here(fd);
    return line_of(fd);
}

passphrase_source passphrase_of(const node_config& c, std::shared_ptr<const crypto::secret> environment) {
    if (!c.passphrase_file.empty()) return {[file = c.passphrase_file] { return read_passphrase(file); }, true};
    if (environment) return {[environment]() -> result<crypto::secret> { return environment->copy(); }, true};
    if (!::isatty(STDIN_FILENO)) return {};
    return {[name = c.name] { return ask_passphrase("passphrase of " + (name.empty() ? std::string("the keys") : name + "'s keys")); }, false};
}

} // namespace souk
