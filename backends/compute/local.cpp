#include <souk/backends/compute/local.hpp>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <souk/backends/compute/console.hpp>
#include <souk/backends/compute/order.hpp>
#include <souk/messages/json.hpp>

namespace souk::compute {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t longest_log = 4 << 20;  // a guest that prints for ever does not fill the host's disk
constexpr std::size_t key_within = 1 << 20;   // of its output a machine says its host key
constexpr auto lock_within = 60s, kill_within = 30s;

class descriptor {
public:
    explicit descriptor(int fd = -1) : fd_(fd) {}
    descriptor(descriptor&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
    descriptor& operator=(descriptor&&) = delete;
    ~descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }

private:
    int fd_;
};

// A file that may be deleted by its holder: whoever gets the lock of a deleted one tries again.
descriptor lock_file(const fs::path& file, std::chrono::milliseconds within, const std::atomic<bool>& stop) {
    const auto end = std::chrono::steady_clock::now() + within;
    do {
        descriptor fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        if (!fd) return fd;
        struct stat held{}, named{};
        if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) {
            if (::fstat(fd.get(), &held) == 0 && ::stat(file.c_str(), &named) == 0 && held.st_ino == named.st_ino) return fd;
            continue;
        }
        std::this_thread::sleep_for(10ms); // another process may hold it: there is no condition to wait on
    } while (!stop && std::chrono::steady_clock::now() < end);
    return descriptor();
}

template <class T>
result<T> read_json(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    auto v = from_json(text.str());
    if (!v) return v.error();
    return from_value<T>(*v);
}

// All of it or nothing of it, and only for this user.
template <class T>
bool write_json(const fs::path& file, const T& what) {
    const auto text = to_json(to_value(what)) + '\n', part = file.string() + ".new";
    descriptor fd(::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!fd || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) || ::fsync(fd.get()) != 0) return false;
    return ::rename(part.c_str(), file.c_str()) == 0;
}

std::string head_of(const fs::path& file, std::size_t limit) {
    std::ifstream in(file, std::ios::binary);
    std::string text(limit, '\0');
    in.read(text.data(), static_cast<std::streamsize>(limit));
    text.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
    return text;
}

// A free port of the host's loopback, kept free for the relay, which binds it too, until this is closed.
descriptor reserve_port(std::int64_t& port) {
    descriptor fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int one = 1;
    sockaddr_in at{};
    at.sin_family = AF_INET, at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t n = sizeof at;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    if (!fd || ::bind(fd.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) || ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&at), &n)) return descriptor();
    port = ntohs(at.sin_port);
    return fd;
}

// Relays accept before the machine listens: only the banner counts.
bool ssh_answers(std::int64_t port) {
    descriptor fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval limit{1, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_in at{};
    at.sin_family = AF_INET, at.sin_port = htons(static_cast<std::uint16_t>(port)), at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (!fd || ::connect(fd.get(), reinterpret_cast<sockaddr*>(&at), sizeof at) != 0) return false;
    char banner[8];
    return ::recv(fd.get(), banner, sizeof banner, MSG_WAITALL) == 8 && std::memcmp(banner, "SSH-2.0-", 8) == 0;
}

// Every lead, and SSH the other way: a socket file in the machine's directory is the only hole in the namespace's wall.
void add_relays(cell& c, const std::vector<lead>& leads, std::int64_t ssh_port) {
    const std::string limits = ",fork,max-children=64";
    for (const auto& l : leads) {
        const auto port = std::to_string(l.port), file = port + ".sock";
        c.inside.push_back({"socat", "-t", "30", "TCP4-LISTEN:" + port + ",reuseaddr,nodelay" + limits, "UNIX-CONNECT:" + file});
        c.outside.push_back({"socat", "-t", "30", "UNIX-LISTEN:" + file + ",mode=600" + limits, "TCP4:" + l.to + ",nodelay,connect-timeout=10"});
    }
    c.inside.push_back({"socat", "-t", "30", "UNIX-LISTEN:ssh.sock,mode=600" + limits, "TCP4:127.0.0.1:22022,nodelay"});
    c.outside.push_back({"socat", "-t", "30", "TCP4-LISTEN:" + std::to_string(ssh_port) + ",bind=127.0.0.1,reuseport,nodelay" + limits, "UNIX-CONNECT:ssh.sock"});
}

launched no_machine(problem kind, refusal why) { return {std::nullopt, kind, std::move(why)}; }

} // namespace

