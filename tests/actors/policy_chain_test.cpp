#include "virtual_time.hpp"

#include <souk/actors/entity/entity.hpp>
#include <souk/actors/policy/chain.hpp>

using namespace souk;

namespace {

const std::string alice = "did:plc:alice", bob = "did:plc:bob", eve = "did:plc:eve";
const instant noon{std::chrono::seconds{1'778'312'530}};

trust_mark mark(const std::string& by, const std::string& about, const std::string& kind, const std::string& reason = {}) {
    trust_mark m;
    m.by = by, m.about = about, m.kind = kind, m.reason = reason;
    m.record = {"at://" + by + "/sh.tangled.graph.vouch/" + about, "bafyrei-of-" + about};
    return m;
}
policy::facts known() {
    return {alice, {mark(alice, bob, "vouch", "his machines run"), mark(alice, eve, "denounce", "took the money and ran"), mark(bob, eve, "vouch")}, noon};
}
policy_question bid_by(const std::string& who, std::int64_t price = 100) {
    policy_question q;
    q.perspective = "requester", q.subject = who, q.price = price, q.ceiling = 200, q.slice = 3600;
    return q;
}
policy_verdict usual(const policy_question& q) { return policy::judge(q, known(), policy::usual_rules("requester")); }
policy_verdict by(const policy_question& q, std::vector<std::string> rules) { return policy::judge(q, known(), std::move(rules)); }

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
    auto facts = known();
    facts.marks = {mark(bob, eve, "vouch"), mark(eve, eve, "vouch")};
    const auto v = policy::judge(bid_by(eve), facts, {"vouched"});
    CHECK(!v.allowed);
    CHECK(says(v, "did:plc:alice does not vouch for did:plc:eve"));
}

TEST_CASE("only this node's own denouncements are a veto") {
    auto facts = known();
    facts.marks = {mark(alice, bob, "vouch"), mark(eve, bob, "denounce")};
    CHECK(policy::judge(bid_by(bob), facts, policy::usual_rules("requester")).allowed);
}

TEST_CASE("a record about somebody that cannot be read counts as a denouncement") {
    auto facts = known();
    facts.marks = {mark(alice, bob, policy::unreadable, "kind: expected vouch or denounce")};
    const auto v = policy::judge(bid_by(bob), facts, {"open"});
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
    CHECK(says(v, "there is no policy rule \"denouncd\""));
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
    const std::vector<policy::rule> rules{
        {"halve",
         [](const policy_question& q, const policy::facts&) {
             policy::ruling r;
             r.said = policy::ruling::kind::amend, r.reason = "half the ceiling", r.amended = q, r.amended->ceiling /= 2;
             return r;
         }},
        {"swap",
         [](const policy_question& q, const policy::facts&) {
             policy::ruling r;
             r.said = policy::ruling::kind::amend, r.amended = q, r.amended->subject = bob;
             return r;
         }},
        policy::known_rules()[0],
        policy::known_rules()[2],
    };
    REQUIRE(rules[3].name == "ceiling");
    CHECK(trace(policy::judge(bid_by(bob, 150), known(), {"ceiling", "halve", "ceiling"}, rules)) == "denounced=pass ceiling=pass halve=amend ceiling=reject");
    CHECK_THROWS_AS(policy::judge(bid_by("did:plc:stranger"), known(), {"swap"}, rules), broken_invariant);
}

TEST_CASE("a question about nobody, or with an endless chain, is rejected") {
    CHECK(!by(bid_by(""), {"open"}).allowed);
    CHECK(!by(bid_by("bob.example"), {"open"}).allowed);
    CHECK(!by(bid_by(bob), std::vector<std::string>(33, "open")).allowed);
}

TEST_CASE("a bidder serves whoever is not denounced") {
    auto q = bid_by("did:plc:stranger");
    CHECK(policy::judge(q, known(), policy::usual_rules("bidder")).allowed);
    q.subject = eve;
    CHECK(!policy::judge(q, known(), policy::usual_rules("bidder")).allowed);
}
