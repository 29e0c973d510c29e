// One contract in each generation of its records, with the actors that ship: Alice asks in hers, Bob answers in it.
#include <souk/messages/attest.hpp>
#include <souk/messages/dialect.hpp>

#include "little_market.hpp"

namespace {

std::size_t said(const souk::simulate::shelf& records, dialect d, speech what) { return records.count(std::string(collection_of(d, what))); }

// What each side published of the four things, in whichever generation.
void are_all_in(const little_market& s, dialect d) {
    for (const auto other : all_dialects) {
        const bool same = collection_of(other, speech::bid) == collection_of(d, speech::bid); // g3 and g4 share their collections
        CHECK(said(s.alice.records(), other, speech::request) == (same ? 1 : 0));
        CHECK(said(s.bob.records(), other, speech::bid) == (same ? 1 : 0));
        CHECK(said(s.alice.records(), other, speech::accept) == (same ? 1 : 0));
        CHECK(said(s.bob.records(), other, speech::receipt) == (same ? 1 : 0));
    }
}

} // namespace

TEST_CASE("a contract of any generation is bought, delivered and paid for, and every record of it is that generation's") {
    for (const auto d : all_dialects) {
        CAPTURE(std::string(boost::describe::enum_to_string(d, "?")));
        little_market s({2, 4096, 65'536}, 600, d);
        s.wants("p");
        REQUIRE(s.reaches("p", purchase::phase::active));
        CHECK(s.machines() == 1);
        are_all_in(s, d);
        const auto bid = s.bob.records().list(std::string(collection_of(d, speech::bid)), 1, "", false).at(0);
        CHECK((bid.value.find("submitAccept") != nullptr) == (d == dialect::g4));
        CHECK(s.visit("p").status == 200);
        REQUIRE(s.reaches("p", purchase::phase::closed));
        CHECK(s.machines() == 0);
        CHECK(s.spent() == for_ten_minutes);
        CHECK(s.alice.purchase_of("p").why == "the lease ended");
    }
}

TEST_CASE("a contract of any generation can be stopped, and what is not used comes back") {
    for (const auto d : all_dialects) {
        little_market s({2, 4096, 65'536}, 600, d);
        s.wants("p");
        REQUIRE(s.reaches("p", purchase::phase::active));
        s.pass(300s);
        s.alice.stop("p", "enough");
        REQUIRE(s.reaches("p", purchase::phase::closed));
        CHECK(s.machines() == 0);
        CHECK(s.spent() < for_ten_minutes * 56 / 100);
        CHECK(s.alice.purchase_of("p").paid - s.alice.purchase_of("p").refunded == s.spent());
    }
}

TEST_CASE("the later generations' own order stops a machine, and only the tenant's") {
    little_market s({2, 4096, 65'536}, 600, dialect::g4);
    s.wants("p");
    REQUIRE(s.reaches("p", purchase::phase::active));
    const auto order = [&](const std::string& receipt_cid) {
        market::vm_delete over{"session_ended", to_datetime(s.u.now())};
        const auto part = s.alice.records().put(std::string(market::vm_delete::nsid), receipt_cid.substr(40), to_record(over)).value();
        market::event e;
        e.receipt = {{}, {s.alice.purchase_of("p").receipt.uri, receipt_cid}}, e.payload = {{}, {part.uri.text(), part.cid.text()}};
        auto v = to_record(e);
        REQUIRE(attest(v, everyone().alice.did, everyone().alice.did, crypto::curve::k256, everyone().alice.keys->signing()).has_value());
        REQUIRE(s.alice.records().put(std::string(market::event::nsid), receipt_cid.substr(40), v).has_value());
    };
    order(cid::of_raw("another receipt").text()); // of the same name, another content
    s.pass(60s);
    CHECK(s.machines() == 1);
    order(s.alice.purchase_of("p").receipt.cid);
    s.pass(60s);
    CHECK(s.machines() == 0);
    REQUIRE(s.reaches("p", purchase::phase::closed));
    CHECK(s.alice.purchase_of("p").why == "session_ended");
}

TEST_CASE("whoever is killed, and whenever, a contract of any generation is kept") {
    for (const auto d : {dialect::g2, dialect::g3, dialect::g4}) {
        int served = 0;
        for (int who = 0; who < 3; ++who)
            for (auto at = 0ms; at < 4'000ms; at += 100ms) {
                CAPTURE(std::string(boost::describe::enum_to_string(d, "?")));
                CAPTURE(who);
                CAPTURE(at.count());
                little_market s({2, 4096, 65'536}, 60, d);
                served += s.bought_with_a_kill(who, at).paid > 0;
            }
        CHECK(served > 60); // of 120: a node that is down while bids are gathered misses them
    }
}
