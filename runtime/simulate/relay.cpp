#include <souk/runtime/simulate/relay.hpp>

#include <algorithm>

#include <souk/actors/common/turn.hpp>
#include <souk/runtime/machine_door.hpp>

namespace souk::simulate {

using namespace std::chrono_literals;

namespace {

constexpr tunnel::broker_limits patience; // of the door that ships
constexpr auto answered_within = 9s;      // as runtime/node has it
constexpr milliseconds of_ssh = 45s;      // ServerAliveInterval times ServerAliveCountMax

// A role of another node: its handle is stable, and what it is asked fails at once while there is no link.
class far_broker {
public:
    using handle = extended<broker_actor, caf::result<void>(turn)>;
    using carrier = std::function<void(const std::string& token, std::function<void(result<kept>)>)>;
    static constexpr const char* name = "simulated.far_broker";

    far_broker(handle::pointer self, carrier c) : self_(self), post_(turns_of(handle{self})), carry_(std::move(c)) {}

    handle::behavior_type make_behavior() {
        return {
            [](const login_question&) -> caf::result<login_answer> { return unknown(); },
            [](const route_claim&) -> caf::result<kept> { return unknown(); },
            [](const route_revocation&) -> caf::result<kept> { return unknown(); },
            [](const route_query&) -> caf::result<route_list> { return unknown(); },
            [this](const credential_grant& g) -> caf::result<kept> {
                auto promise = self_->make_response_promise<kept>();
                carry_(g.token, [post = post_, promise, said = std::make_shared<bool>(false)](result<kept> k) {
                    if (std::exchange(*said, true)) return; // it arrived twice
                    post([promise, k = std::move(k)]() mutable {
                        if (k) promise.deliver(std::move(*k));
                        else promise.deliver(unknown());
                    });
                });
                return promise;
            },
            [](const proxied_write&) -> caf::result<proxied_answer> { return unknown(); },
            [](const turn& t) { t.run(); },
        };
    }

private:
    static caf::error unknown() { return caf::make_error(caf::sec::cannot_connect_to_node); }

