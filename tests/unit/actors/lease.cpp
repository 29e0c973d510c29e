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
            [&](const lease::publish_statement& e) { out = {said(e, verdict::done, {ref}), said(e, verdict::failed), said(e, verdict::unknown)}; });
        return out;
    };
    x.same = [](const lease::state& s) {
        auto t = s;
        t.due = {}, t.alarms = 0, t.pay_until = {}, t.launch_until = {}, t.started = t.started == instant{} ? instant{} : begin, t.ends = {}, t.ended = {};
        t.why.clear(), t.refused_payment.clear(), t.to_refund = t.to_refund > 0, t.refunded = t.refunded > 0;
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
    CHECK(x.events_seen.size() == std::variant_size_v<lease::event>);
    MESSAGE(x.states << " states, " << x.steps << " steps");
}

namespace {

struct story {
    lease::state s;
    instant now = begin;
    std::optional<refusal> give(lease::command c) {
        auto said = lease::decide(s, c, now);
        for (const auto& e : said.events) s = lease::evolve(s, e);
        return said.refused;
    }
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
