// Internal. One thread of a door with the connections that live on it. A connection belongs to one lane for life, so its
// state needs no lock.
#pragma once
#include <deque>
#include <functional>
#include <thread>
#include <unordered_map>

#include <boost/asio/dispatch.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <souk/backends/http/door.hpp>

namespace souk::http::internal {

namespace asio = boost::asio;
using executor = asio::io_context::executor_type;
using plain_socket = asio::basic_stream_socket<asio::generic::stream_protocol, executor>; // TCP and unix alike
using clock = std::chrono::steady_clock;

class lane;

class connection : public guest, public std::enable_shared_from_this<connection> {
public:
    connection(std::shared_ptr<lane> where, std::shared_ptr<door> shared, slot place, std::string peer)
        : lane_(std::move(where)), door_(std::move(shared)), slot_(std::move(place)), peer_(std::move(peer)) {}
    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;

    virtual void start() = 0;
    virtual void overdue() = 0; // its deadline has passed
    virtual void end() = 0;     // closes the socket and leaves the lane; more calls do nothing

    clock::time_point deadline() const { return deadline_; }
    void take_place() { slot_.seat(weak_from_this()); }
    bool may_give_way() const override { return !served_now_; }
    void give_way() override;

protected:
    void due_in(std::chrono::milliseconds time) { deadline_ = clock::now() + time; }
    void not_due() { deadline_ = clock::time_point::max(); }
    void being_served(bool so) { served_now_ = so; }
    const server_limits& limits() const { return door_->options.limits; }

    std::shared_ptr<lane> lane_; // first, so that it outlives the socket of the derived class
    std::shared_ptr<door> door_;
    slot slot_;
    std::string peer_;

private:
    clock::time_point deadline_ = clock::time_point::max();
    std::atomic<bool> served_now_{false};
};

class lane : public std::enable_shared_from_this<lane> {
public:
    asio::io_context& context() { return context_; }
    bool here() { return context_.get_executor().running_in_this_thread(); }

    void run(); // starts the thread
    void stop(); // ends every connection, joins the thread; nothing is run on this lane afterwards

    // From any thread; dropped when the lane has stopped.
    template <class F>
    void post(F&& work) {
        const std::lock_guard hold(guard_);
        if (!stopped_) asio::post(context_, std::forward<F>(work));
    }

    void admit(std::shared_ptr<connection>); // on this lane's thread
    // From any thread: long work in short turns. One is taken at a time, and whoever else has something to do comes in between.
    void in_turn(std::function<void()>);
    void leave(connection* who) { connections_.erase(who); }
    std::string_view date();                 // of now, for the Date header; good until the next call

private:
    void sweep();
    void take_turn();

    asio::io_context context_{1};
    asio::steady_timer sweeper_{context_};
    std::optional<asio::executor_work_guard<executor>> work_;
    std::unordered_map<connection*, std::shared_ptr<connection>> connections_;
    std::thread thread_;
    std::deque<std::function<void()>> turns_;
    std::mutex guard_;
    bool stopped_ = false, stopping_ = false, sweeping_ = false;
    std::time_t dated_ = 0;
    std::string date_;
};

inline void connection::give_way() {
    lane_->post([self = shared_from_this()] {
        if (!self->may_give_way()) return; // it asked for something just now
        ++self->door_->count.refused;
        self->end();
    });
}

} // namespace souk::http::internal
