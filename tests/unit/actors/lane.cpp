#include "explore.hpp"

#include <algorithm>

#include <souk/actors/payments/lane.hpp>

using namespace souk;
using namespace std::chrono_literals;

namespace {

const instant far{std::chrono::seconds{1'800'000'000}};

lane::job job(const std::string& id) {
    lane::job j;
    j.id = id, j.to = "0xtoken", j.data = octets("call " + id), j.most_gas = 250'000, j.not_after = far;
    return j;
}
lane::attempt attempt(std::int64_t nonce, std::int64_t round, std::int64_t above) {
    return {"0x" + std::to_string(nonce) + "-" + std::to_string(round), octets("raw " + std::to_string(nonce) + "-" + std::to_string(round)), above + 10, above + 100};
}
lane::place place(const lane::land& e, std::size_t which, bool succeeded) {
    lane::place p;
    p.hash = e.hashes[which], p.block_hash = "0xblock" + std::to_string(e.nonce) + (which ? "b" : "a"), p.block = 7, p.succeeded = succeeded;
    return p;
}
template <class F>
lane::command said(const F& of, verdict v, typename F::answer found = {}, std::string why = {}) {
    return outcome<F>{of, v, std::move(found), std::move(why)};
}

// Everything that may come of what a lane asks for. The chain starts at nonce 5; who displaces it does so once, so that there is an end.
test::explorer<lane> world(std::vector<std::string> ids) {
    test::explorer<lane> x;
    x.orders = [ids](const lane::state& s) {
        std::vector<lane::command> out;
        if (s.next < 6) // what has ended may be brought again, and is then another job: bounded here
            for (const auto& id : ids) out.push_back(lane::submit{"0xkey", job(id)});
        return out;
    };
    x.outcomes = [](const lane::effect& f, instant) {
        std::vector<lane::command> out;
        match(
            f,
            [&](const lane::estimate& e) {
                out = {said(e, verdict::done, {50'000, 5, std::nullopt}), said(e, verdict::done, {0, 5, refusal{"reverted", "used"}}), said(e, verdict::unknown)};
            },
            [&](const lane::sign& e) { // a third replacement is as the second: it never comes
                out = {said(e, verdict::unknown)};
                if (e.round <= 2) out.push_back(said(e, verdict::done, {attempt(e.nonce, e.round, e.above_tip)}));
            },
            [&](const lane::land& e) {
                out = {said(e, verdict::done, {place(e, 0, true), false}), said(e, verdict::done, {place(e, e.hashes.size() - 1, false), false}), said(e, verdict::unknown)};
                if (e.nonce == 5) out.push_back(said(e, verdict::done, {std::nullopt, true}));
                auto strange = place(e, 0, true);
                strange.hash = "0xsomebody-else";
                out.push_back(said(e, verdict::done, {strange, false}));
            },
            [&](const lane::bury& e) { out = {said(e, verdict::done, {false}), said(e, verdict::done, {true}), said(e, verdict::unknown)}; });
        return out;
    };
    x.same = [](const lane::state& s) {
        auto t = s;
        t.reorganised = std::min<std::int64_t>(t.reorganised, 1), t.lost = std::min<std::int64_t>(t.lost, 1);
        for (auto& one : t.slots) {
            one.due = {}, one.since = {};
        }
        return encode_described(t);
    };
    return x;
}
std::string code(const std::optional<refusal>& r) { return r ? r->code : "taken"; }
std::size_t places_of(const lane::state& s, const std::string& id) {
    return static_cast<std::size_t>(std::count_if(s.queue.begin(), s.queue.end(), [&](const lane::job& j) { return j.id == id; }) +
                                    std::count_if(s.slots.begin(), s.slots.end(), [&](const lane::slot& x) { return x.what.id == id; }));
}

void judge(const test::step<lane>& s) {
    // A nonce has one job, a job one nonce or a place in the queue.
    for (std::size_t i = 0; i < s.after.slots.size(); ++i) {
        const auto& x = s.after.slots[i];
        CHECK(places_of(s.after, x.what.id) == 1);
        CHECK(x.nonce < s.after.next);
        if (i) CHECK(s.after.slots[i - 1].nonce < x.nonce);
        // A replacement pays more for being included, and in all.
        for (std::size_t k = 1; k < x.attempts.size(); ++k) CHECK((x.attempts[k].tip > x.attempts[k - 1].tip && x.attempts[k].most > x.attempts[k - 1].most));
        if (x.confirmed) CHECK(!x.attempts.empty());
        if (x.mined) CHECK(std::any_of(x.attempts.begin(), x.attempts.end(), [&](const lane::attempt& a) { return a.hash == x.mined->hash; }));
    }
    // What a node hears of was journalled before, whole; and nothing that is in a block is offered again.
    for (const auto& f : lane::effects(s.after))
        if (const auto* e = std::get_if<lane::land>(&f)) {
            const auto at = std::find_if(s.after.slots.begin(), s.after.slots.end(), [&](const lane::slot& x) { return x.nonce == e->nonce; });
            REQUIRE(at != s.after.slots.end());
            CHECK(e->raw == at->attempts.back().raw);
            CHECK(!at->mined);
        }
    for (const auto& e : s.said.events) {
        if (const auto* x = std::get_if<lane::confirmed>(&e)) CHECK(std::any_of(s.before.slots.begin(), s.before.slots.end(), [&](const lane::slot& y) { return y.nonce == x->nonce && y.mined && !y.confirmed; }));
        // Refused is said only of what has no nonce: nothing of it can be on its way.
        if (const auto* x = std::get_if<lane::refused>(&e)) CHECK(std::any_of(s.before.queue.begin(), s.before.queue.end(), [&](const lane::job& j) { return j.id == x->id; }));
        if (const auto* x = std::get_if<lane::buried>(&e)) CHECK(std::any_of(s.before.slots.begin(), s.before.slots.end(), [&](const lane::slot& y) { return y.nonce == x->nonce && y.confirmed; }));
        if (const auto* x = std::get_if<lane::allotted>(&e)) CHECK(std::none_of(s.before.slots.begin(), s.before.slots.end(), [&](const lane::slot& y) { return y.nonce == x->nonce; }));
    }
}

// One lane, told step by step.
struct story {
    lane::state s;
    instant now{1'700'000'000s};
    void give(const lane::command& c) {
        const auto d = lane::decide(s, c, now);
        for (const auto& e : d.events) s = lane::evolve(std::move(s), e);
    }
    template <class F>
    F only() const {
        std::optional<F> found;
        for (const auto& f : lane::effects(s))
            if (const auto* e = std::get_if<F>(&f)) {
                CHECK(!found);
                found = *e;
            }
        REQUIRE(found);
        return *found;
    }
    template <class F>
    std::size_t wanted() const {
        const auto all = lane::effects(s);
        return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [](const lane::effect& f) { return std::holds_alternative<F>(f); }));
    }
    void to_signed(const std::string& id, std::int64_t next = 5) {
        give(lane::submit{"0xkey", job(id)});
        give(said(only<lane::estimate>(), verdict::done, {50'000, next, std::nullopt}));
        give(said(only<lane::sign>(), verdict::done, {attempt(s.slots.back().nonce, 1, 0)}));
    }
};

} // namespace

TEST_CASE("whatever a chain says and when: one nonce a job, journalled before it is heard of, confirmed only out of a block") {
    auto x = world({"a"});
    x.judge = judge;
    x.run();
    MESSAGE(x.states << " states, " << x.steps << " steps");
    CHECK(x.events_seen.size() == std::variant_size_v<lane::event>);
}

TEST_CASE("the first in line is offered at a higher fee when it is not taken; those behind it wait") {
    story t;
    t.to_signed("a"), t.to_signed("b");
    CHECK(t.s.slots[0].nonce == 5);
    CHECK(t.s.slots[1].nonce == 6);
    t.now = *lane::deadline(t.s);
    t.give(deadline_passed{});
    const auto again = t.only<lane::sign>();
    CHECK(again.nonce == 5);
    CHECK(again.above_tip == t.s.slots[0].attempts[0].tip);
    CHECK(t.wanted<lane::land>() == 2); // the old one is still good
    t.give(said(again, verdict::done, {attempt(5, 2, again.above_tip)}));
    t.give(said(again, verdict::done, {attempt(5, 9, again.above_tip)})); // signed twice, the first one counts
    CHECK(t.s.slots[0].attempts.size() == 2);
    for (int i = 0; i < 40; ++i) {
        t.now = *lane::deadline(t.s), t.give(deadline_passed{});
        if (t.wanted<lane::sign>()) t.give(said(t.only<lane::sign>(), verdict::done, {attempt(5, 3 + i, t.only<lane::sign>().above_tip)}));
    }
    CHECK(t.s.slots[0].attempts.size() == lane::most_attempts);
}

TEST_CASE("a dropped block is waited for again, and a payment that never comes back is counted") {
    story t;
    t.to_signed("a");
    t.give(said(t.only<lane::land>(), verdict::done, {place(t.only<lane::land>(), 0, true), false}));
    t.give(said(t.only<lane::bury>(), verdict::done, {false}));
    CHECK(t.s.slots[0].confirmed);
    t.give(said(t.only<lane::bury>(), verdict::done, {true}));
    CHECK(t.s.reorganised == 1);
    CHECK(t.only<lane::land>().hashes.size() == 1);
    t.give(said(t.only<lane::land>(), verdict::done, {place(t.only<lane::land>(), 0, false), false}));
    t.give(said(t.only<lane::bury>(), verdict::done, {false}));
    CHECK(t.s.slots.empty());
    CHECK(t.s.lost == 1);
}

TEST_CASE("as many are under way as nodes keep for one key, and so many wait; one more is refused") {
    story t;
    for (std::size_t i = 0; i < lane::most_queued; ++i) t.give(lane::submit{"0xkey", job(std::to_string(i))});
    CHECK(code(lane::decide(t.s, lane::submit{"0xkey", job("more")}, t.now).refused) == "rail_busy");
    CHECK(t.wanted<lane::estimate>() == lane::most_in_flight);
    for (const auto& f : lane::effects(t.s))
        if (const auto* e = std::get_if<lane::estimate>(&f)) t.give(said(*e, verdict::done, {1, 0, std::nullopt}));
    CHECK(t.s.slots.size() == lane::most_in_flight);
    CHECK(t.wanted<lane::estimate>() == 0);
    CHECK(t.s.next == static_cast<std::int64_t>(lane::most_in_flight));
}

TEST_CASE("what could not be sent while it was valid is given up, and its nonce was never taken") {
    story t;
    auto j = job("late");
    j.not_after = t.now + 10s;
    t.give(lane::submit{"0xkey", j});
    t.now += 11s;
    t.give(deadline_passed{});
    CHECK(t.s.queue.empty());
    CHECK(code(lane::decide(t.s, lane::submit{"0xkey", j}, t.now).refused) == "too_late");
}
