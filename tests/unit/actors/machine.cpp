#include <souk/actors/launcher/machine.hpp>

#include "explore.hpp"

using namespace souk;
using namespace std::chrono_literals;

namespace {

const instant begin{1'700'000'000s};
room_request room() { return {"souk-1", 1, 512, 1024, std::nullopt, begin + 10min}; }
machine_start start() { return {"souk-1", "h", "#cloud-init\n", "ssh-ed25519 AAAA", "sub", begin + 1h, begin + 5min}; }

test::explorer<machine> world() {
    test::explorer<machine> x;
    x.orders = [](const machine::state&) {
        auto other = room();
        other.mem_mib = 1024;
        return std::vector<machine::command>{machine::reserve{room()}, machine::reserve{other}, machine::launch{start()}, machine::stop{"stopped"}};
    };
    x.outcomes = [](const machine::effect& f, instant now) {
        std::vector<machine::command> out;
        match(f,
            [&](const machine::create& e) {
                compute::running where{"127.0.0.1", 2200, "ssh-ed25519 AAAA", "root", compute::tier::none};
                out = {outcome<machine::create>{e, verdict::done, {where}, {}}, outcome<machine::create>{e, verdict::failed, {}, "no image"}, outcome<machine::create>{e, verdict::unknown, {}, {}}};
            },
            [&](const machine::destroy& e) {
                out = {outcome<machine::destroy>{e, verdict::done, {begin + 1min}, {}}, outcome<machine::destroy>{e, verdict::done, {std::max(now, begin + 6min)}, {}},
                       outcome<machine::destroy>{e, verdict::done, {begin + 1min, true}, {}},
                       outcome<machine::destroy>{e, verdict::unknown, {}, {}}};
            },
            [&](const machine::observe& e) {
                for (const auto p : {compute::presence::absent, compute::presence::running, compute::presence::unknown}) out.push_back(outcome<machine::observe>{e, verdict::done, {p, now}, {}});
                out.push_back(outcome<machine::observe>{e, verdict::unknown, {}, "a probe failed"});
            });
        return out;
    };
    x.same = [](const machine::state& s) {
        auto t = s;
        t.due = {}, t.since = {}, t.alarms = 0;
        return encode_described(t);
    };
    return x;
}

} // namespace

TEST_CASE("a machine counts as gone only when nothing of it can exist any more") {
    auto x = world();
    x.judge = [](const test::step<machine>& s) {
        if (s.after.at == machine::phase::gone && s.before.at == machine::phase::stopping) {
            const auto* o = std::get_if<outcome<machine::destroy>>(&s.command);
            REQUIRE(o);
            CHECK(o->said == verdict::done);
            const bool seen_running = !s.before.where.host.empty();
            CHECK((seen_running || o->found.final || o->found.as_of > s.before.create_until));
        }
        // Whatever was asked to exist is owned until then: the sweep must not take it for an orphan, and its room stays counted.
        for (const auto& f : machine::effects(s.after))
            match(f, [&](const machine::create&) { CHECK(machine::owns_instance(s.after)); }, [](const auto&) {});
        if (machine::owns_instance(s.after)) CHECK(machine::holds_room(s.after));
        // A failed probe ends nothing.
        if (const auto* o = std::get_if<outcome<machine::observe>>(&s.command); o && o->found.is != compute::presence::absent) CHECK(s.said.events.empty());
    };
    x.run();
    CHECK(x.events_seen.size() == std::variant_size_v<machine::event>);
    MESSAGE(x.states << " states, " << x.steps << " steps");
}

TEST_CASE("a launch that is cancelled on the way is still taken down") {
    machine::state s;
    const auto give = [&](machine::command c) {
        for (const auto& e : machine::decide(s, c, begin + 1min).events) s = machine::evolve(s, e);
    };
    give(machine::reserve{room()}), give(machine::launch{start()});
    CHECK(machine::effects(s).size() == 1);
    give(machine::stop{"changed my mind"});
    REQUIRE(machine::effects(s).size() == 1);
    CHECK(std::holds_alternative<machine::destroy>(machine::effects(s).front()));
    give(outcome<machine::create>{{room(), start(), begin + 5min}, verdict::done, {{"127.0.0.1", 1, "k", "root", compute::tier::none}}, {}}); // too late
    CHECK(std::holds_alternative<machine::destroy>(machine::effects(s).front()));
}

TEST_CASE("what a backend lists and the journal does not know is an orphan") {
    machine::state running;
    running.at = machine::phase::running;
    machine::state gone;
    gone.at = machine::phase::gone;
    const auto durable = [&](const std::string& tag) { return tag == "mine" ? running : tag == "over" ? gone : machine::state{}; };
    CHECK(orphans({"mine", "over", "never"}, durable) == std::vector<std::string>{"over", "never"});
}