    handle::pointer self_;
    post_to_self post_;
    carrier carry_;
};

} // namespace

relay::relay(universe& u, books& b, crossings& ways, const party& who)
    : node(u, who.name), books_(b), ways_(ways), who_(who), shelf_(u, who.did, [this] { restart("its repository was lost"); }) {
    books_.add(who.name + ".example", who.document(), shelf_);
}

void relay::open() {
    shelf_.mount(life_);
    since_ = u_.now();
    auto& net = keep(books_.seen_by(who_.did, life_));
    broker_options o;
    o.did = who_.did, o.domain = who_.name + ".example", o.now = clock();
    o.close_account = [this](const std::string& did) {
        for (const auto& l : std::vector(lines_))
            if (l->did == did) snap(l);
    };
    broker_world w{disk_, disk_.file(), net,
                   [this, &net, by = life_](const std::string& handle, auto tell) {
                       const auto did = books_.called(handle);
                       if (!did.empty()) return net.keys(did, std::move(tell));
                       u_.later(by, 20ms, [tell, handle] { tell(refusal{"did_unresolved", "nobody is called " + handle}); });
                   },
                   [](const std::string&) {}, books_.web_of(who_.did, life_), who_.keys->signing()};
    broker_ = cast(spawn_broker(u_.system(), std::move(o), std::move(w)));
    machine_door door({&u_.system(), clock(), who_.did, who_.keys, nullptr, {}, {}, broker_});
    books_.find(who_.did)->door = [door](http::request q, http::responder say) {
        if (machine_door::is_one(q)) return door.answer(q, std::move(say));
        say(http::error_response(404, {"not_found", "there is nothing here by that name"}));
    };
    if (started) started();
}

void relay::close() {
    shelf_.crash();
    broker_ = nullptr;
    books_.hang_up(who_.did);
    for (const auto& l : std::exchange(lines_, {})) {
        u_.later(l->who.alive, 20ms, [l] {
            if (std::exchange(*l->wire, false)) l->broke();
        });
        if (std::exchange(l->open, false) && changed) changed(*l, false);
    }
    leads_.clear();
}

// -- tunnels -----------------------------------------------------------------------------------------------------------------

void relay::connect(ssh_client c, std::function<void(bool)> then, std::function<void()> broke) {
    const auto l = std::make_shared<tunnel>();
    l->who = std::move(c), l->by = life_, l->broke = std::move(broke);
    const auto heard = std::make_shared<bool>(false);
    then = [heard, then = std::move(then)](bool yes) {
        if (!std::exchange(*heard, true)) then(yes);
    };
    if (!up()) return u_.later(l->who.alive, 20ms, [then] { then(false); });
    u_.later(l->who.alive, 30s, [then, l] { // ssh's own patience, which ends the connection
        if (!l->open) *l->wire = false, then(false);
    });
    if (away_until_ > u_.now() || u_.strikes(hazard::drop, 20)) return;
    u_.later(l->who.alive, u_.chance().between(20ms, 200ms), [this, l, then] {
        if (*l->by) return log_in(l, then);
        then(false);
    });
}

void relay::log_in(const line& l, std::function<void(bool)> then) {
    const auto refuse = [this, l, then] { u_.later(l->who.alive, 20ms, [then] { then(false); }); };
    ask<login_answer>(u_.system(), broker_, answered_within, login_question{l->who.user, l->who.key_type, {l->who.key_blob}}, [this, l, then, refuse](result<login_answer> a) {
        if (!*l->by || !a || a->refused || !*l->who.alive || !*l->wire) return refuse();
        const auto may = [&](const std::string& what) { return std::find(a->services.begin(), a->services.end(), what) != a->services.end(); };
        const auto label = host_label(l->who.service, l->who.user);
        if (!label || (!may(l->who.service) && !may("*"))) return refuse();
        l->did = a->did, l->label = *label, l->logged_in = true;
        lines_.push_back(l);
        const auto held = leads_.find(l->label);
        if (held == leads_.end() || held->second->did == l->did) return claim(l, then);
        over(l), refuse();
    });
}

void relay::claim(const line& l, std::function<void(bool)> then) {
    ask<kept>(u_.system(), broker_, answered_within, route_claim{l->label, l->did, l->who.user, l->who.service, true}, [this, l, then](result<kept> k) {
        if (!*l->by) return u_.later(l->who.alive, 20ms, [then] { then(false); });
        if (!k || k->refused || !l->logged_in || !*l->wire || !*l->who.alive) {
            // Whoever does not know whether the name went up for him takes it back, if it is nobody else's way meanwhile.
            if (!leads_.contains(l->label)) say(l, false);
            over(l);
            return u_.later(l->who.alive, 20ms, [then] { then(false); });
        }
        leads_[l->label] = l, l->open = true;
        say(l, true);
        u_.tell(name_, l->label + " leads to " + l->who.machine);
        if (changed) changed(*l, true);
        u_.later(l->who.alive, 20ms, [then] { then(true); });
        endanger(l);
    });
}

void relay::endanger(const line& l) {
    if (u_.strikes(hazard::drop, 100)) u_.later(l->by, u_.chance().between(100ms, 300'000ms), [this, l] { u_.chance().one_in(2) ? snap(l) : freeze(l); });
}

void relay::snap(const line& l) {
    if (!std::exchange(*l->wire, false)) return;
    if (l->open && changed) changed(*l, false);
    u_.later(l->by, 20ms, [this, l] { over(l); });
    u_.later(l->who.alive, 20ms, [l] { l->broke(); });
}

void relay::freeze(const line& l) {
    if (!std::exchange(*l->wire, false)) return;
    if (l->open && changed) changed(*l, false);
    u_.tell(name_, l->who.machine + " says nothing any more");
    u_.later(l->by, patience.dead + 1s, [this, l] { over(l); });
    u_.later(l->who.alive, of_ssh, [l] { l->broke(); });
}

void relay::over(const line& l) {
    if (std::erase(lines_, l) == 0) return;
    l->logged_in = false;
    if (std::exchange(l->open, false) && *l->wire && *l->who.alive && changed) changed(*l, false);
    const auto led = leads_.find(l->label);
    if (led == leads_.end() || led->second != l) return;
    leads_.erase(led);
    u_.tell(name_, l->label + " leads nowhere");
    say(l, false);
}

void relay::say(const line& l, bool up) { souk::tell(broker_, route_claim{l->label, l->did, l->who.user, l->who.service, up}); }

void relay::machine_gone(const std::string& machine) {
    for (const auto& l : std::vector(lines_)) {
        if (l->who.machine != machine || !*l->wire) continue;
        if (l->open && changed) changed(*l, false);
        *l->wire = false;
        const auto heard = u_.strikes(hazard::drop, 300) ? patience.dead + 1s : milliseconds{20};
        u_.later(l->by, heard, [this, l] { over(l); });
    }
}

void relay::cut_off(instant until) {
    away_until_ = std::max(away_until_, until);
    books_.cut_off(who_.did, until);
    if (until - u_.now() < patience.dead) return; // TCP sees it through
    for (const auto& l : std::vector(lines_)) freeze(l);
}

// -- what it is told, and says ---------------------------------------------------------------------------------------------------

broker_actor relay::seen_by(std::string did, life by) {
    return u_.system().spawn<actor_of<far_broker>>(far_broker::carrier{[this, did = std::move(did), by = std::move(by)](const std::string& token, auto tell) { carry_grant(did, by, token, tell); }});
}

void relay::carry_grant(const std::string& from, const life& by, const std::string& token, std::function<void(result<kept>)> tell) {
    if (given) given(token);
    const auto no_link = [this, by, tell] { u_.later(by, 5ms, [tell] { tell(refusal{"peer_lost", "there is no link to it"}); }); };
    if (!up() || !books_.reach(from, who_.did)) return no_link();
    if (u_.strikes(hazard::drop, 20)) return; // the link freezes: who asked gives up
    auto takes = u_.chance().between(2ms, 60ms);
    if (u_.strikes(hazard::delay, 20)) takes = u_.chance().between(1'000ms, 20'000ms);
    const int times = u_.strikes(hazard::duplicate, 30) ? 2 : 1;
    for (int i = 0; i < times; ++i)
        ways_.carry(takes * (i + 1), "grant", true, [this, by, token, tell, no_link] {
            if (!up()) return no_link();
            ask<kept>(u_.system(), broker_, 30s, credential_grant{token}, [this, by, token, tell, no_link, at = life_](result<kept> k) {
                if (k && !k->refused && acknowledged) acknowledged(token);
                if (!*at) return no_link();
                if (u_.strikes(hazard::drop, 20)) return;
                ways_.carry(by, u_.chance().between(2ms, 60ms), "grant answer", false, [tell, k = std::move(k)] { tell(k); }, [] {});
            });
        }, no_link);
}

void relay::take_away(const std::string& label, std::function<void()> done) {
    const auto again = [this, label, done] { u_.later(1'000ms, [this, label, done] { take_away(label, done); }); };
    if (!up()) return again();
    ask<kept>(u_.system(), broker_, 30s, route_revocation{label, "abuse"}, [again, done](result<kept> k) {
        if (!k || (k->refused && k->refused->code == "not_now")) return again();
        if (!k->refused) done();
    });
}

void relay::names(std::function<void(std::vector<route_view>)> tell) {
    if (!up()) return;
    ask<route_list>(u_.system(), broker_, 10s, route_query{}, [tell = std::move(tell)](result<route_list> r) {
        if (r) tell(std::move(r->all));
    });
}

bool relay::serves(const std::string& label) const {
    const auto found = leads_.find(label);
    return found != leads_.end() && found->second->stands();
}

route::state relay::route_of(const std::string& label) const { return state_of<route>(const_cast<relay*>(this)->disk_.past(route::kind, label)); }

} // namespace souk::simulate
