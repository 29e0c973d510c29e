// Internal. Who hosts which role, here and on the nodes that are linked; and the stable handles, kept leading to whoever does. Any thread.
#pragma once
#include <map>
#include <mutex>

#include <souk/runtime/cluster/ambassador.hpp>

namespace souk::carrier {

class roster {
public:
    using roles = std::map<std::string, caf::strong_actor_ptr>;

    roster(caf::actor_system&, std::string node, std::string owner, const cluster_limits&);

    void offer(const std::string& role, caf::strong_actor_ptr who); // nobody: no longer
    bool withdraw(const caf::actor_addr& who);                      // it ended; whether it was offered
    offers ours() const;

    void arrived(const std::string& node, const std::string& owner, roles);
    void left(const std::string& node);

    caf::strong_actor_ptr find(const std::string& role, const std::string& owner);
    std::map<std::string, caf::strong_actor_ptr> all(const std::string& role, const std::string& owner);

    void prune();
    void close(); // the handles lead nowhere from now on
    std::uint64_t failed_requests() const { return *failed_; }

private:
    struct other {
        std::string owner;
        roles hosts;
    };
    struct wanted { // what a handle stands for: a role of an owner ("": anyone's), or of one node
        std::string role, whose;
        bool of_node = false;
        auto operator<=>(const wanted&) const = default;
    };

    caf::strong_actor_ptr handle(const wanted&);
    caf::strong_actor_ptr who_hosts(const wanted&, const caf::strong_actor_ptr& now) const;
    void lead_all();

    caf::actor_system& sys_;
    const std::string node_, owner_;
    const cluster_limits limits_;
    const std::shared_ptr<std::atomic<std::uint64_t>> failed_ = std::make_shared<std::atomic<std::uint64_t>>(0);
    mutable std::mutex mutex_;
    roles here_;
    std::map<std::string, other> others_;
    std::map<wanted, caf::strong_actor_ptr> handles_;
    bool closed_ = false;
};

} // namespace souk::carrier
