// A contract that is paid while it runs: what it costs whoever stops it, kills it or falls silent, with the actors that ship, in virtual time.
#include "little_market.hpp"

namespace {

// Twenty seconds cost 334 units of 10'000; half a minute's grace.
struct streamed_market : little_market {
    explicit streamed_market(bool he_takes = true)
        : little_market({2, 4096, 65'536}, 600, dialect::g1, true, [he_takes](little_market& m) {
              m.alice.streams();
              if (he_takes) m.bob.streams(20s, 30s);
          }) {}
    const chain::channel& the_channel() const {
        REQUIRE(rail.channels().size() == 1);
        return rail.channels().begin()->second;
    }
    // Whatever came of it: both sides and the rail agree, and nothing is left in between.
    void settled() {
        const auto p = alice.purchase_of("p");
        CHECK(p.paid == the_channel().claimed);
        CHECK(the_channel().balance == the_channel().claimed);
        CHECK(spent() == p.paid);
        CHECK(rail.balance(everyone().bob.keys->wallet_address()) == p.paid);
        CHECK(rail.all().empty()); // no payment beside it
        CHECK(machines() == 0);
    }
};
amount price_of_seconds(std::int64_t n) { return (for_ten_minutes * n + 599) / 600; }

} // namespace

TEST_CASE("a contract that is paid while it runs costs its price when it runs to its end") {
    streamed_market s;
    s.wants("p");
    REQUIRE(s.reaches("p", purchase::phase::active));
    CHECK(s.spent() == for_ten_minutes); // it is in the channel
    CHECK(s.the_channel().claimed == 0);
    REQUIRE(s.reaches("p", purchase::phase::closed));
    s.settled();
    CHECK(s.alice.purchase_of("p").paid == for_ten_minutes);
}

TEST_CASE("stopped at any second, it costs the seconds that it ran, and the rest of the channel comes back") {
    for (const auto after : {1s, 17s, 100s, 299s}) {
        CAPTURE(after.count());
        streamed_market s;
        s.wants("p");
        REQUIRE(s.reaches("p", purchase::phase::active));
        s.pass(after);
        s.alice.stop("p", "enough");
        REQUIRE(s.reaches("p", purchase::phase::closed));
        s.settled();
        const auto p = s.alice.purchase_of("p");
        CHECK(p.paid == price_of_seconds(p.seconds));
        CHECK(p.seconds >= after.count());
        CHECK(p.seconds <= after.count() + 10);
    }
}

TEST_CASE("a payer who is away promises nothing more: the machine goes on for its grace, and what was promised is charged") {
    streamed_market s;
    s.wants("p");
    REQUIRE(s.reaches("p", purchase::phase::active));
    s.pass(60s);
    s.alice.kill("she is away");
    s.pass(200s);
    CHECK(s.machines() == 0);
    s.alice.start();
    REQUIRE(s.reaches("p", purchase::phase::closed));
    s.settled();
    CHECK(s.alice.purchase_of("p").paid <= price_of_seconds(120));
    CHECK(s.alice.purchase_of("p").paid >= price_of_seconds(60));
    CHECK(s.alice.purchase_of("p").why == "what was promised for it is used up");
}

TEST_CASE("a seller who never comes back has what he claimed; the rest is withdrawn when the channel's delay is over") {
    streamed_market s;
    s.wants("p");
    REQUIRE(s.reaches("p", purchase::phase::active));
    s.pass(60s);
    s.bob.kill("for good");
    s.pass(10s);
    s.alice.stop("p", "where is he");
    s.u.run(s.u.now() + 24h, [&] { return s.alice.purchase_of("p").at == purchase::phase::closed; });
    REQUIRE(s.alice.purchase_of("p").at == purchase::phase::closed);
    CHECK(s.the_channel().balance == s.the_channel().claimed);
    CHECK(s.spent() == s.the_channel().claimed);
    CHECK(s.alice.purchase_of("p").paid == s.spent());
    CHECK(s.alice.purchase_of("p").statement.cid.empty());
}

TEST_CASE("a channel that is withdrawn from under a running lease ends it when nothing more is taken, and what ran is claimed first") {
    streamed_market s;
    s.wants("p");
    REQUIRE(s.reaches("p", purchase::phase::active));
    s.pass(30s);
    const auto config = s.the_channel().config;
    REQUIRE(s.rail.begin_withdrawal(config, for_ten_minutes - s.the_channel().claimed, everyone().alice.keys->wallet_address()).how == moved::yes);
    REQUIRE(s.reaches("p", purchase::phase::closed));
    s.settled();
    CHECK(s.alice.purchase_of("p").paid > 0);
}

TEST_CASE("who takes no channels is paid beforehand, once") {
    streamed_market s(false);
    s.wants("p");
    REQUIRE(s.reaches("p", purchase::phase::closed));
    CHECK(s.rail.channels().empty());
    CHECK(s.rail.all().size() == 1);
    CHECK(s.spent() == for_ten_minutes);
}

TEST_CASE("killed at any time of it, on either side, a streamed contract is paid for what ran, and nothing is left in its channel") {
    for (int who = 0; who < 3; ++who)
        for (milliseconds at = 100ms; at < 12'000ms; at += 700ms) {
            CAPTURE(who);
            CAPTURE(at.count());
            streamed_market s;
            node* const all[] = {&s.alice, &s.bob, &s.host};
            s.wants("p");
            s.pass(at);
            all[who]->kill("the test says so");
            s.pass(3'000ms);
            all[who]->start();
            REQUIRE(s.ends("p"));
            const auto p = s.alice.purchase_of("p");
            CHECK(s.spent() == p.paid);
            CHECK(p.paid <= for_ten_minutes);
            CHECK(s.rail.in_channels() == 0);
            CHECK(s.machines() == 0);
            if (p.at == purchase::phase::failed) CHECK(s.spent() == 0);
        }
}
