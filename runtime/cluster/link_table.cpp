#include <souk/runtime/cluster/link_table.hpp>

#include <algorithm>

#include <sys/socket.h>

namespace souk::carrier {

void node_link::cut(const std::string& why) {
    const std::lock_guard lock(mutex_);
    if (!ended_) why_ = why;
    ended_ = true;
    if (fd_ >= 0) ::shutdown(fd_, SHUT_RDWR);
}

void node_link::released() {
    const std::lock_guard lock(mutex_);
    if (!ended_) why_ = "the link was closed";
    ended_ = true, fd_ = -1;
}

bool node_link::ended() const {
    const std::lock_guard lock(mutex_);
    return ended_;
}

std::string node_link::why() const {
    const std::lock_guard lock(mutex_);
    return why_;
}

bool link_table::begin_dial(const std::string& node) {
    const std::lock_guard lock(mutex_);
    return !by_node_.contains(node) && dials_.insert(node).second;
}

void link_table::end_dial(const std::string& node) {
    const std::lock_guard lock(mutex_);
    dials_.erase(node);
}

std::string link_table::admit(const link_ptr& fresh, steady::time_point now) {
    const std::lock_guard lock(mutex_);
    if (fresh->dialled) dials_.erase(fresh->node);
    if (fresh->node == own_) return "it has this node's own name";
    if (all_.size() >= limits_.links) return "there are as many links as the limit allows";
    if (const auto there = by_node_.find(fresh->node); there != by_node_.end()) {
        if (auto why = admit_beside(there->second, fresh, now); !why.empty()) return why;
    } else if (!fresh->dialled && dials_.contains(fresh->node) && own_ < fresh->node) {
        return "both sides dialled; the dial of " + own_ + " goes on";
    }
    by_node_[fresh->node] = fresh;
    all_.push_back(fresh);
    return {};
}

// A second link to the same node. Ours may be one that the other side already gave up for its own dial; or the other side lost what we
// still take for alive, and dials again: then the old one goes, and its next dial is taken once CAF has forgotten the old one.
std::string link_table::admit_beside(const link_ptr& there, const link_ptr& fresh, steady::time_point now) {
    if (!fresh->dialled && there->dialled && !there->introduced() && fresh->node < own_) {
        there->cut("both sides dialled; the dial of " + fresh->node + " goes on");
        return {};
    }
    if (now - there->last_heard() > limits_.lost_after / 2) there->cut("silent, and " + fresh->node + " dialled again");
    return "there is a link to " + fresh->node + " already";
}

std::string link_table::introduce(const link_ptr& l, const std::string& node_id) {
    const std::lock_guard lock(mutex_);
    const auto current = by_node_.find(l->node);
    if (current == by_node_.end() || current->second != l || l->ended()) return "another link to " + l->node + " was taken";
    const auto [at, fresh] = by_id_.try_emplace(node_id, l);
    if (!fresh && at->second != l) return l->node + " uses the node id of " + at->second->node;
    l->introduce();
    return {};
}

void link_table::drop(const link_ptr& l) {
    const std::lock_guard lock(mutex_);
    if (const auto at = by_node_.find(l->node); at != by_node_.end() && at->second == l) by_node_.erase(at);
    std::erase_if(by_id_, [&](const auto& entry) { return entry.second == l; });
    std::erase(all_, l);
}

link_ptr link_table::speaking_as(const std::string& node_id) const {
    const std::lock_guard lock(mutex_);
    const auto at = by_id_.find(node_id);
    return at == by_id_.end() ? nullptr : at->second;
}

link_ptr link_table::to(const std::string& node) const {
    const std::lock_guard lock(mutex_);
    const auto at = by_node_.find(node);
    return at == by_node_.end() ? nullptr : at->second;
}

std::size_t link_table::count() const {
    const std::lock_guard lock(mutex_);
    return all_.size();
}

std::size_t link_table::count_from(const std::string& address) const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(std::ranges::count_if(all_, [&](const auto& l) { return l->address == address; }));
}

void link_table::sweep(steady::time_point now) {
    const std::lock_guard lock(mutex_);
    for (const auto& l : all_) {
        if (!l->introduced() && now - l->since > limits_.handshake_within)
            l->cut("no BASP handshake in time");
        else if (!l->greeted() && now - l->since > 3 * limits_.handshake_within)
            l->cut("no offers in time");
        else if (now - l->last_heard() > limits_.lost_after)
            l->cut("heard nothing for " + std::to_string(limits_.lost_after.count()) + " ms");
    }
}

void link_table::cut_all(const std::string& why) {
    const std::lock_guard lock(mutex_);
    for (const auto& l : all_) l->cut(why);
}

} // namespace souk::carrier
