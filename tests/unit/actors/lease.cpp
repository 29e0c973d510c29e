#include <souk/actors/bidder/lease.hpp>
#include <souk/messages/dag_cbor.hpp>

#include "explore.hpp"

using namespace souk;
using namespace std::chrono_literals;

namespace {

const instant begin{1'700'000'000s};
const auto accept_cid = cid::of_dag_cbor("\xa0").text();
const std::string payer = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";

lease::terms terms() {
    lease::terms t;
    t.key = "3aaaaaaaaaaaa", t.rfp = {"at://did:plc:alice/com.publicdomainrelay.ccrfp/r", "bafyrfp"}, t.tenant = "did:plc:alice";
    t.bid = std::string("bid"), t.user_data = "#cloud-init\n", t.subject = "actx:x:plc:alice:role:r", t.cpus = 1, t.mem_mib = 512, t.disk_mib = 1024;
    t.for_slice = 60'000, t.slice = 3600, t.open_until = begin + 10min, t.answer_to = "https://alice.example";
    return t;
}
const strong_ref bid_ref{"at://did:web:bob/com.publicdomainrelay.ccb/3aaaaaaaaaaaa", "bafybid"};
lease::acceptance accept(std::string author = "did:plc:alice") {
    return {{"at://did:plc:alice/com.publicdomainrelay.ccba/r", accept_cid}, std::move(author), terms().rfp, bid_ref, "ssh-ed25519 AAAA", "did:key:z6LS", payer, {}};
}
std::string payment(std::int64_t value = 60'000, const std::string& from = payer, const std::string& nonce = x402::nonce_for(*cid::parse(accept_cid), 0)) {
    x402::payment p;
    p.accepted = {"exact", "soukdev:ledger", std::to_string(value), "0xasset", "0xbob", 300, std::nullopt};
    p.payload = {"0xsig", {from, "0xbob", std::to_string(value), "0", "1700000600", nonce}};
    return encode_described(p);
}
machine_view running() {
    machine_view m;
    m.tag = "souk-3aaaaaaaaaaaa-1", m.phase = "running", m.host = "h", m.address = "127.0.0.1", m.port = 2200, m.tier = "none";
    return m;
}

template <class Effect>
lease::command said(const Effect& f, verdict v, typename Effect::answer found = {}, std::string why = "why") {
    return outcome<Effect>{f, v, std::move(found), std::move(why)};
}

test::explorer<lease> world() {
    test::explorer<lease> x;
    x.orders = [](const lease::state&) {
        auto wrong_bid = accept();
        wrong_bid.bid.cid = "bafyother";
        auto wrong_rfp = accept();
        wrong_rfp.rfp.cid = "bafyother";
        auto second = accept();
        second.ref.cid = "bafysecond";
        return std::vector<lease::command>{lease::consider{terms()}, lease::take{accept()}, lease::take{accept("did:plc:eve")}, lease::take{wrong_bid}, lease::take{wrong_rfp}, lease::take{second}, lease::outbid{"did:plc:alice", terms().rfp}, lease::outbid{"did:plc:eve", terms().rfp},
                                           lease::pay{payment()}, lease::pay{payment(59'999)}, lease::pay{payment(60'000, "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC")},
                                           lease::pay{payment(60'000, payer, "0x" + std::string(64, '1'))}, lease::stop{"", "", "operator"},
                                           lease::stop{"did:plc:alice", accept_cid, "tenant"}, lease::stop{"did:plc:eve", accept_cid, "malice"}};
    };
    x.outcomes = [](const lease::effect& f, instant now) {
        std::vector<lease::command> out;
        const strong_ref ref{"at://did:web:bob/x/y", "bafyx"};
        match(f,
            [&](const lease::reserve& e) {
                out = {said(e, verdict::done, {{"h", "none", {}}}), said(e, verdict::done, {{"", "", refusal{"no_room", "full"}}}), said(e, verdict::failed), said(e, verdict::unknown)};
            },
            [&](const lease::publish_bid& e) { out = {said(e, verdict::done, {bid_ref}), said(e, verdict::failed), said(e, verdict::unknown)}; },
            [&](const lease::tell_bid& e) { out = {said(e, verdict::done), said(e, verdict::failed), said(e, verdict::unknown)}; },
            [&](const lease::settle& e) {
                out = {said(e, verdict::done, {"key", "0xtx", {}}), said(e, verdict::done, {"key", "", refusal{"expired", "too late"}}), said(e, verdict::unknown)};
            },
            [&](const lease::launch& e) {
                out = {said(e, verdict::done, {running(), {}}), said(e, verdict::done, {{}, refusal{"machine_over", "no boot"}}), said(e, verdict::unknown)};
            },
            [&](const lease::publish_receipt& e) { out = {said(e, verdict::done, {ref}), said(e, verdict::failed), said(e, verdict::unknown)}; },
            [&](const lease::watch& e) { out = {said(e, verdict::done, {false, ""}), said(e, verdict::done, {true, "lost"}), said(e, verdict::unknown)}; },
            [&](const lease::terminate& e) { out = {said(e, verdict::done, {now}), said(e, verdict::unknown)}; },
            [&](const lease::refund& e) { out = {said(e, verdict::done, {"0xback"}), said(e, verdict::failed), said(e, verdict::unknown)}; },
            [&](const lease::publish_statement& e) { out = {said(e, verdict::done, {ref}), said(e, verdict::failed), said(e, verdict::unknown)}; },
            [&](const lease::draw& e) {
                out = {said(e, verdict::done, {e.amount, {}}), said(e, verdict::done, {0, refusal{"too_much_unclaimed", "claim first"}}), said(e, verdict::unknown)};
            },
            [&](const lease::meter& e) {
                out = {said(e, verdict::done, {e.amount, {}}), said(e, verdict::done, {40'000, {}}), said(e, verdict::done, {0, refusal{"not_taken", "dropped"}}), said(e, verdict::unknown)};
            },
            [&](const lease::settle_up& e) { out = {said(e, verdict::done, {e.amount}), said(e, verdict::done, {e.amount / 2}), said(e, verdict::unknown)}; },
            [&](const lease::return_rest& e) { out = {said(e, verdict::done, {e.charged}), said(e, verdict::done, {0}), said(e, verdict::unknown)}; });
        return out;
    };
    x.same = [](const lease::state& s) {
        auto t = s;
        t.due = {}, t.alarms = 0, t.pay_until = {}, t.launch_until = {}, t.started = t.started == instant{} ? instant{} : begin, t.ends = {}, t.ended = {};
        t.why.clear(), t.refused_payment.clear(), t.to_refund = t.to_refund > 0, t.refunded = t.refunded > 0;
        if (t.from) t.from->told = {}, t.from->metering = t.from->metering > t.from->metered, t.from->metered = t.from->metered > 0;
        return encode_described(t);
    };
    return x;
}

} // namespace

TEST_CASE("a lease runs no machine unpaid, keeps no money unearned, and ends no lease by guesswork") {
    auto x = world();
    x.judge = [](const test::step<lease>& s) {
        const auto& a = s.after;
        for (const auto& f : lease::effects(a))
            match(f,
                [&](const lease::launch&) { CHECK(!a.transaction.empty()); },                            // paid first
                [&](const lease::settle&) { CHECK(lease::accepted(a)); },
                [&](const lease::refund& e) { CHECK(!a.transaction.empty()); CHECK(e.amount <= a.what.for_slice); CHECK(e.amount > 0); },
                [&](const lease::publish_statement& e) {
                    CHECK(lease::accepted(a));
                    CHECK(std::stoll(e.statement.paid) == (a.transaction.empty() ? 0 : a.what.for_slice));
                    // What is kept is what the time was worth, never more.
                    const auto kept = std::stoll(e.statement.paid) - std::stoll(e.statement.refunded);
                    CHECK(kept == (a.started == instant{} ? 0 : price{a.what.for_slice, std::chrono::seconds{a.what.slice}}.of(std::chrono::ceil<std::chrono::seconds>(a.ended - a.started))));
                },
                [](const auto&) {});
        // One accept, for good.
        if (lease::accepted(s.before)) CHECK((a.accept.ref == s.before.accept.ref && a.accept.author == s.before.accept.author && a.accept.payer == s.before.accept.payer));
        // Closed means: whatever may have been reserved or launched was confirmed gone, and what is owed was paid back.
        if (a.at == lease::phase::closed) CHECK((a.to_refund == a.refunded));
        // A probe that fails, or a host that is out of reach, says nothing.
        if (const auto* o = std::get_if<outcome<lease::watch>>(&s.command); o && !(o->said == verdict::done && o->found.gone)) CHECK(s.said.events.empty());
        if (const auto* o = std::get_if<lease::stop>(&s.command); o && o->by == "did:plc:eve") CHECK(s.said.events.empty());
        if (const auto* o = std::get_if<lease::take>(&s.command); o && !s.said.events.empty()) CHECK((o->accept.author == terms().tenant && o->accept.bid == bid_ref && o->accept.rfp == terms().rfp));
        if (const auto* o = std::get_if<lease::pay>(&s.command); o && !s.said.events.empty()) CHECK((o->payment == payment() || o->payment == payment(60'000, payer, "0x" + std::string(64, '1'))));
    };
    x.run();
    for (std::size_t i = 0; i < std::variant_size_v<lease::event> - 6; ++i) CHECK_MESSAGE(x.events_seen.count(i), "event " << i << " was never seen"); // the last six: from a channel, below
    MESSAGE(x.states << " states, " << x.steps << " steps");
}

namespace {

struct story : test::told<lease> {
    void open() {
        give(lease::consider{terms()});
        give(outcome<lease::reserve>{{}, verdict::done, {{"h", "none", {}}}, {}});
        give(outcome<lease::publish_bid>{{}, verdict::done, {bid_ref}, {}});
        REQUIRE(s.at == lease::phase::open);
    }
};
std::string code(const std::optional<refusal>& r) { return r ? r->code : "taken"; }

} // namespace

TEST_CASE("an accept counts only from the tenant, for this bid, for this request, in time") {
    story t;
    CHECK(code(t.give(lease::take{accept()})) == "not_offered");
    t.open();
    CHECK(code(t.give(lease::take{accept("did:plc:eve")})) == "not_the_tenant");
    auto wrong = accept();
    wrong.bid.cid = "bafyother";
    CHECK(code(t.give(lease::take{wrong})) == "wrong_bid");
    wrong = accept();
    wrong.rfp.cid = "bafyother";
    CHECK(code(t.give(lease::take{wrong})) == "wrong_rfp");
    t.now = begin + 10min;
    CHECK(code(t.give(lease::take{accept()})) == "bid_expired");
}

TEST_CASE("an accept of a withdrawn bid is refused, with the reason") {
    story t;
    t.open();
    t.give(lease::stop{"", "", "withdrawn by the operator"});
    CHECK(code(t.give(lease::take{accept()})) == "bid_withdrawn");
}

TEST_CASE("a bid that lost lets its room go at once, and on nobody's word but the tenant's") {
    story t;
    t.open();
    t.give(lease::outbid{"did:plc:eve", terms().rfp});
    CHECK(t.s.at == lease::phase::open);
    t.give(lease::outbid{"did:plc:alice", terms().rfp});
    CHECK(t.s.at == lease::phase::ending);
    CHECK(std::holds_alternative<lease::terminate>(lease::effects(t.s).front()));
    story won;
    won.open();
    won.give(lease::take{accept()});
    won.give(lease::outbid{"did:plc:alice", terms().rfp});
    CHECK(won.s.at == lease::phase::taken);
}

TEST_CASE("a payment of another amount or by another payer is refused; its nonce may be any, as others' clients draw them") {
    story t;
    t.open();
    CHECK(code(t.give(lease::pay{payment()})) == "not_accepted");
    t.give(lease::take{accept()});
    CHECK(code(t.give(lease::pay{payment(60'001)})) == "wrong_amount");
    CHECK(code(t.give(lease::pay{payment(60'000, "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC")})) == "wrong_payer");
    const auto drawn = payment(60'000, payer, "0x" + std::string(64, '1'));
    CHECK(code(t.give(lease::pay{drawn})) == "taken");
    CHECK(t.s.at == lease::phase::collecting);
    CHECK(code(t.give(lease::pay{drawn})) == "taken"); // said twice, it is the same payment
    CHECK(code(t.give(lease::pay{payment()})) == "payment_under_way");
}

TEST_CASE("a machine that never boots gives all of the money back") {
    story t;
    t.open();
    t.give(lease::take{accept()}), t.give(lease::pay{payment()});
    t.give(outcome<lease::settle>{{}, verdict::done, {"key", "0xtx", {}}, {}});
    REQUIRE(t.s.at == lease::phase::launching);
    t.now = t.s.due;
    t.give(deadline_passed{});
    CHECK(t.s.at == lease::phase::ending);
    CHECK(t.s.to_refund == 60'000);
    t.give(outcome<lease::terminate>{{}, verdict::done, {t.now}, {}});
    CHECK(t.s.at == lease::phase::refunding);
    t.give(outcome<lease::refund>{{}, verdict::done, {"0xback"}, {}});
    t.give(outcome<lease::publish_statement>{{}, verdict::done, {{"at://x/y/z", "bafy"}}, {}});
    CHECK(t.s.at == lease::phase::closed);
    CHECK(t.s.refunded == 60'000);
}

TEST_CASE("stopped half-way, half comes back, to the second") {
    story t;
    t.open();
    t.give(lease::take{accept()}), t.give(lease::pay{payment()});
    t.give(outcome<lease::settle>{{}, verdict::done, {"key", "0xtx", {}}, {}});
    t.give(outcome<lease::launch>{{}, verdict::done, {running(), {}}, {}});
    t.give(outcome<lease::publish_receipt>{{}, verdict::done, {{"at://x/y/z", "bafy"}}, {}});
    t.now = t.s.started + 1800s;
    CHECK(code(t.give(lease::stop{"did:plc:alice", accept_cid, "enough"})) == "taken");
    CHECK(t.s.to_refund == 30'000);
}

// -- paid while it runs -------------------------------------------------------------------------------------------------------

namespace {

lease::terms streamed_terms() {
    auto t = terms();
    t.step = 1200, t.grace = 60; // twenty minutes are 20'000
    return t;
}
const std::string channel_id = "0x" + std::string(64, 'c');
lease::pay_from promise_of(amount much, const std::string& by = payer) { return {octets{"promise of " + std::to_string(much)}, channel_id, by, much}; }

struct streamed_story : story {
    void run(amount promised = 20'000) {
        give(lease::consider{streamed_terms()});
        give(outcome<lease::reserve>{{}, verdict::done, {{"h", "none", {}}}, {}});
        give(outcome<lease::publish_bid>{{}, verdict::done, {bid_ref}, {}});
        give(lease::take{accept()});
        REQUIRE(code(give(promise_of(promised))) == "taken");
        answer<lease::draw>({promised, {}});
        give(outcome<lease::launch>{{}, verdict::done, {running(), {}}, {}});
        give(outcome<lease::publish_receipt>{{}, verdict::done, {{"at://x/y/z", "bafy"}}, {}});
        REQUIRE(s.at == lease::phase::active);
    }
    void at(std::chrono::seconds since) {
        now = s.started + since;
        while (lease::deadline(s) && *lease::deadline(s) <= now) {
            const auto before = *lease::deadline(s);
            give(deadline_passed{});
            if (lease::deadline(s) && *lease::deadline(s) <= before) break;
        }
    }
    void over(std::optional<amount> charged = std::nullopt) {
        give(outcome<lease::terminate>{{}, verdict::done, {now}, {}});
        REQUIRE(s.at == lease::phase::refunding);
        answer<lease::settle_up>({charged.value_or(wants<lease::settle_up>()->amount)});
        answer<lease::return_rest>({wants<lease::return_rest>()->charged});
    }
};

} // namespace

TEST_CASE("a lease that is paid from a channel charges what ran and what was promised, never more, and settles up before it is over") {
    auto x = world();
    const auto orders = x.orders;
    x.orders = [orders](const lease::state&) {
        std::vector<lease::command> all{lease::consider{streamed_terms()}, lease::take{accept()}, lease::pay{payment()}, lease::stop{"did:plc:alice", accept_cid, "tenant"}};
        for (const auto& c : {promise_of(20'000), promise_of(19'999), promise_of(60'001), promise_of(20'000, "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC")}) all.emplace_back(c);
        for (const amount much : {20'000, 40'000, 60'000}) all.emplace_back(lease::raise{channel_id, much});
        all.emplace_back(lease::raise{"0x" + std::string(64, 'd'), 60'000});
        return all;
    };
    std::size_t closed = 0;
    x.judge = [&](const test::step<lease>& s) {
        const auto& a = s.after;
        if (const auto* c = std::get_if<lease::pay_from>(&s.command); c && !s.said.events.empty()) CHECK((*c).first == promise_of(20'000).first);
        if (const auto* c = std::get_if<lease::raise>(&s.command); c && c->channel != channel_id) CHECK(s.said.events.empty());
        if (const auto* o = std::get_if<outcome<lease::draw>>(&s.command); o && o->said == verdict::done && o->found.refused && s.before.at == lease::phase::collecting) CHECK(a.transaction.empty());
        if (!a.from) return;
        CHECK(a.payment.empty()); // one way or the other
        CHECK(a.from->metered <= a.from->promised);
        CHECK(a.from->metering <= a.from->promised);
        for (const auto& f : lease::effects(a))
            match(f,
                [&](const lease::launch&) { CHECK(!a.transaction.empty()); },
                [&](const lease::settle&) { CHECK(false); },
                [&](const lease::refund&) { CHECK(false); },
                [&](const lease::meter& e) { CHECK(e.amount <= price{60'000, 3600s}.of(std::chrono::ceil<std::chrono::seconds>(s.now - a.started))); },
                [&](const lease::settle_up& e) {
                    CHECK(e.amount <= a.from->promised);
                    CHECK(e.amount >= a.from->metered);
                    CHECK(e.amount == (a.started == instant{} ? 0 : std::min(a.from->promised, price{60'000, 3600s}.of(std::chrono::ceil<std::chrono::seconds>(a.ended - a.started)))));
                },
                [&](const lease::publish_statement& e) {
                    CHECK(e.statement.paid == std::to_string(a.from->metered)); // what the channel's keeper says was charged
                    CHECK(e.statement.refunded == "0");
                },
                [](const auto&) {});
        if (a.at == lease::phase::closed && s.before.at != a.at) {
            ++closed;
            CHECK(s.before.at == lease::phase::stating);
        }
        // Nothing is served for long that nobody promised.
        if (a.at == lease::phase::active && s.now > a.started) CHECK(s.now <= std::max(lease::paid_until(a), a.from->told) + 60s + 1200s);
    };
    x.run();
    CHECK(closed > 0);
    for (std::size_t i = std::variant_size_v<lease::event> - 6; i < std::variant_size_v<lease::event>; ++i) CHECK_MESSAGE(x.events_seen.count(i), "event " << i << " was never seen");
    MESSAGE(x.states << " states, " << x.steps << " steps");
}

TEST_CASE("stopped at any second, a streamed lease costs the seconds that it ran") {
    for (const auto ran : {0s, 1s, 599s, 600s, 1199s, 1200s}) {
        CAPTURE(ran.count());
        streamed_story t;
        t.run();
        t.at(ran);
        CHECK(code(t.give(lease::stop{"did:plc:alice", accept_cid, "enough"})) == "taken");
        t.over();
        CHECK(t.s.from->metered == price{60'000, 3600s}.of(ran));
    }
}

TEST_CASE("when nothing more is promised a lease goes on for its grace, and charges what was promised") {
    streamed_story t;
    t.run();
    t.at(1259s);
    CHECK(t.s.at == lease::phase::active);
    t.at(1260s);
    CHECK(t.s.at == lease::phase::ending);
    CHECK(t.s.why == "what was promised for it is used up");
    t.over();
    CHECK(t.s.from->metered == 20'000);
}

TEST_CASE("what is promised in time keeps it running to its end; the keeper's word of it will do") {
    streamed_story t;
    t.run();
    CHECK(code(t.give(lease::raise{channel_id, 40'000})) == "taken");
    t.at(1200s);
    CHECK(t.wants<lease::meter>()->amount == 20'000);
    t.answer<lease::meter>({60'000, {}}); // a voucher that the lease was not told of
    CHECK(t.s.from->promised == 60'000);
    t.at(3599s);
    CHECK(t.s.at == lease::phase::active);
    t.at(3600s);
    CHECK(t.s.why == "the lease ended");
    CHECK(code(t.give(lease::raise{channel_id, 60'000})) == "contract_over");
    t.over();
    CHECK(t.s.from->metered == 60'000);
}

TEST_CASE("a channel that serves a lease no more ends it; what was metered before is what it came to") {
    streamed_story t;
    t.run();
    t.at(1200s);
    const auto asked = t.wants<lease::meter>();
    REQUIRE(asked);
    t.give(outcome<lease::meter>{*asked, verdict::done, {0, refusal{"not_taken", "it was dropped"}}, {}});
    CHECK(t.s.at == lease::phase::ending);
    t.over(5'000);
    CHECK(t.s.from->metered == 5'000);
}

TEST_CASE("a contract is paid in one way: by an authorisation, or from a channel") {
    streamed_story t;
    t.give(lease::consider{streamed_terms()});
    t.give(outcome<lease::reserve>{{}, verdict::done, {{"h", "none", {}}}, {}}), t.give(outcome<lease::publish_bid>{{}, verdict::done, {bid_ref}, {}});
    CHECK(code(t.give(promise_of(20'000))) == "not_accepted");
    t.give(lease::take{accept()});
    CHECK(code(t.give(promise_of(19'999))) == "wrong_amount");
    CHECK(code(t.give(promise_of(20'000, "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"))) == "wrong_payer");
    CHECK(code(t.give(promise_of(20'000))) == "taken");
    CHECK(code(t.give(promise_of(20'000))) == "taken"); // said twice
    CHECK(code(t.give(promise_of(30'000))) == "payment_under_way");
    CHECK(code(t.give(lease::pay{payment()})) == "payment_under_way");
    t.answer<lease::draw>({0, refusal{"too_much_unclaimed", "claim first"}});
    CHECK(t.s.at == lease::phase::taken); // nothing moved: he may try again, in any way
    CHECK(code(t.give(lease::pay{payment()})) == "taken");
    CHECK(code(t.give(promise_of(20'000))) == "payment_under_way");
    story never;
    never.open(), never.give(lease::take{accept()});
    CHECK(code(never.give(promise_of(60'000))) == "no_channels"); // its bid had no step
}
