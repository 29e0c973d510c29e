#include <doctest/doctest.h>

#include <functional>
#include <set>

#include <souk/runtime/cluster/link_state.hpp>

using namespace souk::carrier;
using namespace std::chrono_literals;
using std::chrono::milliseconds;
using phase = link_state::phase;

namespace {

constexpr auto first = 100ms, longest = 1'000ms;

// A node's link and the world around it, which does at each step one of the things that can happen.
struct world {
    link_state state;
    bool ours;
    std::optional<std::uint64_t> timer; // running
    bool dialling = false;              // a dial is under way
    std::optional<link_id> link;        // alive
    link_id last = 0;

    explicit world(bool dialled) : state(first, longest, dialled, 7), ours(dialled) {}

    void act(const link_state::step& s) {
        if (s.wait) {
            CHECK(*s.wait >= first / 2);
            CHECK(*s.wait <= longest);
            timer = s.which;
        }
        if (s.dial) {
            CHECK(ours);
            CHECK_FALSE(dialling);
            dialling = true;
        }
        CHECK_FALSE((s.dial && s.wait));
    }
    static constexpr int events = 9;
    bool can(int event) const {
        switch (event) {
            case 0: return timer.has_value();
            case 1: case 2: case 3: return dialling;
            case 5: return link.has_value();
            default: return true;
        }
    }
    void happen(int event) {
        switch (event) {
            case 0: { const auto t = *timer; timer.reset(); return act(state.timer(t)); }
            case 1: dialling = false; return act(state.failed("no answer"));
            case 2: dialling = false; return act(state.refused("another protocol", true));
            case 3: dialling = false; link = ++last; return act(state.up(last, true));
            case 4: link = ++last; return act(state.up(last, false));  // it dialled us
            case 5: { const auto l = *link; link.reset(); return act(state.lost(l, "gone")); }
            case 6: return act(state.lost(last + 1, "not the one that counts"));
            case 7: return act(state.timer(~std::uint64_t{0}));        // an old timer
            default: return act(state.refused("it dialled us with another protocol", false));
        }
    }
    void holds() const {
        CHECK((state.now() == phase::up) == (state.link().has_value()));
        if (state.now() == phase::up) {
            CHECK(state.link() == link);
            CHECK(state.why().empty());
        }
        if (state.now() == phase::dialling) CHECK(dialling);
        if (!ours) CHECK(state.now() != phase::dialling);
        // It never comes to rest while down: something is under way that will move it.
        if (ours && state.now() == phase::waiting) CHECK(timer.has_value());
    }
};

void explore(const world& w, int depth, std::size_t& seen) {
    ++seen;
    w.holds();
    if (depth == 0) return;
    for (int e = 0; e < world::events; ++e) {
        if (!w.can(e)) continue;
        auto next = w;
        next.happen(e);
        explore(next, depth - 1, seen);
    }
}

} // namespace

TEST_CASE("in whatever order things happen, a node that we dial is dialled until it is there, and once at a time") {
    world w(true);
    w.act(w.state.start());
    CHECK(w.dialling);
    std::size_t seen = 0;
    explore(w, 7, seen);
    CHECK(seen > 50'000);
}

TEST_CASE("a node that dials us is never dialled, in whatever order things happen") {
    world w(false);
    w.act(w.state.start());
    std::size_t seen = 0;
    explore(w, 8, seen);
    CHECK(seen > 10'000);
}

TEST_CASE("waits double with each failure, up to the longest, and begin anew after a link") {
    link_state s(first, longest, true, 1);
    s.start();
    auto expected = first;
    for (int i = 0; i < 8; ++i) {
        const auto step = s.failed("no answer");
        REQUIRE(step.wait);
        CHECK(*step.wait <= expected);
        CHECK(*step.wait >= expected / 2);
        CHECK(s.timer(step.which).dial);
        expected = std::min<milliseconds>(expected * 2, longest);
    }
    s.up(1, true);
    const auto step = s.lost(1, "gone");
    REQUIRE(step.wait);
    CHECK(*step.wait <= first);
}

TEST_CASE("a node that refuses us is not asked again soon") {
    link_state s(first, longest, true, 1);
    s.start();
    const auto step = s.refused("another protocol", true);
    REQUIRE(step.wait);
    CHECK(*step.wait >= longest / 2);
    CHECK(s.why() == "another protocol");
}

TEST_CASE("nodes that lose each other together do not dial together") {
    std::set<milliseconds> waits;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        link_state s(1'000ms, 10'000ms, true, seed);
        s.start();
        waits.insert(*s.failed("").wait);
    }
    CHECK(waits.size() > 15);
}
