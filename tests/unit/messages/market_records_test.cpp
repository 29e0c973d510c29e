#include <doctest/doctest.h>

#include <souk/messages/attest.hpp>
#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/market_records.hpp>

#include "data.hpp"

using namespace souk;

namespace {

const std::string alice = "did:plc:o3stzy6qojgmdtdzjq6tynqs", bob = "did:plc:qzuhcai2kjxqd2l7tkz73a44";

value live(const std::string& name, json_form form = json_form::atproto) { return json_file("compute-contract/g4-" + name + ".json", form); }

// By its value, by its struct, and by its struct's own bytes: one record.
template <class R>
void comes_back(const value& record) {
    const auto r = from_record<R>(record).value();
    CHECK(to_record(r) == record);
    CHECK(encode_described(r) == encode_dag_cbor(record));
    CHECK(decode_described<R>(encode_dag_cbor(record)).value() == r);
}

value changed(value record, const std::string& key, value x) {
    record.as<value::map>()->insert_or_assign(key, std::move(x));
    return record;
}
value without(value record, const std::string& key) {
    record.as<value::map>()->erase(key);
    return record;
}

} // namespace

TEST_CASE("the live records of the fourth generation are read, and written as they were") {
    comes_back<market::rfp>(live("rfp"));
    comes_back<market::bid>(live("bid"));
    comes_back<market::accept>(live("accept"));
    comes_back<market::receipt>(live("receipt"));
    comes_back<market::offering>(live("offering"));
    CHECK(cid_of(to_record(from_record<market::offering>(live("offering")).value())).text() == "bafyreibsnyqmppzn6bfhn22zengfyqegxlaoti3aqphj6f5mlmwl54xhse");
    CHECK(live("receipt").find("payload")->is_null());
}

TEST_CASE("the live records that carry signatures hash as published only where $bytes is a map of text, which no AT Protocol host makes of it") {
    for (const auto& [name, published] : {std::pair{"rfp", "bafyreiehbqq5z3qm2v3lh5xjpmhp2nanomtnifqip6qrsdkstzwpigyx4q"},
                                          std::pair{"bid", "bafyreia43knkwqvm7robtvff24eacho2pdk45en7e3g2mg2nknvx7qg62u"},
                                          std::pair{"accept", "bafyreiebpdz5zuya2qz5vk5dg6ue7ngvz7wdz4ephwlclxrqzpb44aweda"},
                                          std::pair{"receipt", "bafyreicxxvi7qjgxu2lovtyuqc5xpbc623fhvrscauktzamc2jl63cwxzu"}}) {
        const auto& record = name; // clang 14 captures no structured binding
        CAPTURE(record);
        CHECK(cid_of(live(name, json_form::plain)).text() == published);
        CHECK(cid_of(live(name)).text() != published); // the bytes are bytes: what a host would name it
    }
}

TEST_CASE("the live accept verifies, and the live receipt binds it") {
    const auto key = crypto::public_key::from_did_key("did:key:zQ3shVccyeD7zq2BSdRqcp2pozYzsGsJmc88gAy1m8SUX93LE").value();
    const auto keys = [&](std::string_view) -> result<std::vector<crypto::public_key>> { return std::vector{key}; };
    CHECK(check_attestation(live("accept"), alice, alice, keys).has_value());
    const auto bound = remote_cid(live("receipt"), live("accept"), alice).value().text();
    CHECK(bound == from_record<market::receipt>(live("receipt"))->cid);
    CHECK(remote_cid(live("receipt"), live("accept"), bob).value().text() != bound);
    CHECK(remote_cid(live("receipt"), changed(live("accept"), "submitEvent", "did:plc:eve#x"), alice).value().text() != bound);
    CHECK(remote_cid(changed(live("receipt"), "submitEvent", "did:plc:eve#x"), live("accept"), alice).value().text() != bound);
    CHECK(remote_cid(value("text"), live("accept"), alice).error().code == "wrong_type");
}

TEST_CASE("a bidder's DID that is bound to another's key is not believed") {
    // The live bid lies in a did:plc's repository and is signed in the name of a did:web: upstream asked only whether some DID lists the key.
    const auto key = crypto::public_key::from_did_key("did:key:zQ3shwQRUgS1AHN7ix6XXdaYzJJ1MxRB94Pb4mscyegHu2JC6").value();
    const auto keys = [&](std::string_view) -> result<std::vector<crypto::public_key>> { return std::vector{key}; };
    for (const auto* name : {"bid", "receipt"}) {
        const std::string issuer = "did:web:did-key-zq3shej7x8g4fgi4mkgiaa5vjv9j1juswcc9jd53ex8kt12jw.localhost";
        CHECK(check_attestation(live(name), bob, issuer, keys).has_value()); // the signature itself stands
        CHECK(check_attestation(live(name), bob, bob, keys).error().code == "issuer_not_author");
    }
}