local_backend::local_backend(fs::path state, std::chrono::seconds start_within, std::function<instant()> now)
    : state_(fs::absolute(state).lexically_normal()), now_(std::move(now)), start_within_(start_within) {
    fs::create_directories(state_ / ".locks");
    fs::permissions(state_, fs::perms::owner_all | fs::perms::group_exec | fs::perms::others_exec);
    keeper_ = std::thread([this] { keep_house(); });
}

local_backend::~local_backend() = default;

void local_backend::closing() {
    {
        std::lock_guard lock{mutex_};
        closing_ = true;
    }
    wake_.notify_all();
    keeper_.join();
    std::list<std::thread> rest;
    {
        std::lock_guard lock{mutex_};
        rest.swap(threads_);
    }
    for (auto& t : rest) t.join();
}

void local_backend::apart(std::function<void()> work) {
    std::lock_guard lock{mutex_};
    for (const auto id : std::exchange(finished_, {})) {
        const auto at = std::find_if(threads_.begin(), threads_.end(), [id](const auto& t) { return t.get_id() == id; });
        if (at == threads_.end()) continue;
        at->join();
        threads_.erase(at);
    }
    threads_.emplace_back([this, work = std::move(work)] {
        work();
        std::lock_guard mine{mutex_};
        finished_.push_back(std::this_thread::get_id());
    });
}

// -- launch -------------------------------------------------------------------------------------------------------
void local_backend::launch(order o, std::function<void(launched)> answer) {
    const auto flag = std::make_shared<std::atomic<bool>>(false);
    {
        std::lock_guard lock{mutex_};
        launching_.emplace(o.tag, flag);
    }
    apart([this, o = std::move(o), flag, answer = std::move(answer)] {
        auto outcome = do_launch(o, flag);
        {
            std::lock_guard lock{mutex_};
            const auto [from, to] = launching_.equal_range(o.tag);
            launching_.erase(std::find_if(from, to, [&](const auto& l) { return l.second == flag; }));
        }
        answer(std::move(outcome));
    });
}

launched local_backend::do_launch(const order& o, const cancelled& flag) {
    if (const auto good = check_tag(o.tag); !good) return no_machine(problem::never, good.error());
    if (const auto good = check_leads(o.leads); !good) return no_machine(problem::never, good.error());
    if (const auto good = acceptable(o); !good) return no_machine(problem::never, good.error());
    started s;
    if (auto refused = ensure_started(o, flag, s)) return *refused;
    return wait_until_ready(s, flag);
}

std::optional<launched> local_backend::ensure_started(const order& o, const cancelled& flag, started& s) {
    const auto lock = lock_file(state_ / ".locks" / o.tag, lock_within, closing_);
    if (!lock) return no_machine(problem::unknown, {"busy", "the machine's lock is held: it is being started or ended"});
    if (*flag) return no_machine(problem::never, {"terminated", "the machine was ended before it started"});
    if (lives(home(o.tag))) {
        auto known = read_json<started>(home(o.tag) / "machine.json");
        if (!known) return no_machine(problem::unknown, known.error());
        s = std::move(*known);
        return std::nullopt;
    }
    return start_new(o, flag, s, lock.get());
}

