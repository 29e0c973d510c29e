#include <souk/actors/policy/policy.hpp>

#include <souk/actors/common/random_id.hpp>
#include <souk/actors/policy/asked_once.hpp>
#include <souk/actors/policy/association.hpp>
#include <souk/actors/policy/engine.hpp>
#include <souk/actors/policy/grammar.hpp>
#include <souk/actors/policy/reader.hpp>

namespace souk {

namespace {

using namespace std::chrono_literals;
using policy::association;
using policy::engine_answer;

constexpr auto engine_holds = 30s, unknown_holds = 2s; // an engine's answer; and that there is none
using listed = result<std::vector<stored_record>>;

class policy_state {
public:
    using handle = extended<policy_actor, caf::result<void>(turn)>;
    static constexpr const char* name = "souk.policy";

    policy_state(handle::pointer self, policy_options o, record_network& net)
        : self_(self), options_(std::move(o)), net_(net),
          marks_({options_.self, options_.now, options_.cache, options_.cache_others, options_.read_within}, net, home(),
                 [this](std::chrono::milliseconds d, std::function<void()> f) { send_after(*self_, handle{self_}, d, turn{std::move(f)}); }) {
        for (const char* side : {"requester", "bidder"})
            chains_[side] = policy::chain_of(options_.rules.empty() ? policy::usual_rules(side) : options_.rules);
    }

    handle::behavior_type make_behavior() {
        return {
            [this](const policy_question& q) -> caf::result<policy_verdict> {
                auto promise = self_->make_response_promise<policy_verdict>();
                auto c = std::make_shared<candidate>(candidate{q, chain_for(q), {}, {}, {}});
                c->say = [promise](policy_verdict v) mutable { promise.deliver(std::move(v)); };
                go_on(c);
                return promise;
            },
            [this](const trust_query& q) -> caf::result<trust_view> {
                auto promise = self_->make_response_promise<trust_view>();
                const auto steps = q.depth > 0 ? static_cast<unsigned>(std::min<std::int64_t>(q.depth, policy::deepest)) - 1 : configured_steps();
                marks_.look(steps, [this, q, steps, promise](const result<void>& known) mutable {
                    if (known) promise.deliver(view(q, steps));
                    else promise.deliver(caf::make_error(caf::sec::runtime_error, known.error().text));
                });
                return promise;
            },
            [this](const record_note& note) {
                const auto uri = at_uri::parse(note.uri);
                if (!uri) return;
                if (uri->collection == vouch::nsid) marks_.forget(uri->did);
                if (uri->collection == policy::association_nsid)
                    associations_.forget_if(
                        [&](const std::string& of, const association& a) { return of == uri->did || a.by == uri->did || a.by.empty(); });
            },
            [](const turn& t) { t.run(); },
        };
    }

private:
    // One question on its way through its chain: what is looked up for it is looked up when the rule that wants it is reached.
    struct candidate {
        policy_question about;
        std::shared_ptr<const policy::chain> rules;
        std::function<void(policy_verdict)> say;
        std::optional<association> operated;
        std::map<std::string, engine_answer> engines;
    };

    post_to_self home() { return turns_of(handle{self_}); }

    std::shared_ptr<const policy::chain> chain_for(const policy_question& q) const {
        if (q.rules.empty()) return {std::shared_ptr<void>(), &chains_.at(q.perspective == "bidder" ? "bidder" : "requester")};
        return std::make_shared<policy::chain>(policy::chain_of(q.rules));
    }
    unsigned configured_steps() const {
        unsigned steps = 0;
        for (const auto& [side, chain] : chains_) steps = std::max(steps, policy::needs_of(chain).steps);
        return steps;
    }

    void go_on(const std::shared_ptr<candidate>& c) {
        marks_.look(policy::needs_of(*c->rules).steps, [this, c](const result<void>& known) {
            if (!known) return c->say(policy::cannot_tell(*c->rules, known.error().text));
            auto verdict = judged(*c);
            if (!verdict.wait || !fetch(c, verdict)) c->say(std::move(verdict));
        });
    }
    policy_verdict judged(const candidate& c) {
        auto& f = marks_.known;
        f.now = c.about.as_of.value_or(options_.now());
        f.reach = policy::needs_of(*c.rules).reach;
        f.operated = c.operated, f.engines = c.engines;
        return policy::judge(c.about, f, *c.rules);
    }
    // The rule that cannot tell yet may want something that can be looked up; then it goes on from there. False: there is nothing more to find out.
    bool fetch(const std::shared_ptr<candidate>& c, const policy_verdict& so_far) {
        for (std::size_t i = 0; i < so_far.steps.size() && i < c->rules->size(); ++i) {
            if (so_far.steps[i].said != "wait") continue;
            const auto& wants = (*c->rules)[i].wants;
            if (wants.association && !c->operated) {
                associate(c);
                return true;
            }
            for (const auto& e : wants.engines)
                if (!c->engines.count(e.key())) {
                    ask_engine(c, e);
                    return true;
                }
        }
        return false;
    }

