#include <souk/backends/tunnel/channel.hpp>

#include <cstdlib>
#include <cstring>

#include <boost/asio/error.hpp>

namespace souk::tunnel {

namespace {

constexpr std::size_t chunk = 32 * 1024;          // OpenSSH's largest packet
constexpr unsigned long smallest_packet = 1024;   // RFC 4254 asks for 32768; nobody honest announces less than this
thread_local bool tiny_packets = false;

void watch_log(int, const char*, const char* text, void*) {
    const char* at = std::strstr(text, "maxpacket : ");
    if (at && std::strtoul(at + 12, nullptr, 10) < smallest_packet) tiny_packets = true;
}

} // namespace

void watch_packet_sizes() {
    ssh_set_log_callback(watch_log);
    ssh_set_log_level(SSH_LOG_PROTOCOL);
}

bool tiny_packets_seen() { return std::exchange(tiny_packets, false); }

// -- the visitor's end, any executor ------------------------------------------------------------------------------
channel::channel(std::shared_ptr<session> s, std::string service, tcp::endpoint visitor) : strand_(s->strand_) {
    state_ = std::make_shared<channel_state>(std::move(s), std::move(service), std::move(visitor));
}

channel::~channel() { close(); }

void channel::start_open(asio::mutable_buffer, op o) {
    asio::dispatch(strand_, [s = state_, o = std::move(o)]() mutable { s->start(s->open, std::move(o)); });
}

void channel::start_read(asio::mutable_buffer b, op o) {
    asio::dispatch(strand_, [s = state_, b, o = std::move(o)]() mutable {
        s->to = b;
        s->start(s->read, std::move(o));
    });
}

void channel::start_write(asio::mutable_buffer b, op o) {
    asio::dispatch(strand_, [s = state_, b, o = std::move(o)]() mutable {
        s->from = b;
        s->start(s->write, std::move(o));
    });
}

void channel::send_eof() {
    asio::dispatch(strand_, [s = state_] { s->send_eof(); });
}

void channel::close() {
    asio::dispatch(strand_, [s = state_] { s->close(); });
}

// -- the session's end, on the strand -----------------------------------------------------------------------------
bool channel_state::create() {
    if (session_->closed_ || session_->channels_.size() >= session_->engine_.options.limits.channels) return false;
    channel_ = ssh_channel_new(session_->session_);
    if (!channel_) return false;
    callbacks_.userdata = this;
    callbacks_.channel_data_function = [](ssh_session, ssh_channel, void* data, std::uint32_t n, int err, void* self) {
        auto* c = static_cast<channel_state*>(self);
        const auto took = err ? n : c->take(static_cast<const char*>(data), n); // nobody reads a service's error stream
        c->held_ = took < n;
        return static_cast<int>(took);
    };
    callbacks_.channel_eof_function = [](ssh_session, ssh_channel, void* self) { static_cast<channel_state*>(self)->remote_eof_ = true; };
    callbacks_.channel_close_function = [](ssh_session, ssh_channel, void* self) { static_cast<channel_state*>(self)->remote_eof_ = true; };
    ssh_callbacks_init(&callbacks_);
    ssh_set_channel_callbacks(channel_, &callbacks_);
    session_->channels_.push_back(shared_from_this());
    return true;
}

void channel_state::start(op& slot, op o) {
    if (&slot == &open && !closed_ && !channel_ && !create()) return finish(o, asio::error::broken_pipe, 0);
    if (!channel_) return finish(o, asio::error::operation_aborted, 0);
    slot = std::move(o);
    {
        watchdog::inside library(session_->socket_.native_handle());
        progress();
    }
    session_->arm();
}

void channel_state::progress() {
    if (!channel_) return;
    if (open) return progress_open();
    progress_write();
    progress_read();
}

void channel_state::progress_open() {
    // Success shows by itself; a refusal only when asked again, and each question polls: a few are asked each round.
    if (!is_open() && session_->asks_-- > 0) {
        const auto address = visitor_.address().to_string();
        if (ssh_channel_open_reverse_forward(channel_, service_.c_str(), 80, address.c_str(), visitor_.port()) == SSH_ERROR)
            return finish(open, asio::error::connection_refused, 0);
    }
    if (is_open()) finish(open, {}, 0);
    else if (steady::now() - born_ > session_->engine_.options.limits.open) finish(open, asio::error::timed_out, 0);
}

void channel_state::progress_write() {
    if (!write) return;
    if (!is_open() || tiny_packets) return finish(write, asio::error::broken_pipe, 0);
    // Never more than the window: beyond it libssh waits. Window or wire full: the bytes stay in the visitor's TCP.
    const auto room = std::min<std::size_t>({from.size(), chunk, ssh_channel_window_size(channel_)});
    if (!room || session_->backlog() >= session_->engine_.options.limits.to_client_bytes) return;
    const int n = ssh_channel_write(channel_, from.data(), static_cast<std::uint32_t>(room));
    if (n < 0) return finish(write, asio::error::broken_pipe, 0);
    if (n == 0) return; // keys are being exchanged; tried again when the socket wakes us
    session_->queued_ += static_cast<std::size_t>(n);
    session_->engine_.count.bytes_up += static_cast<std::uint64_t>(n);
    finish(write, {}, static_cast<std::size_t>(n));
}

void channel_state::progress_read() {
    if (read && held_) {
        const int n = ssh_channel_read_nonblocking(channel_, to.data(), static_cast<std::uint32_t>(to.size()), 0);
        held_ = n == static_cast<int>(to.size());
        if (n > 0) {
            session_->engine_.count.bytes_down += static_cast<std::uint64_t>(n);
            return finish(read, {}, static_cast<std::size_t>(n));
        }
    }
    if (read && !held_ && (remote_eof_ || !is_open())) finish(read, asio::error::eof, 0);
}

std::size_t channel_state::take(const char* data, std::size_t n) {
    if (!read) return 0; // the rest stays in libssh, and the window does not grow
    n = asio::buffer_copy(to, asio::buffer(data, n));
    session_->engine_.count.bytes_down += n;
    finish(read, {}, n);
    return n;
}

void channel_state::send_eof() {
    if (!channel_ || !is_open()) return;
    {
        watchdog::inside library(session_->socket_.native_handle());
        ssh_channel_send_eof(channel_);
    }
    session_->arm();
}

void channel_state::close() {
    const auto self = shared_from_this();
    if (!std::exchange(closed_, true) && channel_) {
        ssh_remove_channel_callbacks(channel_, &callbacks_); // a late CLOSE would call into freed memory
        ssh_channel_free(std::exchange(channel_, nullptr));
        session_->channels_.remove(self);
        if (!session_->closed_) session_->arm();
    }
    for (auto* slot : {&open, &read, &write}) finish(*slot, asio::error::operation_aborted, 0);
}

} // namespace souk::tunnel
