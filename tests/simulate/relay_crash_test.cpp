// The relay is killed before, after and right behind every write of its own, on every path that a public name can take. Who owns the name
// in the end, and whether it is served, is the same as without that.
#include <fmt/format.h>

#include <souk/actors/broker/broker.hpp>

#include "little_market.hpp"

namespace {

// The broker that ships, and the tunnels that stand in its process: none outlives it. A machine opens its own again, as often as it must.
class relay final : public node {
public:
    relay(universe& u, books& b, const party& who) : node(u, who.name), books_(b), who_(who) {}

    void wants(route_claim c) {
        auto& t = tunnels_[c.label + ' ' + c.did];
        t.claim = std::move(c), t.wanted = true;
        knock(t);
    }
    void leaves(const std::string& label, const std::string& did) { // the machine is gone: its tunnel breaks
        auto& t = tunnels_.at(label + ' ' + did);
        t.wanted = false;
        if (std::exchange(t.stands, false)) broke(t);
    }
    std::vector<route_view> names() {
        std::optional<route_list> found;
        ask<route_list>(u_.system(), broker_, 10s, route_query{}, [&](result<route_list> r) { found = r ? *r : route_list{}; });
        u_.run(u_.now() + 10s, [&] { return found.has_value(); });
        return found->all;
    }
    bool serves(const std::string& did) const {
        return std::any_of(tunnels_.begin(), tunnels_.end(), [&](const auto& x) { return x.second.stands && x.second.claim.did == did; });
    }

private:
    struct tunnel {
        route_claim claim;
        bool wanted = false, stands = false;
    };
    void open() override {
        auto& net = keep(books_.seen_by(who_.did, life_));
        broker_options o;
        o.did = who_.did, o.domain = "relay.example", o.now = clock();
        o.close_account = [this](const std::string& did) {
            for (auto& [name, t] : tunnels_)
                if (t.claim.did == did) t.stands = false;
        };
        broker_ = cast(spawn_broker(u_.system(), o,
                                    broker_world{disk_, *grants_, net, [](const std::string&, auto tell) { tell(refusal{"did_unresolved", "nobody asks here"}); }, [](const std::string&) {},
                                                 [](http::call, auto tell) { tell(refusal{"http_unreachable", "nothing is fetched here"}); }, who_.keys->signing()}));
        for (auto& [name, t] : tunnels_) knock(t);
    }
    void close() override {
        broker_ = nullptr;
        for (auto& [name, t] : tunnels_) t.stands = false;
    }
    void knock(tunnel& t) {
        if (!t.wanted || t.stands) return;
        const auto again = [this, &t] { u_.later(5'000ms, [this, &t] { knock(t); }); };
        if (!up()) return; // `open` knocks
        auto c = t.claim;
        c.up = true;
        ask<kept>(u_.system(), broker_, 10s, c, [this, &t, again, by = life_](result<kept> k) {
            if (!*by) return;
            if (!k || k->refused) return again();
            t.stands = t.wanted;
            if (!t.stands) broke(t); // it went while the relay thought about it
        });
    }
    void broke(tunnel& t) {
        if (!up()) return;
        auto c = t.claim;
        c.up = false;
        tell(broker_, c);
    }

    books& books_;
    const party& who_;
    bench::scratch folder_{std::filesystem::temp_directory_path()};
    std::unique_ptr<kept_file> grants_ = make_kept_file(folder_.path() / "grants");
    broker_actor broker_;
    std::map<std::string, tunnel> tunnels_;
};

struct little_relay {
    little_relay() : it(u, net, everyone().bob) { it.start(), pass(1'000ms); }
    void pass(milliseconds d) { u.run(u.now() + d, [] { return false; }); }
    static route_claim name_of(const party& p, const std::string& handle) {
        route_claim c;
        c.did = p.did, c.handle = handle, c.service = "app", c.label = "app--" + handle.substr(0, handle.find('.')) + "-example";
        return c;
    }
    route_claim hers() const { return name_of(everyone().alice, "alice.example"); }
    // The same handle, another account: it changed hands.
    route_claim of_another() const { return name_of(everyone().eve, "alice.example"); }

    universe u{1, {}};
    crossings ways{u};
    books net{u, ways};
    relay it;
};

struct way {
    std::string name;
    std::function<void(little_relay&)> story;
};
const std::vector<way>& ways() {
    static const std::vector<way> all{
        {"it is served", [](little_relay& s) { s.it.wants(s.hers()), s.pass(60'000ms); }},
        {"its tunnel breaks, and it comes back",
         [](little_relay& s) {
             s.it.wants(s.hers()), s.pass(60'000ms);
             s.it.leaves(s.hers().label, s.hers().did), s.pass(600'000ms);
             s.it.wants(s.hers()), s.pass(60'000ms);
         }},
        {"another account wants it while it is down",
         [](little_relay& s) {
             s.it.wants(s.hers()), s.pass(60'000ms);
             s.it.leaves(s.hers().label, s.hers().did), s.pass(60'000ms);
             s.it.wants(s.of_another()), s.pass(60'000ms);
         }},
        {"nobody served it for a month, and another has it",
         [](little_relay& s) {
             s.it.wants(s.hers()), s.pass(60'000ms);
             s.it.leaves(s.hers().label, s.hers().did), s.pass(31 * 24h);
             s.it.wants(s.of_another()), s.pass(60'000ms);
             s.it.wants(s.hers()), s.pass(60'000ms); // too late
         }},
    };
    return all;
}

struct seen {
    std::string names;
    std::uint64_t writes = 0;
    bool sprung = true;
};

seen live(const way& w, std::uint64_t nth = 0, point at = {}) {
    little_relay s;
    seen e;
    const auto before = s.it.log().trap().count();
    if (nth > 0) {
        e.sprung = false;
        s.it.log().trap().set(nth, at, [&] {
            e.sprung = true;
            s.it.kill("the test says so");
            s.u.later(300ms, [&] { s.it.start(); });
        });
    }
    w.story(s);
    e.writes = s.it.log().trap().count() - before;
    for (const auto& v : s.it.names()) {
        e.names += fmt::format("{} of {} {}; ", v.label, v.did, v.up ? "up" : "down");
        CHECK(v.up == s.it.serves(v.did)); // it says what is so
    }
    return e;
}

} // namespace

TEST_CASE("a relay that is killed at any write keeps each name with its owner") {
    std::uint64_t crashes = 0;
    for (const auto& w : ways()) {
        CAPTURE(w.name);
        const auto usual = live(w);
        CHECK(!usual.names.empty());
        for (std::uint64_t n = 1; n <= usual.writes; ++n)
            for (const auto at : {point::before, point::durable, point::heard}) {
                const auto name = fmt::format("write {}, point {}", n, static_cast<int>(at));
                CAPTURE(name);
                const auto e = live(w, n, at);
                CHECK(e.sprung);
                CHECK(e.names == usual.names);
                ++crashes;
            }
        MESSAGE(w.name << ": " << usual.names);
    }
    MESSAGE(ways().size() << " paths, " << crashes << " crashes");
}
