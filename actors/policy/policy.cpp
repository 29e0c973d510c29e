#include <souk/actors/policy/policy.hpp>

#include <souk/actors/policy/chain.hpp>
#include <souk/actors/policy/marks.hpp>
#include <souk/actors/common/turn.hpp>

namespace souk {

namespace {

constexpr std::size_t most_waiting = 10'000; // questions
using listed = result<std::vector<stored_record>>;

class policy_state {
public:
    using handle = extended<policy_actor, caf::result<void>(turn)>;
    static constexpr const char* name = "souk.policy";

    policy_state(handle::pointer self, policy_options o, record_network& net) : self_(self), options_(std::move(o)), net_(net) {}

    handle::behavior_type make_behavior() {
        return {
            [this](const policy_question& q) -> caf::result<policy_verdict> {
                auto promise = self_->make_response_promise<policy_verdict>();
                with_marks([this, q, promise](const result<void>& known) mutable { promise.deliver(answer(q, known)); });
                return promise;
            },
            [this](const trust_query& q) -> caf::result<trust_view> {
                auto promise = self_->make_response_promise<trust_view>();
                with_marks([this, q, promise](const result<void>& known) mutable {
                    if (known) promise.deliver(view(q));
                    else promise.deliver(caf::make_error(caf::sec::runtime_error, known.error().text));
                });
                return promise;
            },
            [this](const record_note& note) {
                const auto uri = at_uri::parse(note.uri);
                if (uri && uri->did == options_.self && uri->collection == vouch::nsid) forget();
            },
            [](const turn& t) { t.run(); },
        };
    }

private:
    using then = std::function<void(const result<void>&)>;

    policy_verdict answer(const policy_question& q, const result<void>& known) const {
        auto rules = !q.rules.empty() ? q.rules : !options_.rules.empty() ? options_.rules : policy::usual_rules(q.perspective);
        if (!known) return policy::cannot_tell(std::move(rules), known.error().text);
        return policy::judge(q, {options_.self, marks_, options_.now()}, std::move(rules));
    }
    trust_view view(const trust_query& q) const {
        trust_view out;
        for (const auto& m : marks_)
            if (q.did.empty() || m.about == q.did || m.by == q.did) out.marks.push_back(m);
        return out;
    }

    // -- reading ----------------------------------------------------------------------------------------------------------

    void with_marks(then f) {
        const auto now = options_.now();
        if (read_at_ && now >= *read_at_ && now - *read_at_ < options_.cache) return f({});
        if (waiting_.size() >= most_waiting) return f(refusal{"not_now", "too many questions wait for the trust records of " + options_.self});
        waiting_.push_back(std::move(f));
        if (waiting_.size() > 1) return;
        read();
        send_after(*self_, handle{self_}, options_.read_within, turn{[this, batch = batch_] {
            if (batch == batch_) release(refusal{"request_timeout", "whom " + options_.self + " trusts could not be read in time"});
        }});
    }
    void read() {
        stale_ = false;
        net_.list(options_.self, std::string(vouch::nsid), [this, post = turns_of(handle{self_}), batch = batch_](listed got) {
            post([this, batch, got = std::move(got)] {
                if (batch == batch_) heard(got);
            });
        });
    }
    void heard(const listed& got) {
        if (stale_) return read(); // a mark was written after this reading began
        if (!got) return release(refusal{got.error().code, "whom " + options_.self + " trusts cannot be read: " + got.error().text});
        marks_ = policy::marks_of(options_.self, *got);
        read_at_ = options_.now();
        release({});
    }
    void forget() {
        read_at_.reset();
        stale_ = true;
    }
    void release(const result<void>& known) {
        ++batch_;
        for (auto& f : std::exchange(waiting_, {})) f(known);
    }

    handle::pointer self_;
    policy_options options_;
    record_network& net_;
    std::vector<trust_mark> marks_;
    std::optional<instant> read_at_;
    std::vector<then> waiting_;
    std::uint64_t batch_ = 0; // of questions: an answer to an earlier batch, already given up, is not believed
    bool stale_ = false;
};

} // namespace

policy_actor spawn_policy(caf::actor_system& sys, policy_options o, record_network& net) {
    return sys.spawn<actor_of<policy_state>>(std::move(o), std::ref(net));
}

} // namespace souk
