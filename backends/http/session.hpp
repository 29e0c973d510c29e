// Internal. One HTTP/1.1 connection: reads a request within its limits, hands it over, writes the answer, goes on.
#pragma once
#include <boost/asio/write.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <fmt/format.h>

#include <souk/backends/http/stream_session.hpp>
#include <souk/backends/http/wire.hpp>

namespace souk::http::internal {

template <class Stream>
class session final : public connection {
public:
    session(std::shared_ptr<lane> where, std::shared_ptr<door> shared, slot place, std::string peer, Stream&& wire)
        : connection(std::move(where), std::move(shared), std::move(place), std::move(peer)), stream_(std::move(wire)) {}

    void start() override {
        if constexpr (std::same_as<Stream, tls_stream>) {
            due_in(limits().handshake_within);
            stream_.async_handshake([self = self()](error_code error) {
                if (error) self->fail(self->door_->count.malformed);
                else self->await_request(self->limits().head_within);
            });
        } else {
            await_request(limits().head_within);
        }
    }
    void overdue() override {
        switch (now_) {
        case phase::handling: return time_out_handler();
        case phase::head:
        case phase::body: ++door_->count.timed_out; return refuse(408, "request_timeout", "the request did not arrive in time");
        case phase::lingering:
        case phase::ended: return end();
        case phase::idle:
            if (served_) return end(); // an idle keep-alive connection is no offence
            [[fallthrough]];
        case phase::handshake:
        case phase::writing: return fail(door_->count.timed_out);
        }
    }
    void end() override {
        if (std::exchange(now_, phase::ended) == phase::ended) return;
        const auto keep = shared_from_this();
        error_code ignored; // closing what may have gone already
        socket_of(stream_).close(ignored);
        lane_->leave(this);
    }

private:
    enum class phase { handshake, idle, head, body, handling, writing, lingering, ended };
    using parser = beast::http::request_parser<beast::http::string_body>;
    static constexpr std::size_t head_chunk = 8 * 1024, body_chunk = 64 * 1024, idle_chunk = 1024;
    static constexpr std::size_t small_body = 32 * 1024;   // is copied behind its head: one write, one TLS record or two
    // For the peer to read a refusal before its unread bytes reset the connection.
    static constexpr std::chrono::milliseconds linger{2'000};
    static constexpr std::size_t linger_bytes = 1 << 20;

    std::shared_ptr<session> self() { return std::static_pointer_cast<session>(shared_from_this()); }
    void fail(std::atomic<std::uint64_t>& counter) {
        if (now_ == phase::ended) return;
        ++counter;
        end();
    }

    // -- reading ------------------------------------------------------------------------------------------------------

    void await_request(std::chrono::milliseconds within) {
        parser_.emplace();
        parser_->header_limit(static_cast<std::uint32_t>(limits().head_bytes));
        parser_->body_limit(limits().body_bytes);
        parser_->eager(true);
        now_ = phase::idle;
        being_served(false);
        due_in(within);
        if (buffer_.size()) return feed(); // sent before it was its turn
        buffer_.shrink_to_fit(); // many connections say nothing for long, and so hold little; the next request may be as large as the last
        if (out_.capacity() > idle_chunk) out_ = {};
        read();
    }
    void read() {
        // A chunk's head or the trailers are parsed when they are whole: without this, an endless one would fill the memory.
        if (buffer_.size() > limits().head_bytes + head_chunk) {
            ++door_->count.oversized;
            return refuse(400, "bad_request", "a line of the request is longer than this door reads");
        }
        stream_.async_read_some(buffer_.prepare(now_ == phase::body ? body_chunk : now_ == phase::idle ? idle_chunk : head_chunk),
                                [self = self()](error_code error, std::size_t size) {
                                    if (self->now_ == phase::ended || self->now_ == phase::lingering) return;
                                    if (error) return self->end();
                                    self->buffer_.commit(size);
                                    self->feed();
                                });
    }
    void feed() {
        if (now_ == phase::idle) now_ = phase::head, due_in(limits().head_within);
        while (buffer_.size()) {
            error_code error;
            const auto used = parser_->put(buffer_.data(), error);
            buffer_.consume(used);
            if (error && error != beast::http::error::need_more) return malformed(error);
            if (parser_->is_done()) return handle();
            if (error || !used) break;
        }
        if (now_ == phase::head && parser_->is_header_done()) return begin_body();
        read();
    }
    void begin_body() {
        now_ = phase::body;
        due_in(limits().body_within);
        if (buffer_.size() || !beast::iequals(parser_->get()[beast::http::field::expect], "100-continue")) return read();
        static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
        asio::async_write(stream_, asio::buffer(go_on), [self = self()](error_code error, std::size_t) {
            if (self->now_ != phase::body) return;
            if (error) self->end();
            else self->read();
        });
    }
    void malformed(error_code error) {
        using why = beast::http::error;
        if (error == why::header_limit) {
            ++door_->count.oversized;
            return refuse(431, "head_too_large", "the request's head is larger than this door reads");
        }
        if (error == why::body_limit) {
            ++door_->count.oversized;
            return refuse(413, "body_too_large", "the request's body is larger than this door reads");
        }
        ++door_->count.malformed;
        refuse(400, "bad_request", error.message());
    }

    // -- answering ----------------------------------------------------------------------------------------------------

    void handle() {
        auto message = parser_->release();
        keep_alive_ = message.keep_alive();
        head_only_ = message.method() == beast::http::verb::head;
        old_ = message.version() < 11;
        auto asked = to_request(message, peer_);
        if (!asked) {
            ++door_->count.malformed;
            return refuse(400, asked.error().code, asked.error().text);
        }
        now_ = phase::handling;
        being_served(true);
        due_in(limits().answer_within);
        if (beast::websocket::is_upgrade(message)) return upgrade(std::move(message), std::move(*asked));
        const auto number = ++asked_;
        auto ticket = std::make_shared<answer_ticket>(self(), number);
        try {
            door_->handle.answer(std::move(*asked), [ticket](response r) { ticket->use(std::move(r)); });
        } catch (const std::exception& e) {
            ticket->use(error_response(500, {"internal_error", "the handler failed"})); // what it said stays inside
        }
    }
    struct answer_ticket {
        answer_ticket(std::weak_ptr<session> who, std::uint64_t which) : to(std::move(who)), number(which) {}
        ~answer_ticket() { use(error_response(500, {"no_answer", "the request was dropped without an answer"})); }
        void use(response r) {
            if (used.exchange(true)) return;
            if (auto s = to.lock()) s->deliver(number, std::move(r));
        }
        std::weak_ptr<session> to;
        std::uint64_t number;
        std::atomic<bool> used{false};
    };
    void deliver(std::uint64_t number, response r) { // from any thread
        if (lane_->here()) return answered(number, std::move(r));
        lane_->post([self = self(), number, r = std::move(r)]() mutable { self->answered(number, std::move(r)); });
    }
    void answered(std::uint64_t number, response r) {
        if (now_ == phase::handling && number == asked_) write(std::move(r)); // else it is too late
    }
    void time_out_handler() {
        ++door_->count.timed_out;
        ++asked_; // the late answer is for nobody
        write(error_response(504, {"answer_timeout", "no answer in time; whether the request took effect is not known here"}));
    }
    void refuse(unsigned status, std::string code, std::string text) {
        keep_alive_ = false;
        write(error_response(status, {std::move(code), std::move(text)}));
    }
    void write(response r) {
        now_ = phase::writing;
        due_in(limits().write_within);
        if (beast::iequals(r.head.get("Connection"), "close") || (r.more && old_)) keep_alive_ = false;
        if (!write_head(out_, r, lane_->date(), keep_alive_, old_)) {
            r = error_response(500, {"bad_header", "the answer's head is not valid"});
            write_head(out_, r, lane_->date(), keep_alive_, old_);
        }
        body_.clear();
        if (r.more && !head_only_) {
            more_ = std::move(r.more);
            out_ += framed(r.body);
            return send_out();
        }
        if (head_only_ || bodiless(r.status)) {}
        else if (r.body.size() <= small_body) out_ += r.body;
        else body_ = std::move(r.body);
        const auto done = [self = self()](error_code error, std::size_t) { self->written(error); };
        if (body_.empty()) asio::async_write(stream_, asio::buffer(out_), done);
        else
            asio::async_write(stream_, std::array{asio::const_buffer(asio::buffer(out_)), asio::const_buffer(asio::buffer(body_))},
                              done);
    }
    void send_out() {
        due_in(limits().write_within);
        asio::async_write(stream_, asio::buffer(out_), [self = self()](error_code error, std::size_t) { self->written(error); });
    }
    std::string framed(const std::string& piece) const {
        return old_ || piece.empty() ? piece : fmt::format("{:x}\r\n{}\r\n", piece.size(), piece);
    }
    void next_piece() {
        auto piece = result<std::string>(refusal{"internal_error", "the handler failed"});
        try {
            piece = more_();
        } catch (const std::exception&) { // what it said stays inside
        }
        if (!piece) return end(); // without the end: the peer sees that it is not whole
        out_ = framed(*piece);
        if (piece->empty()) {
            more_ = {};
            if (!old_) out_ = "0\r\n\r\n";
        }
        send_out();
    }
    void written(error_code error) {
        if (now_ == phase::ended) return;
        if (error) return end();
        if (more_) return next_piece();
        ++door_->count.answered;
        served_ = true;
        body_ = {};
        if (keep_alive_) return await_request(limits().idle);
        now_ = phase::lingering;
        due_in(linger);
        say_goodbye();
    }
    void say_goodbye() {
        if constexpr (std::same_as<Stream, tls_stream>) {
            stream_.async_shutdown([self = self()](error_code) { self->end(); });
        } else {
            error_code gone;
            stream_.shutdown(plain_socket::shutdown_send, gone);
            if (gone) return end();
            drain();
        }
    }
    void drain() {
        out_.resize(head_chunk); // not buffer_: a read of the request may still be under way into that
        stream_.async_read_some(asio::buffer(out_), [self = self()](error_code error, std::size_t size) {
            if (error || (self->drained_ += size) > linger_bytes) return self->end();
            self->drain();
        });
    }

    // -- WebSocket ----------------------------------------------------------------------------------------------------

    void upgrade(beast_request message, request asked) {
        if (!door_->handle.upgrade || buffer_.size()) return write(error_response(400, {"no_upgrade", "there is no stream here"}));
        auto handle = std::make_shared<stream_handle>(limits().stream_queue_bytes);
        std::variant<stream_handler, response> what;
        try {
            what = door_->handle.upgrade(asked, handle);
        } catch (const std::exception&) {
            what = error_response(500, {"internal_error", "the handler failed"});
        }
        if (auto* no = std::get_if<response>(&what)) {
            handle->detach();
            return write(std::move(*no));
        }
        auto& streams = door_->streams;
        // Cut off on its lane, whoever finds that it has to go: he may be speaking to another stream just now.
        reader_place reader(streams, streams.join(slot_.key(), [on = lane_, weak = std::weak_ptr(handle)] {
            on->post([weak] {
                if (const auto one = weak.lock()) one->cut_off();
            });
        }));
        if (!*reader) {
            ++door_->count.refused;
            handle->detach();
            if (const auto& closed = std::get<stream_handler>(what).closed) closed();
            return write(error_response(503, {"not_now", "this door has no place for another reader; try again later"}));
        }
        const auto keep = shared_from_this();
        now_ = phase::ended;
        lane_->leave(this);
        ++door_->count.answered;
        lane_->admit(std::make_shared<stream_session<Stream>>(lane_, door_, std::move(slot_), peer_, std::move(stream_),
                                                              std::move(message), std::move(std::get<stream_handler>(what)),
                                                              std::move(handle), std::move(reader)));
    }

    Stream stream_;
    beast::flat_buffer buffer_;
    std::optional<parser> parser_;
    phase now_ = phase::handshake;
    std::uint64_t asked_ = 0; // requests handed over
    bool keep_alive_ = false, head_only_ = false, old_ = false, served_ = false;
    std::size_t drained_ = 0;
    std::string out_, body_;
    std::function<result<std::string>()> more_; // of the answer under way
};

} // namespace souk::http::internal
