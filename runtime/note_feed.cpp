#include <souk/runtime/note_feed.hpp>

#include <souk/actors/policy/association.hpp>
#include <souk/messages/market_records.hpp>

namespace souk {

namespace {

constexpr std::chrono::seconds taken_within{30}; // a role that is so far behind has trouble of its own

enum class about { contracts, trust, offerings };

about kind_of(const record_note& n) {
    const auto uri = at_uri::parse(n.uri);
    if (uri && uri->collection == market::offering::nsid) return about::offerings;
    return uri && (uri->collection == vouch::nsid || uri->collection == policy::association_nsid) ? about::trust : about::contracts;
}

struct fed {
    record_note note;
    std::function<void()> done;
};

} // namespace
} // namespace souk

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souk::fed)

namespace souk {

note_feed::note_feed(caf::actor_system& sys, requester_actor requester, bidder_actor bidder, policy_actor policy, offerings_actor offerings)
    : gate_(std::make_shared<gate>()) {
    pump_ = sys.spawn<caf::hidden>([requester, bidder, policy, offerings](caf::event_based_actor* self, none_needed) -> caf::behavior {
        return {[self, requester, bidder, policy, offerings](const fed& f) {
            const auto left = std::make_shared<int>(1); // one for the handing itself
            const auto one = [left, done = f.done] {
                if (--*left == 0) done();
            };
            const auto hand = [&](const auto& role) {
                if (role) ++*left, request(*self, role, taken_within, f.note).then(one, [one](const caf::error&) { one(); });
            };
            switch (kind_of(f.note)) {
            case about::trust: hand(policy); break;
            case about::offerings: hand(offerings); break;
            case about::contracts: hand(requester), hand(bidder); break;
            }
            one();
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