    // -- whose somebody is ------------------------------------------------------------------------------------------------
    void associate(const std::shared_ptr<candidate>& c) {
        const auto did = c->about.subject;
        const bool asked = associations_.get(did, options_.now(), [this, did] {
            list(did, [this, did](const listed& his) {
                if (!his) return associated(did, unknown(his.error().text));
                confirm(did, std::make_shared<std::vector<policy::claim>>(policy::claims_of(did, *his)), 0);
            });
        }, [this, c](const association& a) { c->operated = a, go_on(c); });
        if (!asked) c->operated = unknown("too much is being looked up"), go_on(c);
    }
    void confirm(const std::string& did, const std::shared_ptr<std::vector<policy::claim>>& claims, std::size_t at) {
        if (at == claims->size()) return associated(did, {});
        const auto& one = (*claims)[at];
        list(one.by, [this, did, claims, at](const listed& theirs) {
            const auto& claimed = (*claims)[at];
            if (!theirs) return associated(did, unknown("the records of " + claimed.by + ": " + theirs.error().text));
            const auto said = policy::confirmation_of(did, claimed.by, *theirs);
            if (!said) return confirm(did, claims, at + 1);
            association a;
            a.by = claimed.by, a.evidence = {claimed.record, *said};
            associated(did, std::move(a));
        });
    }
    void list(const std::string& did, std::function<void(const listed&)> then) {
        net_.list_proven(did, std::string(policy::association_nsid), [post = home(), then = std::move(then)](listed got) {
            post([then, got = std::move(got)] { then(got); });
        });
    }
    static association unknown(std::string why) {
        association a;
        a.unknown = std::move(why);
        return a;
    }
    void associated(const std::string& did, association a) {
        const auto keep = a.unknown.empty() ? options_.cache_others : std::chrono::milliseconds{unknown_holds};
        associations_.heard(did, std::move(a), options_.now(), keep);
    }

    // -- others' engines --------------------------------------------------------------------------------------------------
    void ask_engine(const std::shared_ptr<candidate>& c, const policy::remote_engine& e) {
        const auto key = policy::engine_key(e, c->about);
        const auto answered = [this, c, e](const engine_answer& a) { c->engines[e.key()] = a, go_on(c); };
        const bool asked = engines_.get(key, options_.now(), [this, c, e, key] { call_engine(c->about, e, key); }, answered);
        if (!asked) c->engines[e.key()].unknown = "too much is being asked", go_on(c);
    }
    void call_engine(const policy_question& q, const policy::remote_engine& e, const std::string& key) {
        const auto heard = [this, key, post = home()](engine_answer a) {
            post([this, key, a = std::move(a)] { engines_.heard(key, a, options_.now(), a.unknown.empty() ? engine_holds : unknown_holds); });
        };
        const auto fail = [&](std::string why) {
            engine_answer a;
            a.unknown = std::move(why);
            heard(std::move(a));
        };
        if (!options_.web || !options_.sign) return fail("this node asks no other engines");
        const auto token = options_.sign(policy::engine_claims(e, options_.self, options_.now(), random_id()));
        if (!token) return fail("no token could be signed: " + token.error().text);
        auto call = policy::engine_call(e, q, options_.self, *token);
        if (!call) return fail(call.error().text);
        options_.web(std::move(*call), [heard](result<http::response> r) { heard(policy::read_engine_answer(r)); });
    }

    trust_view view(const trust_query& q, unsigned steps) const {
        trust_view out;
        out.self = options_.self;
        const auto& known = marks_.known;
        const auto now = options_.now();
        for (const auto& level : known.trust.circle(options_.self, steps, 0, now))
            for (const auto& who : level) {
                if (const auto found = known.unread.find(who); found != known.unread.end()) out.unread.push_back({who, found->second});
                if (!q.did.empty()) continue;
                for (const auto& m : known.trust.of(who)) out.marks.push_back(m);
            }
        if (!q.did.empty()) out.marks = known.trust.around(options_.self, q.did, steps + 1, now);
        if (out.marks.size() > most_shown) out.marks.resize(most_shown);
        return out;
    }
    static constexpr std::size_t most_shown = 10'000;

    handle::pointer self_;
    policy_options options_;
    record_network& net_;
    std::map<std::string, policy::chain> chains_; // the node's own, by perspective
    policy::mark_reader marks_;
    policy::asked_once<association> associations_; // by the DID whose it is
    policy::asked_once<engine_answer> engines_;    // by engine_key
};

} // namespace

policy_actor spawn_policy(caf::actor_system& sys, policy_options o, record_network& net) {
    if (const auto good = policy::check_rules(o.rules); !good) throw std::invalid_argument(good.error().text);
    return sys.spawn<actor_of<policy_state>>(std::move(o), std::ref(net));
}

} // namespace souk
