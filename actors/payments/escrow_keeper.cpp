#include <souk/actors/payments/escrow_keeper.hpp>

#include <map>
#include <set>

#include <souk/actors/common/foreign_thread.hpp>
#include <souk/actors/common/turn.hpp>
#include <souk/messages/ascii.hpp>

namespace souk {

struct tab_changed {
    tab_view now;
    std::vector<std::pair<std::string, tab_stage>> news; // of requests
};

} // namespace souk

SOUK_LOCAL_MESSAGE(souk::tab_changed)

namespace souk {

namespace {

namespace es = evm::escrow;
using own_interface = extended<escrow_actor, caf::result<void>(turn), caf::result<void>(tab_changed)>;

std::string name_of(tab_stage s) { return boost::describe::enum_to_string(s, "?"); }

tab_view view_of(const std::string& key, const tab::state& s) {
    tab_view v;
    v.id = key, v.payer = s.what.of.payer, v.token = s.what.of.token, v.credit = s.what.of.credit, v.budget = s.chain.budget, v.price = s.chain.price;
    v.held = tab::open(s, tab_stage::held), v.served = tab::open(s) - v.held, v.requests = static_cast<std::int64_t>(s.requests.size());
    v.consumed = s.consumed, v.lost = s.lost, v.why = s.why, v.leaves = tab::leaves(s).value_or(instant{}), v.expires = s.chain.expires;
    return v;
}

// One text a request, however its writer likes his hexadecimal.
es::signed_request plain(es::signed_request s) {
    auto& r = s.request;
    for (auto* x : {&r.payer, &r.provider, &r.token, &r.request_hash, &r.nonce, &s.signature}) *x = lower(*x);
    return s;
}

// What the rail may see otherwise by now.
bool worth_a_look(const refusal& why) {
    static const std::set<std::string> all{"price_too_high", "beyond_budget", "wrong_credit", "rail_unseen", "expired"};
    return all.contains(why.code);
}

struct keeper_state {
    using handle = own_interface;
    static constexpr const char* name = "souk.escrow";

    keeper_state(handle::pointer self, escrow_options options, journal& log, escrow_rail& rail, performer<tab>& world)
        : self_(self), options_(std::move(options)), rail_(rail), place_(rail.escrow()), token_(lower(rail.token().contract)), provider_(lower(options_.provider)) {
        const auto me = handle{self};
        footing<tab> on{&log, &world, options_.now, [me](const std::string& key, const tab::state& s, const std::vector<tab::event>& events) {
            tab_changed c{view_of(key, s), {}};
            for (const auto& e : events)
                match(
                    e, [&](const tab::taken& x) { c.news.emplace_back(x.request.what.request.nonce, tab_stage::held); },
                    [&](const tab::served& x) { c.news.emplace_back(x.nonce, tab_stage::served); }, [&](const tab::unserved& x) { c.news.emplace_back(x.nonce, tab_stage::unserved); },
                    [](const auto&) {});
            tell(me, std::move(c));
        }, {}, options_.trouble};
        all_.emplace(self->home_system(), options_.shards, std::move(on));
    }

