#include <souk/runtime/cluster/roster.hpp>

#include <caf/actor_system.hpp>

namespace souk::carrier {

roster::roster(caf::actor_system& sys, std::string node, std::string owner, const cluster_limits& l)
    : sys_(sys), node_(std::move(node)), owner_(std::move(owner)), limits_(l) {}

void roster::offer(const std::string& role, caf::strong_actor_ptr who) {
    const std::lock_guard lock(mutex_);
    if (who)
        here_[role] = std::move(who);
    else
        here_.erase(role);
    lead_all();
}

bool roster::withdraw(const caf::actor_addr& who) {
    const std::lock_guard lock(mutex_);
    const bool any = std::erase_if(here_, [&](const auto& entry) { return entry.second->address() == who; }) > 0;
    if (any) lead_all();
    return any;
}

offers roster::ours() const {
    const std::lock_guard lock(mutex_);
    offers o;
    o.node = node_, o.owner = owner_;
    for (const auto& [role, who] : here_) o.roles.push_back(role), o.handles.push_back(who);
    return o;
}

void roster::arrived(const std::string& node, const std::string& owner, roles hosts) {
    const std::lock_guard lock(mutex_);
    others_[node] = {owner, std::move(hosts)};
    lead_all();
}

void roster::left(const std::string& node) {
    const std::lock_guard lock(mutex_);
    if (others_.erase(node) > 0) lead_all();
}

caf::strong_actor_ptr roster::find(const std::string& role, const std::string& owner) {
    const std::lock_guard lock(mutex_);
    if (owner.empty() || owner == owner_)
        if (const auto at = here_.find(role); at != here_.end()) return at->second;
    return handle({role, owner, false});
}

std::map<std::string, caf::strong_actor_ptr> roster::all(const std::string& role, const std::string& owner) {
    const std::lock_guard lock(mutex_);
    std::map<std::string, caf::strong_actor_ptr> out;
    if (owner.empty() || owner == owner_)
        if (const auto at = here_.find(role); at != here_.end()) out[node_] = at->second;
    for (const auto& [node, o] : others_)
        if ((owner.empty() || owner == o.owner) && o.hosts.contains(role)) out[node] = handle({role, node, true});
    return out;
}

caf::strong_actor_ptr roster::handle(const wanted& w) {
    auto& h = handles_[w];
    if (h) return h;
    h = ambassador::make(sys_, limits_, failed_);
    if (!closed_) ambassador::of(h).lead_to(who_hosts(w, nullptr));
    return h;
}

// Local first, then whoever it led to before, then the first by name.
caf::strong_actor_ptr roster::who_hosts(const wanted& w, const caf::strong_actor_ptr& now) const {
    if (!w.of_node && (w.whose.empty() || w.whose == owner_))
        if (const auto at = here_.find(w.role); at != here_.end()) return at->second;
    caf::strong_actor_ptr first;
    for (const auto& [node, o] : others_) {
        if (w.of_node ? node != w.whose : !w.whose.empty() && w.whose != o.owner) continue;
        const auto at = o.hosts.find(w.role);
        if (at == o.hosts.end()) continue;
        if (at->second == now) return now;
        if (!first) first = at->second;
    }
    return first;
}

void roster::lead_all() {
    if (closed_) return;
    for (const auto& [w, h] : handles_) {
        auto& a = ambassador::of(h);
        a.lead_to(who_hosts(w, a.leads_to()));
    }
}

void roster::prune() {
    const std::lock_guard lock(mutex_);
    for (const auto& entry : handles_) ambassador::of(entry.second).prune(ambassador::clock::now());
}

void roster::close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    here_.clear(), others_.clear();
    for (const auto& entry : handles_) ambassador::of(entry.second).retire();
}

} // namespace souk::carrier
