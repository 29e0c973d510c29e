#include "stage.hpp"
#include "virtual_time.hpp"

#include <souk/actors/policy/association.hpp>
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

// -- several repositories ------------------------------------------------------------------------------------------------------

namespace {

const std::string carol = "did:plc:carol", dan = "did:plc:dan";

struct with_friends : with_policy {
    with_friends() { net.add(bob, vouch::nsid, carol, trust("vouch")); }
    policy_verdict judge_by(const std::string& who, std::vector<std::string> rules) {
        auto q = about(who);
        q.rules = std::move(rules);
        return answer<policy_verdict>(policy, std::move(q));
    }
    void says(const std::string& by, const std::string& of, const char* kind) {
        std::erase_if(net.records[by], [&](const auto& r) { return r.uri.rkey == of; });
        if (*kind) net.add(by, vouch::nsid, of, trust(kind));
    }
};

} // namespace

TEST_CASE_FIXTURE(with_friends, "whom a friend vouches for is found in the friend's repository, and both records are the evidence") {
    const auto v = judge_by(carol, {"vouched depth=2 least=50"});
    CHECK(v.allowed);
    REQUIRE(v.steps.at(1).evidence.size() == 2);
    CHECK(v.steps[1].evidence[0] == net.records[alice][0].ref());
    CHECK(v.steps[1].evidence[1] == net.records[bob][0].ref());
    CHECK(net.lists == 2);                                     // hers and his; nobody asks carol, who is the last step
    CHECK(!judge_by(carol, {"vouched"}).allowed);
    CHECK(net.lists == 2);
}

TEST_CASE_FIXTURE(with_friends, "repositories are read each once, and kept, one's own for half a minute, others' for five") {
    judge_by(carol, {"vouched depth=2"});
    judge_by(eve, {"vouched depth=2"});
    CHECK(net.lists == 2);
    pass(31s);
    judge_by(carol, {"vouched depth=2"});
    CHECK(net.lists == 3);
    pass(300s);
    judge_by(carol, {"vouched depth=2"});
    CHECK(net.lists == 5);
}

TEST_CASE_FIXTURE(with_friends, "a friend's vouch that is withdrawn is gone with the note of it, and without one when his records are read again") {
    const std::vector<std::string> rules{"vouched depth=2"};
    CHECK(judge_by(carol, rules).allowed);
    says(bob, carol, "");
    CHECK(judge_by(carol, rules).allowed); // nobody said anything yet
    note(bob, vouch::nsid, carol);
    CHECK(!judge_by(carol, rules).allowed);
    says(bob, carol, "vouch");
    pass(301s);
    CHECK(judge_by(carol, rules).allowed);
    says(bob, carol, "");
    pass(301s);
    CHECK(!judge_by(carol, rules).allowed);
}

TEST_CASE_FIXTURE(with_friends, "a friend's denouncement is a veto within the reach that is stated, and not beyond") {
    says(alice, carol, "vouch");
    says(bob, carol, "denounce");
    CHECK(judge_by(carol, {"vouched"}).allowed);
    const auto v = judge_by(carol, {"denounced reach=1", "vouched"});
    CHECK(!v.allowed);
    CHECK(!v.wait);
    CHECK(v.reason.find("did:plc:bob denounced did:plc:carol") != std::string::npos);
}

TEST_CASE_FIXTURE(with_friends, "a friend within the reach who cannot be read makes it wait; merely within the depth, his vouches do not count") {
    net.unreachable.insert(bob);
    const auto waits = judge_by(bob, {"denounced reach=1", "vouched"});
    CHECK(waits.wait);
    CHECK(waits.reason.find("whether did:plc:bob denounced anybody cannot be told") != std::string::npos);
    const auto no = judge_by(carol, {"vouched depth=2"});
    CHECK(!no.wait);
    CHECK(!no.allowed);
    CHECK(no.reason.find("the vouches of did:plc:bob could not be read") != std::string::npos);
    CHECK(judge_by(bob, {"vouched depth=2"}).allowed); // Alice's own word is enough
    net.unreachable.clear();
    pass(6s);
    CHECK(judge_by(carol, {"vouched depth=2"}).allowed);
    CHECK(judge_by(bob, {"denounced reach=1", "vouched"}).allowed);
}

