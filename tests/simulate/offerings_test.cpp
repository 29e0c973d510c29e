// A market in which nobody was told of anybody: she finds him by his offering, and he reads nothing of hers.
#include <souk/actors/common/service_call.hpp>

#include "little_market.hpp"

namespace {

struct strangers : little_market {
    explicit strangers(dialect speaks, bool offers = true, std::function<void(little_market&)> before = {})
        : little_market({2, 4096, 65'536}, 600, speaks, false, [&, offers](little_market& m) {
              m.alice.seeks(everyone().bob.did), m.bob.offers(offers);
              if (before) before(m);
          }) {
        pass(60'000ms); // a host lists him
    }
};

} // namespace

TEST_CASE("a contract in each generation between two who follow nobody: his offering is all that she needs") {
    for (const auto d : all_dialects) {
        CAPTURE(static_cast<int>(d));
        strangers s(d);
        s.window = 10'000ms;
        s.wants("p");
        REQUIRE(s.reaches("p", purchase::phase::active));
        const auto p = s.alice.purchase_of("p");
        REQUIRE(p.told.size() == 1);
        CHECK(p.told[0].to.did == everyone().bob.did);
        CHECK(p.told[0].over);
        CHECK(p.told[0].why.empty());
        CHECK(s.machines() == 1);
        // Her order to stop reaches him, though he does not read her: what is unused comes back.
        s.alice.stop("p", "enough");
        const auto asked = s.u.now();
        REQUIRE(s.reaches("p", purchase::phase::closed));
        CHECK(s.u.now() - asked < 60s);
        CHECK(s.machines() == 0);
        CHECK(s.spent() > 0);
        CHECK(s.spent() < for_ten_minutes);
        CHECK(s.bob.records().count(std::string(collection_of(d, speech::bid))) == 1);
    }
}

TEST_CASE("who offers nothing is not found, and who was told of a request twice bids once") {
    strangers s(dialect::g4, false);
    s.window = 20'000ms;
    s.wants("p");
    REQUIRE(s.ends("p"));
    CHECK(s.alice.purchase_of("p").at == purchase::phase::failed);
    CHECK(s.bob.records().count(std::string(market::bid::nsid)) == 0);
    // Answers to the first two calls are lost: she sends it again.
    strangers t(dialect::g4);
    int sent = 0;
    t.ways.lay_down([&](std::uint64_t, const std::string& what, bool) {
        fate f;
        if (what == "answer" && ++sent <= 2) f.what = fate::kind::lost;
        return f;
    });
    t.window = 60'000ms;
    t.wants("p");
    t.pass(59'000ms);
    CHECK(t.bob.records().count(std::string(market::bid::nsid)) == 1);
    CHECK(t.alice.purchase_of("p").offers.size() == 1);
    CHECK(t.alice.purchase_of("p").told.at(0).over);
}

TEST_CASE("an offering that is withdrawn in the middle of a negotiation ends nothing that was begun") {
    strangers s(dialect::g4);
    s.window = 20'000ms;
    s.wants("p");
    s.pass(10s);
    REQUIRE(s.alice.purchase_of("p").offers.size() == 1);
    const auto all = s.bob.records().list(std::string(market::offering::nsid), 1, "", false);
    REQUIRE(all.size() == 1);
    s.bob.records().remove(std::string(market::offering::nsid), all[0].uri.rkey);
    s.pass(30s);
    REQUIRE(s.reaches("p", purchase::phase::active)); // a bid is a bid
    s.wants("q");
    REQUIRE(s.reaches("q", [](purchase::phase at) { return at == purchase::phase::failed; })); // and now nobody is known who sells
    CHECK(s.alice.purchase_of("q").told.empty());
}

TEST_CASE("a request goes to nobody whose offering does not fit it") {
    strangers s(dialect::g4);
    s.wants("p", 3); // his host has two
    REQUIRE(s.ends("p"));
    CHECK(s.alice.purchase_of("p").told.empty());
    s.wants("q", 1, 9'999);
    REQUIRE(s.ends("q"));
    CHECK(s.alice.purchase_of("q").told.empty()); // he asks for a unit more than her ceiling
}

TEST_CASE("whichever of the two dies while an offering is answered, she pays once and he runs one machine") {
    for (const auto at : {0ms, 5ms, 50ms, 100ms, 200ms, 500ms, 1'000ms, 2'000ms})
        for (const int who : {0, 1}) {
            CAPTURE(at.count());
            CAPTURE(who);
            strangers s(dialect::g4);
            s.window = 30'000ms;
            node* const all[] = {&s.alice, &s.bob};
            s.wants("p");
            s.pass(at);
            all[who]->kill("the test says so");
            s.pass(3'000ms);
            all[who]->start();
            REQUIRE(s.ends("p"));
            const auto p = s.alice.purchase_of("p");
            CHECK(p.at == purchase::phase::closed);
            CHECK(s.spent() == p.paid - p.refunded);
            CHECK(s.bob.records().count(std::string(market::bid::nsid)) == 1);
            for (const auto& [tag, runs] : s.host.machines().history()) CHECK(runs.size() == 1);
        }
}
