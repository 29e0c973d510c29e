#include <doctest/doctest.h>

#include <fstream>

#include <souk/runtime/demo/free_port.hpp>

#include "stranger.hpp"

using namespace hosts;
using souk::demo::free_port;

namespace {

// Connections whose one end is at one of these ports: one row of the kernel's table each, of the two.
int established(std::uint16_t one, std::uint16_t other) {
    std::ifstream table("/proc/net/tcp");
    std::string line;
    int found = 0;
    const auto port_in = [](const std::string& address) { return static_cast<std::uint16_t>(std::stoul(address.substr(address.find(':') + 1), nullptr, 16)); };
    std::getline(table, line);
    while (std::getline(table, line)) {
        std::istringstream words(line);
        std::string n, local, remote, state;
        words >> n >> local >> remote >> state;
        if (state == "01" && (port_in(local) == one || port_in(local) == other)) ++found;
    }
    return found;
}

} // namespace

TEST_CASE("a role is found by name, whichever node hosts it, and answers over the link") {
    authority ca;
    auto bobs = ca.options("bob");
    bobs.allowed = {"alice"};
    host bob(bobs);
    bob.offer_signer("signer", "bob");
    auto alices = ca.options("alice");
    alices.peers = {at("bob", bob.net->port())};
    host alice(alices);
    REQUIRE(alice.up_with("bob", "signer"));
    REQUIRE(bob.up("alice"));
    CHECK(alice.ask("signer", "hello") == "bob signed hello");

    alice.offer_signer("witness", "alice"); // a role that is offered later is pushed
    REQUIRE(bob.up_with("alice", "witness"));
    CHECK(bob.ask("witness", "hello") == "alice signed hello");
    CHECK(bob.ask("witness", "hello", "did:web:alice") == "alice signed hello");
    CHECK(bob.ask("witness", "hello", "did:web:bob").starts_with("failed: system_error(cannot_connect_to_node"));

    const auto seen = alice.net->links();
    REQUIRE(seen.size() == 1);
    CHECK(seen[0].node == "bob");
    CHECK(seen[0].owner == "did:web:bob");
    CHECK(seen[0].roles == std::vector<std::string>{"signer"});
    CHECK(seen[0].address == "127.0.0.1:" + std::to_string(bob.net->port()));
}

TEST_CASE("a local role is preferred and returned as it is; all of them are listed by node") {
    authority ca;
    auto bobs = ca.options("bob");
    bobs.allowed = {"alice"}, bobs.owner = "did:web:both";
    host bob(bobs);
    bob.offer_signer("signer", "bob");
    auto alices = ca.options("alice");
    alices.peers = {at("bob", bob.net->port())}, alices.owner = "did:web:both";
    host alice(alices);
    REQUIRE(alice.up_with("bob", "signer"));
    const auto early = alice.net->find<signer_actor>("signer");
    CHECK(alice.ask(early, "x") == "bob signed x");
    const auto own = alice.offer_signer("signer", "alice");
    CHECK(alice.net->find<signer_actor>("signer") == own);
    CHECK(alice.ask(early, "x") == "alice signed x"); // a handle taken before leads home now
    const auto all = alice.net->all<signer_actor>("signer", "did:web:both");
    REQUIRE(all.size() == 2);
    CHECK(alice.ask(all.at("alice"), "x") == "alice signed x");
    CHECK(alice.ask(all.at("bob"), "x") == "bob signed x");
    CHECK(alice.net->all<signer_actor>("signer", "did:web:other").empty());

    alice.net->offer("signer", nullptr); // no longer
    CHECK(alice.ask(early, "x") == "bob signed x");
}

TEST_CASE("a role whose actor ends is withdrawn, and what was asked of it fails at once") {
    authority ca;
    auto bobs = ca.options("bob");
    bobs.allowed = {"alice"};
    host bob(bobs);
    bob.offer_signer("signer", "bob");
    auto alices = ca.options("alice");
    alices.peers = {at("bob", bob.net->port())};
    host alice(alices);
    REQUIRE(alice.up_with("bob", "signer"));
    const auto signer = alice.net->find<signer_actor>("signer");
    CHECK(alice.ask(signer, "x") == "bob signed x");
    caf::anon_send_exit(bob.roles[0], caf::exit_reason::kill);
    REQUIRE(alice.until("bob", [](const link_view& v) { return v.state == "up" && v.roles.empty(); }));
    CHECK(alice.ask(signer, "x").starts_with("failed: system_error(cannot_connect_to_node"));
    bob.offer_signer("signer", "bob's second");
    REQUIRE(alice.up_with("bob", "signer"));
    CHECK(alice.ask(signer, "x") == "bob's second signed x");
}

TEST_CASE("messages that nobody answers cross in order, and an exit sent to a handle ends nobody's role") {
    authority ca;
    auto bobs = ca.options("bob");
    bobs.allowed = {"alice"};
    host bob(bobs);
    bob.offer_signer("signer", "bob");
    auto alices = ca.options("alice");
    alices.peers = {at("bob", bob.net->port())};
    host alice(alices);
    REQUIRE(alice.up_with("bob", "signer"));
    const auto signer = alice.net->find<signer_actor>("signer");
    caf::anon_send_exit(signer, caf::exit_reason::kill);
    for (int i = 0; i < 100; ++i) tell(signer, to_sign("silently"));
    CHECK(alice.ask(signer, "still") == "bob signed still");
    CHECK(alice.net->so_far().failed_requests == 0);
}