TEST_CASE_FIXTURE(with_friends, "what only a host says of a friend neither vouches nor denounces: it is as if he could not be read") {
    net.unproven.insert(bob);
    const auto no = judge_by(carol, {"vouched depth=2"});
    CHECK(!no.allowed);
    CHECK(!no.wait);
    CHECK(no.reason.find("the vouches of did:plc:bob could not be read") != std::string::npos);
    says(bob, dan, "denounce"), says(alice, dan, "vouch"); // and nobody is kept out by it for good, either
    const auto waits = judge_by(dan, {"denounced reach=1", "vouched"});
    CHECK(!waits.allowed);
    CHECK(waits.wait);
    CHECK(judge_by(bob, {"vouched depth=2"}).allowed);
    net.unproven.clear();
    pass(6s);
    CHECK(judge_by(carol, {"vouched depth=2"}).allowed);
    CHECK(!judge_by(dan, {"denounced reach=1", "vouched"}).wait);
    CHECK(!judge_by(dan, {"denounced reach=1", "vouched"}).allowed);
}

TEST_CASE_FIXTURE(with_friends, "a friend whose host never answers is unknown when time is over, and nobody beyond him is trusted through him") {
    says(alice, dan, "vouch");
    judge(bob); // Alice's own are known
    net.out.hold = true;
    auto q = about(carol);
    q.rules = {"vouched depth=2"};
    const auto one = ask<policy_verdict>(policy, q);
    q.rules = {"denounced reach=1", "open"};
    const auto two = ask<policy_verdict>(policy, q);
    pass(16s);
    REQUIRE(one->has_value());
    REQUIRE(two->has_value());
    CHECK(!(*one)->value().allowed);
    CHECK(!(*one)->value().wait);
    CHECK((*two)->value().wait);
    net.out.release();
    sched.run();
    CHECK(!judge_by(carol, {"vouched depth=2"}).allowed); // what came too late is not believed
    pass(6s);                                             // and then he is asked again
    CHECK(judge_by(carol, {"vouched depth=2"}).allowed);
}

TEST_CASE_FIXTURE(with_friends, "an endless crowd of friends is read so many at once, and those beyond the bound are unknown, not silent") {
    for (int i = 0; i < 990; ++i) says(alice, "did:plc:crowd" + std::to_string(i), "vouch");
    for (int i = 0; i < 300; ++i)
        for (int k = 0; k < 5; ++k) says("did:plc:crowd" + std::to_string(i), "did:plc:far" + std::to_string(i) + '-' + std::to_string(k), "vouch");
    net.out.hold = true;
    auto q = about(carol);
    q.rules = {"denounced reach=2", "open"};
    const auto asked = ask<policy_verdict>(policy, q);
    CHECK(net.out.waiting() == 1);
    net.out.release(), sched.run();
    REQUIRE(asked->has_value());
    CHECK((*asked)->value().wait);
    CHECK((*asked)->value().reason.find("more than 2000 repositories are within reach") != std::string::npos);
    CHECK(net.lists == 2000);
}

TEST_CASE_FIXTURE(with_friends, "a repository with more records than are listed may hide a denouncement: it is waited for") {
    for (int i = 0; i < 1000; ++i) net.add(bob, vouch::nsid, "did:plc:many" + std::to_string(i), trust("vouch"));
    const auto v = judge_by(carol, {"denounced reach=1", "vouched depth=2"});
    CHECK(v.wait);
    CHECK(v.reason.find("there may be more than the 1000") != std::string::npos);
}

TEST_CASE_FIXTURE(with_friends, "upstream: policy is not enforced at bid selection; here whoever asks again gets what is so now") {
    auto q = about(bob);
    q.rfp_cid = "bafyrfp", q.bid_cid = "bafybid";
    CHECK(answer<policy_verdict>(policy, q).allowed);
    replace(bob, "denounce");
    note(alice, vouch::nsid, bob);
    CHECK(!answer<policy_verdict>(policy, q).allowed); // the same question of the same bid
}

TEST_CASE_FIXTURE(with_friends, "the ways to somebody are shown with what was read of others, and with whom it could not be read of") {
    says(alice, dan, "vouch");
    net.unreachable.insert(dan);
    trust_query q;
    q.did = carol, q.depth = 2;
    const auto v = answer<trust_view>(policy, q);
    CHECK(v.self == alice);
    REQUIRE(v.marks.size() == 2);
    CHECK(v.marks[0].about == bob);
    CHECK(v.marks[1].about == carol);
    REQUIRE(v.unread.size() == 1);
    CHECK(v.unread[0].did == dan);
}

