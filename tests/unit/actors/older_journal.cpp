// What a node wrote before it knew of the records' generations is read by one that does: the bytes are made here, field by field, as they were then.
#include <doctest/doctest.h>

#include <souk/actors/bidder/lease.hpp>
#include <souk/actors/entity/engine.hpp>
#include <souk/actors/requester/purchase.hpp>
#include <souk/messages/dag_cbor.hpp>

using namespace souk;

namespace {

constexpr std::int64_t begin_ms = 1'700'000'000'000;
const strong_ref rfp{"at://did:plc:alice/com.publicdomainrelay.ccrfp/r", "bafyrfp"}, bid{"at://did:web:bob/com.publicdomainrelay.ccb/b", "bafybid"};

value ref(const strong_ref& r) { return value::map{{"uri", r.uri}, {"cid", r.cid}}; }
value lease_terms() {
    return value::map{{"key", "b"}, {"rfp", ref(rfp)}, {"tenant", "did:plc:alice"}, {"bid", octets{"the bid"}}, {"user_data", "#cloud-init\n"}, {"subject", "actx:x:plc:alice:role:r"},
                      {"cpus", 1}, {"mem_mib", 512}, {"disk_mib", 1024}, {"for_slice", 60'000}, {"slice", 3600}, {"open_until", begin_ms + 600'000}};
}
value acceptance() {
    return value::map{{"ref", ref({"at://did:plc:alice/com.publicdomainrelay.ccba/r", "bafyaccept"})}, {"author", "did:plc:alice"}, {"rfp", ref(rfp)}, {"bid", ref(bid)},
                      {"ssh_key", "ssh-ed25519 AAAA"}, {"seal_to", "did:key:z6LS"}, {"payer", "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"}};
}
history written(std::vector<value> facts, const value& snapshot = {}) {
    history h;
    if (!snapshot.is_null()) h.snapshot_at = 1, h.snapshot = encode_dag_cbor(snapshot);
    for (const auto& f : facts) h.facts.push_back({instant{std::chrono::milliseconds{begin_ms}}, encode_dag_cbor(f)});
    return h;
}

template <class Effect, class E>
std::optional<Effect> effect_of(const std::vector<E>& all) {
    for (const auto& f : all)
        if (const auto* one = std::get_if<Effect>(&f)) return *one;
    return std::nullopt;
}

} // namespace

TEST_CASE("a lease of before goes on, and is answered in the generation that there was") {
    const auto considered = value::map{{"is", "considered"}, {"what", lease_terms()}, {"due", begin_ms + 60'000}};
    const auto reserved = value::map{{"is", "reserved"}, {"host", "bob-1"}, {"tier", "none"}, {"due", begin_ms + 60'000}};
    auto s = state_of<lease>(written({considered, reserved}));
    CHECK(s.at == lease::phase::bidding);
    CHECK(s.what.by == dialect::g1);
    CHECK(s.what.answer_to.empty());
    const auto publishes = effect_of<lease::publish_bid>(lease::effects(s));
    REQUIRE(publishes);
    CHECK(publishes->by == dialect::g1);
    CHECK(publishes->bid == octets{"the bid"});

    s = state_of<lease>(written({considered, reserved, value::map{{"is", "bid"}, {"ref", ref(bid)}}, value::map{{"is", "taken"}, {"accept", acceptance()}, {"pay_until", begin_ms + 120'000}}}));
    CHECK(s.at == lease::phase::taken);
    CHECK(s.accept.payer == "0x70997970C51812dc3A010C7d01b50e0d17dc79C8");
    CHECK(s.accept.record.data.empty()); // no receipt of that generation binds it
}

TEST_CASE("so does one of which the state itself was kept") {
    const auto state = value::map{{"at", "taken"}, {"what", lease_terms()}, {"host", "bob-1"}, {"tier", "none"}, {"bid", ref(bid)}, {"accept", acceptance()}, {"pay_until", begin_ms + 120'000},
                                  {"payment", octets{}}, {"payment_key", ""}, {"transaction", ""}, {"refused_payment", ""}, {"stop_wanted", false}, {"why", ""}, {"to_refund", 0}, {"refunded", 0},
                                  {"refund_transaction", ""}, {"due", begin_ms + 120'000}, {"alarms", 0}};
    const auto s = state_of<lease>(written({value::map{{"is", "stop_noted"}, {"why", "enough"}}}, state));
    CHECK(s.what.by == dialect::g1);
    CHECK(s.what.user_data == "#cloud-init\n");
    CHECK(s.stop_wanted);
}

TEST_CASE("a purchase of before goes on with the bids that it had") {
    const auto opened = value::map{{"is", "opened"}, {"key", "r"}, {"due", begin_ms + 60'000},
                                   {"what", value::map{{"request", octets{"the request"}}, {"ceiling", 100}, {"window_ms", 2000}, {"rules", value::list{}}, {"wanted_tier", ""}, {"plan", false}}}};
    auto s = state_of<purchase>(written({opened}));
    const auto publishes = effect_of<purchase::publish_request>(purchase::effects(s));
    REQUIRE(publishes);
    CHECK(publishes->by == dialect::g1);

    const auto offered = value::map{{"is", "offered"}, {"of", value::map{{"ref", ref(bid)}, {"rfp", ref(rfp)}, {"bidder", "did:web:bob"}, {"record", octets{"a ccb"}}, {"for_slice", 60}, {"slice", 3600},
                                                                         {"tier", "none"}, {"expires", begin_ms + 600'000}, {"withdrawn", false}}}};
    s = state_of<purchase>(written({opened, value::map{{"is", "requested"}, {"rfp", ref(rfp)}, {"gather_until", begin_ms + 2000}}, offered}));
    REQUIRE(s.offers.size() == 1);
    CHECK(s.offers[0].by == dialect::g1);
    CHECK(s.offers[0].answer_to.empty());
    CHECK(s.offers[0].record == octets{"a ccb"});
    CHECK_FALSE(s.offers[0].verdict);
}

TEST_CASE("a fact of a generation that this program does not know is not passed over") {
    auto terms = *lease_terms().as<value::map>();
    terms["by"] = "g9";
    CHECK_THROWS_AS(state_of<lease>(written({value::map{{"is", "considered"}, {"what", terms}, {"due", begin_ms}}})), broken_invariant);
}