    handle::behavior_type make_behavior() {
        // What all have open is known before anything is taken.
        all_->live(*self_, [this](std::map<std::string, tab::state> found) {
            for (auto& [key, s] : found) learn(view_of(key, s));
            loaded_ = true;
        });
        return {
            [this](const serve_request& q) -> caf::result<request_said> { return serve(q); },
            [this](const end_request& q) -> caf::result<request_said> {
                const auto key = lower(q.tab), nonce = lower(q.id);
                auto to = self_->template make_response_promise<request_said>();
                if (!known_.contains(key)) to.deliver(no(key, nonce, loaded_ ? refusal{"not_taken", "no such request was taken"} : refusal{"not_now", "this node is starting"}));
                else give(key, nonce, tab::end{nonce, q.served}, [this, to, key, nonce](result<answer> a) mutable { answer_with(to, key, nonce, a); });
                return to;
            },
            [this](const present_tab& q) -> caf::result<request_said> {
                const auto key = lower(q.tab);
                auto to = self_->template make_response_promise<request_said>();
                if (!known_.contains(key)) to.deliver(no(key, {}, loaded_ ? refusal{"not_taken", "there is no such tab here"} : refusal{"not_now", "this node is starting"}));
                else give(key, {}, tab::present_now{}, [to, key](result<answer> a) mutable { to.deliver(request_said{a ? came::yes : came::unknown, key, {}, {}, {}}); });
                return to;
            },
            [this](const tabs_query& q) -> caf::result<tabs_view> {
                tabs_view v;
                for (auto at = known_.lower_bound(lower(q.id)); at != known_.end() && at->first.starts_with(lower(q.id)); ++at) v.all.push_back(at->second);
                v.at_risk = at_risk(), v.most_at_risk = options_.most_in_all;
                return v;
            },
            [this](const escrow_offer_query&) -> caf::result<escrow_offer> {
                return escrow_offer{rail_.network(), rail_.token().contract, options_.provider, static_cast<std::int64_t>(place_.chain), place_.contract, 2 * options_.before.count(),
                                    options_.latest.count(), options_.most_open};
            },
            [](const turn& t) { t.run(); },
            [this](tab_changed& c) {
                for (const auto& [nonce, at] : c.news)
                    if (const auto w = awaited_.find({c.now.id, nonce}); w != awaited_.end()) w->second = at;
                learn(std::move(c.now));
            },
        };
    }

private:
    using promise = caf::typed_response_promise<request_said>;
    struct asked { // a request on its way to its tab
        std::string key;
        tab::take what;
        std::uint64_t room = 0;
        promise to;
    };

    static request_said no(const std::string& key, const std::string& nonce, refusal why) { return {came::no, key, nonce, {}, std::move(why)}; }

    caf::result<request_said> serve(const serve_request& q) {
        auto read = decode_described<es::signed_request>(q.request.data);
        if (!read) return no({}, {}, read.error());
        const auto s = plain(std::move(*read));
        const auto& r = s.request;
        if (!loaded_) return no({}, r.nonce, {"not_now", "this node is starting"});
        const auto key = tab_of(place_, source_of(r));
        if (r.provider != provider_) return no(key, r.nonce, {"not_provider", "it is for another to serve"});
        if (r.token != token_) return no(key, r.nonce, {"wrong_token", "this node is paid in " + token_});
        if (const auto good = es::check_signature(place_, s); !good) return no(key, r.nonce, good.error());
        if (!es::is_timed(r)) return no(key, r.nonce, {"nonce_not_timed", "a nonce begins with the second in which the request expires and the number of its credit, in 8 bytes each"});
        const auto from_now = r.expires - std::chrono::floor<std::chrono::seconds>(options_.now().time_since_epoch()).count();
        if (from_now > options_.latest.count()) return no(key, r.nonce, {"expires_too_late", "a request lives " + std::to_string(options_.latest.count()) + " seconds at most"});
        const auto price = from_decimal(r.price, 0);
        if (!price) return no(key, r.nonce, {"price_too_high", "more than can be counted here"});
        asked a{key, {{source_of(r), options_.most_open, options_.present_at, options_.present_after.count(), options_.before.count()}, s, *price, q.within, {}}, 0,
                self_->template make_response_promise<request_said>()};
        auto to = a.to;
        const auto at = known_.find(key);
        const bool full = *price > options_.most_in_all - at_risk();
        if (full || ((at == known_.end() || at->second.requests == 0) && busy_ >= static_cast<std::int64_t>(options_.most_tabs))) {
            if (full) present_all();
            unless_known(a, full ? refusal{"too_much_open", "what was served before must be presented first"} : refusal{"not_now", "this node has as many tabs open as it keeps"});
            return to;
        }
        // Counted from now on: two that are under way do not share the same room.
        a.room = ++last_room_;
        reserved_.emplace(a.room, *price);
        bring(std::move(a));
        return to;
    }

