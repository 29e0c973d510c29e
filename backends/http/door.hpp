// Internal. What the connections of one server share: its limits, its handler, its counts, and who holds how many connections.
#pragma once
#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

#include <souk/backends/http/server.hpp>
#include <souk/backends/http/stream_queues.hpp>

namespace souk::http::internal {

// Whoever has a place. What is asked here is asked from any thread.
class guest {
public:
    virtual ~guest() = default;
    virtual bool may_give_way() const = 0; // nothing is being done for him
    virtual void give_way() = 0;           // and then he goes, soon
};

struct door {
    door(server_options o, handler h) : options(std::move(o)), handle(std::move(h)), streams(options.limits) {}

    const server_options options;
    const handler handle;
    stream_queues streams;

    struct {
        std::atomic<std::uint64_t> accepted{0}, refused{0}, timed_out{0}, oversized{0}, malformed{0}, answered{0}, open{0},
            cut_off{0};
    } count;

    struct place {
        std::string key;
        std::weak_ptr<guest> who;
    };
    std::mutex guard; // over the next
    std::unordered_map<std::string, std::size_t> peers; // connections an address holds
    std::map<std::uint64_t, place> places;              // in the order of their coming
    std::uint64_t last = 0;
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
        const auto at = door_->places.find(number_);
        if (const auto p = door_->peers.find(at->second.key); --p->second == 0) door_->peers.erase(p);
        door_->places.erase(at);
    }
    // An empty slot when the caps forbid it. `key` is what the per-peer cap counts by. When all places are taken, the address that holds most of
    // them gives up the oldest for which nothing is being done, if that is not the one who comes: a crowd keeps nobody out but itself.
    static slot take(std::shared_ptr<door> d, const std::string& key) {
        std::vector<std::shared_ptr<guest>> met;
        std::shared_ptr<guest> goes;
        slot s;
        {
            const std::lock_guard hold(d->guard);
            const auto mine = d->peers.find(key);
            const auto held = mine == d->peers.end() ? 0 : mine->second;
            if (held >= d->options.limits.connections_per_peer) return {};
            if (d->places.size() >= d->options.limits.connections && !(goes = one_of_most(*d, held, met))) return {};
            s.number_ = ++d->last;
            d->places.emplace(s.number_, door::place{key, {}});
            ++d->peers[key];
        }
        ++d->count.open;
        if (goes) goes->give_way();
        s.door_ = std::move(d);
        return s;
    }
    void seat(const std::weak_ptr<guest>& who) const {
        const std::lock_guard hold(door_->guard);
        door_->places.at(number_).who = who;
    }
    std::string key() const {
        const std::lock_guard hold(door_->guard);
        return door_->places.at(number_).key;
    }
    explicit operator bool() const { return door_ != nullptr; }

private:
    // Whoever is looked at stays in `met`: the last to hold a guest ends it, and its place is given back under the lock that is held here.
    static std::shared_ptr<guest> one_of_most(door& d, std::size_t mine, std::vector<std::shared_ptr<guest>>& met) {
        const auto most = std::max_element(d.peers.begin(), d.peers.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
        if (most == d.peers.end() || most->second <= mine + 1) return nullptr; // it would only be a swap
        for (auto& [number, p] : d.places) {
            if (p.key != most->first) continue;
            auto who = p.who.lock();
            if (!who) continue;
            met.push_back(who);
            if (!who->may_give_way()) continue;
            p.who.reset(); // he is asked once
            return who;
        }
        return nullptr;
    }

    std::shared_ptr<door> door_;
    std::uint64_t number_ = 0;
};

} // namespace souk::http::internal
