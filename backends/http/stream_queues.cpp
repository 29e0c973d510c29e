#include <souk/backends/http/stream_queues.hpp>

#include <algorithm>

namespace souk::http::internal {

stream_queues::reader stream_queues::join(const std::string& peer, std::function<void()> cut) {
    calls gone;
    reader made = 0;
    {
        const std::lock_guard hold(guard_);
        const auto at = peers_.find(peer);
        if ((at == peers_.end() || at->second < limits_.streams_per_peer) && (readers_.size() < limits_.streams || make_place(peer, gone))) {
            made = ++last_;
            auto& r = readers_[made];
            r.peer = peer, r.cut = std::move(cut);
            ++peers_[peer];
        }
    }
    for (const auto& call : gone) call();
    return made;
}

void stream_queues::leave(reader who) {
    const std::lock_guard hold(guard_);
    calls told_already;
    if (const auto at = readers_.find(who); at != readers_.end()) drop(at, told_already);
}

void stream_queues::push(reader who, text what, moment now) {
    calls gone;
    {
        const std::lock_guard locked(guard_);
        const auto at = readers_.find(who);
        if (at == readers_.end()) return;
        auto& r = at->second;
        if (r.idle()) r.behind_since = now;
        r.bytes += what->size() + place_costs;
        hold(what);
        r.waiting.push_back(std::move(what));
        if (r.bytes > limits_.stream_queue_bytes) drop(at, gone);
        else if (held_ > limits_.stream_total_bytes) make_room(now, gone);
    }
    for (const auto& call : gone) call();
}

stream_queues::text stream_queues::next(reader who) {
    const std::lock_guard hold(guard_);
    const auto at = readers_.find(who);
    if (at == readers_.end() || at->second.under_way) return nullptr;
    auto& r = at->second;
    if (r.first == r.waiting.size()) return nullptr;
    r.under_way = std::move(r.waiting[r.first++]);
    if (r.first == r.waiting.size()) {
        r.first = 0;
        r.waiting.clear();
        if (r.waiting.capacity() > 64) r.waiting.shrink_to_fit(); // what was needed once is not kept by all of them
    } else if (r.first > 1024 && r.first > r.waiting.size() / 2) {
        r.waiting.erase(r.waiting.begin(), r.waiting.begin() + static_cast<std::ptrdiff_t>(r.first));
        r.first = 0;
    }
    return r.under_way;
}

void stream_queues::done(reader who) {
    const std::lock_guard hold(guard_);
    const auto at = readers_.find(who);
    if (at == readers_.end() || !at->second.under_way) return;
    auto& r = at->second;
    r.bytes -= r.under_way->size() + place_costs;
    release(r.under_way);
    r.under_way = nullptr;
}

std::size_t stream_queues::queued(reader who) const {
    const std::lock_guard hold(guard_);
    const auto at = readers_.find(who);
    return at == readers_.end() ? 0 : at->second.bytes;
}
std::size_t stream_queues::held() const {
    const std::lock_guard hold(guard_);
    return held_;
}
std::size_t stream_queues::readers() const {
    const std::lock_guard hold(guard_);
    return readers_.size();
}

// -- under the lock -----------------------------------------------------------------------------------------------------------

void stream_queues::hold(const text& t) {
    if (holders_[t.get()]++ == 0) held_ += t->size() + text_costs;
    held_ += place_costs;
}
void stream_queues::release(const text& t) {
    held_ -= place_costs;
    const auto at = holders_.find(t.get());
    if (--at->second != 0) return;
    holders_.erase(at);
    held_ -= t->size() + text_costs;
}
void stream_queues::drop(all::iterator at, calls& cut) {
    auto& r = at->second;
    for (auto i = r.first; i < r.waiting.size(); ++i) release(r.waiting[i]);
    if (r.under_way) release(r.under_way); // its connection ends with it
    if (const auto p = peers_.find(r.peer); --p->second == 0) peers_.erase(p);
    cut.push_back(std::move(r.cut));
    readers_.erase(at);
}
double stream_queues::share(const one& r) const {
    double sum = 0;
    const auto add = [&](const text& t) { sum += static_cast<double>(t->size() + text_costs) / static_cast<double>(holders_.at(t.get())) + place_costs; };
    for (auto i = r.first; i < r.waiting.size(); ++i) add(r.waiting[i]);
    if (r.under_way) add(r.under_way);
    return sum;
}
// Down to three quarters, so that this is seldom asked for. A share is what is held for one alone, and his part of what is held for several.
void stream_queues::make_room(moment now, calls& cut) {
    struct candidate {
        bool behind;
        double share;
        all::iterator who;
    };
    std::vector<candidate> order;
    for (auto at = readers_.begin(); at != readers_.end(); ++at)
        if (!at->second.idle()) order.push_back({now - at->second.behind_since >= keeps_up, share(at->second), at});
    std::stable_sort(order.begin(), order.end(), [](const candidate& a, const candidate& b) { return a.behind != b.behind ? a.behind : a.share > b.share; });
    for (const auto& c : order) {
        if (held_ <= limits_.stream_total_bytes / 4 * 3) return;
        drop(c.who, cut);
    }
}
bool stream_queues::make_place(const std::string& peer, calls& cut) {
    const auto most = std::max_element(peers_.begin(), peers_.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    const auto mine = peers_.find(peer);
    if (most == peers_.end() || most->second <= (mine == peers_.end() ? 1 : mine->second + 1)) return false; // it would only be a swap
    const auto oldest = std::find_if(readers_.begin(), readers_.end(), [&](const auto& r) { return r.second.peer == most->first; });
    drop(oldest, cut);
    return true;
}

} // namespace souk::http::internal
