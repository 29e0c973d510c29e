#include <souk/backends/tunnel/engine.hpp>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <list>
#include <thread>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace souk::tunnel {

// -- switchboard --------------------------------------------------------------------------------------------------
std::shared_ptr<session> switchboard::route(const std::string& label) const {
    std::lock_guard lock{mutex_};
    const auto at = routes_.find(label);
    return at == routes_.end() ? nullptr : at->second.to.lock();
}

bool switchboard::held_by_another(const std::string& label, const std::string& did) const {
    std::lock_guard lock{mutex_};
    const auto at = routes_.find(label);
    return at != routes_.end() && at->second.did != did && !at->second.to.expired();
}

void switchboard::put(const std::string& label, const std::string& did, const std::shared_ptr<session>& to) {
    std::lock_guard lock{mutex_};
    routes_[label] = {to, to.get(), did};
}

bool switchboard::remove(const std::string& label, const session* owner) {
    std::lock_guard lock{mutex_};
    const auto at = routes_.find(label);
    if (at == routes_.end() || at->second.owner != owner) return false;
    routes_.erase(at);
    return true;
}

// -- tally --------------------------------------------------------------------------------------------------------
bool tally::enter(const std::string& name) {
    std::lock_guard lock{mutex_};
    if (total_ >= all_) return false;
    auto& mine = counts_[name];
    if (mine >= each_) return false;
    ++mine, ++total_;
    return true;
}

void tally::leave(const std::string& name) {
    std::lock_guard lock{mutex_};
    const auto at = counts_.find(name);
    if (at == counts_.end()) return;
    --total_;
    if (--at->second == 0) counts_.erase(at);
}

std::string tally::gives_way_to(const std::string& name) {
    std::lock_guard lock{mutex_};
    const auto mine = counts_.find(name);
    const auto held = mine == counts_.end() ? 0 : mine->second;
    if (total_ < all_ || held >= each_) return {};
    const auto most = std::max_element(counts_.begin(), counts_.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    return most != counts_.end() && most->second > held + 1 ? most->first : std::string();
}

void tally::enter_instead(const std::string& name) {
    std::lock_guard lock{mutex_};
    ++counts_[name], ++total_;
}

// -- antechamber --------------------------------------------------------------------------------------------------
antechamber::entrance antechamber::enter(const std::string& address) {
    std::lock_guard lock{mutex_};
    entrance way;
    if (counts_[address] >= each_) return way;
    if (guests_.size() >= all_) {
        const auto most = std::max_element(counts_.begin(), counts_.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
        if (most->second <= counts_[address] + 1) { // nobody has more than he would have
            if (counts_[address] == 0) counts_.erase(address);
            return way;
        }
        const auto oldest = std::find_if(guests_.begin(), guests_.end(), [&](const auto& g) { return g.second.address == most->first; });
        way.gives_way = oldest->second.who.lock();
        guests_.erase(oldest);
        if (--most->second == 0) counts_.erase(most);
    }
    way.place = ++last_;
    guests_[way.place] = {address, {}};
    ++counts_[address];
    return way;
}

void antechamber::seat(std::uint64_t place, const std::weak_ptr<session>& who) {
    std::lock_guard lock{mutex_};
    if (const auto at = guests_.find(place); at != guests_.end()) at->second.who = who;
}

void antechamber::leave(std::uint64_t place) {
    std::lock_guard lock{mutex_};
    const auto at = guests_.find(place);
    if (at == guests_.end()) return;
    if (const auto c = counts_.find(at->second.address); --c->second == 0) counts_.erase(c);
    guests_.erase(at);
}

// -- watchdog -----------------------------------------------------------------------------------------------------
namespace {
struct thread_slot {
    std::atomic<std::uint64_t> entries{0}; // odd while inside
    std::atomic<int> descriptor{-1};
    std::uint64_t seen = 0; // the watchdog's own
    unsigned rounds = 0;
};
thread_local thread_slot* this_thread = nullptr;
constexpr unsigned shut_after = 5, give_up_after = 30; // rounds of one second
} // namespace

struct watchdog::impl {
    std::mutex mutex;
    std::condition_variable wake;
    bool stop = false;
    std::list<thread_slot> slots;
    std::thread thread;

    void run() {
        std::unique_lock lock{mutex};
        while (!wake.wait_for(lock, std::chrono::seconds(1), [this] { return stop; }))
            for (auto& s : slots) look(s);
    }
    static void look(thread_slot& s) {
        const auto now = s.entries.load();
        s.rounds = (now & 1) && now == s.seen ? s.rounds + 1 : 0;
        s.seen = now;
        // Its socket gone, the library usually finds its way out.
        if (s.rounds == shut_after) ::shutdown(s.descriptor.load(), SHUT_RDWR);
        if (s.rounds < give_up_after) return;
        // It grows in memory and never returns. A restart loses tunnels that reconnect by themselves; waiting loses the machine.
        std::fputs("souk: a tunnel thread has not left libssh for 30 s; giving up so that the supervisor restarts the relay\n", stderr);
        std::abort();
    }
};

watchdog::watchdog() : impl_(std::make_unique<impl>()) {
    impl_->thread = std::thread([i = impl_.get()] { i->run(); });
}

watchdog::~watchdog() {
    {
        std::lock_guard lock{impl_->mutex};
        impl_->stop = true;
    }
    impl_->wake.notify_all();
    impl_->thread.join();
}

void watchdog::run_watched(const std::function<void()>& body) {
    const auto mine = [this] {
        std::lock_guard lock{impl_->mutex};
        return impl_->slots.emplace(impl_->slots.end());
    }();
    this_thread = &*mine;
    body();
    this_thread = nullptr;
    std::lock_guard lock{impl_->mutex};
    impl_->slots.erase(mine);
}

watchdog::inside::inside(int descriptor) {
    if (!this_thread) return; // a session freed by its last holder, elsewhere
    this_thread->descriptor = descriptor;
    this_thread->entries.fetch_add(1);
}

watchdog::inside::~inside() {
    if (!this_thread) return;
    this_thread->entries.fetch_add(1);
    this_thread->descriptor = -1;
}

// -- engine -------------------------------------------------------------------------------------------------------
engine::engine(broker_options o)
    : options(std::move(o)),
      pending(options.limits.pending_logins, options.limits.pending_logins_per_peer),
      accounts(options.limits.tunnels, options.limits.tunnels_per_handle),
      visitors(options.limits.visitors, options.limits.visitors_per_peer) {
    bind = make_bind(options.host_key, host_key);
}

engine::~engine() {
    if (bind) ssh_bind_free(bind);
}

namespace {

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error("tunnel: " + what); }

void make_host_key(const std::filesystem::path& file) {
    ssh_key key = nullptr;
    if (ssh_pki_generate(SSH_KEYTYPE_ED25519, 0, &key) != SSH_OK) fail("cannot make a host key");
    const auto part = file.string() + ".new";
    // The file exists with its mode before libssh writes the secret into it.
    const int fd = ::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0) ::fchmod(fd, 0600);
    const bool written = fd >= 0 && ssh_pki_export_privkey_file(key, nullptr, nullptr, nullptr, part.c_str()) == SSH_OK && ::fsync(fd) == 0;
    if (fd >= 0) ::close(fd);
    ssh_key_free(key);
    if (!written) fail("cannot write " + part);
    std::filesystem::rename(part, file);
}

std::string line_of(const std::filesystem::path& file) {
    ssh_key key = nullptr;
    if (ssh_pki_import_privkey_file(file.c_str(), nullptr, nullptr, nullptr, &key) != SSH_OK) fail("cannot read the host key " + file.string());
    char* base64 = nullptr;
    const bool good = ssh_key_type(key) == SSH_KEYTYPE_ED25519 && ssh_pki_export_pubkey_base64(key, &base64) == SSH_OK;
    ssh_key_free(key);
    if (!good) fail(file.string() + " is no Ed25519 key");
    const std::string line = std::string("ssh-ed25519 ") + base64;
    ssh_string_free_char(base64);
    return line;
}

} // namespace

