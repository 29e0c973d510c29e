#include <souk/actors/payments/payment.hpp>

#include "explore.hpp"

using namespace souk;
using namespace std::chrono_literals;

namespace {

payment::terms terms(std::int64_t value = 60'000) {
    payment::terms t;
    t.authorised = {"0xsig", {"0xAlice", "0xBob", std::to_string(value), "0", "1700000300", "0xnonce"}};
    t.network = "soukdev:ledger", t.accept = "bafyaccept", t.value = value;
    t.valid_before = instant{1'700'000'300s}, t.refundable_until = instant{1'700'090'000s};
    return t;
}

template <class Effect>
payment::command said(const Effect& f, verdict v, typename Effect::answer found = {}, std::string why = {}) {
    return outcome<Effect>{f, v, std::move(found), std::move(why)};
}

test::explorer<payment> world() {
    test::explorer<payment> x;
    x.orders = [](const payment::state&) {
        auto other = terms();
        other.accept = "bafyother";
        return std::vector<payment::command>{payment::pay{terms()}, payment::pay{other}, payment::refund{60'000, "all"}, payment::refund{10'000, "some"}, payment::refund{60'001, "too much"}};
    };
    x.outcomes = [](const payment::effect& f, instant now) {
        std::vector<payment::command> out;
        match(f, [&](const payment::move& e) {
                out = {said(e, verdict::done, {"0xtx"}), said(e, verdict::failed, {}, "invalid_exact_evm_insufficient_balance: poor"), said(e, verdict::unknown)};
            },
            [&](const payment::look_up& e) {
                out = {said(e, verdict::done, {"0xtx", now}), said(e, verdict::done, {std::nullopt, instant{1'700'000'100s}}),
                       said(e, verdict::done, {std::nullopt, instant{1'700'000'301s}}), said(e, verdict::done, {std::nullopt, now, true}), said(e, verdict::unknown)};
            },
            [&](const payment::give_back& e) { out = {said(e, verdict::done, {"0xback"}), said(e, verdict::failed, {}, "no"), said(e, verdict::unknown)}; });
        return out;
    };
    x.same = [](const payment::state& s) {
        auto t = s;
        t.due = {}, t.alarms = 0;
        return encode_described(t);
    };
    return x;
}

} // namespace

TEST_CASE("a payment moves once or not at all, whatever its rail says and when") {
    auto x = world();
    x.judge = [](const test::step<payment>& s) {
        // What is asked of the rail is what was signed, nothing else.
        for (const auto& f : payment::effects(s.after))
            match(f, [&](const payment::move& e) { CHECK(e.what == s.after.what); }, [](const auto&) {});
        for (const auto& e : s.said.events) {
            if (std::holds_alternative<payment::failed>(e)) {
                // Failed is said only when the rail itself has passed the authorisation's end and made no such transfer, or made another with its nonce.
                const auto* o = std::get_if<outcome<payment::look_up>>(&s.command);
                REQUIRE(o);
                CHECK(!o->found.transaction);
                CHECK((o->found.as_of > s.before.what.valid_before || o->found.spent));
            }
            if (std::holds_alternative<payment::refund_intended>(e)) CHECK(s.before.at == payment::phase::confirmed);
        }
        if (s.after.back > 0) CHECK(s.after.back <= s.after.what.value);
        if (s.after.at == payment::phase::refunded) CHECK(!s.after.back_transaction.empty());
    };
    x.run();
    CHECK(x.events_seen.size() == std::variant_size_v<payment::event>); // nothing here is dead
    MESSAGE(x.states << " states, " << x.steps << " steps");
}

TEST_CASE("a nonce that pays for one accept never pays for another") {
    payment::state s;
    for (const auto& e : payment::decide(s, payment::pay{terms()}, instant{1'700'000'000s}).events) s = payment::evolve(s, e);
    auto other = terms();
    other.accept = "bafyother";
    const auto said = payment::decide(s, payment::pay{other}, instant{1'700'000'000s});
    REQUIRE(said.refused);
    CHECK(said.refused->code == "nonce_conflict");
    CHECK(said.events.empty());
}

TEST_CASE("an authorisation that comes after its time is asked after: somebody may have brought it before") {
    const instant late{1'700'000'301s};
    payment::state s;
    const auto step = [&](payment::command c) {
        for (const auto& e : payment::decide(s, c, late).events) s = payment::evolve(s, e);
    };
    step(payment::pay{terms()});
    step(deadline_passed{});
    REQUIRE(s.at == payment::phase::asking);
    const auto before = s;
    step(outcome<payment::look_up>{{terms()}, verdict::done, {std::nullopt, late, false}, {}});
    CHECK(s.at == payment::phase::failed);
    s = before;
    step(outcome<payment::look_up>{{terms()}, verdict::done, {"0xabc", late, false}, {}});
    CHECK(s.at == payment::phase::confirmed);
}

TEST_CASE("of a permit of at most so much the first who asks says how much, and nothing is an amount; of anything else it is none") {
    const instant now{1'700'000'000s};
    const auto permit = [](std::int64_t value, bool at_most) {
        auto t = terms(value);
        t.authorised.permit2Authorization.emplace();
        if (at_most) t.authorised.permit2Authorization->witness.facilitator = "0xEve";
        return t;
    };
    CHECK(payment::decide({}, payment::pay{terms(0)}, now).refused->code == "bad_amount");
    CHECK(payment::decide({}, payment::pay{permit(0, false)}, now).refused->code == "bad_amount");
    CHECK(payment::decide({}, payment::pay{permit(-1, true)}, now).refused->code == "bad_amount");
    for (const std::int64_t value : {0, 400}) {
        payment::state s;
        const auto step = [&](payment::command c) {
            auto d = payment::decide(s, c, now);
            for (const auto& e : d.events) s = payment::evolve(s, e);
            return d;
        };
        CHECK(!step(payment::pay{permit(value, true)}).refused);
        REQUIRE(payment::effects(s).size() == 1);
        CHECK(std::get<payment::move>(payment::effects(s)[0]).what.value == value);
        CHECK(step(payment::pay{permit(500, true)}).refused->code == "nonce_conflict"); // before it is settled
        CHECK(!step(outcome<payment::move>{{permit(value, true)}, verdict::done, {value ? "0xtx" : ""}, {}}).refused);
        CHECK(s.at == payment::phase::confirmed);
        CHECK(step(payment::pay{permit(500, true)}).refused->code == "nonce_conflict"); // and after
        CHECK(!step(payment::pay{permit(value, true)}).refused);                        // said again
        CHECK(payment::effects(s).empty());
    }
    auto s = payment::evolve({}, payment::intended{permit(400, true)});
    s = payment::evolve(s, payment::doubted{{"permit2_allowance_required", "not approved"}, now});
    const auto spent = payment::decide(s, outcome<payment::look_up>{{permit(400, true)}, verdict::done, {std::nullopt, now, true}, {}}, now);
    REQUIRE(spent.events.size() == 1);
    CHECK(std::get<payment::failed>(spent.events[0]).why.code == "permit2_invalid_nonce");
}
