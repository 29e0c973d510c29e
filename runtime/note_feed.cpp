#include <souk/runtime/note_feed.hpp>

#include <souk/actors/policy/association.hpp>

namespace souk {

namespace {

constexpr std::chrono::seconds taken_within{30}; // a role that is so far behind has trouble of its own

bool is_of_trust(const record_note& n) {
    const auto uri = at_uri::parse(n.uri);
    return uri && (uri->collection == vouch::nsid || uri->collection == policy::association_nsid);
}

struct fed {
    record_note note;
    std::function<void()> done;
};

} // namespace
} // namespace souk

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souk::fed)

namespace souk {

note_feed::note_feed(caf::actor_system& sys, requester_actor requester, bidder_actor bidder, policy_actor policy) : gate_(std::make_shared<gate>()) {
    pump_ = sys.spawn<caf::hidden>([requester, bidder, policy](caf::event_based_actor* self, none_needed) -> caf::behavior {
        return {[self, requester, bidder, policy](const fed& f) {
            const bool trust = is_of_trust(f.note);
            const auto left = std::make_shared<int>(trust ? (policy ? 1 : 0) : (requester ? 1 : 0) + (bidder ? 1 : 0));
            if (*left == 0) return f.done();
            const auto one = [left, done = f.done] {
                if (--*left == 0) done();
            };
            const auto hand = [&](const auto& role) {
                if (role) request(*self, role, taken_within, f.note).then(one, [one](const caf::error&) { one(); });
            };
            if (trust) hand(policy);
            else hand(requester), hand(bidder);
        }};
    }, none_needed{});
}

note_feed::~note_feed() {
    close();
    caf::anon_send_exit(pump_, caf::exit_reason::user_shutdown);
}

void note_feed::push(record_note note, std::function<void()> taken) {
    {
        std::unique_lock hold(gate_->guard);
        gate_->moved.wait(hold, [this] { return gate_->closed || gate_->under_way < most; });
        if (gate_->closed) return;
        ++gate_->under_way;
    }
    tell(pump_, fed{std::move(note), [gate = gate_, taken = std::move(taken)] {
                        const std::lock_guard hold(gate->guard);
                        if (gate->closed) return;
                        taken();
                        --gate->under_way;
                        gate->moved.notify_one();
                    }});
}

void note_feed::close() {
    const std::lock_guard hold(gate_->guard);
    gate_->closed = true;
    gate_->moved.notify_all();
}

} // namespace souk
