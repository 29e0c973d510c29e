#include <souk/actors/broker/route.hpp>

#include "explore.hpp"

using namespace souk;
using namespace std::chrono_literals;

namespace {

route_claim claim(const std::string& did, bool up) {
    route_claim c;
    c.label = "app--alice", c.did = did, c.handle = did == "did:plc:alice" ? "alice.example" : "eve.example", c.service = "app", c.up = up;
    return c;
}

test::explorer<route> world() {
    test::explorer<route> x;
    x.allows_revival = true; // a name that was let go can be had again
    x.orders = [](const route::state&) {
        std::vector<route::command> all;
        for (const auto* who : {"did:plc:alice", "did:plc:eve"})
            for (const bool up : {true, false}) all.push_back(route::claim{claim(who, up)});
        all.push_back(route::restarted{});
        all.push_back(route::revoke{"abuse"});
        return all;
    };
    x.outcomes = [](const route::effect& f, instant) {
        return match(f, [](const route::cut& e) {
            std::vector<route::command> all;
            for (const auto v : {verdict::done, verdict::failed, verdict::unknown}) all.push_back(outcome<route::cut>{e, v, {}, "why"});
            return all;
        });
    };
    x.same = [](const route::state& s) {
        auto t = s;
        t.since = {}, t.due = {};
        return encode_described(t);
    };
    return x;
}

} // namespace

TEST_CASE("a name is one account's until it is let go, and nobody takes it from him") {
    auto x = world();
    x.judge = [](const test::step<route>& s) {
        const auto owned = [](const route::state& r) { return r.at == route::phase::up || r.at == route::phase::down || r.at == route::phase::cutting; };
        if (owned(s.before) && owned(s.after)) CHECK((s.after.did == s.before.did && s.after.handle == s.before.handle && s.after.service == s.before.service));
        if (const auto* c = std::get_if<route::claim>(&s.command)) {
            const bool taken_away = s.before.at == route::phase::cutting || s.before.at == route::phase::withdrawn;
            if (taken_away) CHECK(s.said.events.empty()); // not even the owner
            if (owned(s.before) && c->what.did != s.before.did) {
                CHECK(s.said.events.empty());
                if (c->what.up) CHECK(s.said.refused->code == (taken_away ? "label_revoked" : "label_taken"));
            }
        }
        // It is let go by time or by the relay, when its tunnels are known to be closed; never by a tunnel that breaks.
        if (s.before.at == route::phase::withdrawn && s.after.at != route::phase::withdrawn) CHECK(std::holds_alternative<deadline_passed>(s.command));
        if (owned(s.before) && !owned(s.after)) {
            const auto* cut = std::get_if<outcome<route::cut>>(&s.command);
            CHECK(((s.before.at == route::phase::down && std::holds_alternative<deadline_passed>(s.command)) || (cut && cut->said == verdict::done)));
        }
        // After a start nothing is up that nobody opened since.
        if (std::holds_alternative<route::restarted>(s.command)) CHECK(s.after.at != route::phase::up);
    };
    x.run();
    CHECK(x.events_seen.size() == std::variant_size_v<route::event>);
    MESSAGE(x.states << " states, " << x.steps << " steps");
}