std::optional<launched> local_backend::start_new(const order& o, const cancelled&, started& s, int lock) {
    const auto directory = home(o.tag);
    const auto undo = [&](problem kind, refusal why) {
        std::error_code e;
        swept(o.tag);
        fs::remove_all(directory, e);
        return no_machine(kind, std::move(why));
    };
    if (!kill_marked(directory, kill_within)) return no_machine(problem::unknown, {"leftovers", "an earlier machine of this tag does not go away"});
    std::error_code e;
    fs::remove_all(directory, e);
    if (e) return no_machine(problem::not_now, {"leftovers", "an earlier machine's files cannot be removed: " + e.message()});
    if (::mkdir(directory.c_str(), 0711) != 0) return no_machine(problem::not_now, {"no_directory", "cannot make " + directory.string() + ": " + std::strerror(errno)});
    s.tag = o.tag, s.user = "root";
    const auto reserved = reserve_port(s.port);
    if (!reserved) return undo(problem::not_now, {"no_port", "no free port on this host's loopback"});
    auto made = prepare(o, directory, s);
    if (!made) return undo(made.error().kind, made.error().why);
    auto& c = *made;
    c.directory = directory;
    add_relays(c, o.leads, s.port);
    if (!write_json(directory / "machine.json", s)) return undo(problem::not_now, {"no_space", "cannot write " + directory.string() + ": " + std::strerror(errno)});
    // Read as late as can be; the child looks at the clock once more.
    c.no_later = o.not_after - now_();
    if (c.no_later < 0ms) return undo(problem::never, {"too_late", "the order came after its not_after"});
    c.no_later = std::min<std::chrono::milliseconds>(c.no_later, std::chrono::hours(24 * 365));
    const auto running = start(c, lock);
    if (!running) return undo(running.error().code == "cannot_start" ? problem::not_now : problem::never, running.error());
    // The relay binds the port beside us; a moment later it is its alone.
    const auto end = std::chrono::steady_clock::now() + 5s;
    struct stat there{};
    while (::stat((directory / "ssh.sock").c_str(), &there) != 0 && std::chrono::steady_clock::now() < end && !closing_) std::this_thread::sleep_for(5ms);
    return std::nullopt;
}

launched local_backend::wait_until_ready(const started& s, const cancelled& flag) {
    const auto directory = home(s.tag);
    const auto end = std::chrono::steady_clock::now() + start_within_;
    for (;;) {
        if (*flag) return no_machine(problem::never, {"terminated", "the machine was ended while it started"});
        if (closing_) return no_machine(problem::unknown, {"closing", "this node stops; the machine goes on"});
        if (auto known = read_json<compute::running>(directory / "running.json")) return {*known, problem::unknown, {}};
        if (!lives(directory)) {
            const auto last = console_tail(directory / "output", 500);
            return no_machine(problem::never, {"machine_died", "the machine ended before its SSH answered" + (last.empty() ? std::string() : ": " + last)});
        }
        auto key = s.host_key.empty() ? host_key_on(head_of(directory / log_name(), key_within)) : std::optional(s.host_key);
        if (key && ssh_answers(s.port)) {
            // Others may wait for the same machine, or be about to end it.
            const auto mine = lock_file(state_ / ".locks" / s.tag, lock_within, closing_);
            if (!mine || *flag || !lives(directory) || fs::exists(directory / "running.json")) continue;
            compute::running r{"127.0.0.1", static_cast<std::uint16_t>(s.port), *key, s.user, can().tier};
            if (!write_json(directory / "running.json", r)) return no_machine(problem::unknown, {"no_space", "the machine runs, but that cannot be written down"});
            settled(directory);
            return {r, problem::unknown, {}};
        }
        if (std::chrono::steady_clock::now() > end) {
            const auto lock = lock_file(state_ / ".locks" / s.tag, lock_within, closing_);
            if (!lock || !kill_marked(directory, kill_within)) return no_machine(problem::unknown, {"boot_timeout", "its SSH did not answer, and it does not end"});
            swept(s.tag);
            return no_machine(problem::never, {"boot_timeout", "its SSH did not answer within " + std::to_string(start_within_.count()) + " s; it was ended"});
        }
        std::unique_lock lock{mutex_};
        wake_.wait_for(lock, 100ms, [&] { return closing_ || *flag; });
    }
}

// -- look, terminate, list ----------------------------------------------------------------------------------------
bool local_backend::lives(const fs::path& directory) const {
    const auto pid = head_of(directory / "pid", 16);
    return !pid.empty() && pid.find_first_not_of("0123456789") == pid.npos && is_marked(static_cast<pid_t>(std::stol(pid)), directory);
}

