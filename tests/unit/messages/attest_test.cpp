#include <doctest/doctest.h>

#include <souk/messages/attest.hpp>
#include <souk/messages/bytes.hpp>

#include "data.hpp"

using namespace souk;
using crypto::curve;

namespace {

const std::string bob = "did:plc:bob", eve = "did:plc:eve";

struct account {
    curve on;
    crypto::secret key;
    crypto::public_key open;
    explicit account(curve c) : on(c), key(crypto::generate(c)), open(crypto::public_of(c, key).value()) {}
};

keys_of_did documents(std::map<std::string, std::vector<crypto::public_key>> known) {
    return [known = std::move(known)](std::string_view did) -> result<std::vector<crypto::public_key>> {
        const auto at = known.find(std::string(did));
        if (at == known.end()) return refusal{"unknown_did", "no document"};
        return at->second;
    };
}

value bid() {
    ccb b;
    b.embed_ = {"com.publicdomainrelay.ccrfp", {"at://did:plc:alice/com.publicdomainrelay.ccrfp/3mlf7tjlfjr2d", "bafy"}};
    b.bid.cost = 4;
    b.bid.currency = "USDC";
    return to_record(b);
}

value& entry(value& record, std::size_t i = 0) { return (*record.as<value::map>()->at("signatures").as<value::list>())[i]; }
void set(value& v, const std::string& key, value x) { v.as<value::map>()->insert_or_assign(key, std::move(x)); }

std::string code(const result<void>& r) { return r ? "good" : r.error().code; }

} // namespace

TEST_CASE("a record from the live market verifies") {
    const std::string alice = "did:plc:o3stzy6qojgmdtdzjq6tynqs";
    auto record = json_file("compute-contract/g4-rfp.json");
    const auto key = crypto::public_key::from_did_key("did:key:zQ3shVccyeD7zq2BSdRqcp2pozYzsGsJmc88gAy1m8SUX93LE").value();
    const auto look_up = documents({{alice, {key}}});
    CHECK(code(check_attestation(record, alice, alice, look_up)) == "good");
    CHECK(code(check_attestation(record, bob, alice, look_up)) == "signature_cid_mismatch"); // copied into another repository
    set(record, "submitBid", "did:plc:eve#pdr_temp_market");
    CHECK(code(check_attestation(record, alice, alice, look_up)) == "signature_cid_mismatch");
}

TEST_CASE("what an account signs verifies, on either curve, and with several signatures") {
    for (const auto on : {curve::k256, curve::p256}) {
        const account b(on), witness(curve::p256);
        auto record = bid();
        REQUIRE(attest(record, bob, bob, on, b.key, "2026-05-09T07:42:10.123Z").has_value());
        REQUIRE(attest(record, bob, eve, curve::p256, witness.key).has_value());
        const auto look_up = documents({{bob, {witness.open, b.open}}, {eve, {witness.open}}});
        CHECK(code(check_attestation(record, bob, bob, look_up)) == "good");
        CHECK(from_record<ccb>(record).value().signatures->size() == 2);
        CHECK(code(check_attestation(to_record(from_record<ccb>(record).value()), bob, bob, look_up)) == "good");
        const auto over_the_wire = decode_dag_cbor(encode_dag_cbor(record)).value();
        CHECK(code(check_attestation(over_the_wire, bob, bob, look_up)) == "good");
    }
}

