#include <souk/runtime/demo/process.hpp>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <stdexcept>
#include <system_error>
#include <thread>

extern char** environ;

namespace souk::demo {

namespace {

std::vector<char*> pointers(const std::vector<std::string>& argv) {
    std::vector<char*> out;
    for (const auto& a : argv) out.push_back(const_cast<char*>(a.c_str()));
    out.push_back(nullptr);
    return out;
}

} // namespace

process::process(std::string name, std::vector<std::string> argv, std::filesystem::path log)
    : name_(std::move(name)), argv_(std::move(argv)), log_(std::move(log)) {}

process::~process() { stop(); }

void process::start() {
    const int out = ::open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (out < 0) throw std::system_error(errno, std::generic_category(), log_.string());
    auto argv = pointers(argv_);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, out, 1);
    posix_spawn_file_actions_adddup2(&files, out, 2);
    posix_spawnattr_t how;
    posix_spawnattr_init(&how);
    posix_spawnattr_setpgroup(&how, 0); // a Ctrl-C at the terminal is for the demo alone, which then ends its children in order
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP);
    const int failed = posix_spawn(&pid_, argv[0], &files, &how, argv.data(), environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&how);
    ::close(out);
    if (failed) throw std::system_error(failed, std::generic_category(), argv_[0]);
}

void process::kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, &status_, 0);
    pid_ = -1;
}

void process::stop() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGTERM);
    for (int i = 0; i < 100 && running(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds{50});
    kill();
}

bool process::running() {
    if (pid_ <= 0) return false;
    if (::waitpid(pid_, &status_, WNOHANG) == pid_) pid_ = -1;
    return pid_ > 0;
}

ended run_to_end(const std::vector<std::string>& argv, unsigned seconds) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, ends[1], 1);
    posix_spawn_file_actions_adddup2(&files, ends[1], 2);
    auto raw = pointers(argv);
    pid_t pid = -1;
    const int failed = posix_spawnp(&pid, raw[0], &files, nullptr, raw.data(), environ);
    posix_spawn_file_actions_destroy(&files);
    ::close(ends[1]);
    ended e;
    if (failed) {
        ::close(ends[0]);
        e.output = std::string(argv[0]) + ": " + std::generic_category().message(failed);
        return e;
    }
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{seconds};
    char some[4096];
    for (bool over = false; !over;) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
        pollfd p{ends[0], POLLIN, 0};
        if (left <= 0 || ::poll(&p, 1, static_cast<int>(left)) <= 0) {
            ::kill(pid, SIGKILL);
            e.output += "\n(no end within " + std::to_string(seconds) + " s)";
            over = true;
            continue;
        }
        const auto n = ::read(ends[0], some, sizeof some);
        if (n <= 0) over = true;
        else if (e.output.size() < (1u << 20)) e.output.append(some, static_cast<std::size_t>(n));
    }
    ::close(ends[0]);
    int status = 0;
    ::waitpid(pid, &status, 0);
    e.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return e;
}

} // namespace souk::demo
