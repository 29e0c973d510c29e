#include "virtual_time.hpp"

#include <algorithm>
#include <limits>

#include <souk/actors/entity/entity.hpp>
#include <souk/actors/policy/chain.hpp>
#include <souk/actors/policy/rules.hpp>

using namespace souk;

namespace {

const std::string alice = "did:plc:alice", bob = "did:plc:bob", carol = "did:plc:carol", dan = "did:plc:dan", eve = "did:plc:eve";
const instant noon{std::chrono::seconds{1'778'312'530}};

trust_mark mark(const std::string& by, const std::string& about, const std::string& kind, const std::string& reason = {}) {
    trust_mark m;
    m.by = by, m.about = about, m.kind = kind, m.reason = reason;
    m.record = {"at://" + by + "/sh.tangled.graph.vouch/" + about, "bafyrei-of-" + about};
    return m;
}
policy::facts knowing(const std::vector<trust_mark>& marks) {
    policy::facts f;
    f.self = alice, f.trust = policy::trust_graph(marks), f.now = noon;
    return f;
}
policy::facts known() { return knowing({mark(alice, bob, "vouch", "his machines run"), mark(alice, eve, "denounce", "took the money and ran"), mark(bob, eve, "vouch")}); }
policy_verdict judge(const policy_question& q, policy::facts f, const std::vector<std::string>& rules) {
    const auto chain = policy::chain_of(rules);
    f.reach = policy::needs_of(chain).reach;
    return policy::judge(q, f, chain);
}
policy_question bid_by(const std::string& who, std::int64_t price = 100) {
    policy_question q;
    q.perspective = "requester", q.subject = who, q.price = price, q.ceiling = 200, q.slice = 3600;
    return q;
}
policy_verdict usual(const policy_question& q) { return judge(q, known(), policy::usual_rules("requester")); }
policy_verdict by(const policy_question& q, const std::vector<std::string>& rules) { return judge(q, known(), rules); }

std::string trace(const policy_verdict& v) {
    std::string out;
    for (const auto& s : v.steps) out += (out.empty() ? "" : " ") + s.rule + '=' + s.said;
    return out;
}
bool says(const policy_verdict& v, const std::string& words) { return v.reason.find(words) != std::string::npos; }

} // namespace

TEST_CASE("a bidder who is vouched for, within the ceiling, passes every rule") {
    const auto v = usual(bid_by(bob));
    CHECK(v.allowed);
    CHECK(!v.wait);
    CHECK(trace(v) == "denounced=pass vouched=pass ceiling=pass expiry=pass location=pass tier=pass");
    REQUIRE(v.steps[1].evidence.size() == 1);
    CHECK(v.steps[1].evidence[0].uri == "at://did:plc:alice/sh.tangled.graph.vouch/did:plc:bob");
    CHECK(v.steps[1].reason.find("his machines run") != std::string::npos);
}

TEST_CASE("a denounced bidder never wins, however cheap") {
    for (std::int64_t price : {0, 1, 100}) {
        const auto v = usual(bid_by(eve, price));
        CHECK(!v.allowed);
        CHECK(!v.wait);
        CHECK(says(v, "did:plc:alice denounced did:plc:eve"));
        CHECK(says(v, "took the money and ran"));
        CHECK(v.steps.at(0).evidence.at(0).cid == "bafyrei-of-did:plc:eve");
    }
}

TEST_CASE("a denouncement is a veto, wherever the rule stands and even where it was left out") {
    for (const std::vector<std::string>& rules : {std::vector<std::string>{}, {"open"}, {"open", "denounced"}, {"denounced", "open"}, {"ceiling", "expiry"}}) {
        CAPTURE(rules.size());
        CHECK(!by(bid_by(eve), rules).allowed);
        CHECK(by(bid_by(bob), rules).allowed);
    }
    CHECK(trace(by(bid_by(eve), {"open"})) == "denounced=reject open=skipped");
    CHECK(trace(by(bid_by(eve), {"open", "denounced"})) == "open=pass denounced=reject");
}

TEST_CASE("another's vouch does not lift a denouncement, and another's word is no vouch of mine") {
    CHECK(!usual(bid_by(eve)).allowed); // Bob vouches for Eve
    const auto v = judge(bid_by(eve), knowing({mark(bob, eve, "vouch"), mark(eve, eve, "vouch")}), {"vouched"});
    CHECK(!v.allowed);
    CHECK(says(v, "did:plc:alice does not vouch for did:plc:eve"));
}

TEST_CASE("a denouncement counts as far as its reach is stated: only one's own where nothing is said, never a stranger's") {
    const std::vector<trust_mark> marks{mark(alice, bob, "vouch"), mark(alice, carol, "vouch"), mark(carol, dan, "vouch"), mark(dan, bob, "denounce"), mark(eve, bob, "denounce")};
    CHECK(judge(bid_by(bob), knowing(marks), policy::usual_rules("requester")).allowed);
    CHECK(judge(bid_by(bob), knowing(marks), {"denounced reach=1"}).allowed);
    const auto v = judge(bid_by(bob), knowing(marks), {"denounced reach=2"});
    CHECK(!v.allowed);
    CHECK(says(v, "did:plc:dan denounced did:plc:bob"));
    CHECK(v.steps.at(0).evidence.at(0).uri == "at://did:plc:dan/sh.tangled.graph.vouch/did:plc:bob");
}

TEST_CASE("a record about somebody that cannot be read counts as a denouncement") {
    const auto v = judge(bid_by(bob), knowing({mark(alice, bob, policy::unreadable, "kind: expected vouch or denounce")}), {"open"});
    CHECK(!v.allowed);
    CHECK(says(v, "cannot be read"));
}

TEST_CASE("one may always deal with oneself") {
    CHECK(usual(bid_by(alice)).allowed);
    CHECK(!usual(bid_by("did:plc:stranger")).allowed);
}

TEST_CASE("the first rejection decides, and the rest of the trace says that it was not run") {
    auto q = bid_by(bob, 201);
    q.expires = noon - 1s;
    const auto v = usual(q);
    CHECK(trace(v) == "denounced=pass vouched=pass ceiling=reject expiry=skipped location=skipped tier=skipped");
    CHECK(says(v, "201 atomic units for 3600 s, above the ceiling of 200"));
    CHECK(v.reason == v.steps[2].reason);
}

TEST_CASE("the rules run in the order that they were given in") {
    auto q = bid_by(eve, 201);
    CHECK(trace(by(q, {"ceiling", "denounced"})) == "ceiling=reject denounced=skipped");
    CHECK(trace(by(q, {"denounced", "ceiling"})) == "denounced=reject ceiling=skipped");
}

TEST_CASE("an unknown rule rejects, and says which rules there are") {
    const auto v = by(bid_by(bob), {"denouncd", "open"});
    CHECK(!v.allowed);
    CHECK(says(v, "policy rule \"denouncd\": there is no such rule"));
    CHECK(says(v, "vouched"));
    CHECK(trace(v) == "denounced=pass denouncd=reject open=skipped");
}

TEST_CASE("a price at the ceiling passes, one above it does not, a negative one never") {
    CHECK(by(bid_by(bob, 200), {"ceiling"}).allowed);
    CHECK(!by(bid_by(bob, 201), {"ceiling"}).allowed);
    CHECK(!by(bid_by(bob, -1), {"ceiling"}).allowed);
    auto q = bid_by(bob, 1'000'000'000);
    q.ceiling = 0;
    CHECK(by(q, {"ceiling"}).allowed);
}

TEST_CASE("what has expired this very moment is expired") {
    auto q = bid_by(bob);
    q.expires = noon + 1ms;
    CHECK(by(q, {"expiry"}).allowed);
    q.expires = noon;
    CHECK(!by(q, {"expiry"}).allowed);
    CHECK(says(by(q, {"expiry"}), "expired at 2026-05-09T07:42:10.000Z"));
}

TEST_CASE("a place that is wanted must be offered; silence is no offer") {
    auto q = bid_by(bob);
    q.wanted = place{"USA", "west"};
    CHECK(says(by(q, {"location"}), "the offer does not say its country"));
    q.offered = place{"usa", {}};
    CHECK(says(by(q, {"location"}), "the offer does not say its region"));
    q.offered = place{"usa", "West"};
    CHECK(by(q, {"location"}).allowed);
    q.offered = place{"Canada", "west"};
    CHECK(says(by(q, {"location"}), "country USA is wanted, Canada is offered"));
    q.wanted = place{{}, "west"};
    CHECK(by(q, {"location"}).allowed);
    q.wanted.reset();
    CHECK(by(q, {"location"}).allowed);
}

TEST_CASE("hardware is as good as simulated, never the other way") {
    auto q = bid_by(bob);
    const auto verdict_on = [&](const char* wanted, const char* offered) {
        q.wanted_tier = wanted, q.tier = offered;
        return by(q, {"tier"}).allowed;
    };
    CHECK(verdict_on("", "none"));
    CHECK(verdict_on("", ""));
    CHECK(verdict_on("none", ""));
    CHECK(verdict_on("simulated", "hardware"));
    CHECK(verdict_on("hardware", "hardware"));
    CHECK(!verdict_on("hardware", "simulated"));
    CHECK(!verdict_on("simulated", "none"));
    CHECK(!verdict_on("hardware", "very good"));
    CHECK(!verdict_on("very good", "hardware"));
}

TEST_CASE("a rule may amend what later ones see, but never whom they judge") {
    const policy::rule halve{"halve", [](const policy_question& q, const policy::facts&) {
        policy::ruling r;
        r.said = policy::ruling::kind::amend, r.reason = "half the ceiling", r.amended = q, r.amended->ceiling /= 2;
        return r;
    }};
    const policy::rule swap{"swap", [](const policy_question& q, const policy::facts&) {
        policy::ruling r;
        r.said = policy::ruling::kind::amend, r.amended = q, r.amended->subject = bob;
        return r;
    }};
    const auto veto = policy::denounced_rule("denounced", 0), ceiling = policy::ceiling_rule("ceiling");
    const policy::rule good[]{veto, ceiling, halve, ceiling}, bad[]{veto, swap};
    CHECK(trace(policy::judge(bid_by(bob, 150), known(), good)) == "denounced=pass ceiling=pass halve=amend ceiling=reject");
    CHECK_THROWS_AS(policy::judge(bid_by("did:plc:stranger"), known(), bad), broken_invariant);
    CHECK_THROWS_AS(policy::judge(bid_by(bob), known(), std::span<const policy::rule>(&ceiling, 1)), broken_invariant); // no veto in it
}

TEST_CASE("a question about nobody, or with an endless chain, is rejected") {
    CHECK(!by(bid_by(""), {"open"}).allowed);
    CHECK(!by(bid_by("bob.example"), {"open"}).allowed);
    CHECK(!by(bid_by(bob), std::vector<std::string>(33, "open")).allowed);
}

TEST_CASE("a bidder serves whoever is not denounced") {
    auto q = bid_by("did:plc:stranger");
    CHECK(by(q, policy::usual_rules("bidder")).allowed);
    q.subject = eve;
    CHECK(!by(q, policy::usual_rules("bidder")).allowed);
}

// -- rules with parameters ----------------------------------------------------------------------------------------------------

TEST_CASE("a vouch carries through friends as far as it is let, loses on the way, and the trace shows every record of the chain") {
    auto far = mark(bob, carol, "vouch");
    far.weight = 80;
    const std::vector<trust_mark> marks{mark(alice, bob, "vouch"), far, mark(carol, dan, "vouch")};
    CHECK(says(judge(bid_by(carol), knowing(marks), {"vouched"}), "does not vouch for"));
    const auto v = judge(bid_by(carol), knowing(marks), {"vouched depth=2 decay=50 least=40"});
    CHECK(v.allowed);
    CHECK(v.steps.at(1).reason == "did:plc:alice vouches for did:plc:bob, who vouches for did:plc:carol: 40% arrives");
    REQUIRE(v.steps[1].evidence.size() == 2);
    CHECK(v.steps[1].evidence[1].uri == "at://did:plc:bob/sh.tangled.graph.vouch/did:plc:carol");
    CHECK(says(judge(bid_by(carol), knowing(marks), {"vouched depth=2 decay=50 least=41"}), "40% arrives, 41% is the least"));
    CHECK(!judge(bid_by(dan), knowing(marks), {"vouched depth=2"}).allowed);
    CHECK(judge(bid_by(dan), knowing(marks), {"vouched depth=3 least=20"}).allowed);
}

TEST_CASE("a vouch that has expired is none, and so is a denouncement") {
    auto until_noon = mark(alice, bob, "vouch"), against = mark(alice, carol, "denounce");
    until_noon.expires = noon, against.expires = noon;
    CHECK(!judge(bid_by(bob), knowing({until_noon}), {"vouched"}).allowed);
    CHECK(judge(bid_by(carol), knowing({against}), {"open"}).allowed);
    until_noon.expires = against.expires = noon + 1ms;
    CHECK(judge(bid_by(bob), knowing({until_noon}), {"vouched"}).allowed);
    CHECK(!judge(bid_by(carol), knowing({against}), {"open"}).allowed);
}

TEST_CASE("whoever could have denounced and cannot be read makes the verdict wait; whoever could only have vouched does not count") {
    auto f = knowing({mark(alice, bob, "vouch"), mark(alice, carol, "vouch")});
    f.unread[carol] = "its host is away";
    const auto waits = judge(bid_by(bob), std::move(f), {"denounced reach=1", "vouched"});
    CHECK(!waits.allowed);
    CHECK(waits.wait);
    CHECK(trace(waits) == "denounced reach=1=wait vouched=skipped");
    CHECK(says(waits, "whether did:plc:carol denounced anybody cannot be told: its host is away"));

    f = knowing({mark(alice, bob, "vouch"), mark(alice, carol, "vouch")});
    f.unread[carol] = "its host is away";
    const auto no = judge(bid_by(dan), std::move(f), {"vouched depth=2"});
    CHECK(!no.allowed);
    CHECK(!no.wait);
    CHECK(says(no, "the vouches of did:plc:carol could not be read, and do not count"));
}

TEST_CASE("a known denouncement is not waited with because another cannot be read") {
    auto f = knowing({mark(alice, eve, "denounce"), mark(alice, carol, "vouch")});
    f.unread[carol] = "its host is away";
    const auto v = judge(bid_by(eve), std::move(f), {"denounced reach=1"});
    CHECK(!v.allowed);
    CHECK(!v.wait);
}

TEST_CASE("lists name whole DIDs, and a denouncement outweighs being allowed") {
    CHECK(by(bid_by(bob), {"allow did:plc:bob did:plc:carol"}).allowed);
    CHECK(!by(bid_by("did:plc:bobby"), {"allow did:plc:bob"}).allowed);
    CHECK(!by(bid_by("did:plc:bo"), {"allow did:plc:bob"}).allowed);
    CHECK(!by(bid_by(bob), {"deny did:plc:carol did:plc:bob"}).allowed);
    CHECK(by(bid_by(bob), {"deny did:plc:carol"}).allowed);
    CHECK(!by(bid_by(eve), {"allow did:plc:eve"}).allowed);
}

TEST_CASE("a price is compared by what it is for") {
    auto q = bid_by(bob, 50'000); // 0.05 for half an hour
    q.slice = 1800;
    CHECK(by(q, {"price at-most 0.10 per hour"}).allowed);
    CHECK(!by(q, {"price at-most 0.099999 per hour"}).allowed);
    CHECK(by(q, {"price at-most 2.40 per day"}).allowed);
    q.slice = 0;
    CHECK(!by(q, {"price at-most 0.10 per hour"}).allowed);
    q.slice = 1, q.price = std::numeric_limits<std::int64_t>::max();
    CHECK(!by(q, {"price at-most 9000000000000 per month"}).allowed);
    q.price = -1;
    CHECK(!by(q, {"price at-most 0.10 per hour"}).allowed);
}

TEST_CASE("a place and a tier of the rule hold besides what the request asks for") {
    auto q = bid_by(bob);
    q.offered = place{"de", "berlin"};
    CHECK(by(q, {"location country=DE"}).allowed);
    CHECK(!by(q, {"location country=FR"}).allowed);
    CHECK(!by(q, {"location country=DE region=hesse"}).allowed);
    q.wanted = place{"FR", {}};
    CHECK(!by(q, {"location country=DE"}).allowed);
    q.tier = "simulated";
    CHECK(by(q, {"tier at-least simulated"}).allowed);
    CHECK(!by(q, {"tier at-least hardware"}).allowed);
    q.wanted_tier = "none";
    CHECK(!by(q, {"tier at-least hardware"}).allowed);
    q.wanted_tier = "hardware";
    CHECK(!by(q, {"tier at-least none"}).allowed);
}

TEST_CASE("history counts what was honoured and what was broken; where none is kept, a rule about it refuses") {
    auto q = bid_by(bob);
    CHECK(!by(q, {"history broken<=0"}).allowed);
    q.history = dealings{2, 1, {{"at://did:plc:bob/com.publicdomainrelay.ccr/a", "bafyr"}}};
    CHECK(by(q, {"history honoured>=2"}).allowed);
    CHECK(!by(q, {"history honoured>=3"}).allowed);
    CHECK(by(q, {"history honoured>=1 broken<=1"}).allowed);
    const auto v = by(q, {"history honoured>=1 broken<=0"});
    CHECK(!v.allowed);
    CHECK(v.steps.at(1).evidence.size() == 1);
}

TEST_CASE("an operator counts when both sides say so, is vouched for, and is not denounced") {
    const auto operated = [&](const std::string& op, std::vector<trust_mark> marks) {
        auto f = knowing(marks);
        f.operated = policy::association{op, {{"at://did:plc:dan/x/y", "c1"}, {"at://" + op + "/x/y", "c2"}}, {}};
        return judge(bid_by(dan), std::move(f), {"operator"});
    };
    CHECK(operated(bob, {mark(alice, bob, "vouch")}).allowed);
    CHECK(operated(bob, {mark(alice, bob, "vouch")}).steps.at(1).evidence.size() == 3);
    CHECK(operated(alice, {}).allowed);
    CHECK(!operated(bob, {}).allowed);
    CHECK(!operated("", {mark(alice, bob, "vouch")}).allowed);
    const auto v = operated(eve, {mark(alice, eve, "denounce")});
    CHECK(!v.allowed);
    CHECK(says(v, "did:plc:dan is operated by did:plc:eve; did:plc:alice denounced did:plc:eve"));
    auto f = knowing({});
    f.operated = policy::association{{}, {}, "its host is away"};
    CHECK(judge(bid_by(dan), std::move(f), {"operator"}).wait);
}

TEST_CASE("a remote engine that has not judged is waited for, never passed") {
    const std::string text = "remote did:web:engine.example";
    CHECK(by(bid_by(bob), {text}).wait);
    const auto with = [&](policy::engine_answer a) {
        auto f = known();
        f.engines["did:web:engine.example\n\n"] = std::move(a);
        return judge(bid_by(bob), std::move(f), {text});
    };
    CHECK(with({true, "", {}, ""}).allowed);
    CHECK(!with({false, "not of our guild", {}, ""}).allowed);
    CHECK(says(with({false, "not of our guild", {}, ""}), "did:web:engine.example refuses it: not of our guild"));
    CHECK(with({true, "", {}, "it answered 500"}).wait);
}

// -- what is wrong in the first generation of this market ----------------------------------------------------------------------

TEST_CASE("upstream: a denouncement is only the absence of a vouch; here another's vouch does not lift it") {
    const std::vector<trust_mark> marks{mark(alice, eve, "denounce"), mark(alice, bob, "vouch"), mark(bob, eve, "vouch")};
    for (const std::string& rule : std::vector<std::string>{"vouched depth=3 decay=100", "open", "allow did:plc:eve", "ceiling"}) {
        const auto v = judge(bid_by(eve, 0), knowing(marks), {rule});
        CHECK(!v.allowed);
        CHECK(!v.wait);
        CHECK(v.steps.at(0).rule == "denounced");
    }
}

TEST_CASE("upstream: the fast lane and the slow lane disagree; here there is one, and a direct vouch needs no operator") {
    const auto rules = policy::usual_rules("requester");
    for (int i = 0; i < 3; ++i) CHECK(usual(bid_by(bob)).allowed);
    CHECK(std::find(rules.begin(), rules.end(), "operator") == rules.end());
}

TEST_CASE("upstream: subjects may hold delimiters; here what is no DID is nobody, whatever rules stand for") {
    for (const std::string& who : std::vector<std::string>{"did:plc:bob did:plc:eve", "did:plc:eve\nvouched", "did:plc:eve,did:plc:bob", "at://did:plc:bob", "*", "did:plc:bob\"", std::string("did:plc:bob\0x", 13)}) {
        CAPTURE(who);
        const auto v = by(bid_by(who), {"allow did:plc:bob did:plc:eve"});
        CHECK(!v.allowed);
    }
}
