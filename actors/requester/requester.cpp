#include <souk/actors/requester/requester.hpp>

#include <map>

#include <souk/actors/book/bookkeeper.hpp>
#include <souk/actors/common/taken_up.hpp>
#include <souk/actors/common/verified.hpp>
#include <souk/actors/policy/grammar.hpp>

namespace souk {

struct purchase_changed {
    std::string key;
    purchase::state now;
};

} // namespace souk

SOUK_LOCAL_MESSAGE(souk::purchase_changed)

namespace souk {

namespace {

using namespace std::chrono_literals;
using phase = purchase::phase;

using own_interface = extended<requester_actor, caf::result<void>(purchase_changed), caf::result<void>(turn)>;

struct requester_state {
    using handle = own_interface;
    static constexpr const char* name = "souk.requester";

    requester_state(handle::pointer self, requester_options options, requester_roles roles, journal& log, record_network& net, const keyring& keys,
                    performer<purchase>& world)
        : self_(self), options_(std::move(options)), roles_(std::move(roles)), log_(log), net_(net), keys_(keys) {
        const auto me = handle{self};
        footing<purchase> on{&log, &world, options_.now, [me, books = options_.books](const std::string& key, const purchase::state& s, const std::vector<purchase::event>& events) {
            if (books) books->changed(key, s, events);
            tell(me, purchase_changed{key, s});
        }, {}, options_.trouble};
        all_.emplace(self->home_system(), options_.shards, std::move(on));
        if (!options_.spending) return;
        for (const auto& e : options_.spending->all()) // it ended unpaid, and this was not noted any more
            if (!e.id.starts_with("pay/") && all_->durable(e.id).at == phase::failed) options_.spending->release(e.id);
    }

    handle::behavior_type make_behavior() {
        return {
            [this](const buy& b) -> caf::result<kept> {
                if (!is_record_key(b.id) || b.id.size() > 64) return kept{0, refusal{"bad_id", "a purchase's id is a record key of at most 64 characters"}};
                const auto request = decode_dag_cbor(b.request.data);
                if (!request) return kept{0, request.error()};
                const auto good = from_record<ccrfp>(*request);
                if (!good) return kept{0, good.error()};
                if (const auto fine = policy::check_rules(b.rules); !fine) return kept{0, fine.error()};
                if (const auto said = write_request(options_.speaks, *good, options_.speaks == dialect::g4 ? options_.door : ""); !said) return kept{0, said.error()};
                return give_order(b.id, purchase::open{b.id, {b.request, b.ceiling, b.window_ms, b.rules, b.wanted_tier, b.plan, options_.speaks, static_cast<bool>(roles_.offerings), approve_above(), approve_ms(), options_.channels != nullptr && options_.streams}});
            },
            [this](const contract_order& o) -> caf::result<kept> {
                if (o.verb != "stop" && o.verb != "approve") return kept{0, refusal{"unknown_verb", "a purchase can be stopped or approved, nothing else"}};
                const auto key = full_id(o.id);
                if (!key) return kept{0, key.error()};
                if (o.verb == "approve") return give_order(*key, purchase::approve{});
                return give_order(*key, purchase::stop{o.reason.empty() ? "stopped by the tenant" : o.reason});
            },
            [this](const contract_query& q) -> caf::result<contract_list> {
                contract_list out;
                for (const auto& [key, s] : chosen(q)) out.all.push_back(view(key, s));
                return out;
            },
            [this](const bids_query& q) -> caf::result<bids_view> {
                const auto key = full_id(q.id);
                if (!key) return bids_view{{}, {}, {}, key.error()};
                if (!q.rules.empty()) return what_if(state_of(*key), q.rules);
                return bids(state_of(*key));
            },
            [this](const access_query& q) -> caf::result<access_view> {
                const auto key = full_id(q.id);
                if (!key) return access_view{{}, key.error()};
                return access(state_of(*key));
            },
            [this](const record_note& n) -> caf::result<void> {
                if (!n.brought_by) return seen(n, nullptr), caf::result<void>{};
                auto promise = self_->template make_response_promise<void>();
                seen(n, answer_when_dropped(promise, handle{self_}));
                return promise;
            },
            [this](const purchase_changed& c) {
                if (purchase::is_final(c.now)) live_.erase(c.key);
                else live_[c.key] = c.now;
                if (options_.past) options_.past->note(c.key, c.now);
                if (options_.spending && c.now.at == phase::failed) options_.spending->release(c.key); // what has failed was not paid, and will not be
            },
            [](const turn& t) { t.run(); },
        };
    }

private:
    amount approve_above() const { return options_.spending ? options_.spending->limits().approve_above : 0; }
    std::int64_t approve_ms() const { return options_.spending ? std::chrono::milliseconds{options_.spending->limits().approve_within}.count() : 0; }
    template <class F>
    auto home(F f) { // back into this actor, from any thread
        return [me = handle{self_}, f = std::move(f)](auto answer) mutable {
            tell(me, turn{[f, answer = std::move(answer)]() mutable { f(std::move(answer)); }});
        };
    }