TEST_CASE_FIXTURE(with_friends, "judged as of another time, what had not expired then counts") {
    auto until = trust("vouch");
    until.as<value::map>()->emplace("expiresAt", to_datetime(now - 1h));
    until.as<value::map>()->emplace("weight", 40);
    net.add(alice, vouch::nsid, dan, until);
    auto q = about(dan);
    q.rules = {"vouched least=40"};
    CHECK(!answer<policy_verdict>(policy, q).allowed);
    q.as_of = now - 2h;
    CHECK(answer<policy_verdict>(policy, q).allowed);
    q.rules = {"vouched least=41"};
    CHECK(!answer<policy_verdict>(policy, q).allowed);
}

TEST_CASE_FIXTURE(with_friends, "an expiry or a weight that cannot be read makes the whole mark one that cannot be read") {
    for (const auto& [field, bad] : std::vector<std::pair<const char*, value>>{{"expiresAt", "soon"}, {"weight", 0}, {"weight", 101}, {"weight", "50"}}) {
        const auto& of = field; // clang 14 captures no structured binding
        CAPTURE(of);
        says(alice, dan, "");
        auto v = trust("vouch");
        v.as<value::map>()->insert_or_assign(field, bad);
        net.add(alice, vouch::nsid, dan, v);
        note(alice, vouch::nsid, dan);
        const auto said = judge_by(dan, {"open"});
        CHECK(!said.allowed);
        CHECK(said.reason.find("cannot be read") != std::string::npos);
    }
}

// -- operators -----------------------------------------------------------------------------------------------------------------

namespace {

value badge(const std::string& key, const std::string& challenge) {
    return value::map{{"$type", std::string(policy::association_nsid)}, {"keyId", key}, {"challenge", challenge}, {"service", "bidder_associate"}, {"createdAt", "2026-05-09T07:00:00Z"}};
}

} // namespace

TEST_CASE_FIXTURE(with_friends, "anyone may call Bob his operator; it counts once Bob says so, too, and falls when he takes it back") {
    net.add(dan, policy::association_nsid, "self", badge(bob, dan));
    const auto claimed = judge_by(dan, {"operator"});
    CHECK(!claimed.allowed);
    CHECK(!claimed.wait);
    note(bob, policy::association_nsid, "k");
    net.add(bob, policy::association_nsid, "k", badge(dan, bob));
    const auto v = judge_by(dan, {"operator"});
    CHECK(v.allowed);
    CHECK(v.reason == "every rule passed");
    CHECK(v.steps.at(1).evidence.size() == 3);
    const auto asked = net.lists;
    CHECK(judge_by(dan, {"operator"}).allowed);
    CHECK(net.lists == asked);
    std::erase_if(net.records[bob], [](const auto& r) { return r.uri.collection == policy::association_nsid; });
    note(bob, policy::association_nsid, "k");
    CHECK(!judge_by(dan, {"operator"}).allowed);
}

TEST_CASE_FIXTURE(with_friends, "whose somebody is, is looked up when a rule asks and the rules before it passed, and waits while it cannot be") {
    judge_by(eve, {"operator"}); // denounced: nobody asks whose she is
    CHECK(net.lists == 1);
    net.unreachable.insert(dan);
    CHECK(judge_by(dan, {"operator"}).wait);
    net.unreachable.clear(), net.unproven.insert(dan);
    pass(6s);
    CHECK(judge_by(dan, {"operator"}).wait); // whose he says that he is has to be proven, too
}

// -- others' engines -----------------------------------------------------------------------------------------------------------

namespace {

struct with_engine : with_friends {
    stage::web web;
    stage::party me;
    const std::string url = "https://engine.example/xrpc/com.publicdomainrelay.temp.market.evaluatePolicy";
    const std::vector<std::string> rules{"remote did:web:engine.example name=guild"};
    policy_actor asking = keep(spawn_policy(sys, options(), net));

    policy_options options() {
        policy_options o;
        o.self = alice, o.now = clock();
        o.web = [this](http::call c, auto tell) { web.fetch(std::move(c), std::move(tell)); };
        o.sign = [this](value::map claims) { return jwt::sign_es256k(std::move(claims), me.key); };
        return o;
    }
    policy_verdict verdict(const std::string& who = bob) {
        auto q = about(who);
        q.rules = rules, q.rfp_uri = "at://did:plc:alice/a.b.c/r", q.rfp_cid = "bafyr", q.bid_uri = "at://did:plc:bob/a.b.c/b", q.bid_cid = "bafyb";
        return answer<policy_verdict>(asking, std::move(q));
    }
    void says(unsigned status, std::string body) { web.pages[url] = {status, {}, std::move(body)}; }
};

} // namespace

