#include <doctest/doctest.h>

#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/records.hpp>

#include "data.hpp"

using namespace souk;

namespace {

value published(const char* name) { return *json_file(std::string("compute-contract/") + name + "-request.json").find("record"); }
std::string published_cid(const char* name) {
    return std::string(json_file(std::string("compute-contract/") + name + "-response.json").text("cid"));
}

// By its value, by its struct, and by its struct's own bytes: one record, one CID.
template <class R>
void reproduces(const value& record, const std::string& wanted) {
    CHECK(cid_of(record).text() == wanted);
    const auto r = from_record<R>(record).value();
    CHECK(to_record(r) == record);
    CHECK(cid_of(to_record(r)).text() == wanted);
    CHECK(cid::of_dag_cbor(encode_described(r)).text() == wanted);
    CHECK(decode_described<R>(encode_dag_cbor(record)).value() == r);
}

value changed(value record, const std::string& key, value x) {
    record.as<value::map>()->insert_or_assign(key, std::move(x));
    return record;
}

} // namespace

TEST_CASE("the published CIDs are reproduced, through values and through structs") {
    // The request's own response is of an older body; its bid names the CID of this one.
    reproduces<ccrfp>(published("0001-ccrfp"), "bafyreiccaougmp3654xsmrwjpihbsjyxzbcyvvnwhry2cci5fh2ubjtf74");
    reproduces<ccb>(published("0002-ccb"), published_cid("0002-ccb"));
    reproduces<ccbap>(published("0003-ccbap"), published_cid("0003-ccbap"));
    reproduces<ccba>(published("0004-ccba"), published_cid("0004-ccba"));
    CHECK(published_cid("0002-ccb") == "bafyreicwemur3nasntbaxc3elkrwplpvonhgklakjtlreube3cxkzscu2m");
    CHECK(published_cid("0003-ccbap") == "bafyreidnqgayuw6rnl6g4tn3saptwbrcfnhftfjs4dgcdvzojatugulvv4");
    CHECK(published_cid("0004-ccba") == "bafyreiamisq3yqgb4k3tdojmzvvzpuwj46ytwbj672zxhyxxl7t36qadz4");
    CHECK(cid_of(json_file("compute-contract/g4-offering.json")).text() ==
          "bafyreibsnyqmppzn6bfhn22zengfyqegxlaoti3aqphj6f5mlmwl54xhse");
}

TEST_CASE("a flat reference is read, and written as it was read") {
    const auto nested = from_record<ccb>(published("0002-ccb")).value();
    const auto flat = to_value(nested.embed_.record);
    const auto record = changed(published("0002-ccb"), "embed", flat);
    const auto r = from_record<ccb>(record).value();
    CHECK(r.embed_.type.empty());
    CHECK(r.embed_.record == nested.embed_.record);
    CHECK(to_record(r) == record);

    const auto typed = changed(flat, "$type", "com.atproto.repo.strongRef");
    const auto typed_record = changed(published("0002-ccb"), "embed", typed);
    CHECK(from_record<ccb>(typed_record).value().embed_.record == nested.embed_.record);
    CHECK(to_record(from_record<ccb>(typed_record).value()) == typed_record);

    const auto paid = changed(published("0004-ccba"), "payment", flat);
    CHECK(from_record<ccba>(paid).value().payment->embed_.record == nested.embed_.record);
    CHECK(to_record(from_record<ccba>(paid).value()) == paid);
}

TEST_CASE("a receipt calls its accept ccba on the wire, and may come without a type") {
    ccr r;
    r.rfp = {"com.publicdomainrelay.ccrfp", {"at://a", "b"}};
    r.bid = {"com.publicdomainrelay.ccb", {"at://c", "d"}};
    r.accept = {"com.publicdomainrelay.ccba", {"at://e", "f"}};
    r.sealed = octets{"closed"};
    r.createdAt = "2026-05-09T07:42:10.123Z";
    auto v = to_record(r);
    CHECK(v.find("ccba"));
    CHECK_FALSE(v.find("accept"));
    CHECK(v.text("$type") == "com.publicdomainrelay.ccr");
    CHECK(from_record<ccr>(v).value() == r);
    v.as<value::map>()->erase("$type");
    CHECK(from_record<ccr>(v).value() == r);
    auto bid = published("0002-ccb");
    bid.as<value::map>()->erase("$type");
    CHECK(from_record<ccb>(bid).error() == refusal{"missing_field", "$type: missing"});
}