TEST_CASE("more requests under way than the limit fail at once, the others go on") {
    authority ca;
    auto bobs = ca.options("bob");
    bobs.allowed = {"alice"};
    host bob(bobs);
    bob.offer_signer("signer", "bob");
    auto alices = ca.options("alice");
    alices.peers = {at("bob", bob.net->port())}, alices.limits.pending = 3;
    host alice(alices);
    REQUIRE(alice.up_with("bob", "signer"));
    const auto signer = alice.net->find<signer_actor>("signer");
    caf::scoped_actor self(*alice.sys);
    for (int i = 0; i < 3; ++i) self->request(signer, patience, to_sign("wait"));
    CHECK(alice.ask(signer, "one more").find("as many requests are under way") != std::string::npos);
    CHECK(alice.net->so_far().failed_requests == 1);
}

TEST_CASE("dialling a node, we refuse another node's certificate") {
    authority ca;
    auto carols = ca.options("carol");
    carols.allowed = {"alice"};
    host carol(carols);
    auto alices = ca.options("alice");
    alices.peers = {at("bob", carol.net->port())};
    host alice(alices);
    CHECK(alice.until("bob", [](const link_view& v) { return v.why == "the certificate is another node's"; }));
    CHECK(alice.net->so_far().refused_names >= 1);
}

TEST_CASE("a certificate for one node cannot be used by another, nor one of another authority: that is said at start") {
    authority ca, other;
    const auto what = [&](const cluster_options& o) -> std::string {
        try {
            const host h(o);
            return "started";
        } catch (const std::runtime_error& e) { return e.what(); }
    };
    CHECK(what(ca.options("bob", "alice")).find("names alice, not this node, bob") != std::string::npos);
    auto foreign = other.options("bob");
    foreign.authority = ca.home / "authority.crt";
    CHECK(what(foreign).find("is not good here") != std::string::npos);
    auto mixed = ca.options("bob");
    ca.options("alice");
    mixed.key = ca.home / "alice.key";
    CHECK(what(mixed).find("key") != std::string::npos);
    auto gone = ca.options("bob");
    gone.certificate = ca.home / "nowhere.crt";
    CHECK(what(gone).find("nowhere.crt") != std::string::npos);
    auto taken = ca.options("bob");
    const host there(taken);
    taken.port = there.net->port();
    CHECK(what(taken).find("in use") != std::string::npos);
}

TEST_CASE("when both dial each other there is one link, and it is not lost over it") {
    authority ca;
    for (int round = 0; round < 5; ++round) {
        const auto port_a = free_port(), port_b = free_port();
        auto a = ca.options("alice"), b = ca.options("bob");
        a.port = port_a, b.port = port_b;
        a.peers = {at("bob", port_b)}, b.peers = {at("alice", port_a)};
        host alice(a), bob(b);
        alice.offer_signer("hers", "alice");
        bob.offer_signer("his", "bob");
        REQUIRE(alice.up_with("bob", "his"));
        REQUIRE(bob.up_with("alice", "hers"));
        bool alone = false;
        for (int i = 0; i < 1'000 && !alone; ++i) { // the one that was given up is being closed
            REQUIRE(alice.ask("his", "x") == "bob signed x");
            REQUIRE(bob.ask("hers", "x") == "alice signed x");
            alone = established(port_a, port_b) == 1;
        }
        CHECK(alone);
        CHECK(alice.net->so_far().lost_links == 0);
        CHECK(bob.net->so_far().lost_links == 0);
        CHECK(alice.state("bob") == "up");
        CHECK(bob.state("alice") == "up");
    }
}

TEST_CASE("a peer that is not there yet is dialled until it is") {
    authority ca;
    const auto port = free_port();
    auto alices = ca.options("alice");
    alices.peers = {at("bob", port)};
    host alice(alices);
    const auto signer = alice.net->find<signer_actor>("signer"); // taken before anybody hosts it
    REQUIRE(alice.until("bob", [](const link_view& v) { return v.state == "down" && v.why == "Connection refused"; }));
    CHECK(alice.ask(signer, "x").starts_with("failed: system_error(cannot_connect_to_node"));
    auto bobs = ca.options("bob");
    bobs.allowed = {"alice"}, bobs.port = port;
    host bob(bobs);
    bob.offer_signer("signer", "bob");
    REQUIRE(alice.up_with("bob", "signer"));
    CHECK(alice.ask(signer, "x") == "bob signed x");
}

TEST_CASE("when one cluster object ends, its node is gone for the others and its handles lead nowhere") {
    authority ca;
    auto bobs = ca.options("bob");
    bobs.allowed = {"alice"};
    host bob(bobs);
    bob.offer_signer("signer", "bob");
    auto alices = ca.options("alice");
    alices.peers = {at("bob", bob.net->port())};
    host alice(alices);
    REQUIRE(alice.up_with("bob", "signer"));
    const auto signer = alice.net->find<signer_actor>("signer");
    alice.net.reset();
    CHECK(bob.down("alice"));
    CHECK(alice.ask(signer, "x").starts_with("failed: system_error(cannot_connect_to_node"));
}
