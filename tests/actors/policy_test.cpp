#include "stage.hpp"
#include "virtual_time.hpp"

#include <souk/actors/policy/policy.hpp>

using namespace souk;

namespace {

const std::string alice = "did:plc:alice", bob = "did:plc:bob", eve = "did:plc:eve";

value trust(const char* kind) { return value::map{{"$type", vouch::nsid}, {"kind", kind}, {"createdAt", "2026-05-09T07:00:00Z"}}; }

struct with_policy : virtual_time {
    stage::network net;
    policy_actor policy = keep(spawn_policy(sys, {alice, {}, clock()}, net));

    with_policy() {
        net.add(alice, vouch::nsid, bob, trust("vouch"));
        net.add(alice, vouch::nsid, eve, trust("denounce"));
    }
    static policy_question about(const std::string& who) {
        policy_question q;
        q.perspective = "requester", q.subject = who;
        return q;
    }
    policy_verdict judge(const std::string& who) { return answer<policy_verdict>(policy, about(who)); }
    void replace(const std::string& who, const char* kind) {
        std::erase_if(net.records[alice], [&](const auto& r) { return r.uri.rkey == who; });
        net.add(alice, vouch::nsid, who, trust(kind));
    }
    void note(const std::string& author, std::string_view collection, const std::string& rkey) {
        record_note n;
        n.uri = at_uri{author, std::string(collection), rkey}.text();
        tell(policy, std::move(n));
        sched.run();
    }
};

} // namespace

TEST_CASE_FIXTURE(with_policy, "whom Alice vouched for may win, whom she denounced may not, and the records say so") {
    const auto yes = judge(bob), no = judge(eve);
    CHECK(yes.allowed);
    CHECK(!no.allowed);
    CHECK(!no.wait);
    CHECK(no.steps.at(0).evidence.at(0) == net.records[alice][1].ref());
}

TEST_CASE_FIXTURE(with_policy, "what was read is believed for a while and then read again") {
    judge(bob);
    judge(eve);
    CHECK(net.lists == 1);
    pass(31s);
    judge(bob);
    CHECK(net.lists == 2);
}

TEST_CASE_FIXTURE(with_policy, "a trust graph that cannot be read makes the verdict wait, never pass") {
    net.unreachable.insert(alice);
    const auto v = judge(bob);
    CHECK(!v.allowed);
    CHECK(v.wait);
    CHECK(v.reason.find("cannot be read") != std::string::npos);
    for (const auto& s : v.steps) CHECK(s.said == "skipped");
    net.unreachable.clear();
    CHECK(judge(bob).allowed); // the failure was not remembered
}

TEST_CASE_FIXTURE(with_policy, "what was once read is not believed for longer because it cannot be read again") {
    CHECK(judge(bob).allowed);
    pass(31s);
    net.unreachable.insert(alice);
    CHECK(judge(bob).wait);
}

TEST_CASE_FIXTURE(with_policy, "a host that never answers makes the verdict wait, and its late answer is not believed") {
    net.out.hold = true;
    const auto asked = ask<policy_verdict>(policy, about(bob));
    CHECK(!asked->has_value());
    pass(16s);
    REQUIRE(asked->has_value());
    CHECK((*asked)->value().wait);

    replace(bob, "denounce");
    net.out.release(); // the old list arrives: bob was vouched for
    sched.run();
    CHECK(!judge(bob).allowed);
}

TEST_CASE_FIXTURE(with_policy, "a new denouncement counts at once") {
    CHECK(judge(bob).allowed);
    replace(bob, "denounce");
    CHECK(judge(bob).allowed); // still cached
    note(alice, vouch::nsid, bob);
    CHECK(!judge(bob).allowed);
}

TEST_CASE_FIXTURE(with_policy, "a denouncement that is written while the marks are being read is not missed") {
    net.out.hold = true;
    const auto asked = ask<policy_verdict>(policy, about(bob)); // the list is as it was now
    replace(bob, "denounce");
    note(alice, vouch::nsid, bob);
    net.out.release();
    sched.run();
    REQUIRE(asked->has_value());
    CHECK(!(*asked)->value().allowed);
    CHECK(net.lists == 2);
}

TEST_CASE_FIXTURE(with_policy, "others' records make nothing forgotten") {
    judge(bob);
    note(bob, vouch::nsid, eve);
    note(alice, ccrfp::nsid, "one");
    judge(bob);
    CHECK(net.lists == 1);
}

TEST_CASE_FIXTURE(with_policy, "questions that come while the marks are being read wait for that one reading") {
    net.out.hold = true;
    const auto one = ask<policy_verdict>(policy, about(bob)), two = ask<policy_verdict>(policy, about(eve));
    net.out.release();
    sched.run();
    REQUIRE(one->has_value());
    REQUIRE(two->has_value());
    CHECK((*one)->value().allowed);
    CHECK(!(*two)->value().allowed);
    CHECK(net.lists == 1);
}

TEST_CASE_FIXTURE(with_policy, "one malformed trust record stops nobody but whom it is about") {
    net.add(alice, vouch::nsid, "did:plc:carol", value::map{{"$type", vouch::nsid}, {"kind", "Denounced!"}, {"createdAt", "2026-05-09T07:00:00Z"}});
    net.add(alice, vouch::nsid, "did:plc:dan", value::map{{"$type", vouch::nsid}, {"kind", 7}});
    net.add(alice, vouch::nsid, "self", trust("vouch")); // about nobody
    CHECK(judge(bob).allowed);
    auto open = about("did:plc:carol");
    open.rules = {"open"};
    CHECK(!answer<policy_verdict>(policy, open).allowed);
    open.subject = "did:plc:dan";
    CHECK(!answer<policy_verdict>(policy, open).allowed);
}

TEST_CASE_FIXTURE(with_policy, "the question's own rules come before the node's, and those before the usual ones") {
    const auto strict = keep(spawn_policy(sys, {alice, {"vouched"}, clock()}, net));
    auto q = about("did:plc:stranger");
    CHECK(!answer<policy_verdict>(strict, q).allowed);
    q.rules = {"open"};
    const auto v = answer<policy_verdict>(strict, q);
    CHECK(v.allowed);
    REQUIRE(v.steps.size() == 2);
    CHECK(v.steps[0].rule == "denounced");
}

TEST_CASE_FIXTURE(with_policy, "the trust that is known can be shown, all of it or one person's") {
    CHECK(answer<trust_view>(policy, trust_query{}).marks.size() == 2);
    trust_query q;
    q.did = eve;
    const auto one = answer<trust_view>(policy, q);
    REQUIRE(one.marks.size() == 1);
    CHECK(one.marks[0].kind == "denounce");
    CHECK(one.marks[0].by == alice);
}

TEST_CASE_FIXTURE(with_policy, "trust that cannot be read is not shown as no trust at all") {
    net.unreachable.insert(alice);
    const auto asked = ask<trust_view>(policy, trust_query{});
    REQUIRE(asked->has_value());
    CHECK(!(*asked)->has_value());
}