TEST_CASE("any change, any other author and any other key is refused") {
    const account b(curve::k256), e(curve::k256);
    auto record = bid();
    REQUIRE(attest(record, bob, bob, curve::k256, b.key).has_value());
    const auto look_up = documents({{bob, {b.open}}, {eve, {e.open}}});
    const auto with = [&](auto change) {
        auto r = record;
        change(r);
        return code(check_attestation(r, bob, bob, look_up));
    };
    CHECK(with([](value&) {}) == "good");
    CHECK(with([](value& r) { set(r, "createdAt", "now"); }) == "signature_cid_mismatch");
    CHECK(with([](value& r) { set(entry(r), "issuedAt", "now"); }) == "signature_cid_mismatch");
    CHECK(with([](value& r) { set(entry(r), "role", "notary"); }) == "signature_cid_mismatch"); // unknown, and yet signed
    CHECK(with([](value& r) { set(entry(r), "cid", "bafyreie4ifmyfb72ccvdlrvvuve3icpnsebrfchjbninq3rs2ls3rask6m"); }) ==
          "signature_cid_mismatch");
    CHECK(with([](value& r) { set(entry(r), "signature", octets{std::string(64, '\1')}); }) == "bad_signature");
    CHECK(with([](value& r) { set(entry(r), "signature", octets{"short"}); }) == "bad_signature");
    CHECK(with([](value& r) { set(entry(r), "signature", "text"); }) == "wrong_type");
    CHECK(with([](value& r) { set(entry(r), "key", "did:key:zNonsense"); }) == "bad_key");
    CHECK(with([](value& r) { set(entry(r), "$type", "com.example.signature"); }) == "wrong_type");
    CHECK(with([](value& r) { set(r, "signatures", value::list{}); }) == "unsigned");
    CHECK(with([](value& r) { r.as<value::map>()->erase("signatures"); }) == "unsigned");
    CHECK(with([](value& r) { set(r, "signatures", "none"); }) == "wrong_type");
    CHECK(with([](value& r) {
              set(r, "signatures", value::list{value::map{{"uri", "at://x"}, {"cid", "y"}}});
          }) == "unsigned"); // only a proof elsewhere
    CHECK(with([](value& r) { set(r, "signatures", value::list(9, entry(r))); }) == "too_many_signatures");
    CHECK(with([](value& r) { set(r, "$sig", value::map{}); }) == "wrong_type");
    CHECK(with([&](value& r) { REQUIRE(attest(r, bob, eve, curve::k256, b.key).has_value()); }) ==
          "key_not_of_issuer"); // every entry must stand
    CHECK(with([&](value& r) { REQUIRE(attest(r, bob, "did:plc:none", curve::k256, b.key).has_value()); }) == "unknown_did");
    CHECK(code(check_attestation(value("text"), bob, bob, look_up)) == "wrong_type");
    CHECK(check_attestation(record, eve, bob, look_up).error().text.starts_with("signatures[0]: "));
}

TEST_CASE("Eve cannot sign for Bob") {
    const account b(curve::k256), e(curve::k256);
    const auto look_up = documents({{bob, {b.open}}, {eve, {e.open}}});
    auto as_bob = bid(), as_herself = bid();
    REQUIRE(attest(as_bob, bob, bob, curve::k256, e.key).has_value());
    REQUIRE(attest(as_herself, bob, eve, curve::k256, e.key).has_value());
    CHECK(code(check_attestation(as_bob, bob, bob, look_up)) == "key_not_of_issuer");
    CHECK(code(check_attestation(as_herself, bob, bob, look_up)) == "issuer_not_author");
    CHECK(code(attest(as_bob, bob, bob, curve::k256, crypto::secret("x"))) == "bad_key");
}

TEST_CASE("the second signature of one message is refused") {
    const account b(curve::k256);
    auto record = bid();
    REQUIRE(attest(record, bob, bob, curve::k256, b.key).has_value());
    auto& s = entry(record).as<value::map>()->at("signature").as<octets>()->data;
    const auto order = from_hex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141").value();
    int borrow = 0;
    for (std::size_t i = 32; i-- > 0;) {
        const int d = static_cast<unsigned char>(order[i]) - static_cast<unsigned char>(s[32 + i]) - borrow;
        borrow = d < 0;
        s[32 + i] = static_cast<char>(d + (borrow ? 256 : 0));
    }
    CHECK(code(check_attestation(record, bob, bob, documents({{bob, {b.open}}}))) == "high_s");
}