TEST_CASE_FIXTURE(with_engine, "a remote engine is asked with a token of this account for it alone, and its words are in the trace") {
    says(200, R"({"allow":false,"violations":[{"msg":"not of our\n guild","policyId":"x"}]})");
    const auto v = verdict();
    CHECK(!v.allowed);
    CHECK(!v.wait);
    CHECK(v.reason == "did:web:engine.example refuses it: not of our  guild");
    REQUIRE(web.calls.size() == 1);
    const auto& c = web.calls[0];
    CHECK(c.method == "POST");
    const auto token = std::string(c.head.get("authorization")).substr(7);
    jwt::expected e;
    e.issuer = alice, e.audience = "did:web:engine.example", e.method = "com.publicdomainrelay.temp.market.evaluatePolicy", e.now = now, e.longest = 60s;
    CHECK(jwt::verify_es256k(token, {me.open}, e).has_value());
    const auto body = from_json(c.body).value();
    CHECK(body.text("subjectDid") == bob);
    CHECK(body.text("rootRequesterDid") == alice);
    CHECK(body.text("name") == "guild");
    CHECK(body.find("offer")->text("cid") == "bafyb");
}

TEST_CASE_FIXTURE(with_engine, "an engine that allows passes, is asked once in a while, and not about whom a rule before it refused") {
    says(200, R"({"allow":true,"violations":[]})");
    CHECK(verdict().allowed);
    CHECK(verdict().allowed);
    CHECK(web.calls.size() == 1);
    CHECK(!verdict(eve).allowed);
    CHECK(web.calls.size() == 1);
    pass(31s);
    CHECK(verdict().allowed);
    CHECK(web.calls.size() == 2);
}

TEST_CASE_FIXTURE(with_engine, "an engine that cannot be reached, fails, or talks nonsense is waited for, never passed") {
    CHECK(verdict().wait);
    for (const auto& [status, body] : std::vector<std::pair<unsigned, std::string>>{{500, ""}, {200, ""}, {200, "{}"}, {200, R"({"allow":"yes"})"}, {200, "[true]"}, {302, R"({"allow":true})"},
                                                                                   {401, R"({"allow":true})"}, {200, R"({"allow":1})"}}) {
        const auto& said = body; // clang 14 captures no structured binding
        CAPTURE(said);
        pass(3s);
        says(status, body);
        const auto v = verdict();
        CHECK(!v.allowed);
        CHECK(v.wait);
        CHECK(v.steps.at(1).said == "wait");
    }
    pass(3s);
    says(200, R"({"allow":true})");
    CHECK(verdict().allowed);
}

TEST_CASE_FIXTURE(with_engine, "an engine may talk as long as it likes; what is shown of it is bounded") {
    std::string list;
    for (int i = 0; i < 1000; ++i) list += (i ? "," : "") + std::string(R"({"msg":"no no no no no no no"})");
    says(200, R"({"allow":false,"violations":[)" + list + "]}");
    CHECK(verdict().reason.size() < 600);
}

TEST_CASE_FIXTURE(with_engine, "a node that asks no engines waits where its rules want one") {
    auto q = about(bob);
    q.rules = rules;
    const auto v = answer<policy_verdict>(policy, std::move(q));
    CHECK(v.wait);
    CHECK(v.reason.find("asks no other engines") != std::string::npos);
}

TEST_CASE_FIXTURE(with_friends, "a denouncement that comes while an engine is being asked counts") {
    stage::web web;
    auto o = policy_options{alice, {}, clock()};
    o.web = [&web](http::call c, auto tell) { web.fetch(std::move(c), std::move(tell)); };
    o.sign = [](value::map) -> result<std::string> { return std::string("token"); };
    const auto asking = keep(spawn_policy(sys, o, net));
    web.pages["https://e.example/xrpc/com.publicdomainrelay.temp.market.evaluatePolicy"] = {200, {}, R"({"allow":true})"};
    web.out.hold = true;
    auto q = about(bob);
    q.rules = {"remote did:web:e.example"};
    const auto asked = ask<policy_verdict>(asking, q);
    CHECK(!asked->has_value());
    replace(bob, "denounce");
    record_note n;
    n.uri = at_uri{alice, std::string(vouch::nsid), bob}.text();
    tell(asking, n);
    sched.run();
    web.out.release();
    sched.run();
    REQUIRE(asked->has_value());
    CHECK(!(*asked)->value().allowed);
    CHECK((*asked)->value().reason.find("denounced") != std::string::npos);
}

TEST_CASE("a node whose own rules are none does not start") {
    virtual_time t;
    stage::network net;
    CHECK_THROWS_AS(spawn_policy(t.sys, {alice, {"vouched depth=20"}, t.clock()}, net), std::invalid_argument);
}
