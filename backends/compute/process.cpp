#include <souk/backends/compute/process.hpp>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace souk::compute {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t most_output = 64 * 1024;
constexpr std::string_view mark_name = "SOUK_MACHINE=";

std::string slurp(const fs::path& file, std::size_t limit) {
    std::ifstream in(file, std::ios::binary);
    std::string text(limit, '\0');
    in.read(text.data(), static_cast<std::streamsize>(limit));
    text.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
    return text;
}

// The directory that a process is marked with, or "".
std::string mark_of(const std::string& pid) {
    const auto environment = slurp("/proc/" + pid + "/environ", 256 * 1024);
    for (std::size_t at = 0; at < environment.size();) {
        const auto end = std::min(environment.find('\0', at), environment.size());
        const std::string_view entry(environment.data() + at, end - at);
        if (entry.starts_with(mark_name)) return std::string(entry.substr(mark_name.size()));
        at = end + 1;
    }
    return {};
}

} // namespace

std::string path_entry() {
    const char* path = ::getenv("PATH");
    return std::string("PATH=") + (path ? path : "/usr/sbin:/usr/bin:/sbin:/bin");
}

bool on_path(const std::string& program) {
    const auto entry = path_entry();
    auto dirs = std::string_view(entry).substr(5);
    while (!dirs.empty()) {
        const auto end = std::min(dirs.find(':'), dirs.size());
        if (::access((std::string(dirs.substr(0, end)) + '/' + program).c_str(), X_OK) == 0) return true;
        dirs.remove_prefix(std::min(end + 1, dirs.size()));
    }
    return false;
}

result<tool_result> run_tool(const argv_t& argv, std::chrono::milliseconds within, const fs::path& machine) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return refusal{"no_tool", std::string("no pipe: ") + std::strerror(errno)};
    std::vector<char*> raw;
    for (const auto& a : argv) raw.push_back(const_cast<char*>(a.c_str()));
    raw.push_back(nullptr);
    auto path = path_entry(), mark = std::string(mark_name) + machine.string();
    char* environment[] = {path.data(), machine.empty() ? nullptr : mark.data(), nullptr};
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, ends[1], 1);
    posix_spawn_file_actions_adddup2(&files, ends[1], 2);
    posix_spawn_file_actions_addclosefrom_np(&files, 3);
    posix_spawnattr_t how;
    posix_spawnattr_init(&how);
    sigset_t none, all;
    sigemptyset(&none), sigfillset(&all);
    posix_spawnattr_setsigmask(&how, &none);
    posix_spawnattr_setsigdefault(&how, &all);
    posix_spawnattr_setpgroup(&how, 0);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    pid_t pid = -1;
    const int wrong = ::posix_spawnp(&pid, raw[0], &files, &how, raw.data(), environment);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&how);
    ::close(ends[1]);
    if (wrong) return ::close(ends[0]), refusal{"no_tool", "cannot run " + argv[0] + ": " + std::strerror(wrong)};

    tool_result done;
    const auto end = std::chrono::steady_clock::now() + within;
    for (char data[4096];;) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
        pollfd wait{ends[0], POLLIN, 0};
        const int ready = left > 0 ? ::poll(&wait, 1, static_cast<int>(left)) : 0;
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) {
            done.late = true;
            ::kill(-pid, SIGKILL);
            break;
        }
        const auto n = ::read(ends[0], data, sizeof data);
        if (n <= 0) break;
        if (done.output.size() < most_output) done.output.append(data, std::min(static_cast<std::size_t>(n), most_output - done.output.size()));
    }
    ::close(ends[0]);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    done.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return done;
}

std::map<std::string, std::vector<pid_t>> marked_below(const fs::path& state) {
    std::map<std::string, std::vector<pid_t>> found;
    const auto prefix = state.string() + '/';
    std::error_code e;
    for (fs::directory_iterator at("/proc", e), end; !e && at != end; at.increment(e)) {
        const auto name = at->path().filename().string();
        if (name.find_first_not_of("0123456789") != name.npos) continue;
        auto mark = mark_of(name);
        if (mark.starts_with(prefix)) found[std::move(mark)].push_back(static_cast<pid_t>(std::stol(name)));
    }
    return found;
}

std::vector<pid_t> marked(const fs::path& directory) {
    auto all = marked_below(directory.parent_path());
    return std::move(all[directory.string()]);
}

bool is_marked(pid_t pid, const fs::path& directory) { return mark_of(std::to_string(pid)) == directory.string(); }

bool kill_marked(const fs::path& directory, std::chrono::milliseconds within) {
    const auto end = std::chrono::steady_clock::now() + within;
    for (;;) {
        const auto left = marked(directory);
        if (left.empty()) return true;
        for (const auto pid : left) {
            ::kill(pid, SIGKILL);
            ::waitpid(pid, nullptr, WNOHANG); // when it happens to be a child of ours
        }
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(10ms); // the kernel takes them away; there is nothing to be told by
    }
}

} // namespace souk::compute
