// Starting a cell. A child of a process with many threads may call only what is safe in a signal handler until it has executed another
// program: everything that needs memory is therefore laid out before the first fork.
#include <cstring>

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <souk/backends/compute/backend.hpp>
#include <souk/backends/compute/process.hpp>

namespace souk::compute {

namespace {

enum class stage : int { fork, clock, directory, output, join, user, network, loopback, address, execute };

struct failure { // what a child that cannot go on writes to the pipe
    stage at;
    int error;
};

// argv and envp as execve wants them.
struct raw_program {
    std::vector<char*> argv;
    explicit raw_program(const argv_t& a) {
        for (const auto& one : a) argv.push_back(const_cast<char*>(one.c_str()));
        argv.push_back(nullptr);
    }
};

struct layout { // all of it prepared, only read by the children
    const cell& of;
    raw_program machine;
    std::vector<raw_program> inside, outside;
    std::string mark, path = path_entry(), uid_map, gid_map, directory;
    std::vector<char*> environment;
    timespec no_later{};
    bool root = ::geteuid() == 0;
    int say = -1;

    explicit layout(const cell& c) : of(c), machine(c.machine), directory(c.directory.string()) {
        for (const auto& a : c.inside) inside.emplace_back(a);
        for (const auto& a : c.outside) outside.emplace_back(a);
        mark = "SOUK_MACHINE=" + directory;
        environment = {mark.data(), path.data(), nullptr}; // whatever else the node was started with is not the machine's business
        uid_map = "0 " + std::to_string(::geteuid()) + " 1";
        gid_map = "0 " + std::to_string(::getegid()) + " 1";
        ::clock_gettime(CLOCK_BOOTTIME, &no_later);
        const auto ns = std::chrono::nanoseconds(c.no_later).count() + no_later.tv_nsec;
        no_later.tv_sec += ns / 1'000'000'000, no_later.tv_nsec = ns % 1'000'000'000;
    }
};

[[noreturn]] void give_up(const layout& l, stage at) {
    const failure f{at, errno};
    [[maybe_unused]] const auto n = ::write(l.say, &f, sizeof f);
    ::_exit(1);
}

bool put(const char* file, const std::string& text) {
    const int fd = ::open(file, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return false;
    const bool good = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    ::close(fd);
    return good;
}

void redirect(const layout& l, const char* output) {
    const int in = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    const int out = ::open(output, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (in < 0 || out < 0) give_up(l, stage::output);
    ::dup2(in, 0), ::dup2(out, 1), ::dup2(out, 2);
}

[[noreturn]] void execute(const layout& l, const raw_program& p) {
    ::syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC); // also what somebody forgot to mark
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    ::execvpe(p.argv[0], p.argv.data(), l.environment.data());
    give_up(l, stage::execute);
}

void helpers(const layout& l, const std::vector<raw_program>& all) {
    for (const auto& one : all) {
        const auto pid = ::_Fork();
        if (pid < 0) give_up(l, stage::fork);
        if (pid != 0) continue;
        redirect(l, "/dev/null");
        execute(l, one);
    }
}

// An empty network namespace with its loopback up, and the address on it under which a machine finds its leads.
void go_alone(const layout& l) {
    if (::unshare((l.root ? 0 : CLONE_NEWUSER) | CLONE_NEWNET) != 0) give_up(l, stage::network);
    if (!l.root && !(put("/proc/self/setgroups", "deny") && put("/proc/self/uid_map", l.uid_map) && put("/proc/self/gid_map", l.gid_map)))
        give_up(l, stage::user);
    const int s = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq r{};
    std::strcpy(r.ifr_name, "lo");
    r.ifr_flags = IFF_UP | IFF_RUNNING;
    if (s < 0 || ::ioctl(s, SIOCSIFFLAGS, &r) != 0) give_up(l, stage::loopback);
    std::strcpy(r.ifr_name, "lo:0");
    auto* address = reinterpret_cast<sockaddr_in*>(&r.ifr_addr);
    *address = {};
    address->sin_family = AF_INET;
    ::inet_pton(AF_INET, outside_address.data(), &address->sin_addr);
    if (::ioctl(s, SIOCSIFADDR, &r) != 0) give_up(l, stage::address);
    ::close(s);
}

// Nobody may not walk to a directory below root's: it is mounted where he can, in a mount namespace of his own.
void become_nobody(const layout& l) {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount(".", "/mnt", nullptr, MS_BIND, nullptr) != 0 || ::chdir("/mnt") != 0)
        give_up(l, stage::directory);
    // The system calls themselves: the library's would ask all threads of the parent's memory.
    if (::syscall(SYS_setgroups, 0, nullptr) != 0 || ::syscall(SYS_setresgid, nobody, nobody, nobody) != 0 ||
        ::syscall(SYS_setresuid, nobody, nobody, nobody) != 0)
        give_up(l, stage::user);
}

// Which of the marked processes is the machine itself.
bool note_pid() {
    char digits[16];
    char* at = digits + sizeof digits;
    for (auto pid = ::getpid(); pid > 0; pid /= 10) *--at = static_cast<char>('0' + pid % 10);
    const int fd = ::open("pid", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const auto n = digits + sizeof digits - at;
    const bool good = fd >= 0 && ::write(fd, at, static_cast<std::size_t>(n)) == n;
    ::close(fd);
    return good;
}

[[noreturn]] void be_machine(const layout& l) {
    if (!note_pid()) give_up(l, stage::directory);
    for (const auto& file : l.of.joins)
        if (!put(file.c_str(), "0")) give_up(l, stage::join);
    go_alone(l);
    helpers(l, l.inside);
    redirect(l, l.of.output.c_str());
    if (l.root && l.of.unprivileged) become_nobody(l);
    execute(l, l.machine);
}

// Leads the new session, starts both sides and is gone.
[[noreturn]] void be_starter(const layout& l) {
    ::setsid();
    struct sigaction usual{};
    usual.sa_handler = SIG_DFL;
    for (int s = 1; s < NSIG; ++s) ::sigaction(s, &usual, nullptr);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    if (now.tv_sec > l.no_later.tv_sec || (now.tv_sec == l.no_later.tv_sec && now.tv_nsec > l.no_later.tv_nsec)) give_up(l, stage::clock);
    if (::chdir(l.directory.c_str()) != 0) give_up(l, stage::directory);
    const auto pid = ::_Fork();
    if (pid < 0) give_up(l, stage::fork);
    if (pid == 0) be_machine(l);
    helpers(l, l.outside);
    ::_exit(0);
}

refusal explain(const failure& f) {
    const std::string why = std::strerror(f.error);
    switch (f.at) {
        case stage::clock: return {"too_late", "the order came after its not_after"};
        case stage::network: case stage::user: case stage::loopback: case stage::address:
            return {"no_namespace", "cannot make an empty network namespace for the machine: " + why + "; run the node as root or allow unprivileged user namespaces"};
        case stage::execute: return {"cannot_start", "a program that the machine needs does not start: " + why};
        case stage::output: return {"cannot_start", "the machine's log cannot be written: " + why};
        case stage::join: return {"cannot_start", "the machine's limits cannot be set: " + why};
        case stage::directory: return {"cannot_start", "the machine's directory is gone: " + why};
        case stage::fork: break;
    }
    return {"cannot_start", "no process for the machine: " + why};
}

} // namespace

result<void> start(const cell& c, int held) {
    layout l(c);
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return refusal{"cannot_start", std::string("no pipe: ") + std::strerror(errno)};
    l.say = ends[1];
    // Copies of `held` live in the children until each has executed its program; it must not live on in those programs.
    ::fcntl(held, F_SETFD, FD_CLOEXEC);
    const auto pid = ::_Fork();
    if (pid == 0) be_starter(l);
    ::close(ends[1]);
    failure f{stage::fork, errno};
    bool failed = pid < 0;
    // The pipe's end comes when everybody has executed another program or given up.
    while (pid > 0) {
        const auto n = ::read(ends[0], &f, sizeof f);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        failed = true;
    }
    ::close(ends[0]);
    while (pid > 0 && ::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {}
    if (!failed) return {};
    kill_marked(c.directory, std::chrono::seconds(10));
    return explain(f);
}

} // namespace souk::compute
