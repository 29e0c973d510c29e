#include <doctest/doctest.h>

#include <souk/runtime/cluster/link_table.hpp>

using namespace souk;
using namespace souk::carrier;
using namespace std::chrono_literals;

namespace {

const auto start = steady::time_point{} + 1h;
constexpr bool by_us = true, by_them = false;

link_ptr to(const std::string& node, bool dialled, steady::time_point now = start) {
    static link_id last = 0;
    return std::make_shared<node_link>(++last, node, "192.0.2.1", dialled, -1, now);
}

} // namespace

TEST_CASE("when two nodes dial each other at once, the dial of the smaller name is the one that both keep") {
    link_table alice("alice", {}), bob("bob", {});
    REQUIRE(alice.begin_dial("bob"));
    REQUIRE(bob.begin_dial("alice"));
    const auto a_out = to("bob", by_us), a_in = to("bob", by_them), b_out = to("alice", by_us), b_in = to("alice", by_them);
    // a_out and b_in are the two ends of Alice's dial, b_out and a_in those of Bob's. Each end is judged in some order.
    const auto hers_at_alice = [&] { return alice.admit(a_out, start).empty(); };
    const auto hers_at_bob = [&] { return bob.admit(b_in, start).empty(); };
    const auto his_at_alice = [&] { return alice.admit(a_in, start).empty(); };
    const auto his_at_bob = [&] { return bob.admit(b_out, start).empty(); };
    std::vector<std::function<bool()>> ends{hers_at_alice, hers_at_bob, his_at_alice, his_at_bob};
    std::vector<int> order{0, 1, 2, 3};
    // The dialling side is done with TLS before the accepting side is.
    SUBCASE("hers first") { order = {0, 1, 3, 2}; }
    SUBCASE("his first at both") { order = {3, 0, 2, 1}; }
    SUBCASE("both out before any in") { order = {0, 3, 1, 2}; }
    SUBCASE("both out before any in, his judged first") { order = {3, 0, 2, 1}; }
    for (const int i : order) ends[static_cast<std::size_t>(i)]();
    CHECK(alice.to("bob") == a_out);
    CHECK(bob.to("alice") == b_in);
    CHECK_FALSE(a_out->ended());
    CHECK_FALSE(b_in->ended());
    CHECK(alice.introduce(a_out, "bob's id").empty());
    CHECK(bob.introduce(b_in, "alice's id").empty());
    // The other one, where it got through at all, can no longer be spoken on.
    CHECK_FALSE(bob.introduce(b_out, "alice's id").empty());
}

TEST_CASE("nobody is dialled who is linked, or dialled already") {
    link_table t("alice", {});
    CHECK(t.begin_dial("bob"));
    CHECK_FALSE(t.begin_dial("bob"));
    t.end_dial("bob");
    CHECK(t.begin_dial("bob"));
    const auto l = to("bob", by_us);
    CHECK(t.admit(l, start).empty());
    CHECK_FALSE(t.begin_dial("bob"));
    t.drop(l);
    CHECK(t.begin_dial("bob"));
}

TEST_CASE("a second link from a node is refused while the first is alive; a silent first is cut for it") {
    link_table t("alice", {});
    const auto one = to("bob", by_them);
    REQUIRE(t.admit(one, start).empty());
    CHECK_FALSE(t.admit(to("bob", by_them), start + 1s).empty());
    CHECK_FALSE(one->ended());
    CHECK_FALSE(t.admit(to("bob", by_them), start + 4s).empty());
    CHECK(one->ended());
    t.drop(one);
    CHECK(t.admit(to("bob", by_them), start + 5s).empty());
}

TEST_CASE("a node id belongs to the name that brought it, for as long as its link is there") {
    link_table t("alice", {});
    const auto bob = to("bob", by_them), carol = to("carol", by_them);
    REQUIRE(t.admit(bob, start).empty());
    REQUIRE(t.admit(carol, start).empty());
    CHECK(t.introduce(bob, "1").empty());
    CHECK(t.introduce(bob, "1").empty());
    CHECK(t.introduce(carol, "1") == "carol uses the node id of bob");
    CHECK(t.speaking_as("1") == bob);
    t.drop(bob);
    CHECK(t.speaking_as("1") == nullptr);
    CHECK(t.introduce(carol, "1").empty());
}

TEST_CASE("a link to our own name is refused, and more links than the limit") {
    cluster_limits two;
    two.links = 2;
    link_table t("alice", two);
    CHECK_FALSE(t.admit(to("alice", by_them), start).empty());
    CHECK(t.admit(to("bob", by_them), start).empty());
    CHECK(t.admit(to("carol", by_them), start).empty());
    CHECK_FALSE(t.admit(to("dave", by_them), start).empty());
    CHECK(t.count_from("192.0.2.1") == 2);
}

TEST_CASE("what is silent, or never introduces itself, is cut in time and not before") {
    link_table t("alice", {});
    const auto mute = to("bob", by_them), frozen = to("carol", by_them), shy = to("dave", by_them), alive = to("eve", by_them);
    for (const auto& l : {mute, frozen, shy, alive}) REQUIRE(t.admit(l, start).empty());
    for (const auto& l : {frozen, shy, alive}) REQUIRE(t.introduce(l, l->node).empty());
    frozen->greet(), alive->greet();
    const auto at = [&](auto after, std::vector<link_ptr> heard) {
        for (const auto& l : heard) l->heard(start + after);
        t.sweep(start + after);
    };
    at(4s, {mute, shy, alive});
    for (const auto& l : {mute, frozen, shy, alive}) CHECK_FALSE(l->ended());
    at(5001ms, {mute, shy, alive});
    CHECK(mute->why() == "no BASP handshake in time");
    CHECK(frozen->why() == "heard nothing for 5000 ms");
    CHECK_FALSE(shy->ended());
    at(15001ms, {shy, alive});
    CHECK(shy->why() == "no offers in time");
    CHECK_FALSE(alive->ended());
}
