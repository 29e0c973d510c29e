#include <souk/actors/requester/purchase.hpp>

#include "explore.hpp"

using namespace souk;
using namespace std::chrono_literals;

namespace {

const instant begin{1'700'000'000s};
const strong_ref rfp{"at://did:plc:alice/com.publicdomainrelay.ccrfp/p", "bafyrfp"}, accept_ref{"at://did:plc:alice/com.publicdomainrelay.ccba/p", "bafyaccept"};

purchase::terms terms() { return {std::string("request"), 1'000'000, 5000, {}, "", false, dialect::g1, true}; }
purchase::offer offer(const std::string& who, amount price) {
    purchase::offer o;
    o.ref = {"at://" + who + "/com.publicdomainrelay.ccb/b", "bafy" + who}, o.rfp = rfp, o.bidder = who, o.record = std::string("bid of ") + who;
    o.for_slice = price, o.slice = 3600, o.tier = "none", o.expires = begin + 1h;
    return o;
}
const refusal over_limit{"spending_limit", "more than is left"};
policy_verdict says(bool allowed) { return {allowed, false, allowed ? "vouched" : "denounced", {}}; }

template <class Effect>
purchase::command said(const Effect& f, verdict v, typename Effect::answer found = {}, std::string why = "why") {
    return outcome<Effect>{f, v, std::move(found), std::move(why)};
}

test::explorer<purchase> world() {
    test::explorer<purchase> x;
    x.orders = [](const purchase::state&) {
        return std::vector<purchase::command>{purchase::open{"p", terms()}, purchase::bid_seen{offer("bob", 60'000)}, purchase::bid_seen{offer("eve", 10'000)},
                                              purchase::bid_withdrawn{"bob", offer("bob", 1).ref.uri}, purchase::bid_withdrawn{"eve", offer("bob", 1).ref.uri},
                                              purchase::receipt_seen{"bob", {"at://bob/r/r", "bafyr"}}, purchase::receipt_seen{"eve", {"at://eve/r/r", "bafyr"}},
                                              purchase::statement_seen{"bob", {"at://bob/s/s", "bafys"}, 60'000, 50'000, 600, "over"},
                                              purchase::statement_seen{"eve", {"at://eve/s/s", "bafys"}, 0, 0, 0, "lies"}, purchase::stop{"enough"}, purchase::approve{}};
    };
    x.outcomes = [](const purchase::effect& f, instant now) {
        std::vector<purchase::command> out;
        match(f,
            [&](const purchase::publish_request& e) { out = {said(e, verdict::done, {rfp}), said(e, verdict::failed), said(e, verdict::unknown)}; },
            [&](const purchase::find_sellers& e) { out = {said(e, verdict::done, {{{"bob", "https://bob.example"}}}), said(e, verdict::done), said(e, verdict::unknown)}; },
            [&](const purchase::tell_seller& e) { out = {said(e, verdict::done), said(e, verdict::failed), said(e, verdict::unknown)}; },
            [&](const purchase::judge& e) {
                out = {said(e, verdict::done, {says(e.of.bidder == "bob")}), said(e, verdict::done, {{false, true, "cannot tell yet", {}}}), said(e, verdict::unknown)};
            },
            [&](const purchase::grant& e) { out = {said(e, verdict::done), said(e, verdict::done, {says(false)}), said(e, verdict::done, {{}, over_limit}), said(e, verdict::failed), said(e, verdict::unknown)}; },
            [&](const purchase::publish_accept& e) {
                out = {said(e, verdict::done, {accept_ref}), said(e, verdict::done, {{}, says(false)}), said(e, verdict::failed), said(e, verdict::unknown)};
            },
            [&](const purchase::pay& e) {
                out = {said(e, verdict::done, {"0xtx", {}, {}}), said(e, verdict::done, {"0xtx", {"at://bob/r/r", "bafyr"}, {}}), said(e, verdict::done, {"", {}, refusal{"contract_over", "no"}}),
                       said(e, verdict::done, {"", {}, {}, says(false)}), said(e, verdict::done, {"", {}, {}, {}, over_limit}), said(e, verdict::failed, {}, "402 again"), said(e, verdict::unknown)};
            },
            [&](const purchase::look_up& e) {
                out = {said(e, verdict::done, {"0xtx", now}), said(e, verdict::done, {"", begin}), said(e, verdict::done, {"", begin + 24h}), said(e, verdict::unknown)};
            },
            [&](const purchase::fetch_receipt& e) {
                out = {said(e, verdict::done, {std::string("sealed"), "none", {}}), said(e, verdict::done, {{}, "", refusal{"bad_signature", "forged"}}), said(e, verdict::unknown)};
            },
            [&](const purchase::publish_stop& e) { out = {said(e, verdict::done, {{"at://did:plc:alice/e/p", "bafye"}}), said(e, verdict::unknown)}; },
            [&](const purchase::find_statement& e) {
                out = {said(e, verdict::done, {{"at://bob/s/s", "bafys"}, 60'000, 50'000, 600, "over"}), said(e, verdict::done), said(e, verdict::unknown)};
            },
            [&](const purchase::promise& e) { out = {said(e, verdict::done), said(e, verdict::done, {refusal{"contract_over", "used up"}}), said(e, verdict::failed), said(e, verdict::unknown)}; },
            [&](const purchase::take_out& e) {
                out = {said(e, verdict::done, {true, 12'000, now}), said(e, verdict::done, {false, 0, begin}), said(e, verdict::done, {false, 0, begin + 24h}), said(e, verdict::unknown)};
            });
        return out;
    };
    x.same = [](const purchase::state& s) {
        auto t = s;
        t.due = {}, t.alarms = t.alarms > 0, t.pay_until = {}, t.started = {}, t.ends = {}, t.why.clear(), t.paid = 0, t.refunded = 0;
        for (auto& o : t.offers) o.judged_at = {};
        for (auto& a : t.told) a.why.clear();
        if (t.at != purchase::phase::gathering) t.told.clear(); // then it only says where the winner is told of things
        return encode_described(t);
    };
    return x;
}

} // namespace

TEST_CASE("Alice pays one bidder, once, whom her policy allowed, and what he bid") {
    auto x = world();
    x.judge = [](const test::step<purchase>& s) {
        const auto& a = s.after;
        if (const auto* w = purchase::winner(a)) {
            CHECK(w->bidder == "bob"); // a denounced bidder never wins, however cheap
            REQUIRE(w->verdict);
            const bool over = a.at == purchase::phase::stopping || purchase::is_final(a);
            CHECK((w->verdict->allowed || over)); // nor does one who falls from grace go on
        }
        const auto over = [&](const auto* o) { return o && o->said == verdict::done && o->found.over_limit; };
        if (over(std::get_if<outcome<purchase::grant>>(&s.command)) && s.before.at == purchase::phase::granting) {
            CHECK(a.at == purchase::phase::failed); // before anything was promised
            CHECK(a.accept.cid.empty());
            CHECK(a.why == "spending_limit: more than is left");
        }
        if (over(std::get_if<outcome<purchase::pay>>(&s.command)) && s.before.at == purchase::phase::paying) CHECK(a.at == purchase::phase::stopping);
        const auto denied = [&](const auto* o) { return o && o->said == verdict::done && o->found.denied; };
        if (denied(std::get_if<outcome<purchase::pay>>(&s.command)) && s.before.at == purchase::phase::paying) CHECK(a.at == purchase::phase::stopping);
        if (denied(std::get_if<outcome<purchase::publish_accept>>(&s.command)) && s.before.at == purchase::phase::accepting) {
            CHECK(a.at == purchase::phase::failed);
            CHECK(a.accept.cid.empty());
        }
        for (const auto& f : purchase::effects(a))
            match(f,
                [&](const purchase::pay& e) {
                    CHECK(e.accept == a.accept);
                    CHECK(!a.accept.cid.empty());
                    CHECK(e.for_slice == 60'000);
                    if (!e.paid) CHECK(e.valid_before == a.pay_until); // the same bytes each time it is asked
                },
                [&](const purchase::publish_accept&) { CHECK(a.granted); },
                [](const auto&) {});
        // Once accepted, it ends by the seller's word, or by the rail's that nothing was paid; never by Alice's impatience.
        if (!s.before.accept.cid.empty() && purchase::is_final(a) && !purchase::is_final(s.before)) {
            const bool by_statement = a.at == purchase::phase::closed;
            const auto* o = std::get_if<outcome<purchase::look_up>>(&s.command);
            CHECK((by_statement || (o && o->found.transaction.empty() && o->found.as_of > s.before.pay_until)));
        }
        if (const auto* o = std::get_if<purchase::statement_seen>(&s.command); o && o->by == "eve") CHECK(s.said.events.empty());
        if (const auto* o = std::get_if<purchase::receipt_seen>(&s.command); o && o->by == "eve") CHECK(s.said.events.empty());
    };
    x.run();
    for (std::size_t i = 0; i < std::variant_size_v<purchase::event>; ++i)
        if (i != 7 && i < 22) CHECK_MESSAGE(x.events_seen.count(i), "event " << i << " was never seen"); // 7: planned; from 22: approving; in their own tests
    MESSAGE(x.states << " states, " << x.steps << " steps");
}

TEST_CASE("what costs more than is spent without asking is not granted, accepted or paid before a person has said yes") {
    auto x = world();
    const auto orders = x.orders;
    x.orders = [orders](const purchase::state& s) {
        auto all = orders(s);
        auto& open = std::get<purchase::open>(all[0]);
        open.what.approve_above = 59'999, open.what.approve_ms = 600'000;
        return all;
    };
    std::size_t waited = 0, went_on = 0;
    x.judge = [&](const test::step<purchase>& s) {
        const auto& a = s.after;
        const bool said_yes = std::holds_alternative<purchase::approve>(s.command);
        if (a.at == purchase::phase::approving) {
            ++waited;
            CHECK(purchase::effects(a).empty()); // nobody is told, nothing is promised
            CHECK(a.due <= purchase::winner(a)->expires);
            CHECK(!a.granted);
        }
        if (s.before.at == purchase::phase::approving && a.at != purchase::phase::approving) {
            went_on += a.at == purchase::phase::granting;
            CHECK((a.at == purchase::phase::failed || (a.at == purchase::phase::granting && said_yes)));
        }
        if (a.at == purchase::phase::granting || a.at == purchase::phase::paying) CHECK(a.approved >= purchase::winner(a)->for_slice);
        if (a.approved != s.before.approved) CHECK(said_yes);
    };
    x.run();
    CHECK(waited > 0);
    CHECK(went_on > 0);
    for (std::size_t i : {22u, 23u}) CHECK(x.events_seen.count(i));
}

TEST_CASE("a yes is to the price that was shown; time, or a bid that is over, ends the waiting") {
    purchase::state s;
    s.at = purchase::phase::gathering, s.key = "p", s.rfp = rfp, s.what.approve_above = 15, s.what.approve_ms = 3'600'000, s.offers = {offer("bob", 20), offer("carol", 30)};
    for (auto& o : s.offers) o.verdict = says(true);
    s.offers[0].expires = begin + 10min;
    const auto go = [&](const purchase::command& c, instant now = begin) {
        const auto said_of = purchase::decide(s, c, now);
        for (const auto& e : said_of.events) s = purchase::evolve(s, e);
        return said_of.refused ? said_of.refused->code : std::string();
    };
    go(deadline_passed{});
    REQUIRE(s.at == purchase::phase::approving);
    CHECK(s.due == begin + 10min); // the bid's end, which is sooner
    const auto waiting = s;
    go(purchase::approve{});
    REQUIRE(s.at == purchase::phase::granting);
    CHECK(purchase::winner(s)->bidder == "bob");
    // He falls from grace: the next best is dearer than what was said yes to.
    go(said(std::get<purchase::grant>(purchase::effects(s).at(0)), verdict::done, {says(false)}));
    CHECK(s.at == purchase::phase::approving);
    CHECK(purchase::winner(s)->bidder == "carol");
    CHECK(s.why.find("0.000030 is more than 0.000015") != std::string::npos);
    go(purchase::approve{});
    CHECK(s.at == purchase::phase::granting);
    s = waiting;
    go(purchase::approve{}, begin + 11min); // too late for his bid, and it was no yes to hers
    CHECK(s.at == purchase::phase::approving);
    CHECK(purchase::winner(s)->bidder == "carol");
    s = waiting;
    go(purchase::bid_withdrawn{"bob", s.offers[0].ref.uri});
    go(purchase::approve{});
    CHECK(purchase::winner(s)->bidder == "carol");
    s = waiting;
    go(deadline_passed{}, begin + 10min);
    CHECK(s.at == purchase::phase::failed);
    CHECK(s.why == "approval_timeout: nobody said yes in time to 0.000020");
    CHECK(go(purchase::approve{}) == "purchase_over");
    s = waiting;
    go(purchase::stop{"enough"});
    CHECK(s.at == purchase::phase::failed);
    s = {};
    CHECK(go(purchase::approve{}) == "unknown_purchase");
}

TEST_CASE("a yes beforehand is to any price, and what costs little needs none") {
    for (const bool beforehand : {true, false}) {
        purchase::state s;
        s.at = purchase::phase::gathering, s.key = "p", s.rfp = rfp, s.what.approve_above = beforehand ? 15 : 20, s.what.approve_ms = 1000, s.offers = {offer("bob", 20)};
        s.offers[0].verdict = says(true);
        const auto go = [&](const purchase::command& c) {
            for (const auto& e : purchase::decide(s, c, begin).events) s = purchase::evolve(s, e);
        };
        if (beforehand) go(purchase::approve{});
        go(deadline_passed{});
        CHECK(s.at == purchase::phase::granting);
    }
}

TEST_CASE("the cheapest a second wins among those allowed; ties go to the first") {
    purchase::state s;
    s.rfp = rfp;
    auto a = offer("a", 100), b = offer("b", 50), c = offer("c", 100), d = offer("d", 1);
    b.slice = 1800; // the same price a second as a
    for (auto* o : {&a, &b, &c}) o->verdict = says(true);
    d.verdict = says(false);
    s.offers = {a, b, c, d};
    CHECK(purchase::best(s, begin) == 0u);
    s.offers[1].for_slice = 49;
    CHECK(purchase::best(s, begin) == 1u);
    s.what.ceiling = 48;
    CHECK(!purchase::best(s, begin));
    s.what.ceiling = 0, s.offers[1].withdrawn = true;
    CHECK(purchase::best(s, begin) == 0u);
    CHECK(!purchase::best(s, begin + 2h)); // all over
}

TEST_CASE("a seller who falls from grace before he is accepted gives way to the next; with nobody left it fails") {
    purchase::state s;
    s.at = purchase::phase::gathering, s.key = "p", s.rfp = rfp, s.offers = {offer("bob", 10), offer("carol", 20)};
    for (auto& o : s.offers) o.verdict = says(true);
    const auto go = [&](const purchase::command& c) {
        for (const auto& e : purchase::decide(s, c, begin).events) s = purchase::evolve(s, e);
    };
    const auto grant = [&] { return std::get<purchase::grant>(purchase::effects(s).at(0)); };
    go(deadline_passed{});
    REQUIRE(s.at == purchase::phase::granting);
    const auto to_bob = grant();
    go(said(to_bob, verdict::done, {says(false)}));
    REQUIRE(s.at == purchase::phase::granting);
    CHECK(purchase::winner(s)->bidder == "carol");
    CHECK(grant().id() != to_bob.id());
    go(said(to_bob, verdict::done)); // late: it was his grant, not hers
    CHECK(s.at == purchase::phase::granting);
    go(said(grant(), verdict::done, {says(false)}));
    CHECK(s.at == purchase::phase::failed);
    CHECK(s.why.find("bob: denounced; carol: denounced") != std::string::npos);
}

TEST_CASE("who cannot be judged in time is not chosen, and the reason is told") {
    purchase::state s;
    s.at = purchase::phase::gathering, s.key = "p", s.rfp = rfp, s.offers = {offer("bob", 10)};
    const auto go = [&](const purchase::command& c) {
        for (const auto& e : purchase::decide(s, c, begin).events) s = purchase::evolve(s, e);
    };
    const auto asked = std::get<purchase::judge>(purchase::effects(s).at(0));
    go(said(asked, verdict::unknown, {}, "the policy cannot tell: carol is away"));
    CHECK(purchase::decide(s, said(asked, verdict::unknown, {}, "the policy cannot tell: carol is away"), begin).events.empty()); // once
    go(deadline_passed{});
    REQUIRE(s.at == purchase::phase::judging);
    go(deadline_passed{});
    CHECK(s.at == purchase::phase::failed);
    CHECK(s.why == "no acceptable bid: bob: could not be judged in time (the policy cannot tell: carol is away)");
}

TEST_CASE("a bid on another content of the request is refused") {
    purchase::state s;
    s.at = purchase::phase::gathering, s.rfp = rfp;
    auto o = offer("bob", 1);
    o.rfp.cid = "bafyswapped";
    const auto said_of = purchase::decide(s, purchase::bid_seen{o}, begin);
    REQUIRE(said_of.refused);
    CHECK(said_of.refused->code == "wrong_rfp");
}

TEST_CASE("a plan ends before anything is accepted") {
    purchase::state s;
    s.at = purchase::phase::gathering, s.rfp = rfp, s.what.plan = true, s.offers = {offer("bob", 10)};
    s.offers[0].verdict = says(true);
    for (const auto& e : purchase::decide(s, deadline_passed{}, begin).events) s = purchase::evolve(s, e);
    CHECK(s.at == purchase::phase::planned);
    CHECK(purchase::is_final(s));
    CHECK(purchase::effects(s).empty());
}

TEST_CASE("a statement that claims more than was signed is kept as disputed") {
    purchase::state s;
    s.at = purchase::phase::active, s.rfp = rfp, s.accept = accept_ref, s.authorised = 60'000, s.offers = {offer("bob", 60'000)}, s.chosen = 0;
    for (const auto& e : purchase::decide(s, purchase::statement_seen{"bob", {"at://bob/s/s", "bafys"}, 60'001, 0, 1, "over"}, begin).events) s = purchase::evolve(s, e);
    CHECK(s.at == purchase::phase::closed);
    CHECK(s.why.find("disputed") != std::string::npos);
}

// -- paid while it runs -------------------------------------------------------------------------------------------------------

namespace {

const std::string payer_of_streams = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
purchase_stream stream() {
    purchase_stream by;
    by.config = {payer_of_streams, payer_of_streams, "0xbob", "0xbob", "0xtoken", 900, "0x00"};
    by.channel = "0xchannel", by.accepted = octets{"terms"}, by.step = 600, by.grace = 30;
    by.promised = purchase::first_promise(offer("bob", 60'000), by.step);
    return by;
}

} // namespace

TEST_CASE("a purchase that is paid while it runs agrees on how before it signs, promises no more than the price, and is over when its channel is empty") {
    auto x = world();
    const auto orders = x.orders;
    x.orders = [orders](const purchase::state& s) {
        std::vector<purchase::command> all;
        for (auto& c : orders(s)) // the seller's lies and the losing bids have tests of their own
            if (std::holds_alternative<purchase::open>(c) || std::holds_alternative<purchase::stop>(c)) all.push_back(std::move(c));
        std::get<purchase::open>(all[0]).what.stream = true, std::get<purchase::open>(all[0]).what.seek = false;
        all.emplace_back(purchase::bid_seen{offer("bob", 60'000)});
        all.emplace_back(purchase::statement_seen{"bob", {"at://bob/s/s", "bafys"}, 12'000, 0, 600, "over"});
        return all;
    };
    const auto outcomes = x.outcomes;
    x.outcomes = [outcomes](const purchase::effect& f, instant now) {
        if (const auto* e = std::get_if<purchase::pay>(&f); e && e->choose) {
            outcome<purchase::pay> by_channel{*e, verdict::done, {}, {}}, by_authorisation{*e, verdict::done, {}, {}};
            by_channel.found.agreed = purchase::pay::agreement{stream()}, by_authorisation.found.agreed = purchase::pay::agreement{};
            return std::vector<purchase::command>{by_channel, by_authorisation, said(*e, verdict::unknown)};
        }
        return outcomes(f, now);
    };
    const auto same = x.same;
    x.same = [same](const purchase::state& s) {
        auto t = s;
        t.paid_at = {};
        return same(t);
    };
    std::size_t emptied = 0;
    x.judge = [&](const test::step<purchase>& s) {
        const auto& a = s.after;
        for (const auto& f : purchase::effects(a)) {
            if (const auto* e = std::get_if<purchase::pay>(&f); e && !e->paid) CHECK(e->choose == !a.way_agreed); // nothing is signed before that is a fact
            if (const auto* e = std::get_if<purchase::pay>(&f); e && e->by) CHECK(e->by->promised == stream().promised); // the same bytes each time
            if (const auto* e = std::get_if<purchase::promise>(&f)) CHECK((e->by.promised > stream().promised && e->by.promised <= 60'000));
        }
        if (s.before.way_agreed) CHECK((a.way_agreed && a.stream.has_value() == s.before.stream.has_value())); // for good
        if (!a.stream) return;
        CHECK(a.stream->promised <= 60'000);
        CHECK(a.stream->heard <= a.stream->promised);
        if (a.at == purchase::phase::closed && s.before.at != a.at) {
            ++emptied;
            CHECK(s.before.at == purchase::phase::emptying);
            CHECK(a.paid == std::get<outcome<purchase::take_out>>(s.command).found.claimed);
        }
        if (a.at == purchase::phase::failed && s.before.at != a.at && !a.accept.cid.empty()) CHECK(std::holds_alternative<outcome<purchase::look_up>>(s.command));
    };
    x.run();
    CHECK(emptied > 0);
    for (std::size_t i = 24; i < std::variant_size_v<purchase::event>; ++i)
        if (i != 27) CHECK_MESSAGE(x.events_seen.count(i), "event " << i << " was never seen"); // gave_up takes more alarms than are told apart here: below
    MESSAGE(x.states << " states, " << x.steps << " steps");
}

namespace {

struct streamed : test::told<purchase> {
    streamed() {
        s.at = purchase::phase::paying, s.key = "p", s.rfp = rfp, s.what.stream = true, s.offers = {offer("bob", 60'000)}, s.chosen = 0, s.accept = accept_ref, s.authorised = 60'000, s.pay_until = begin + 5min;
        s.offers[0].verdict = says(true);
    }
    void deliver() {
        purchase::pay::answer agreed;
        agreed.agreed = purchase::pay::agreement{stream()};
        answer<purchase::pay>(agreed);
        answer<purchase::pay>({"0xchannel", {"at://bob/r/r", "bafyr"}, {}});
        answer<purchase::fetch_receipt>({std::string("sealed"), "none", {}});
        REQUIRE(s.at == purchase::phase::active);
    }
    void until(instant t) {
        while (purchase::deadline(s) && *purchase::deadline(s) <= t) {
            now = *purchase::deadline(s);
            give(deadline_passed{});
            if (wants<purchase::promise>()) answer<purchase::promise>({});
            if (s.at != purchase::phase::active) break;
        }
        now = t;
    }
};

} // namespace

TEST_CASE("two steps are promised ahead of time, a third when the machine is there, to the price and no further") {
    streamed t;
    t.deliver();
    CHECK(t.s.stream->promised == 20'000); // twenty minutes
    CHECK(*purchase::deadline(t.s) == t.now);
    for (auto after = 0s; after < 3600s; after += 100s) {
        t.until(begin + after);
        CAPTURE(after.count());
        CHECK(t.s.stream->heard >= std::min<amount>(60'000, price{60'000, 3600s}.of(after + 500s)));
        CHECK(t.s.stream->heard <= std::min<amount>(60'000, price{60'000, 3600s}.of(after + 1900s)));
    }
    t.until(begin + 3600s);
    CHECK(t.s.at == purchase::phase::stopping);
    CHECK(t.s.stream->promised == 60'000);
}

TEST_CASE("a seller who says nothing more is left, and what he did not claim is withdrawn") {
    streamed t;
    t.deliver();
    t.give(purchase::stop{"enough"});
    for (int i = 0; i < 7; ++i) t.now = t.s.due, t.give(deadline_passed{});
    CHECK(t.s.at == purchase::phase::emptying);
    CHECK(t.wants<purchase::take_out>()->leave);
    t.answer<purchase::take_out>({true, 7'000, t.now});
    CHECK(t.s.at == purchase::phase::closed);
    CHECK(t.s.paid == 7'000);
}

TEST_CASE("a statement is not the end while the channel holds what is hers; what was claimed counts, not what was stated") {
    streamed t;
    t.deliver();
    t.give(purchase::stop{"enough"});
    t.give(purchase::statement_seen{"bob", {"at://bob/s/s", "bafys"}, 5'000, 0, 300, "stopped"});
    CHECK(t.s.at == purchase::phase::emptying);
    CHECK(!t.wants<purchase::take_out>()->leave);
    t.now = t.s.due, t.give(deadline_passed{});
    CHECK(t.wants<purchase::take_out>()->leave);
    t.answer<purchase::take_out>({true, 9'000, t.now});
    CHECK(t.s.paid == 9'000);
    CHECK(t.s.why == "stopped (of the channel he claimed 0.009000, he stated 0.005000)");
}

TEST_CASE("an empty channel may still be filled while the deposit is valid") {
    streamed t;
    purchase::pay::answer agreed;
    agreed.agreed = purchase::pay::agreement{stream()};
    t.answer<purchase::pay>(agreed);
    t.give(purchase::stop{"enough"});
    t.give(purchase::statement_seen{"bob", {"at://bob/s/s", "bafys"}, 0, 0, 0, "not paid in time"});
    t.answer<purchase::take_out>({false, 0, begin + 4min});
    CHECK(t.s.at == purchase::phase::emptying);
    t.answer<purchase::take_out>({false, 0, begin + 6min});
    CHECK(t.s.at == purchase::phase::closed);
    CHECK(t.s.paid == 0);
}
