#include <souk/runtime/cluster/handshakes.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>

namespace souk::carrier {

using std::chrono::milliseconds;

namespace {

constexpr milliseconds out_of_descriptors{100};
constexpr int accepted_at_once = 64;
constexpr std::size_t addresses_tried = 8;

std::string shown(const sockaddr_storage& a) {
    char text[INET6_ADDRSTRLEN] = {};
    if (a.ss_family == AF_INET) ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(a).sin_addr, text, sizeof text);
    if (a.ss_family == AF_INET6) ::inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(a).sin6_addr, text, sizeof text);
    return text;
}
socklen_t size_of(const sockaddr_storage& a) { return a.ss_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6); }

// `numeric`: answers at once, for addresses; otherwise asks the resolver, which may take long.
std::string resolve(const std::string& host, std::uint16_t port, bool numeric, std::vector<sockaddr_storage>& out) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC, hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV | (numeric ? AI_NUMERICHOST : AI_ADDRCONFIG);
    addrinfo* found = nullptr;
    if (const int e = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found); e != 0) return ::gai_strerror(e);
    for (auto* a = found; a && out.size() < addresses_tried; a = a->ai_next) {
        sockaddr_storage s{};
        std::memcpy(&s, a->ai_addr, std::min<std::size_t>(a->ai_addrlen, sizeof s));
        out.push_back(s);
    }
    ::freeaddrinfo(found);
    return out.empty() ? "no address" : "";
}

