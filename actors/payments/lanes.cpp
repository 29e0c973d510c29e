#include <souk/actors/payments/lanes.hpp>

#include <algorithm>

#include <souk/actors/common/foreign_thread.hpp>
#include <souk/messages/ascii.hpp>

namespace souk {

namespace {

constexpr std::size_t most_askers = 64; // of one job

} // namespace

key_lanes::key_lanes(caf::actor_system& sys, lanes_options o, journal& log, std::shared_ptr<evm::chain> on, std::vector<crypto::secret> keys)
    : options_(std::move(o)), sys_(sys), log_(log), on_(std::move(on)), keys_(std::move(keys)) {
    for (const auto& key : keys_) signers_.push_back(lower(crypto::address_of(key).value()));
}

void key_lanes::start() {
    std::map<std::string, crypto::secret> by_address;
    for (std::size_t i = 0; i < keys_.size(); ++i) by_address.emplace(signers_[i], keys_[i].copy());
    keys_.clear();
    world_ = std::make_unique<lane_world>(on_, std::move(by_address), options_.now, options_.gas);
    footing<lane> under{&log_, world_.get(), options_.now, [this](const std::string& key, const lane::state& s, const std::vector<lane::event>& events) { changed(key, s, events); }, {}, options_.trouble};
    under.within.waiting_orders = 2 * lane::most_queued;
    if (!signers_.empty()) lanes_.emplace(sys_, std::min<std::size_t>(signers_.size(), 4), std::move(under));
}
void key_lanes::close() {
    std::map<std::string, std::vector<tell>> unheard; // they hold who waits, who holds this
    {
        const std::lock_guard hold(lanes_guard_);
        lanes_.reset();
    }
    const std::lock_guard hold(guard_);
    unheard.swap(waiting_);
}

bool key_lanes::under_way(const std::string& id) const {
    const std::lock_guard hold(guard_);
    return where_.contains(id);
}

std::string key_lanes::newest_hash(const std::string& id) const {
    const std::lock_guard hold(guard_);
    for (const auto& [signer, hashes] : hashes_)
        if (const auto at = hashes.find(id); at != hashes.end()) return at->second;
    return {};
}

bool key_lanes::is_awaited(const std::string& id, tell then) {
    landed at_once{std::nullopt, false, {"rail_busy", "many already wait for this payment"}};
    {
        const std::lock_guard hold(guard_); // one for both: what lands in between is heard of
        const auto over = [&]() -> const lane::place* {
            for (const auto& [signer, jobs] : over_)
                if (const auto at = jobs.find(id); at != jobs.end()) return &at->second;
            return nullptr;
        }();
        if (over) {
            at_once = {*over, false, {}};
        } else if (auto& all = waiting_[id]; all.size() < most_askers) {
            all.push_back(std::move(then));
            return true;
        }
    }
    then(at_once);
    return false;
}

void key_lanes::land(lane::job j, tell then, const std::string& by) {
    const auto id = j.id;
    if (!is_awaited(id, std::move(then))) return;
    const auto signer = idlest(id, by);
    const foreign_thread here;
    const std::lock_guard hold(lanes_guard_);
    if (!lanes_) return say(id, {std::nullopt, false, {"rail_closed", "this node is shutting down"}});
    lanes_->submit(key_of(signer), lane::submit{signer, std::move(j)}, [self = shared_from_this(), id](result<answer> a) {
        if (a && !a->refused) return;
        {
            const std::lock_guard taken(self->guard_);
            self->where_.erase(id); // where it was taken after all, its lane says so
        }
        self->say(id, {std::nullopt, false, a ? *a->refused : a.error()}); // asked again later: nothing is lost by waiting
    });
}

// The key with least under way; one that a job was given to keeps it.
std::string key_lanes::idlest(const std::string& id, const std::string& by) {
    const std::lock_guard hold(guard_);
    if (const auto at = where_.find(id); at != where_.end()) return at->second;
    const auto load = [this](const std::string& s) {
        const auto at = views_.find(s);
        return given_[s] + (at == views_.end() ? 0 : at->second.queued + at->second.in_flight);
    };
    const auto best = !by.empty() ? by : *std::min_element(signers_.begin(), signers_.end(), [&](const std::string& a, const std::string& b) { return load(a) < load(b); });
    where_[id] = best, ++given_[best];
    return best;
}

// On a lane's own thread, after it is durable.
void key_lanes::changed(const std::string& key, const lane::state& s, const std::vector<lane::event>& events) {
    if (options_.changed) options_.changed(key, s, events);
    std::vector<std::pair<std::string, landed>> ended;
    {
        const std::lock_guard hold(guard_);
        if (s.signer.empty()) return;
        auto& v = views_[s.signer];
        v.signer = crypto::checksummed(s.signer).value(), v.queued = static_cast<std::int64_t>(s.queue.size()), v.reorganised = s.reorganised, v.lost = s.lost;
        v.not_deep_yet = static_cast<std::int64_t>(std::count_if(s.slots.begin(), s.slots.end(), [](const lane::slot& x) { return x.mined.has_value(); }));
        v.in_flight = static_cast<std::int64_t>(s.slots.size()) - v.not_deep_yet;
        given_[s.signer] = 0;
        auto& over = over_[s.signer];
        auto& hashes = hashes_[s.signer];
        over.clear(), hashes.clear();
        for (const auto& x : s.slots) {
            if (x.confirmed && x.mined) over.emplace(x.what.id, *x.mined), where_.erase(x.what.id);
            else if (!x.attempts.empty()) hashes.emplace(x.what.id, x.mined ? x.mined->hash : x.attempts.back().hash);
        }
        if (events.empty()) { // just loaded
            for (const auto& j : s.queue) where_[j.id] = s.signer;
            for (const auto& x : s.slots)
                if (!x.confirmed) where_[x.what.id] = s.signer;
        }
        for (const auto& e : events)
            match(
                e, [&](const lane::queued& x) { where_[x.what.id] = s.signer; },
                [&](const lane::refused& x) { where_.erase(x.id), ended.emplace_back(x.id, landed{std::nullopt, true, x.why}); },
                [&](const lane::buried& x) { where_.erase(x.id); }, // given again at the moment it was confirmed
                [&](const lane::confirmed& x) { where_.erase(x.id), ended.emplace_back(x.id, landed{x.at, false, {}}); }, [](const auto&) {});
    }
    for (const auto& [id, how] : ended) say(id, how);
}

void key_lanes::say(const std::string& id, const landed& how) {
    std::vector<tell> all;
    {
        const std::lock_guard hold(guard_);
        const auto at = waiting_.find(id);
        if (at == waiting_.end()) return;
        all = std::move(at->second);
        waiting_.erase(at);
    }
    for (auto& then : all) then(how);
}

std::vector<lane_view> key_lanes::views() const {
    const std::lock_guard hold(guard_);
    std::vector<lane_view> all;
    for (const auto& s : signers_) {
        const auto at = views_.find(s);
        if (at != views_.end()) {
            all.push_back(at->second);
            continue;
        }
        all.emplace_back();
        all.back().signer = crypto::checksummed(s).value();
    }
    return all;
}

} // namespace souk