    caf::result<kept> give_order(const std::string& key, purchase::command what) {
        auto promise = self_->template make_response_promise<kept>();
        request(*self_, all_->shard(key), 20s, order<purchase>{key, std::move(what)})
            .then([promise](const answer& a) mutable { promise.deliver(kept{a.seq, a.refused}); }, [promise](caf::error& e) mutable { promise.deliver(std::move(e)); });
        return promise;
    }

    // -- what others publish ---------------------------------------------------------------------------------------------
    // The key of the purchase that a reference to one of our own records belongs to: its record key.
    std::optional<std::string> own_key(const strong_ref& ref, speech what) const {
        const auto uri = at_uri::parse(ref.uri);
        if (!uri || uri->did != options_.did || !is_said_in(uri->collection, what)) return std::nullopt;
        return uri->rkey;
    }
    // Only the author's identity says whether a record is his; while that cannot be looked up, the note waits.
    void seen(const record_note& n, taken_up taken, unsigned looks = 0) {
        const auto uri = at_uri::parse(n.uri);
        if (!uri || uri->did == options_.did) return;
        const auto what = speech_of(uri->collection);
        if (what != speech::bid && what != speech::receipt && uri->collection != ccbw::nsid && uri->collection != ccf::nsid) return;
        const auto again = [this, n, taken, looks](const refusal& why) {
            if (!is_passing(why) || looks >= most_looks || waiting_notes_ >= most_waiting_notes) return;
            ++waiting_notes_;
            send_after(*self_, handle{self_}, look_again_in(looks), turn{[this, n, taken, looks] { --waiting_notes_, seen(n, taken, looks + 1); }});
        };
        verify_note(net_, n, home([this, again, taken](result<verified_record> r) {
            if (!r) return again(r.error());
            if (!is_said_in(r->uri.collection, speech::bid)) return judge(*r);
            const auto on = request_of(r->content);
            if (!on || !own_key(*on, speech::request)) return; // nothing is fetched for bids on others' requests
            gather_parts(net_, std::move(*r), home([this, again, taken](result<verified_record> whole) {
                if (!whole) return again(whole.error());
                bid_seen(*whole, taken);
            }));
        }));
    }
    void judge(const verified_record& r) {
        if (r.uri.collection == ccbw::nsid) withdrawal_seen(r);
        else if (r.uri.collection == ccf::nsid) statement_seen(r);
        else receipt_seen(r);
    }
    void bid_seen(const verified_record& r, const taken_up& taken) {
        auto o = offer_of(r.ref, r.uri, r.content, r.parts);
        if (!o) return;
        const auto key = own_key(o->rfp, speech::request);
        if (!key) return;
        if (!taken) return all_->submit(*key, purchase::bid_seen{std::move(*o)});
        all_->submit(*key, purchase::bid_seen{std::move(*o)}, [taken](const result<answer>&) {}); // he hears when it is durable
    }
    void withdrawal_seen(const verified_record& r) {
        const auto w = from_record<ccbw>(r.content);
        if (!w) return;
        for (const auto& [key, s] : live_)
            for (const auto& o : s.offers)
                if (o.ref == w->bid.record) all_->submit(key, purchase::bid_withdrawn{r.uri.did, o.ref.uri});
    }
    void receipt_seen(const verified_record& r) {
        const auto x = read_receipt(r.uri.collection, r.content);
        if (!x || !x->said.accept) return;
        const auto& accept = x->said.accept->record;
        if (const auto key = own_key(accept, speech::accept); key && is_ours(*key, accept)) all_->submit(*key, purchase::receipt_seen{r.uri.did, r.ref});
    }
    void statement_seen(const verified_record& r) {
        const auto x = from_record<ccf>(r.content);
        if (!x) return;
        const auto key = own_key(x->accept.record, speech::accept);
        if (!key || !is_ours(*key, x->accept.record)) return;
        const auto paid = from_decimal(x->paid, 0), refunded = from_decimal(x->refunded, 0);
        if (paid && refunded) all_->submit(*key, purchase::statement_seen{r.uri.did, r.ref, *paid, *refunded, x->seconds, x->reason});
    }
    bool is_ours(const std::string& key, const strong_ref& accept) const {
        const auto found = live_.find(key);
        return found != live_.end() && found->second.accept == accept;
    }