descriptor listen_at(const std::string& address, std::uint16_t port, std::uint16_t& bound) {
    const auto fail = [&](const std::string& why) { throw std::runtime_error("the cluster cannot listen at " + address + ":" + std::to_string(port) + ": " + why); };
    std::vector<sockaddr_storage> where;
    if (const auto why = resolve(address, port, true, where); !why.empty()) fail(why);
    descriptor s(::socket(where[0].ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const int on = 1;
    if (s.get() < 0 || ::setsockopt(s.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        ::bind(s.get(), reinterpret_cast<const sockaddr*>(where.data()), size_of(where[0])) != 0 || ::listen(s.get(), 128) != 0)
        fail(std::strerror(errno));
    sockaddr_storage at{};
    socklen_t size = sizeof at;
    if (::getsockname(s.get(), reinterpret_cast<sockaddr*>(&at), &size) != 0) fail(std::strerror(errno));
    bound = ntohs(at.ss_family == AF_INET ? reinterpret_cast<sockaddr_in&>(at).sin_port : reinterpret_cast<sockaddr_in6&>(at).sin6_port);
    return s;
}

} // namespace

void descriptor::reset(int fd) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
}

struct handshakes::inbox {
    std::mutex mutex;
    std::vector<request> requests;
    bool stop = false;
    descriptor wake{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};

    bool put(request r) { // false: nobody reads it any more
        const std::lock_guard lock(mutex);
        if (stop) return false;
        requests.push_back(std::move(r));
        ::eventfd_write(wake.get(), 1);
        return true;
    }
};

struct handshakes::attempt {
    descriptor socket;
    session tls;
    std::string address;
    steady::time_point deadline;
    std::optional<request> dial; // ours, when there is one
    std::size_t tried = 0;       // of its addresses
    bool connecting = false, ended = false;
    short wants = POLLIN;
};

handshakes::handshakes(const cluster_options& options, const credentials& c, const link_table& links, refusals& refused, taken t)
    : options_(options), credentials_(c), links_(links), refused_(refused), taken_(std::move(t)), inbox_(std::make_shared<inbox>()) {
    listener_ = listen_at(options.address, options.port, port_);
    if (inbox_->wake.get() < 0) throw std::runtime_error(std::string("the cluster cannot start: eventfd: ") + std::strerror(errno));
}

void handshakes::start() {
    thread_ = std::thread([this] { run(); });
}

handshakes::~handshakes() {
    {
        const std::lock_guard lock(inbox_->mutex);
        inbox_->stop = true;
        ::eventfd_write(inbox_->wake.get(), 1);
    }
    if (thread_.joinable()) thread_.join();
}

void handshakes::dial(const cluster_options::peer& peer, dialled then) {
    request r{peer, std::move(then), steady::now() + options_.limits.dial_within, {}, {}};
    r.trouble = resolve(peer.host, peer.port, true, r.addresses);
    auto box = inbox_;
    if (r.trouble.empty()) {
        auto answer = r.then;
        if (!box->put(std::move(r))) answer(refusal{"stopped", "the cluster is being shut down"});
        return;
    }
    std::thread([box, r = std::move(r)]() mutable { // a name: the resolver has no deadline, so nobody waits for it
        r.trouble = resolve(r.peer.host, r.peer.port, false, r.addresses);
        auto answer = r.then;
        if (!box->put(std::move(r))) answer(refusal{"stopped", "the cluster is being shut down"});
    }).detach();
}

void handshakes::run() {
    std::vector<pollfd> polled;
    for (;;) {
        const auto now = steady::now();
        const bool accepting = now >= accept_again_;
        polled.assign({{inbox_->wake.get(), POLLIN, 0}, {accepting ? listener_.get() : -1, POLLIN, 0}});
        for (const auto& a : attempts_) polled.push_back({a->socket.get(), a->wants, 0});
        if (::poll(polled.data(), polled.size(), wait_for(now)) < 0 && errno != EINTR && errno != ENOMEM) break;

        ++refused_.turns;
        const auto after = steady::now();
        for (std::size_t i = 0; i < polled.size() - 2; ++i) {
            if (polled[i + 2].revents != 0) advance(*attempts_[i], polled[i + 2].revents);
            if (!attempts_[i]->ended && after >= attempts_[i]->deadline) finish(*attempts_[i], "no answer in time");
        }
        if (polled[1].revents != 0) accept_some(after);
        drop_ended();
        if (polled[0].revents != 0) take_requests();
        const std::lock_guard lock(inbox_->mutex);
        if (inbox_->stop) break;
    }
    for (const auto& a : attempts_) finish(*a, "the cluster is being shut down");
    std::vector<request> left;
    {
        const std::lock_guard lock(inbox_->mutex);
        inbox_->stop = true;
        left.swap(inbox_->requests);
    }
    for (const auto& r : left) r.then(refusal{"stopped", "the cluster is being shut down"});
}

int handshakes::wait_for(steady::time_point now) const {
    auto next = accept_again_ > now ? accept_again_ : now + std::chrono::hours{1};
    for (const auto& a : attempts_) next = std::min(next, a->deadline);
    return static_cast<int>(std::max<std::int64_t>(0, std::chrono::ceil<milliseconds>(next - now).count()));
}

void handshakes::drop_ended() {
    std::erase_if(attempts_, [](const auto& a) { return a->ended; });
}

void handshakes::take_requests() {
    eventfd_t n = 0;
    ::eventfd_read(inbox_->wake.get(), &n);
    std::vector<request> fresh;
    {
        const std::lock_guard lock(inbox_->mutex);
        fresh.swap(inbox_->requests);
    }
    for (auto& r : fresh) {
        auto a = std::make_unique<attempt>();
        a->deadline = r.deadline;
        a->dial.emplace(std::move(r));
        if (!a->dial->trouble.empty())
            finish(*a, "the name " + a->dial->peer.host + " has no address: " + a->dial->trouble);
        else
            connect_next(*a);
        if (!a->ended) attempts_.push_back(std::move(a));
    }
}

// -- those who dial us --------------------------------------------------------------------------------------------------

void handshakes::accept_some(steady::time_point now) {
    for (int i = 0; i < accepted_at_once; ++i) {
        sockaddr_storage from{};
        socklen_t size = sizeof from;
        descriptor s(::accept4(listener_.get(), reinterpret_cast<sockaddr*>(&from), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (s.get() < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) accept_again_ = now + out_of_descriptors;
            if (errno == ECONNABORTED || errno == EINTR) continue;
            return;
        }
        admit(std::move(s), shown(from), now);
    }
}

void handshakes::admit(descriptor socket, std::string address, steady::time_point now) {
    if (links_.count() >= options_.limits.links || !make_place(address)) {
        ++refused_.handshakes;
        return;
    }
    auto a = std::make_unique<attempt>();
    a->socket = std::move(socket), a->address = std::move(address);
    a->deadline = now + options_.limits.handshake_within;
    attempts_.push_back(std::move(a));
}

// An honest handshake takes milliseconds: the one under way for longest yields, from the same address when that has its share, else
// from any.
bool handshakes::make_place(const std::string& address) {
    std::size_t all = 0, theirs = links_.count_from(address);
    attempt* oldest = nullptr;
    attempt* oldest_there = nullptr;
    for (const auto& a : attempts_) { // in the order in which they came
        if (a->dial || a->ended) continue;
        ++all;
        if (!oldest) oldest = a.get();
        if (a->address != address) continue;
        ++theirs;
        if (!oldest_there) oldest_there = a.get();
    }
    attempt* yields = nullptr;
    if (theirs >= options_.limits.links_per_address) {
        if (!oldest_there) return false;
        yields = oldest_there;
    } else if (all >= options_.limits.handshakes) {
        yields = oldest;
    }
    if (yields) finish(*yields, "it was slow and another came");
    return true;
}

// -- those whom we dial ---------------------------------------------------------------------------------------------------

void handshakes::connect_next(attempt& a) {
    const auto& addresses = a.dial->addresses;
    std::string why = "no address";
    while (a.tried < addresses.size()) {
        const auto& to = addresses[a.tried++];
        a.tls.reset();
        a.socket.reset(::socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        a.address = shown(to), a.connecting = true, a.wants = POLLOUT;
        if (a.socket.get() >= 0 && (::connect(a.socket.get(), reinterpret_cast<const sockaddr*>(&to), size_of(to)) == 0 || errno == EINPROGRESS)) return;
        why = std::strerror(errno);
    }
    finish(a, why);
}

// -- both -------------------------------------------------------------------------------------------------------------------

void handshakes::advance(attempt& a, short) {
    if (a.ended) return;
    if (a.connecting) {
        int error = 0;
        socklen_t size = sizeof error;
        if (::getsockopt(a.socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
        if (error != 0) return a.tried < a.dial->addresses.size() ? connect_next(a) : finish(a, std::strerror(error));
        a.connecting = false;
    }
    if (!a.tls) a.tls = a.dial ? credentials_.dialling(a.socket.get(), a.dial->peer.node) : credentials_.accepting(a.socket.get());
    if (!a.tls) return finish(a, "no memory for TLS");
    shake(a);
}

void handshakes::shake(attempt& a) {
    ERR_clear_error();
    errno = 0;
    const int r = SSL_do_handshake(a.tls.get());
    if (r != 1) {
        const int kind = SSL_get_error(a.tls.get(), r);
        if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE) {
            a.wants = kind == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
            return;
        }
        bool by_name = false;
        auto why = tls_failure(a.tls.get(), r, by_name);
        return finish(a, std::move(why), by_name);
    }
    const auto name = peer_name(a.tls.get());
    if (a.dial && name != a.dial->peer.node) return finish(a, "its certificate does not name " + a.dial->peer.node + " alone", true);
    a.ended = true;
    authenticated done{std::move(a.socket), std::move(a.tls), name, a.address};
    if (a.dial)
        a.dial->then(std::move(done));
    else
        taken_(std::move(done));
}

void handshakes::finish(attempt& a, std::string why, bool by_name) {
    if (a.ended) return;
    a.ended = true;
    if (!a.dial || by_name) ++(by_name ? refused_.names : refused_.handshakes);
    a.tls.reset();
    a.socket.reset();
    if (a.dial) a.dial->then(refusal{by_name ? "wrong_name" : "no_link", std::move(why)});
}

} // namespace souk::carrier
