#include <doctest/doctest.h>


#include "stranger.hpp"

using namespace hosts;

namespace {

// Alice and Bob, linked; Bob also knows Carol, who has a certificate and is not there. Strangers come to Bob's port.
struct fixture {
    authority ca;
    std::unique_ptr<host> bob, alice;

    explicit fixture(std::function<void(cluster_options&)> adjust = {}) {
        auto bobs = ca.options("bob");
        bobs.allowed = {"alice", "carol", "dave"};
        bobs.limits.handshake_within = 1'000ms;
        if (adjust) adjust(bobs);
        bob = std::make_unique<host>(bobs);
        bob->offer_signer("signer", "bob");
        auto alices = ca.options("alice");
        alices.peers = {at("bob", bob->net->port())};
        alice = std::make_unique<host>(alices);
        REQUIRE(alice->up_with("bob", "signer"));
        REQUIRE(bob->up("alice"));
    }
    std::uint16_t port() const { return bob->net->port(); }
    void link_lives() {
        CHECK(alice->ask("signer", "still there") == "bob signed still there");
        CHECK(bob->never_lost("alice"));
        CHECK(alice->never_lost("bob"));
        CHECK(alice->net->so_far().lost_links == 0);
    }
    bool soon(const std::function<bool()>& what) { // a request at a time, until the event loop has got to it
        for (int i = 0; i < 10'000 && !what(); ++i)
            if (alice->ask("signer", "still there") != "bob signed still there") return false;
        return what();
    }
    tls_stranger with(const std::string& certificate_of, int newest = TLS1_3_VERSION) {
        const auto o = ca.options(certificate_of);
        return {port(), o.certificate, o.key, newest};
    }
};

std::string random_bytes(std::size_t n) {
    std::string out(n, '\0');
    unsigned x = 12345;
    for (auto& c : out) c = static_cast<char>(x >> 16), x = x * 1103515245 + 12345;
    return out;
}
// A frame that a member would be cut off for.
void cut_off_for(fixture& f, const std::function<std::string(raw_member&)>& bytes, std::uint64_t expected = 1) {
    const auto before = f.bob->net->so_far().refused_frames;
    {
        raw_member carol(f.ca, "carol", f.port());
        REQUIRE(carol.directory != 0);
        carol.say(bytes(carol));
        CHECK(carol.hears_the_end());
    }
    CHECK(f.bob->net->so_far().refused_frames == before + expected);
    f.link_lives();
}

} // namespace

TEST_CASE("healthy links live on, whatever a stranger does at the port") {
    fixture f;
    const auto refused = [&] { return f.bob->net->so_far().refused_handshakes; };
    SUBCASE("sends garbage") {
        const stranger s(f.port());
        s.say(random_bytes(64 * 1024));
        CHECK(s.hears_the_end());
        CHECK(refused() == 1);
    }
    SUBCASE("takes it for a web server") {
        const stranger s(f.port());
        s.say("GET / HTTP/1.1\r\nHost: bob\r\n\r\n");
        CHECK(s.hears_the_end());
        CHECK(refused() == 1);
    }
    SUBCASE("connects and leaves") {
        { const stranger s(f.port()); }
        const stranger another(f.port()); // is met after the first
        another.say("x\n\n\n\n\n\n\n");
        CHECK(another.hears_the_end());
        CHECK(refused() == 2);
    }
    SUBCASE("has no certificate") {
        tls_stranger s(f.port(), {}, {});
        CHECK(s.hears_the_end());
        CHECK(refused() == 1);
    }
    SUBCASE("has another authority's certificate, with a name on the list") {
        authority other;
        const auto o = other.options("carol");
        tls_stranger s(f.port(), o.certificate, o.key);
        CHECK(s.hears_the_end());
        CHECK(refused() == 1);
    }
    SUBCASE("has our authority's certificate and a name that is not on the list") {
        auto s = f.with("mallory");
        CHECK(s.hears_the_end());
        CHECK(f.bob->net->so_far().refused_names == 1);
        CHECK(refused() == 0);
    }
    SUBCASE("has a certificate with two names, one of them on the list") {
        f.ca.issue("carol", {"carol", "mallory"});
        auto s = f.with("carol");
        CHECK(s.hears_the_end());
        CHECK(f.bob->net->so_far().refused_names == 1);
    }
    SUBCASE("has a wildcard certificate") {
        f.ca.issue("wild", {"*"});
        auto s = f.with("wild");
        CHECK(s.hears_the_end());
        CHECK(f.bob->net->so_far().refused_names == 1);
    }
    SUBCASE("offers TLS 1.2 at most") {
        auto s = f.with("carol", TLS1_2_VERSION);
        CHECK_FALSE(s.shaken());
        CHECK(s.hears_the_end());
        CHECK(refused() == 1);
    }
    f.link_lives();
}

TEST_CASE("a silent connection is closed after its deadline and costs nothing until then") {
    fixture f;
    std::vector<stranger> silent;
    const auto turns = f.bob->net->so_far().handshake_turns;
    const auto from = std::chrono::steady_clock::now();
    for (int i = 0; i < 20; ++i) silent.emplace_back(f.port());
    for (const auto& s : silent) CHECK(s.hears_the_end());
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - from;
    CHECK(took.count() > 0.9);
    CHECK(f.bob->net->so_far().handshake_turns - turns < 100); // one to accept each and one to end it, not a poll in a loop
    CHECK(f.bob->net->so_far().refused_handshakes == 20);
    f.link_lives();
}

TEST_CASE("a member that is authenticated and then says nothing is closed after the same deadline") {
    fixture f;
    auto s = f.with("carol");
    REQUIRE(s.shaken());
    CHECK(s.hears_the_end());
    CHECK(f.soon([&] { return f.bob->net->so_far().refused_handshakes == 1; }));
    f.link_lives();
}

TEST_CASE("two hundred silent connections keep nobody out") {
    fixture f([](cluster_options& o) { o.limits.handshake_within = 20'000ms; });
    std::vector<stranger> silent;
    for (int i = 0; i < 200; ++i) silent.emplace_back(f.port());
    auto carols = f.ca.options("carol");
    carols.peers = {at("bob", f.port())};
    host carol(carols);
    CHECK(carol.up_with("bob", "signer"));
    CHECK(carol.ask("signer", "through the crowd") == "bob signed through the crowd");
    CHECK(f.bob->net->so_far().refused_handshakes >= 200 - 32);
    f.link_lives();
}

TEST_CASE("a member's bad frame ends its own link and no other") {
    fixture f;
    SUBCASE("it claims four gigabytes") {
        cut_off_for(f, [](raw_member&) { return frame{2, 0, "", 0, 1, 1, 0xffffffff}.bytes(); });
    }
    SUBCASE("it claims one byte more than the limit") {
        cut_off_for(f, [](raw_member&) { return frame{2, 0, "", 0, 1, 1, (4u << 20) + 1}.bytes(); });
    }
    SUBCASE("a message without a payload, which CAF would follow a null pointer for") {
        cut_off_for(f, [](raw_member&) { return frame{2, 0, "", 0, 1, 1}.bytes(); });
    }
    SUBCASE("a second handshake as another node") {
        cut_off_for(f, [](raw_member&) { return frame{1, 0, node_id_bytes(4712, 'y')}.bytes(); });
    }
    SUBCASE("a server's handshake from a client") {
        cut_off_for(f, [](raw_member& m) { return frame{0, 0, m.id, 3}.bytes(); });
    }
    SUBCASE("a message to be passed on to a third node") {
        cut_off_for(f, [](raw_member& m) { return frame{3, 0, m.id + node_id_bytes(1, 'z') + std::string(20, '\0'), 0, 1, 1}.bytes(); });
    }
    SUBCASE("the kill of an actor by its number") {
        cut_off_for(f, [&](raw_member& m) {
            const auto kill = caf::make_message(caf::exit_msg{caf::actor_addr{}, caf::exit_reason::kill});
            return frame{2, 0, serialised(*f.bob->sys, std::vector<caf::strong_actor_ptr>{}, kill), 0, 1, m.directory}.bytes();
        });
    }
    SUBCASE("a link to an actor by its number") {
        cut_off_for(f, [&](raw_member& m) {
            const auto link = caf::make_message(caf::link_atom_v, caf::strong_actor_ptr{});
            return frame{2, 0, serialised(*f.bob->sys, std::vector<caf::strong_actor_ptr>{}, link), 0, 1, m.directory}.bytes();
        });
    }
    SUBCASE("news of the end of another node's actor") {
        cut_off_for(f, [&](raw_member& m) { return frame{5, 0, serialised(*f.bob->sys, f.alice->sys->node()) + m.their_id + std::string(20, '\0'), 0, 3, 0}.bytes(); });
    }
    SUBCASE("a kind of frame that does not exist") {
        cut_off_for(f, [](raw_member&) { return frame{9, 0, "x"}.bytes(); });
    }
}

TEST_CASE("a member does not get another's node id, nor ours") {
    fixture f;
    SUBCASE("another's") {
        raw_member carol(f.ca, "carol", f.port(), serialised(*f.bob->sys, f.alice->sys->node()));
        CHECK(carol.hears_the_end());
        CHECK(f.bob->net->so_far().refused_frames == 1);
    }
    SUBCASE("ours") {
        raw_member carol(f.ca, "carol", f.port(), serialised(*f.bob->sys, f.bob->sys->node()));
        CHECK(carol.hears_the_end());
        CHECK(f.bob->net->so_far().refused_frames == 1);
    }
    SUBCASE("while two members keep theirs") {
        raw_member carol(f.ca, "carol", f.port()), dave(f.ca, "dave", f.port(), node_id_bytes(4712, 'y'));
        CHECK(carol.directory != 0);
        CHECK(dave.directory == carol.directory);
        CHECK(f.bob->net->so_far().refused_frames == 0);
    }
    f.link_lives();
}

TEST_CASE("CAF's own actors, which are reached by name, are out of reach") {
    fixture f;
    raw_member carol(f.ca, "carol", f.port());
    const auto put = caf::make_message(caf::put_atom_v, std::string("basp.default-connectivity-tcp"), caf::make_message(std::string("gotcha")));
    carol.say(frame{2, 1, serialised(*f.bob->sys, std::vector<caf::strong_actor_ptr>{}, put), 0, 9, static_cast<std::uint64_t>(caf::atom("ConfigServ"))}.bytes());
    offers o;
    o.node = o.owner = "carol";
    carol.request(*f.bob->sys, caf::make_message(o)); // behind it on the same link
    REQUIRE(f.bob->up("carol"));
    caf::scoped_actor self(*f.bob->sys);
    self->request(caf::actor_cast<caf::actor>(f.bob->sys->registry().get(caf::atom("ConfigServ"))), patience, caf::get_atom_v, std::string("basp.default-connectivity-tcp"))
        .receive([](const std::string&, const caf::message& m) { CHECK(m.empty()); }, [](const caf::error&) { FAIL("ConfigServ did not answer"); });
    f.link_lives();
}

TEST_CASE("what a node says of itself must agree with its certificate") {
    fixture f;
    raw_member carol(f.ca, "carol", f.port());
    offers o;
    o.node = "carol", o.owner = "did:web:carol";
    std::string why;
    SUBCASE("another name") {
        o.node = "alice";
        why = "it calls itself alice but its certificate names carol";
    }
    SUBCASE("another protocol") {
        o.protocol = cluster_protocol + 1;
        why = "it speaks protocol 2 and this node protocol 1";
    }
    SUBCASE("an actor that is not its own") {
        o.roles = {"signer"};
        o.handles = {caf::actor_cast<caf::strong_actor_ptr>(f.bob->roles[0])};
        why = "it offers actors that are not its own";
    }
    SUBCASE("more roles than actors") {
        o.roles = {"signer"};
        why = "its offers are out of shape";
    }
    carol.request(*f.bob->sys, caf::make_message(o));
    CHECK(f.bob->until("carol", [&](const link_view& v) { return v.state == "down" && v.why == why; }));
    CHECK(carol.hears_the_end());
    CHECK(f.bob->net->so_far().refused_offers == 1);
    f.link_lives();
}