bool local_backend::being_launched(const std::string& tag) {
    std::lock_guard lock{mutex_};
    return launching_.contains(tag);
}

void local_backend::look(const std::string& tag, std::function<void(report)> answer) {
    apart([this, tag, answer = std::move(answer)] { answer(do_look(tag)); });
}

report local_backend::do_look(const std::string& tag) {
    report r;
    r.as_of = now_(); // before looking: what is said was true then
    if (!check_tag(tag)) return r.is = presence::absent, r;
    const bool underway = being_launched(tag);
    const auto directory = home(tag);
    std::error_code e;
    if (lives(directory)) {
        const auto known = read_json<compute::running>(directory / "running.json");
        r.is = known ? presence::running : presence::starting;
        if (known) r.machine = *known;
    } else if (underway) {
        r.is = presence::starting;
    } else {
        r.is = presence::absent;
        if (fs::exists(directory, e)) r.note = "it has ended; its files are kept until it is terminated";
    }
    return r;
}

void local_backend::terminate(const std::string& tag, std::function<void(report)> answer) {
    {
        std::lock_guard lock{mutex_};
        const auto [from, to] = launching_.equal_range(tag);
        for (auto at = from; at != to; ++at) *at->second = true;
    }
    wake_.notify_all();
    apart([this, tag, answer = std::move(answer)] { answer(do_terminate(tag)); });
}

report local_backend::do_terminate(const std::string& tag) {
    report r;
    r.as_of = now_();
    if (!check_tag(tag)) return r.is = presence::absent, r;
    const auto file = state_ / ".locks" / tag;
    const auto lock = lock_file(file, lock_within, closing_);
    if (!lock) return r.note = "its lock is held: it is being started", r;
    if (!kill_marked(home(tag), kill_within)) return r.note = "a process of it does not end", r;
    swept(tag);
    std::error_code e;
    fs::remove_all(home(tag), e);
    if (e) return r.note = "its files cannot be removed: " + e.message(), r;
    fs::remove(file, e);
    r.as_of = now_();
    r.is = presence::absent;
    return r;
}

void local_backend::list(std::function<void(result<std::vector<std::string>>)> answer) {
    apart([this, answer = std::move(answer)] {
        std::set<std::string> tags;
        std::error_code e;
        for (fs::directory_iterator at(state_, e), end; !e && at != end; at.increment(e))
            if (const auto name = at->path().filename().string(); check_tag(name)) tags.insert(name);
        if (e) return answer(refusal{"no_state", "cannot read " + state_.string() + ": " + e.message()});
        for (const auto& [directory, pids] : marked_below(state_))
            if (const auto name = fs::path(directory).filename().string(); check_tag(name)) tags.insert(name);
        answer(std::vector<std::string>(tags.begin(), tags.end()));
    });
}

std::string local_backend::console(const std::string& tag, std::size_t last_bytes) const {
    if (!check_tag(tag)) return {};
    return console_tail(home(tag) / log_name(), last_bytes);
}

// Logs stay short, and a machine that ended by itself leaves no relays behind.
void local_backend::keep_house() {
    std::unique_lock lock{mutex_};
    while (!wake_.wait_for(lock, 10s, [this] { return closing_.load(); })) {
        lock.unlock();
        std::error_code e;
        for (fs::directory_iterator at(state_, e), end; !e && at != end; at.increment(e)) {
            const auto tag = at->path().filename().string();
            if (!check_tag(tag)) continue;
            for (const auto& name : {log_name(), std::string("output")}) {
                const auto log = at->path() / name;
                std::error_code none;
                if (fs::file_size(log, none) > longest_log && !none) ::truncate(log.c_str(), 0);
            }
            if (being_launched(tag) || lives(at->path())) continue;
            const std::atomic<bool> once{true};
            if (const auto mine = lock_file(state_ / ".locks" / tag, 0ms, once); mine && !lives(at->path())) kill_marked(at->path(), 1s);
        }
        lock.lock();
    }
}

} // namespace souk::compute
