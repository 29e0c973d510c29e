// Internal. Which connections exist, to whom, and under which CAF node id: at most one a node, each node id bound to the name in the
// certificate that it came with. Settles simultaneous dials before CAF sees them, since CAF then closes both.
#pragma once
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include <souk/runtime/cluster/cluster.hpp>
#include <souk/runtime/cluster/link_state.hpp>

namespace souk::carrier {

using steady = std::chrono::steady_clock;

// One authenticated connection. The event loop owns the socket; anyone may cut it.
class node_link {
public:
    node_link(link_id number, std::string to, std::string at, bool by_us, int fd, steady::time_point now)
        : id(number), node(std::move(to)), address(std::move(at)), dialled(by_us), since(now), fd_(fd), heard_(now) {}

    const link_id id;
    const std::string node, address;
    const bool dialled; // by us
    const steady::time_point since;

    // Ends it: the event loop finds the socket shut and closes it. The first reason given stands.
    void cut(const std::string& why);
    void released();                          // the socket is about to be closed
    void heard(steady::time_point now) { heard_.store(now, std::memory_order_relaxed); }
    steady::time_point last_heard() const { return heard_.load(std::memory_order_relaxed); }
    bool introduced() const { return introduced_; }
    void introduce() { introduced_ = true; }  // its BASP handshake was taken
    void greet() { greeted_ = true; }         // its offers were taken
    bool greeted() const { return greeted_; }
    bool ended() const;
    std::string why() const;
    bool told_lost() { return told_.exchange(true); } // whether it was said before

private:
    mutable std::mutex mutex_;
    int fd_;
    bool ended_ = false;
    std::string why_;
    std::atomic<steady::time_point> heard_;
    std::atomic<bool> introduced_ = false, greeted_ = false, told_ = false;
};
using link_ptr = std::shared_ptr<node_link>;

class link_table {
public:
    link_table(std::string own_name, const cluster_limits& limits) : own_(std::move(own_name)), limits_(limits) {}

    bool begin_dial(const std::string& node); // false: there is a link to it, or a dial under way
    void end_dial(const std::string& node);

    // After TLS and before CAF: "" and it counts, or why it must be closed.
    std::string admit(const link_ptr&, steady::time_point now);
    // At the BASP handshake: "" and that node id is this link's, or why not.
    std::string introduce(const link_ptr&, const std::string& node_id);
    void drop(const link_ptr&);

    link_ptr speaking_as(const std::string& node_id) const;
    link_ptr to(const std::string& node) const;
    std::size_t count() const;
    std::size_t count_from(const std::string& address) const;
    // Cuts what has been silent for too long, or never introduced itself.
    void sweep(steady::time_point now);
    void cut_all(const std::string& why);

private:
    std::string admit_beside(const link_ptr& there, const link_ptr& fresh, steady::time_point now);

    const std::string own_;
    const cluster_limits limits_;
    mutable std::mutex mutex_;
    std::map<std::string, link_ptr> by_node_;
    std::map<std::string, link_ptr> by_id_;  // CAF's node ids, as text
    std::vector<link_ptr> all_;              // those superseded too, until their sockets are closed
    std::set<std::string> dials_;            // under way, to these nodes
};

} // namespace souk::carrier