    // -- people's questions --------------------------------------------------------------------------------------------------
    purchase::state state_of(const std::string& key) const {
        const auto live = live_.find(key);
        return live != live_.end() ? live->second : all_->durable(key);
    }
    std::vector<std::pair<std::string, purchase::state>> chosen(const contract_query& q) const {
        std::vector<std::pair<std::string, purchase::state>> out;
        if (!q.ended && q.id.empty()) {
            for (const auto& [key, s] : live_) out.emplace_back(key, s);
            return out;
        }
        for (const auto& key : log_.newest(purchase::kind, 1000))
            if (key.compare(0, q.id.size(), q.id) == 0) out.emplace_back(key, state_of(key));
        return out;
    }
    result<std::string> full_id(const std::string& prefix) const {
        std::vector<std::string> found;
        for (const auto& key : log_.newest(purchase::kind, 1000)) {
            if (key == prefix) return key;
            if (key.compare(0, prefix.size(), prefix) == 0) found.push_back(key);
        }
        if (found.empty()) return refusal{"unknown_purchase", "no purchase here begins with " + prefix};
        if (found.size() > 1) return refusal{"ambiguous_id", prefix + " could be any of " + std::to_string(found.size()) + " purchases: give more of it"};
        return found.front();
    }
    static contract_view view(const std::string& key, const purchase::state& s) {
        contract_view v;
        v.id = key, v.side = "purchase", v.phase = boost::describe::enum_to_string(s.at, "?");
        if (const auto* w = purchase::winner(s)) {
            v.counterparty = w->bidder, v.price = to_decimal(w->for_slice) + " for " + std::to_string(w->slice) + " s", v.bid = w->ref.uri;
        }
        v.currency = "USDC", v.tier = s.tier;
        v.rfp = s.rfp.uri, v.accept = s.accept.uri, v.receipt = s.receipt.uri, v.statement = s.statement.uri;
        v.why = s.why, v.since = s.started, v.ends = s.ends;
        if (const auto request = decode_dag_cbor(s.what.request.data); request) {
            if (const auto* cpus = request->find("cpus"); cpus && cpus->as<std::int64_t>()) v.size = std::to_string(*cpus->as<std::int64_t>()) + " cpu, ";
            v.size += request->text("mem");
        }
        auto shown = s;
        shown.sealed.clear(), shown.what.request.clear();
        for (auto& o : shown.offers) o.record.clear();
        v.detail = to_value(shown);
        return v;
    }
    static bids_view bids(const purchase::state& s) {
        bids_view out{s.rfp.uri, s.rfp.cid, {}, {}};
        for (std::uint32_t i = 0; i < s.offers.size(); ++i) {
            const auto& o = s.offers[i];
            bid_view b;
            b.bidder = o.bidder, b.uri = o.ref.uri, b.cid = o.ref.cid, b.amount = o.for_slice, b.slice = o.slice, b.tier = o.tier;
            b.price = to_decimal(o.for_slice) + " for " + std::to_string(o.slice) + " s";
            b.judged = o.verdict.has_value(), b.allowed = o.verdict && o.verdict->allowed, b.chosen = s.chosen == i;
            b.reason = o.withdrawn ? "withdrawn" : o.verdict ? o.verdict->reason : "not judged";
            if (o.verdict) b.steps = o.verdict->steps;
            out.bids.push_back(std::move(b));
        }
        return out;
    }
    // Nothing of this is kept. The time is that of the first verdict; what is known of people is what is known now.
    caf::result<bids_view> what_if(purchase::state s, const std::vector<std::string>& rules) {
        if (const auto good = policy::check_rules(rules); !good) return bids_view{{}, {}, {}, good.error()};
        if (!roles_.policy) return bids_view{{}, {}, {}, refusal{"no_such_role", "there is no policy engine"}};
        auto promise = self_->template make_response_promise<bids_view>();
        struct trial {
            purchase::state s;
            std::size_t left = 0;
        };
        const auto t = std::make_shared<trial>(trial{std::move(s), 0});
        t->s.what.rules = rules, t->s.chosen.reset();
        auto judged = [t, promise](std::size_t which, policy_verdict v) mutable {
            t->s.offers[which].verdict = std::move(v);
            if (--t->left > 0) return;
            for (auto& o : t->s.offers) o.expires = instant::max(); // those that had expired then were judged so by their rule
            t->s.chosen = purchase::best(t->s, instant{});
            promise.deliver(bids(t->s));
        };
        t->left = t->s.offers.size();
        if (t->left == 0) promise.deliver(bids(t->s));
        for (std::size_t i = 0; i < t->s.offers.size(); ++i) {
            const auto& o = t->s.offers[i];
            auto q = question_of(t->s.rfp, o, t->s.what);
            if (o.judged_at != instant{}) q.as_of = o.judged_at;
            if (options_.past) q.history = options_.past->with(o.bidder);
            request(*self_, roles_.policy, 9s, std::move(q))
                .then([judged, i](policy_verdict& v) mutable { judged(i, std::move(v)); },
                      [judged, i](const caf::error&) mutable { judged(i, policy_verdict{false, true, "the policy engine did not answer in time", {}}); });
        }
        return promise;
    }
    access_view access(const purchase::state& s) const {
        if (s.sealed.empty()) return {{}, refusal{"no_access_yet", "there is no receipt yet: the purchase is " + std::string(boost::describe::enum_to_string(s.at, "?"))}};
        auto opened = open_access(s.sealed.data, s.accept.cid, keys_.seal().public32, keys_.seal().private32);
        if (!opened) return {{}, opened.error()};
        return {std::move(*opened), {}};
    }

    handle::pointer self_;
    requester_options options_;
    requester_roles roles_;
    journal& log_;
    record_network& net_;
    const keyring& keys_;
    std::optional<entities<purchase>> all_;
    std::map<std::string, purchase::state> live_;
    static constexpr std::size_t most_waiting_notes = 1000;
    std::size_t waiting_notes_ = 0;
};

} // namespace

requester_actor spawn_requester(caf::actor_system& sys, requester_options options, requester_roles roles, journal& log, record_network& net, const keyring& keys,
                                performer<purchase>& world) {
    return sys.spawn<actor_of<requester_state>>(std::move(options), std::move(roles), std::ref(log), std::ref(net), std::ref(keys), std::ref(world));
}

} // namespace souk