    // By what is known; and where that does not cover it, by what the rail says now.
    void bring(asked a) {
        const auto key = a.key, nonce = a.what.request.request.nonce;
        const bool looked = a.what.chain.has_value();
        give(key, nonce, a.what, [this, a, looked](result<answer> said) mutable {
            if (said && said->refused && !looked && worth_a_look(*said->refused)) return look(std::move(a), *said->refused);
            reserved_.erase(a.room);
            if (said && said->refused && said->refused->code == "too_much_open") all_->submit(a.key, tab::present_now{});
            answer_with(a.to, a.key, a.what.request.request.nonce, said);
        });
    }
    void look(asked a, refusal why) {
        const auto nonce = a.what.request.request.nonce;
        if (looks_.size() >= options_.most_looks) return give_up(std::move(a), {"not_now", "the rail is being asked for others"});
        const auto mine = ++last_look_;
        const auto of = a.what.what.of;
        looks_.emplace(mine, std::pair{std::move(a), std::move(why)});
        send_after(*self_, handle{self_}, options_.answer_within / 2, turn{[this, mine] { looked(mine, {}); }});
        const auto me = handle{self_};
        rail_.look_at(of, {nonce}, [this, me, mine](escrow_answer said) {
            const foreign_thread here;
            tell(me, turn{[this, mine, said = std::move(said)] { looked(mine, said); }});
        });
    }
    void looked(std::uint64_t number, const escrow_answer& said) {
        const auto at = looks_.find(number);
        if (at == looks_.end()) return;
        auto [a, why] = std::move(at->second);
        looks_.erase(at);
        if (said.how == moved::yes) {
            a.what.chain = said.books;
            return bring(std::move(a));
        }
        give_up(std::move(a), {"rail_unknown", why.code + ", by what is known; the rail does not say how it stands now"});
    }
    void give_up(asked a, refusal why) {
        const auto& nonce = a.what.request.request.nonce;
        reserved_.erase(a.room), awaited_.erase({a.key, nonce});
        a.to.deliver(no(a.key, nonce, std::move(why)));
    }

    // One that was asked before is what it is, however full we are.
    void unless_known(const asked& a, const refusal& why) {
        state(a.key, [key = a.key, r = a.what.request.request, to = a.to, why](const tab::state* s) mutable {
            if (s && tab::is_known(*s, r)) to.deliver(request_said{came::yes, key, r.nonce, name_of(*tab::stage_of(*s, r.nonce)), {}});
            else to.deliver(no(key, r.nonce, why));
        });
    }
    void state(const std::string& key, std::function<void(const tab::state*)> then) {
        request(*self_, all_->shard(key), options_.answer_within, state_query<tab>{key})
            .then([then](const state_answer<tab>& a) { then(a.found ? &*a.found : nullptr); }, [then](const caf::error&) { then(nullptr); });
    }
    // Journalled, then answered.
    void give(const std::string& key, const std::string& nonce, tab::command what, std::function<void(result<answer>)> then) {
        if (!nonce.empty()) awaited_.try_emplace({key, nonce});
        request(*self_, all_->shard(key), options_.answer_within, order<tab>{key, std::move(what)})
            .then([then](const answer& a) { then(a); }, [then](const caf::error&) { then(refusal{"not_now", "no answer"}); });
    }
    // What it changed is known here already: the shard said so first. Where it changed nothing, the tab is asked what it is.
    void answer_with(promise to, const std::string& key, const std::string& nonce, const result<answer>& a) {
        std::optional<tab_stage> now;
        if (const auto at = awaited_.find({key, nonce}); at != awaited_.end()) now = at->second, awaited_.erase(at);
        if (!a || a->refused || now) {
            to.deliver(!a ? request_said{came::unknown, key, nonce, {}, {}} : a->refused ? no(key, nonce, *a->refused) : request_said{came::yes, key, nonce, name_of(*now), {}});
            return;
        }
        state(key, [to, key, nonce](const tab::state* s) mutable {
            const auto at = s ? tab::stage_of(*s, nonce) : std::nullopt;
            to.deliver(request_said{at ? came::yes : came::unknown, key, nonce, at ? name_of(*at) : "", {}});
        });
    }

