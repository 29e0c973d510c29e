#include <souk/actors/offerings/directory.hpp>

#include <algorithm>

namespace souk::offerings {

directory::took directory::put(offering_view v, std::string rev, std::string host, instant now) {
    const auto known = all_.find(v.did);
    if (known != all_.end()) {
        auto& e = known->second;
        if (rev < e.rev || (e.removed && rev == e.rev)) return took::older;
        if (e.host != host) {
            if (--hosts_[e.host] == 0) hosts_.erase(e.host);
            ++hosts_[host];
        }
        e = {std::move(v), std::move(rev), std::move(host), false};
        return took::kept;
    }
    if (all_.size() >= most_ && !make_room(host, now)) {
        ++turned_away_;
        return took::no_room;
    }
    ++hosts_[host];
    auto did = v.did;
    all_.emplace(std::move(did), entry{std::move(v), std::move(rev), std::move(host), false});
    return took::kept;
}

void directory::remove(const std::string& did, instant now) {
    const auto at = all_.find(did);
    if (at == all_.end() || at->second.removed) return;
    at->second.removed = true, at->second.what.expires = now + counts_for;
}

void directory::forget_old(instant now) {
    for (auto at = all_.begin(); at != all_.end();) {
        const auto next = std::next(at);
        if (at->second.what.expires <= now) drop(at);
        at = next;
    }
}

const offering_view* directory::find(const std::string& did) const {
    const auto at = all_.find(did);
    return at == all_.end() || at->second.removed ? nullptr : &at->second.what;
}

std::vector<const offering_view*> directory::all(instant now) const {
    std::vector<const offering_view*> out;
    for (const auto& [did, e] : all_)
        if (!e.removed && e.what.expires > now) out.push_back(&e.what);
    return out;
}

void directory::drop(std::map<std::string, entry>::iterator at) {
    if (const auto n = hosts_.find(at->second.host); --n->second == 0) hosts_.erase(n);
    all_.erase(at);
}

bool directory::make_room(const std::string& host, instant now) {
    forget_old(now);
    if (all_.size() < most_) return true;
    const auto crowd = std::max_element(hosts_.begin(), hosts_.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    const auto mine = hosts_.find(host);
    if (crowd == hosts_.end() || crowd->second <= (mine == hosts_.end() ? 0 : mine->second) + 1) return false; // it would only be a swap
    auto goes = all_.end(); // of that host, what is taken back already, else what was proved longest ago
    for (auto at = all_.begin(); at != all_.end(); ++at) {
        if (at->second.host != crowd->first) continue;
        const auto rank = [](const entry& e) { return std::pair(!e.removed, e.what.read); };
        if (goes == all_.end() || rank(at->second) < rank(goes->second)) goes = at;
    }
    given_up_ += !goes->second.removed;
    drop(goes);
    return true;
}

} // namespace souk::offerings