TEST_CASE("a field that is missing, unknown or of another type is refused with its path") {
    const auto bid = published("0002-ccb");
    const auto terms = *bid.find("bid");
    const auto refused = [](const value& v) {
        const auto r = from_record<ccb>(v);
        REQUIRE(r.has_error());
        const auto direct = decode_described<ccb>(encode_dag_cbor(v));
        REQUIRE(direct.has_error());
        CHECK(direct.error() == r.error());
        return r.error();
    };
    auto no_bid = bid;
    no_bid.as<value::map>()->erase("bid");
    CHECK(refused(no_bid) == refusal{"missing_field", "bid: missing"});
    auto no_prepay = terms;
    no_prepay.as<value::map>()->erase("prepay");
    CHECK(refused(changed(bid, "bid", no_prepay)) == refusal{"missing_field", "bid.prepay: missing"});
    CHECK(refused(changed(bid, "discount", 1)) == refusal{"unknown_field", "discount: not a field that is known here"});
    CHECK(refused(changed(bid, "bid", changed(terms, "discount", 1))) ==
          refusal{"unknown_field", "bid.discount: not a field that is known here"});
    CHECK(refused(changed(bid, "bid", changed(terms, "x402", value::map{{"base_url", 1}}))) ==
          refusal{"wrong_type", "bid.x402.base_url: expected text, found a number"});
    CHECK(refused(changed(bid, "embed", value::map{{"$type", "a.b.c"}, {"record", value::map{{"uri", "u"}}}})) ==
          refusal{"missing_field", "embed.record.cid: missing"});
    CHECK(refused(changed(bid, "embed", value::map{{"$type", "a.b.c"}})) == refusal{"missing_field", "embed.record: missing"});
    CHECK(refused(changed(bid, "embed", value::map{{"$type", 1}})) ==
          refusal{"wrong_type", "embed.$type: expected text, found a number"});
    CHECK(refused(changed(bid, "embed", value::map{{"$type", "a.b.c"}, {"record", value::map{}}, {"x", 1}}))
              .text.starts_with("embed.x: "));
    CHECK(refused(changed(bid, "embed", value::map{{"uri", "u"}, {"cid", "c"}, {"x", 1}})).text.starts_with("embed.x: "));
    CHECK(refused(changed(bid, "embed", "at://")).text == "embed: expected a map, found text");
    CHECK(refused(changed(bid, "$type", "com.publicdomainrelay.ccrfp")).code == "wrong_type");
    auto untyped = to_value(inline_signature{});
    untyped.as<value::map>()->erase("$type");
    CHECK(refused(changed(bid, "signatures", value::list{untyped})).text == "signatures[0].$type: missing");
    const auto accept = changed(published("0004-ccba"), "payment", value::map{{"embed", value::map{{"uri", "u"}, {"cid", 3}}}});
    CHECK(from_record<ccba>(accept).error().text == "payment.embed.cid: expected text, found a number");
    CHECK(from_record<ccb>(value("text")).error().code == "wrong_type");
}

TEST_CASE("a record with a float or a key twice does not even reach its struct") {
    auto text = file("compute-contract/0002-ccb-request.json");
    const auto at = text.find("\"cost\": 4");
    REQUIRE(at != std::string::npos);
    CHECK(from_json(std::string(text).insert(at + 9, ".5"), json_form::atproto).error().code == "json_float");
    CHECK(from_json(std::string(text).insert(at, "\"cost\": 1, "), json_form::atproto).error().code == "json_duplicate_key");
}

TEST_CASE("every kind of record survives its bytes when it says nothing") {
    boost::mp11::mp_for_each<boost::mp11::mp_transform<boost::mp11::mp_identity, all_records>>([]<class I>(I) {
        using R = typename I::type;
        const R r{};
        CHECK(from_record<R>(to_record(r)).value() == r);
        CHECK(encode_described(r) == encode_dag_cbor(to_record(r)));
        CHECK(decode_described<R>(encode_described(r)).value() == r);
    });
}
