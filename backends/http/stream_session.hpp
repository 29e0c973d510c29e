// Internal. A WebSocket that a door has accepted.
#pragma once
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket/stream.hpp>

#include <souk/backends/http/lane.hpp>
#include <souk/backends/tls/stream.hpp>

namespace souk::http::internal {

namespace beast = boost::beast;
using tls_stream = tls::stream<plain_socket>;
using boost::system::error_code;
using beast_request = beast::http::request<beast::http::string_body>;

inline plain_socket& socket_of(plain_socket& s) { return s; }
inline plain_socket& socket_of(tls_stream& s) { return s.next_layer(); }

// Where a stream_handle's calls go once there is a WebSocket.
class stream_end {
public:
    virtual ~stream_end() = default;
    virtual void send(stream_queues::text) = 0;
    virtual void close(std::string why) = 0;
    virtual std::size_t queued() const = 0;
    virtual void again() = 0;
    virtual void cut_off() = 0; // on its lane
};

// What the door's user holds. It may be spoken to before the handshake is done, and after the connection has gone.
class stream_handle final : public stream {
public:
    explicit stream_handle(std::size_t most) : most_(most) {}

    using stream::send;
    void send(stream_queues::text text) override {
        if (auto to = target()) return to->send(std::move(text));
        const std::lock_guard hold(guard_);
        if (gone_) return;
        if (auto to = to_.lock()) return to->send(std::move(text)); // attached just now
        waiting_ += text->size();
        if (waiting_ <= most_) early_.push_back(std::move(text));
    }
    void close(std::string why) override {
        if (auto to = target()) return to->close(std::move(why));
        const std::lock_guard hold(guard_);
        if (!gone_) early_close_ = std::move(why);
    }
    std::size_t queued() const override {
        if (auto to = target()) return to->queued();
        const std::lock_guard hold(guard_);
        return waiting_;
    }
    void again() override {
        if (auto to = target()) to->again(); // one that is not open yet is told when it is
    }
    void cut_off() {
        if (auto to = target()) to->cut_off();
    }
    void attach(const std::shared_ptr<stream_end>& to) {
        const std::lock_guard hold(guard_);
        for (auto& text : early_) to->send(std::move(text));
        early_ = {};
        if (waiting_ > most_) to->close("too much was sent before the stream was open");
        else if (early_close_) to->close(std::move(*early_close_));
        to_ = to;
    }
    void detach() {
        const std::lock_guard hold(guard_);
        gone_ = true, waiting_ = 0;
        early_ = {}, to_.reset();
    }

private:
    std::shared_ptr<stream_end> target() const {
        const std::lock_guard hold(guard_);
        return to_.lock();
    }

    const std::size_t most_;
    mutable std::mutex guard_;
    std::weak_ptr<stream_end> to_;
    std::vector<stream_queues::text> early_;
    std::optional<std::string> early_close_;
    std::size_t waiting_ = 0;
    bool gone_ = false;
};

// A reader's place among those of its door; given back when dropped.
class reader_place {
public:
    reader_place() = default;
    reader_place(stream_queues& all, stream_queues::reader who) : all_(&all), who_(who) {}
    reader_place(reader_place&& o) noexcept : all_(o.all_), who_(std::exchange(o.who_, 0)) {}
    reader_place& operator=(reader_place&&) = delete;
    ~reader_place() { leave(); }
    void leave() {
        if (who_) all_->leave(who_); // the number stays, for those who may be asking for it just now; nobody else gets it
    }
    stream_queues::reader operator*() const { return who_; }

private:
    stream_queues* all_ = nullptr;
    stream_queues::reader who_ = 0;
};

template <class Stream>
class stream_session final : public connection, public stream_end {
public:
    stream_session(std::shared_ptr<lane> where, std::shared_ptr<door> shared, slot place, std::string peer, Stream&& wire,
                   beast_request asked, stream_handler handler, std::shared_ptr<stream_handle> handle, reader_place reader)
        : connection(std::move(where), std::move(shared), std::move(place), std::move(peer)),
          ws_(std::move(wire)),
          asked_(std::move(asked)),
          handler_(std::move(handler)),
          handle_(std::move(handle)),
          reader_(std::move(reader)) {}

