// Internal. The stable handle: a local actor that stands for a role of another node. A request goes on under an id of the ambassador's
// own, and its answer comes back through it: so it knows exactly what is under way, and fails all of it at once when the node is lost.
// The caller's address stays at home; a peer can reach only what was offered to it.
#pragma once
#include <atomic>
#include <deque>
#include <mutex>
#include <unordered_map>

#include <caf/actor_control_block.hpp>
#include <caf/monitorable_actor.hpp>

#include <souk/runtime/cluster/cluster.hpp>

namespace souk::carrier {

class ambassador final : public caf::monitorable_actor {
public:
    using clock = std::chrono::steady_clock;

    ambassador(caf::actor_config&, const cluster_limits&, std::shared_ptr<std::atomic<std::uint64_t>> failed);
    static caf::strong_actor_ptr make(caf::actor_system&, const cluster_limits&, std::shared_ptr<std::atomic<std::uint64_t>> failed);
    static ambassador& of(const caf::strong_actor_ptr&);

    // In the caller's thread: no mailbox, no hop.
    void enqueue(caf::mailbox_element_ptr, caf::execution_unit*) override;
    const char* name() const override { return "souk.ambassador"; }

    // From now on it stands for this one; nobody: requests fail at once. What was under way to another fails.
    void lead_to(caf::strong_actor_ptr);
    caf::strong_actor_ptr leads_to() const;
    void prune(clock::time_point now); // fails what has been under way for longer than any request may
    void retire();                     // for ever

private:
    struct request {
        caf::strong_actor_ptr caller;
        caf::message_id id;
        caf::mailbox_element::forwarding_stack stages;
    };
    using requests = std::unordered_map<std::uint64_t, request>;

    void answer(caf::mailbox_element_ptr, caf::execution_unit*);
    void refuse(const caf::mailbox_element&, const char* why);
    void gone(const caf::strong_actor_ptr&);
    void fail(requests);

    const std::size_t most_;
    const std::chrono::milliseconds longest_;
    std::shared_ptr<std::atomic<std::uint64_t>> failed_;
    mutable std::mutex mutex_;
    caf::strong_actor_ptr target_;
    std::uint64_t last_id_ = 0;
    requests pending_;
    std::deque<std::pair<clock::time_point, std::uint64_t>> ends_; // in order; of answered ones too, until they come up
};

} // namespace souk::carrier