TEST_CASE("the first generation's examples are the second's under other names, with references flat") {
    const auto published = [](const char* name) { return *json_file(std::string("compute-contract/") + name + "-request.json").find("record"); };
    const auto ref = value(value::map{{"uri", "at://did:plc:a/b.c.d/e"}, {"cid", "bafy"}});
    comes_back<flat::ccrfp>(changed(published("0001-ccrfp"), "$type", flat::ccrfp::nsid));
    comes_back<flat::ccb>(changed(changed(published("0002-ccb"), "$type", flat::ccb::nsid), "embed", ref));
    comes_back<flat::ccbap>(changed(changed(published("0003-ccbap"), "$type", flat::ccbap::nsid), "embed", ref));
    const value accept = value::map{{"$type", flat::ccba::nsid}, {"embed", ref}, {"bid", ref}, {"payment", ref}};
    comes_back<flat::ccba>(accept);
    const value receipt = value::map{{"$type", flat::ccr::nsid}, {"rfp", ref}, {"bid", ref}, {"ccba", ref}, {"compute", value::map{{"ipv4", "192.0.2.1"}}}, {"createdAt", "2026-05-09T07:42:10.123Z"}};
    comes_back<flat::ccr>(receipt);
    CHECK(from_record<flat::ccr>(without(receipt, "$type")).has_value());
    CHECK(from_record<flat::ccb>(published("0002-ccb")).error().code == "wrong_type"); // the first one's name
}

TEST_CASE("what deployed programs leave out or spell otherwise is read, and written as it was") {
    const auto ref = value(value::map{{"$type", "com.atproto.repo.strongRef"}, {"uri", "at://did:plc:a/b.c.d/e"}, {"cid", "bafy"}});
    comes_back<market::vm>(value::map{{"$type", market::vm::nsid}, {"role", "r"}, {"user_data", "#cloud-config\n"}, {"createdAt", "2026-07-08T05:50:24.474Z"}});
    comes_back<market::bids_free>(value::map{{"$type", market::bids_free::nsid}, {"cost", 0}, {"createdAt", "2026-07-08T05:50:24.474Z"}});
    const value bid = value::map{{"$type", market::bid::nsid}, {"rfp", ref}, {"payload", ref}};
    comes_back<market::bid>(bid);
    comes_back<market::bid>(changed(bid, "config", ref));
    comes_back<market::bid>(changed(bid, "bidConfig", ref));
    comes_back<market::bid>(changed(changed(bid, "bidConfig", ref), "config", ref));
    comes_back<market::receipt>(without(live("receipt"), "payload"));
    comes_back<market::receipt>(changed(live("receipt"), "payload", ref));
    // A proof elsewhere among the signatures.
    comes_back<market::rfp>(changed(live("rfp"), "signatures", value::list{ref}));
}

TEST_CASE("a market record that is malformed is refused with its path") {
    CHECK(from_record<market::receipt>(changed(live("receipt"), "$type", market::bid::nsid)).error().text.starts_with("$type: expected"));
    CHECK(from_record<market::receipt>(without(live("receipt"), "$type")).error() == refusal{"missing_field", "$type: missing"});
    CHECK(from_record<market::receipt>(without(live("receipt"), "cid")).error() == refusal{"missing_field", "cid: missing"});
    CHECK(from_record<market::receipt>(value("text")).error().code == "wrong_type");
    CHECK(from_record<market::rfp>(changed(live("rfp"), "payload", value::map{{"uri", "x"}})).error() == refusal{"missing_field", "payload.cid: missing"});
    CHECK(from_record<market::rfp>(changed(live("rfp"), "colour", "red")).error().code == "unknown_field");
}

TEST_CASE("every kind of a later generation's record survives its bytes when it says nothing") {
    boost::mp11::mp_for_each<boost::mp11::mp_transform<boost::mp11::mp_identity, later_records>>([]<class I>(I) {
        using R = typename I::type;
        const R r{};
        CHECK(from_record<R>(to_record(r)).value() == r);
        CHECK(encode_described(r) == encode_dag_cbor(to_record(r)));
        CHECK(decode_described<R>(encode_described(r)).value() == r);
    });
}
