#include <souk/runtime/cluster/ambassador.hpp>

#include <caf/actor_cast.hpp>
#include <caf/actor_config.hpp>
#include <caf/actor_system.hpp>
#include <caf/make_actor.hpp>
#include <caf/mailbox_element.hpp>
#include <caf/sec.hpp>
#include <caf/system_messages.hpp>

namespace souk::carrier {

namespace {

constexpr const char* nobody = "no node of this cluster hosts that role now";
constexpr const char* lost = "the node was lost before it answered";

// CAF's ids: a request number below flags that say how urgent it is.
caf::message_id numbered(std::uint64_t n, caf::message_id like) {
    return caf::message_id{n}.with_category(like.category());
}
bool to_end_it(const caf::mailbox_element& m) {
    const auto token = m.content().type_token();
    return token == caf::make_type_token<caf::exit_msg>() || token == caf::make_type_token<caf::down_msg>();
}

} // namespace

ambassador::ambassador(caf::actor_config& c, const cluster_limits& l, std::shared_ptr<std::atomic<std::uint64_t>> failed)
    : caf::monitorable_actor(c), most_(l.pending), longest_(l.longest_request), failed_(std::move(failed)) {}

caf::strong_actor_ptr ambassador::make(caf::actor_system& sys, const cluster_limits& l, std::shared_ptr<std::atomic<std::uint64_t>> failed) {
    caf::actor_config c;
    return caf::make_actor<ambassador, caf::strong_actor_ptr>(sys.next_actor_id(), sys.node(), &sys, c, l, std::move(failed));
}

ambassador& ambassador::of(const caf::strong_actor_ptr& p) { return static_cast<ambassador&>(*p->get()); }

void ambassador::enqueue(caf::mailbox_element_ptr what, caf::execution_unit* here) {
    if (what->mid.is_response()) return answer(std::move(what), here);
    if (to_end_it(*what)) return; // whoever holds the handle may not end the role by it
    std::unique_lock lock(mutex_);
    auto target = target_;
    if (what->mid.is_request()) {
        const char* why = !target ? nobody : pending_.size() >= most_ ? "as many requests are under way as the limit allows" : nullptr;
        if (why || !what->sender) {
            lock.unlock();
            return refuse(*what, why ? why : nobody);
        }
        const auto id = numbered(++last_id_, what->mid);
        pending_.emplace(last_id_, request{std::move(what->sender), what->mid, std::move(what->stages)});
        ends_.emplace_back(clock::now() + longest_, last_id_);
        if (ends_.size() > 2 * most_) std::erase_if(ends_, [this](const auto& e) { return !pending_.contains(e.second); });
        what->sender = ctrl(), what->mid = id;
    } else {
        what->sender = nullptr;
    }
    lock.unlock();
    what->stages.clear();
    if (target) target->enqueue(std::move(what), here);
}

void ambassador::answer(caf::mailbox_element_ptr what, caf::execution_unit* here) {
    std::unique_lock lock(mutex_);
    const auto at = pending_.find(what->mid.request_id().integer_value());
    if (at == pending_.end()) return; // failed already
    auto asked = std::move(at->second);
    pending_.erase(at);
    while (!ends_.empty() && !pending_.contains(ends_.front().second)) ends_.pop_front();
    lock.unlock();
    auto to = asked.caller;
    what->sender = ctrl(), what->mid = asked.id.response_id();
    if (!asked.stages.empty()) { // it was to pass through others on its way back
        to = std::move(asked.stages.back());
        asked.stages.pop_back();
        what->sender = std::move(asked.caller), what->mid = asked.id, what->stages = std::move(asked.stages);
    }
    to->enqueue(std::move(what), here);
}

void ambassador::refuse(const caf::mailbox_element& what, const char* why) {
    ++*failed_;
    if (!what.sender) return;
    what.sender->enqueue(
        caf::make_mailbox_element(ctrl(), what.mid.response_id(), {}, caf::make_message(caf::make_error(caf::sec::cannot_connect_to_node, why))), nullptr);
}

void ambassador::fail(requests all) {
    *failed_ += all.size();
    for (auto& [id, r] : all)
        r.caller->enqueue(
            caf::make_mailbox_element(ctrl(), r.id.response_id(), {}, caf::make_message(caf::make_error(caf::sec::cannot_connect_to_node, lost))), nullptr);
}

void ambassador::lead_to(caf::strong_actor_ptr target) {
    requests left;
    {
        const std::lock_guard lock(mutex_);
        if (target == target_) return;
        target_ = target;
        left.swap(pending_);
        ends_.clear();
    }
    fail(std::move(left));
    if (!target) return;
    // It may end while its node's link stays up; and it may have ended already.
    target->get()->attach_functor([weak = caf::weak_actor_ptr(ctrl()), address = caf::actor_addr(target->address())](const caf::error&) {
        if (auto self = weak.lock())
            if (auto ended = caf::actor_cast<caf::strong_actor_ptr>(address)) of(self).gone(ended);
    });
}

void ambassador::gone(const caf::strong_actor_ptr& who) {
    requests left;
    {
        const std::lock_guard lock(mutex_);
        if (target_ != who) return;
        target_ = nullptr;
        left.swap(pending_);
        ends_.clear();
    }
    fail(std::move(left));
}

caf::strong_actor_ptr ambassador::leads_to() const {
    const std::lock_guard lock(mutex_);
    return target_;
}

void ambassador::prune(clock::time_point now) {
    requests late;
    {
        const std::lock_guard lock(mutex_);
        while (!ends_.empty() && ends_.front().first <= now) {
            if (auto node = pending_.extract(ends_.front().second)) late.insert(std::move(node));
            ends_.pop_front();
        }
    }
    fail(std::move(late));
}

void ambassador::retire() {
    lead_to(nullptr);
    cleanup(caf::exit_reason::user_shutdown, nullptr);
}

} // namespace souk::carrier