    // -- risk ---------------------------------------------------------------------------------------------------------------

    void learn(tab_view v) {
        auto& known = known_[v.id];
        open_ += v.held + v.served - known.held - known.served; // no overflow: of each no more is open than its terms allow
        busy_ += (v.requests > 0) - (known.requests > 0);
        known = std::move(v);
    }
    amount at_risk() const {
        amount sum = open_;
        for (const auto& [number, much] : reserved_) sum += much; // those that are being journalled
        return sum;
    }
    void present_all() {
        for (const auto& [key, v] : known_)
            if (v.served > 0) all_->submit(key, tab::present_now{});
    }

    handle::pointer self_;
    const escrow_options options_;
    escrow_rail& rail_;
    const es::place place_;
    const std::string token_, provider_; // lower case
    std::optional<entities<tab>> all_;
    bool loaded_ = false;
    std::map<std::string, tab_view> known_; // as the shards told
    amount open_ = 0;
    std::int64_t busy_ = 0;
    std::map<std::uint64_t, amount> reserved_;
    std::map<std::pair<std::string, std::string>, std::optional<tab_stage>> awaited_; // by tab and nonce: what an order made of it
    std::map<std::uint64_t, std::pair<asked, refusal>> looks_;
    std::uint64_t last_room_ = 0, last_look_ = 0;
};

std::string told_by(const escrow_answer& a) {
    if (a.why.code.empty()) return "the rail does not know";
    return a.why.code + ": " + a.why.text;
}

} // namespace

// -- the rail ----------------------------------------------------------------------------------------------------------------

void escrow_world::perform(const tab::look& f, reply_to<tab::look> tell) {
    rail_.look_at(f.what.of, {}, [f, tell = std::move(tell)](const escrow_answer& a) {
        if (a.how == moved::yes) return tell({f, verdict::done, {a.books}, {}});
        tell({f, a.how == moved::no ? verdict::failed : verdict::unknown, {}, told_by(a)});
    });
}
void escrow_world::perform(const tab::consume& f, reply_to<tab::consume> tell) {
    rail_.consume(f.all, provider_, [f, tell = std::move(tell)](const escrow_answer& a) {
        if (a.how == moved::yes) return tell({f, verdict::done, {a.books, {}}, {}});
        tell({f, a.how == moved::no ? verdict::failed : verdict::unknown, {{}, a.how == moved::no ? a.bad : std::vector<escrow_bad>{}}, told_by(a)});
    });
}

escrow_actor spawn_escrow_keeper(caf::actor_system& sys, escrow_options o, journal& log, escrow_rail& rail, performer<tab>& world) {
    using namespace std::chrono_literals;
    if (o.present_at <= 0 || o.present_at > o.most_open || o.most_open > o.most_in_all)
        throw std::invalid_argument("escrow: what is presented at, and the most that may be open of a tab and in all, must grow in this order");
    if (o.before < 1min || o.before > 1h) throw std::invalid_argument("escrow: requests are presented a minute to an hour before they expire");
    if (o.latest < 3 * o.before || o.latest > 7 * 24h) throw std::invalid_argument("escrow: a request lives three times as long as it takes to present it at least, and a week at most");
    if (o.present_after <= 0s) throw std::invalid_argument("escrow: what was served waits for more of it for a while");
    return sys.spawn<actor_of<keeper_state>>(std::move(o), std::ref(log), std::ref(rail), std::ref(world));
}

} // namespace souk