    void start() override {
        namespace websocket = beast::websocket;
        being_served(true); // who has to make room among readers is for the queues to say
        ws_.set_option(websocket::stream_base::timeout{limits().handshake_within, limits().idle, true});
        ws_.read_message_max(limits().stream_message_bytes);
        ws_.binary(handler_.binary);
        error_code as_it_is; // a kernel that grants less is no harm
        beast::get_lowest_layer(ws_).set_option(asio::socket_base::send_buffer_size(static_cast<int>(limits().stream_kernel_bytes)), as_it_is);
        handle_->attach(std::shared_ptr<stream_end>(shared_from_this(), this));
        due_in(limits().handshake_within);
        ws_.async_accept(asked_, [self = self()](error_code error) { self->accepted(error); });
    }
    void overdue() override {
        ++(writing_ ? door_->count.cut_off : door_->count.timed_out);
        end();
    }
    void end() override {
        if (std::exchange(ended_, true)) return;
        const auto keep = shared_from_this();
        handle_->detach();
        reader_.leave();
        error_code ignored; // closing what may have gone already
        beast::get_lowest_layer(ws_).close(ignored);
        lane_->leave(this);
        guarded([&] {
            if (handler_.closed) handler_.closed();
        });
        handler_ = {}; // it may hold what holds this
    }

    void send(stream_queues::text text) override {
        door_->streams.push(*reader_, std::move(text));
        wake();
    }
    void close(std::string why) override {
        {
            const std::lock_guard hold(guard_);
            if (why.size() > 120) why.resize(120); // a close frame holds 125 bytes, two are the code
            if (!closing_) closing_ = std::move(why);
        }
        wake();
    }
    std::size_t queued() const override { return door_->streams.queued(*reader_); }
    void again() override {
        lane_->in_turn([self = self()] { self->tell_drained(); });
    }
    void cut_off() override {
        if (!ended_) ++door_->count.cut_off;
        end();
    }

private:
    static constexpr std::chrono::seconds close_within{5};

    std::shared_ptr<stream_session> self() { return std::static_pointer_cast<stream_session>(shared_from_this()); }

    // A handler that fails costs its own stream, not the door.
    template <class F>
    void guarded(F call) {
        try {
            call();
        } catch (const std::exception&) {
            end();
        }
    }
    // Order of sends is the queue's, whichever threads they come from; the lane is woken once for many.
    void wake() {
        if (lane_->here()) return write();
        if (!woken_.exchange(true)) lane_->post([self = self()] { self->woken_ = false, self->write(); });
    }
    void accepted(error_code error) {
        if (ended_) return;
        if (error) return end();
        open_ = true;
        asked_ = {}; // it may be large, and has said what it had to
        not_due();
        read();
        write();
        tell_drained();
    }
    void read() {
        ws_.async_read(incoming_, [self = self()](error_code error, std::size_t) { self->on_read(error); });
    }
    void on_read(error_code error) {
        if (ended_) return;
        if (error) {
            if (error == beast::error::timeout) ++door_->count.timed_out;
            if (error == beast::websocket::error::message_too_big) ++door_->count.oversized;
            return end();
        }
        std::string text(static_cast<const char*>(incoming_.data().data()), incoming_.size());
        incoming_.clear();
        incoming_.shrink_to_fit(); // most say nothing more
        guarded([&] {
            if (handler_.message) handler_.message(std::move(text));
        });
        if (!ended_) read();
    }
    void write() {
        if (!open_ || writing_ || ended_ || close_sent_) return;
        const bool last = closing(); // before the queue: what was sent before it goes out first
        current_ = door_->streams.next(*reader_);
        if (!current_) {
            if (last) send_close();
            return;
        }
        writing_ = true;
        due_in(limits().stream_write_within);
        ws_.async_write(asio::buffer(*current_), [self = self()](error_code error, std::size_t) { self->written(error); });
    }
    void written(error_code error) {
        writing_ = false;
        current_ = nullptr;
        if (ended_) return;
        door_->streams.done(*reader_);
        if (error) return end();
        not_due();
        write();
        tell_drained();
    }
    void tell_drained() {
        if (!open_ || writing_ || ended_ || close_sent_ || !handler_.drained) return;
        guarded([&] { handler_.drained(); });
    }
    bool closing() {
        const std::lock_guard hold(guard_);
        return closing_.has_value();
    }
    void send_close() {
        close_sent_ = true;
        due_in(close_within);
        ws_.async_close({beast::websocket::close_code::normal, *closing_}, [self = self()](error_code) { self->end(); });
    }

    beast::websocket::stream<Stream, false> ws_; // no deflate: its contexts cost each reader hundreds of kilobytes
    beast_request asked_;
    stream_handler handler_;
    std::shared_ptr<stream_handle> handle_;
    reader_place reader_; // its queue is the door's
    beast::flat_buffer incoming_;
    stream_queues::text current_;
    bool open_ = false, writing_ = false, ended_ = false, close_sent_ = false;

    std::atomic<bool> woken_{false};
    std::mutex guard_; // over the next
    std::optional<std::string> closing_;
};

} // namespace souk::http::internal
