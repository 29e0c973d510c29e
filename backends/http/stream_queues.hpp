// Internal. What waits for the WebSocket readers of one door: who they are, how much each may leave waiting, and how much all of them. A text that
// many wait for is in memory once, so it is counted once; when all is too much, those go whose going gives most back. Any thread; no clock,
// no socket.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include <souk/backends/limits.hpp>

namespace souk::http::internal {

class stream_queues {
public:
    using text = std::shared_ptr<const std::string>;
    using reader = std::uint64_t; // 0: none
    using moment = std::chrono::steady_clock::time_point;

    // What a text costs beside its bytes, and what a place in a queue costs, about: without these, many small ones would cost nothing.
    static constexpr std::size_t text_costs = 160, place_costs = 32;
    // Whoever has taken all that there was within this time keeps up, whatever waits for him at the moment.
    static constexpr std::chrono::seconds keeps_up{1};

    explicit stream_queues(const server_limits& l) : limits_(l) {}

    // `cut` is called once at most, from any thread, and never under a lock of this. When all places are taken, the address that holds most of
    // them gives up its oldest, if that is not the one who comes. 0: there is no place.
    reader join(const std::string& peer, std::function<void()> cut);
    void leave(reader);
    // Dropped when there is no such reader any more.
    void push(reader, text, moment now = std::chrono::steady_clock::now());
    text next(reader);   // the oldest that waits; it counts until `done`. None while another is under way.
    void done(reader);   // the kernel has it
    std::size_t queued(reader) const; // bytes, as if they were his alone
    std::size_t held() const;         // bytes, of all
    std::size_t readers() const;

private:
    struct one {
        std::string peer;
        std::function<void()> cut;
        std::vector<text> waiting; // from `first` on
        std::size_t first = 0, bytes = 0;
        text under_way;
        moment behind_since;
        bool idle() const { return first == waiting.size() && !under_way; }
    };
    using all = std::map<reader, one>; // in the order of their coming
    using calls = std::vector<std::function<void()>>;

    void hold(const text&);
    void release(const text&);
    void drop(all::iterator, calls& cut); // and forget
    double share(const one&) const;
    void make_room(moment now, calls& cut);
    bool make_place(const std::string& peer, calls& cut);

    const server_limits limits_;
    mutable std::mutex guard_;
    all readers_;
    std::map<std::string, std::size_t> peers_;
    std::unordered_map<const std::string*, std::size_t> holders_; // places in queues, by text
    std::size_t held_ = 0;
    reader last_ = 0;
};

} // namespace souk::http::internal
