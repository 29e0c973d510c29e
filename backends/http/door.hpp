// Internal. What the connections of one server share: its limits, its handler, its counts, and who holds how many connections.
#pragma once
#include <atomic>
#include <mutex>
#include <unordered_map>

#include <souk/backends/http/server.hpp>
#include <souk/backends/http/stream_queues.hpp>

namespace souk::http::internal {

struct door {
    door(server_options o, handler h) : options(std::move(o)), handle(std::move(h)), streams(options.limits) {}

    const server_options options;
    const handler handle;
    stream_queues streams;

    struct {
        std::atomic<std::uint64_t> accepted{0}, refused{0}, timed_out{0}, oversized{0}, malformed{0}, answered{0}, open{0},
            cut_off{0};
    } count;

    std::mutex guard;
    std::unordered_map<std::string, std::size_t> peers; // connections an address holds
};

// One connection's place in the caps; given back when dropped.
class slot {
public:
    slot() = default;
    slot(slot&&) noexcept = default;
    slot& operator=(slot&&) = delete;
    ~slot() {
        if (!door_) return;
        --door_->count.open;
        const std::lock_guard hold(door_->guard);
        if (const auto at = door_->peers.find(key_); at != door_->peers.end() && --at->second == 0) door_->peers.erase(at);
    }
    // An empty slot when the caps forbid it. `key` is what the per-peer cap counts by.
    static slot take(std::shared_ptr<door> d, std::string key) {
        if (d->count.open.load() >= d->options.limits.connections) return {};
        {
            const std::lock_guard hold(d->guard);
            auto& held = d->peers[key];
            if (held >= d->options.limits.connections_per_peer) return {};
            ++held;
        }
        ++d->count.open;
        slot s;
        s.door_ = std::move(d), s.key_ = std::move(key);
        return s;
    }
    explicit operator bool() const { return door_ != nullptr; }
    const std::string& key() const { return key_; }

private:
    std::shared_ptr<door> door_;
    std::string key_;
};

} // namespace souk::http::internal
