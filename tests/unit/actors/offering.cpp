#include <souk/actors/offerings/standing.hpp>

#include "explore.hpp"

using namespace souk;
using namespace std::chrono_literals;

namespace {

const octets small{std::string("small")}, large{std::string("large")};

test::explorer<standing_offer> world() {
    test::explorer<standing_offer> x;
    x.allows_revival = true; // what was withdrawn can be offered again
    x.orders = [](const standing_offer::state&) {
        return std::vector<standing_offer::command>{standing_offer::offer{"k", small}, standing_offer::offer{"k", large}, standing_offer::end{}};
    };
    x.outcomes = [](const standing_offer::effect& f, instant) {
        std::vector<standing_offer::command> all;
        match(
            f,
            [&](const standing_offer::publish& e) {
                for (const auto v : {verdict::done, verdict::failed, verdict::unknown}) all.push_back(outcome<standing_offer::publish>{e, v, {{"at://bob/o/k", "bafy" + e.says.data}}, "why"});
            },
            [&](const standing_offer::withdraw& e) {
                for (const auto v : {verdict::done, verdict::failed, verdict::unknown}) all.push_back(outcome<standing_offer::withdraw>{e, v, {}, "why"});
            });
        return all;
    };
    x.same = [](const standing_offer::state& s) {
        auto t = s;
        t.since = t.renewed = t.due = {};
        return encode_described(t);
    };
    return x;
}

struct story {
    standing_offer::state s;
    instant now{1'700'000'000s};
    void give(const standing_offer::command& c) {
        for (const auto& e : standing_offer::decide(s, c, now).events) s = standing_offer::evolve(std::move(s), e);
    }
    standing_offer::publish asked() const { return std::get<standing_offer::publish>(standing_offer::effects(s).at(0)); }
    void published() { give(outcome<standing_offer::publish>{asked(), verdict::done, {{"at://bob/o/k", "bafy"}}, {}}); }
};

} // namespace

TEST_CASE("an offering stands as it was last said, and is gone only when its repository said so") {
    auto x = world();
    x.most = 5'000;
    x.judge = [](const test::step<standing_offer>& s) {
        const auto& a = s.after;
        if (a.at == standing_offer::phase::standing && s.before.at != standing_offer::phase::standing) {
            const auto* o = std::get_if<outcome<standing_offer::publish>>(&s.command);
            REQUIRE(o);
            CHECK(o->said == verdict::done);
            CHECK(o->of.says == a.says); // never an answer about what it said before
        }
        if (a.at == standing_offer::phase::gone && s.before.at == standing_offer::phase::withdrawing) {
            const auto* o = std::get_if<outcome<standing_offer::withdraw>>(&s.command);
            REQUIRE(o);
            CHECK(o->said == verdict::done); // an unknown is asked about
        }
        if (std::holds_alternative<standing_offer::end>(s.command)) CHECK((a.at == standing_offer::phase::withdrawing || a.at == standing_offer::phase::gone || a.at == standing_offer::phase::none));
    };
    x.run();
    for (std::size_t i = 0; i < std::variant_size_v<standing_offer::event>; ++i) CHECK_MESSAGE(x.events_seen.contains(i), "no way leads to event " << i);
}

TEST_CASE("said again it is nothing new; changed it is published anew under its key, with the day of its first time") {
    story t;
    t.give(standing_offer::offer{"k", small});
    const auto first = t.asked();
    t.published();
    t.give(standing_offer::offer{"k", small});
    CHECK(standing_offer::effects(t.s).empty());
    t.now += 1h;
    t.give(standing_offer::offer{"k", large});
    CHECK(t.asked().key == first.key);
    CHECK(t.asked().since == first.since);
    CHECK(t.asked().renewed == t.now);
    t.give(outcome<standing_offer::publish>{first, verdict::done, {{"at://bob/o/k", "bafyold"}}, {}}); // late, of the one before
    CHECK(t.s.at == standing_offer::phase::publishing);
    t.published();
    CHECK(standing_offer::effects(t.s).empty());
    REQUIRE(standing_offer::deadline(t.s));
    CHECK(*standing_offer::deadline(t.s) == t.now + standing_offer::renewed_every);
    t.now += standing_offer::renewed_every;
    t.give(deadline_passed{});
    CHECK(t.asked().says == large);
    CHECK(t.asked().renewed == t.now);
}