ssh_bind make_bind(const std::filesystem::path& file, std::string& host_key_line) {
    if (!std::filesystem::exists(file)) make_host_key(file);
    host_key_line = line_of(file);
    const auto bind = ssh_bind_new();
    if (!bind) fail("libssh does not start");
    const bool off = false; // the files in /etc/ssh are for sshd: options come from here only
    int bad = ssh_bind_options_set(bind, SSH_BIND_OPTIONS_PROCESS_CONFIG, &off);
    bad |= ssh_bind_options_set(bind, SSH_BIND_OPTIONS_HOSTKEY, file.c_str());
    bad |= ssh_bind_options_set(bind, SSH_BIND_OPTIONS_KEY_EXCHANGE, "curve25519-sha256,curve25519-sha256@libssh.org");
    for (const auto option : {SSH_BIND_OPTIONS_CIPHERS_C_S, SSH_BIND_OPTIONS_CIPHERS_S_C})
        bad |= ssh_bind_options_set(bind, option, "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com");
    // Listening is what makes libssh load the host key; nobody is told of that port, and it closes at once.
    bad |= ssh_bind_options_set(bind, SSH_BIND_OPTIONS_BINDADDR, "127.0.0.1");
    bad |= ssh_bind_options_set(bind, SSH_BIND_OPTIONS_BINDPORT_STR, "0");
    if (bad || ssh_bind_listen(bind) < 0) {
        const std::string why = ssh_get_error(bind);
        ssh_bind_free(bind);
        fail("libssh does not take its settings: " + why);
    }
    ::close(ssh_bind_get_fd(bind));
    ssh_bind_set_fd(bind, SSH_INVALID_SOCKET);
    return bind;
}

} // namespace souk::tunnel
