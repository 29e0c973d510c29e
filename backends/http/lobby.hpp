// Internal. A TLS connection that has said nothing whole yet: it costs a socket, not the buffers of TLS, which are what most of its memory would be.
#pragma once
#include <souk/backends/http/session.hpp>

namespace souk::http::internal {

class lobby final : public connection {
public:
    lobby(std::shared_ptr<lane> where, std::shared_ptr<door> shared, slot place, std::string peer, plain_socket socket, asio::ssl::context& tls)
        : connection(std::move(where), std::move(shared), std::move(place), std::move(peer)), socket_(std::move(socket)), tls_(tls) {}

    void start() override {
        due_in(limits().handshake_within);
        wait();
    }
    void overdue() override {
        ++door_->count.timed_out;
        end();
    }
    void end() override {
        if (std::exchange(ended_, true)) return;
        const auto keep = shared_from_this();
        error_code ignored; // closing what may have gone already
        socket_.close(ignored);
        lane_->leave(this);
    }

private:
    void wait() {
        socket_.async_wait(plain_socket::wait_read, [self = std::static_pointer_cast<lobby>(shared_from_this())](error_code error) {
            if (self->ended_) return;
            if (error) return self->end();
            if (!tls::first_record_is_here(self->socket_.native_handle(), self->asked_)) return self->wait();
            self->enter();
        });
    }
    void enter() {
        const auto keep = shared_from_this();
        ended_ = true;
        lane_->leave(this);
        lane_->admit(std::make_shared<session<tls_stream>>(lane_, door_, std::move(slot_), peer_, tls_stream(std::move(socket_), tls_.native_handle())));
    }

    plain_socket socket_;
    asio::ssl::context& tls_; // the server's, which outlives its lanes
    int asked_ = 0;
    bool ended_ = false;
};

} // namespace souk::http::internal
