// Debian's libssh 0.10 marks its accessors for public keys as deprecated in favour of callbacks; a callback would have to answer at
// once, but here the account's owner is asked first.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
#include <souk/backends/tunnel/session.hpp>

#include <algorithm>

#include <netinet/tcp.h>

#include <souk/backends/tunnel/channel.hpp>
#include <souk/messages/at.hpp>
#include <souk/messages/bytes.hpp>

namespace souk::tunnel {

using namespace std::chrono_literals;

session::session(engine& e, socket s, std::uint64_t place)
    : engine_(e), io_(e.io), strand_(s.get_executor()), socket_(std::move(s)), timer_(strand_), place_(place) {}

session::~session() {
    watchdog::inside library(-1);
    if (kept_) ssh_message_free(kept_);
    if (event_) ssh_event_remove_session(event_, session_), ssh_event_free(event_);
    if (session_) ssh_free(session_); // also closes libssh's descriptor
}

void session::start() {
    {
        std::lock_guard lock{engine_.sessions_mutex};
        if (engine_.closing) return void(closed_ = true), engine_.pending.leave(place_);
        engine_.sessions.insert(shared_from_this());
    }
    error_code e;
    socket_.set_option(tcp::no_delay(true), e); // without it every second small packet waits 40 ms for the peer's ACK
    socket_.native_non_blocking(true, e);       // without it send() stops the thread when a client stops reading
    watchdog::inside library(socket_.native_handle());
    session_ = ssh_new();
    ssh_set_blocking(session_, 0);
    {
        std::lock_guard lock{engine_.bind_mutex};
        const int copy = ::dup(socket_.native_handle());
        if (copy < 0 || ssh_bind_accept_fd(engine_.bind, session_, copy) != SSH_OK) return close("cannot start");
    }
    ssh_set_auth_methods(session_, SSH_AUTH_METHOD_PUBLICKEY);
    ssh_set_counters(session_, &wire_, nullptr);
    // No server callbacks and no message callback: requests queue up and may be answered later.
    if (ssh_handle_key_exchange(session_) == SSH_ERROR) return close("no key exchange"); // sends the banner
    event_ = ssh_event_new();
    ssh_event_add_session(event_, session_);
    tick();
    asio::post(strand_, [self = shared_from_this()] { self->pump(); });
}

// -- the loop -----------------------------------------------------------------------------------------------------
void session::pump() {
    watchdog::inside library(closed_ ? -1 : socket_.native_handle());
    do {
        if (closed_) return;
        // While a question is out the client's bytes stay in its TCP: what it asks for queues up without bound in libssh.
        for (int i = 0; i < 16 && !kept_; ++i) {
            const int rc = ssh_event_dopoll(event_, 0);
            if (rc == SSH_AGAIN) break;
            if (rc == SSH_ERROR) return close("connection lost");
        }
        if (tiny_packets_seen()) return close("packet size refused");
        handled_ = wire_.in_bytes;
        if (ssh_get_status(session_) & (SSH_CLOSED | SSH_CLOSED_ERROR)) return close("closed by client");
        if (!exchanged_ && still_exchanging()) break;
        if (closed_) return;
        next_requests();
        if (closed_) return;
        asks_ = 4;
        for (auto at = channels_.begin(); at != channels_.end();) {
            const auto one = *at++;
            one->progress();
        }
        // Any libssh call may read packets on the way and queue their requests: look again, else they would wait.
    } while (wire_.in_bytes != handled_ && !kept_);
    arm();
}

bool session::still_exchanging() {
    const int rc = ssh_handle_key_exchange(session_);
    if (rc == SSH_ERROR) return close(ssh_get_error(session_)), true;
    exchanged_ = rc == SSH_OK;
    return !exchanged_;
}

// After libssh calls, in pump() or outside it: waits for what the library waits for.
void session::arm() {
    if (closed_) return;
    if (tiny_packets_seen()) return close("packet size refused");
    const auto self = shared_from_this();
    const int one = 1; // acknowledge at once: a client without TCP_NODELAY would wait for our delayed ACK
    ::setsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
    if (kept_) return; // the answer pumps
    if (wire_.in_bytes != handled_) {
        handled_ = wire_.in_bytes;
        asio::post(strand_, [self] { self->pump(); });
    }
    const auto wait = [&](bool& waits, tcp::socket::wait_type what) {
        if (std::exchange(waits, true)) return;
        socket_.async_wait(what, asio::bind_executor(strand_, [self, &waits](error_code e) {
            waits = false;
            if (!e) self->pump();
        }));
    };
    wait(wait_in_, tcp::socket::wait_read);
    if (ssh_get_poll_flags(session_) & SSH_WRITE_PENDING) wait(wait_out_, tcp::socket::wait_write);
}

void session::tick() {
    timer_.expires_after(std::min<std::chrono::milliseconds>(1s, engine_.options.limits.login / 4));
    timer_.async_wait(asio::bind_executor(strand_, [weak = weak_from_this()](error_code e) {
        const auto self = weak.lock();
        if (e || !self || self->closed_) return;
        const auto& limits = self->engine_.options.limits;
        const auto now = steady::now();
        if (std::exchange(self->seen_, self->wire_.in_bytes) != self->wire_.in_bytes || self->kept_) self->last_in_ = now;
        if (!self->account_ && now - self->born_ > limits.login) return self->close("login too slow");
        if (now - self->last_in_ > limits.dead) return self->close("client silent");
        if (self->kept_ && now - self->kept_since_ > limits.login) self->refuse_forward("nobody answered who owns this name");
        if (self->closed_) return;
        if (self->account_ && now - self->last_in_ > limits.idle_ping && now - self->pinged_ > limits.idle_ping / 3) {
            watchdog::inside library(self->socket_.native_handle());
            self->pinged_ = now;
            ssh_send_keepalive(self->session_);
        }
        self->tick();
        self->pump(); // also ends channels that nobody answered
    }));
}

void session::close(const char*) {
    if (std::exchange(closed_, true)) return;
    const auto self = shared_from_this();
    engine_.pending.leave(place_);
    if (entered_) engine_.accounts.leave(account_->did);
    if (!account_) ++engine_.count.refused_logins;
    decltype(services_) gone;
    {
        std::lock_guard lock{services_mutex_};
        gone.swap(services_);
    }
    for (const auto& [label, service] : gone)
        if (engine_.routes.remove(label, this) && engine_.options.changed)
            engine_.options.changed({label, account_->did, handle_, service, false});
    while (!channels_.empty()) {
        const auto one = channels_.front();
        one->close();
    }
    error_code e;
    timer_.cancel();
    socket_.shutdown(tcp::socket::shutdown_both, e);
    socket_.close(e); // ends the waits; the last holder frees the session
    if (claims_ > 0) return; // the last answer frees it
    std::lock_guard lock{engine_.sessions_mutex};
    engine_.sessions.erase(self);
}

void session::close_if(std::function<bool(const session&)> condition, std::string why) {
    asio::post(strand_, [self = shared_from_this(), condition = std::move(condition), why = std::move(why)] {
        watchdog::inside library(-1);
        if (!self->closed_ && condition(*self)) self->close(why.c_str());
    });
}

// Bytes in libssh's output buffer, roughly: it has no bound and no public count.
std::size_t session::backlog() {
    if (!(ssh_get_poll_flags(session_) & SSH_WRITE_PENDING)) queued_ = 0, queued_from_ = wire_.out_bytes;
    const auto sent = wire_.out_bytes - queued_from_;
    return queued_ > sent ? queued_ - sent : 0;
}

std::optional<std::string> session::service_of(const std::string& label) const {
    std::lock_guard lock{services_mutex_};
    const auto at = services_.find(label);
    if (at == services_.end()) return std::nullopt;
    return at->second;
}

// -- requests of the client ---------------------------------------------------------------------------------------
void session::next_requests() {
    while (!kept_ && exchanged_ && !closed_) {
        const auto m = ssh_message_get(session_);
        if (!m) return;
        if (handle(m)) continue;
        ssh_message_free(m);
    }
}

bool session::handle(ssh_message m) {
    const int type = ssh_message_type(m), sub = ssh_message_subtype(m);
    if (type == SSH_REQUEST_SERVICE) return ssh_message_service_reply_success(m), false;
    if (type == SSH_REQUEST_AUTH && sub == SSH_AUTH_METHOD_PUBLICKEY && !account_) return asked_to_log_in(m);
    if (type == SSH_REQUEST_GLOBAL && sub == SSH_GLOBAL_REQUEST_TCPIP_FORWARD && account_) return asked_to_forward(m);
    if (type == SSH_REQUEST_GLOBAL && sub == SSH_GLOBAL_REQUEST_CANCEL_TCPIP_FORWARD && account_) {
        const auto* service = ssh_message_global_request_address(m);
        if (service && cancel(service)) return ssh_message_global_request_reply_success(m, 0), false;
    }
    return ssh_message_reply_default(m), false; // shell, exec, direct-tcpip, agent, X11, passwords: refused
}

namespace {

// A handle or a DID, no longer than a label could be made from; nothing that would look odd in a log.
bool plausible_user(std::string_view user) {
    return !user.empty() && user.size() <= 253 && user.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:_-") == user.npos;
}

struct offered_key {
    std::string type, blob;
};

// The key's type is what its own blob says.
std::optional<offered_key> key_of(ssh_message m) {
    char* base64 = nullptr;
    if (ssh_pki_export_pubkey_base64(ssh_message_auth_pubkey(m), &base64) != SSH_OK) return std::nullopt;
    const auto blob = from_base64(base64);
    ssh_string_free_char(base64);
    if (!blob || blob->size() < 4) return std::nullopt;
    std::size_t n = 0;
    for (int i = 0; i < 4; ++i) n = n << 8 | static_cast<unsigned char>((*blob)[static_cast<std::size_t>(i)]);
    if (n > 64 || n > blob->size() - 4) return std::nullopt;
    return offered_key{blob->substr(4, n), *blob};
}

} // namespace

bool session::asked_to_log_in(ssh_message m) {
    const auto state = ssh_message_auth_publickey_state(m); // none: "would this key do?"; valid: libssh has checked the signature
    const std::string user = ssh_message_auth_user(m) ? ssh_message_auth_user(m) : "";
    if (state == SSH_PUBLICKEY_STATE_NONE && ++auth_tries_ > engine_.options.limits.auth_tries) return close("too many keys"), false;
    const auto key = key_of(m);
    if (!plausible_user(user) || !key || (state != SSH_PUBLICKEY_STATE_NONE && state != SSH_PUBLICKEY_STATE_VALID)) {
        ssh_message_auth_set_methods(m, SSH_AUTH_METHOD_PUBLICKEY);
        return ssh_message_reply_default(m), false;
    }
    kept_ = m, kept_since_ = steady::now();
    const auto question = ++question_;
    const auto which = user + '\n' + key->blob;
    if (known_keys_.contains(which)) return answer_login(true, user), true;
    engine_.options.authorise(user, key->type, key->blob, [weak = weak_from_this(), question, user, which](result<grant> answer) {
        const auto self = weak.lock();
        if (!self) return;
        asio::post(self->strand_, [weak, question, user, which, answer = std::move(answer)]() mutable {
            const auto me = weak.lock();
            if (me && !me->closed_ && me->kept_ && me->question_ == question) me->decided(user, which, std::move(answer));
        });
    });
    return true;
}

void session::decided(const std::string& user, const std::string& key, result<grant> answer) {
    watchdog::inside library(socket_.native_handle());
    if (answer) known_keys_[key] = *answer;
    if (answer && ssh_message_auth_publickey_state(kept_) == SSH_PUBLICKEY_STATE_NONE) return answer_login(true, user);
    answer_login(answer.has_value(), user);
}

void session::answer_login(bool welcome, const std::string& user) {
    const auto m = kept_;
    const bool proven = ssh_message_auth_publickey_state(m) == SSH_PUBLICKEY_STATE_VALID;
    if (welcome && !proven) {
        ssh_message_auth_reply_pk_ok_simple(m);
        return answered();
    }
    const auto key = welcome ? key_of(m) : std::nullopt;
    const auto known = key ? known_keys_.find(user + '\n' + key->blob) : known_keys_.end();
    if (known != known_keys_.end() && engine_.accounts.enter(known->second.did)) {
        entered_ = true;
        account_ = known->second;
        handle_ = user;
        known_keys_.clear();
        ++engine_.count.logins;
        engine_.pending.leave(place_);
        ssh_message_auth_reply_success(m, 0);
    } else {
        ++engine_.count.refused_logins;
        ssh_message_auth_set_methods(m, SSH_AUTH_METHOD_PUBLICKEY);
        ssh_message_reply_default(m);
    }
    answered();
}

void session::answered() {
    ssh_message_free(std::exchange(kept_, nullptr));
    ++question_;
    asio::post(strand_, [self = shared_from_this()] { self->pump(); });
}

bool session::asked_to_forward(ssh_message m) {
    kept_ = m, kept_since_ = steady::now();
    const auto question = ++question_;
    const std::string service = ssh_message_global_request_address(m) ? ssh_message_global_request_address(m) : "";
    const auto& allowed = account_->services;
    if (ssh_message_global_request_port(m) != 80) return refuse_forward("the port of -R SERVICE:80:... must be 80"), true;
    if (std::find(allowed.begin(), allowed.end(), service) == allowed.end() && std::find(allowed.begin(), allowed.end(), "*") == allowed.end())
        return refuse_forward("this key may not open that service"), true;
    auto account = handle_;
    if (!account.starts_with("did:")) std::transform(account.begin(), account.end(), account.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    const auto label = host_label(service, account);
    if (!label) return refuse_forward(label.error().text), true;
    if (services_.size() >= engine_.options.limits.labels && !services_.contains(*label))
        return refuse_forward("too many services on one connection"), true;
    if (engine_.routes.held_by_another(*label, account_->did)) return refuse_forward("this name belongs to another account"), true;
    const route_change change{*label, account_->did, handle_, service, true};
    if (!engine_.options.claim) return claimed(change, true), true;
    ++claims_;
    engine_.options.claim(change, [weak = weak_from_this(), question, change](bool yes) {
        const auto self = weak.lock();
        if (!self) return;
        asio::post(self->strand_, [weak, question, change, yes] {
            if (const auto me = weak.lock()) me->claim_answered(question, change, yes);
        });
    });
    return true;
}

void session::claim_answered(unsigned question, const route_change& change, bool yes) {
    --claims_;
    if (!closed_ && kept_ && question_ == question) return claimed(change, yes);
    take_back(change);
    if (!closed_ || claims_ > 0) return;
    std::lock_guard lock{engine_.sessions_mutex};
    engine_.sessions.erase(shared_from_this());
}

// The name may be up for a tunnel that does not stand: it was answered too late, or not at all. Nobody else would ever say that it is down.
void session::take_back(const route_change& change) {
    if (engine_.routes.route(change.label) || !engine_.options.changed) return;
    auto down = change;
    down.up = false;
    engine_.options.changed(down);
}

void session::claimed(const route_change& change, bool yes) {
    if (!yes) return take_back(change), refuse_forward("this name belongs to another account");
    engine_.routes.put(change.label, change.did, shared_from_this()); // a reconnect replaces a half-dead tunnel at once
    {
        std::lock_guard lock{services_mutex_};
        services_[change.label] = change.service;
    }
    ++engine_.count.tunnels;
    ssh_message_global_request_reply_success(kept_, 80);
    if (engine_.options.changed) engine_.options.changed(change);
    answered();
}

// Whatever is kept is refused; ssh -v shows the reason.
void session::refuse_forward(const std::string& why) {
    if (account_) ssh_send_debug(session_, ("souk: " + why).c_str(), 1);
    ssh_message_reply_default(kept_);
    answered();
}

bool session::cancel(const std::string& service) {
    const auto at = std::find_if(services_.begin(), services_.end(), [&](const auto& s) { return s.second == service; });
    if (at == services_.end()) return false;
    const auto label = at->first;
    {
        std::lock_guard lock{services_mutex_};
        services_.erase(at);
    }
    if (engine_.routes.remove(label, this) && engine_.options.changed)
        engine_.options.changed({label, account_->did, handle_, service, false});
    return true;
}

} // namespace souk::tunnel
