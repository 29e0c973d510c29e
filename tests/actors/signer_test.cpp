#include "stage.hpp"
#include "virtual_time.hpp"

#include <souk/actors/signer/draft.hpp>
#include <souk/actors/signer/signer.hpp>
#include <souk/messages/attest.hpp>

using namespace souk;

namespace {

const std::string bob = "did:plc:bob", rfp_cid = "bafyreiccaougmp3654xsmrwjpihbsjyxzbcyvvnwhry2cci5fh2ubjtf74";

value receipt_draft() {
    const value ref = value::map{{"$type", "com.publicdomainrelay.ccrfp"},
                                 {"record", value::map{{"uri", "at://did:plc:alice/com.publicdomainrelay.ccrfp/one"}, {"cid", rfp_cid}}}};
    return value::map{{"rfp", ref}, {"bid", ref}, {"ccba", ref}};
}
value denouncement() { return value::map{{"$type", vouch::nsid}, {"kind", "denounce"}, {"reason", "took the money and ran"}}; }
value praise() { return value::map{{"$type", vouch::nsid}, {"kind", "vouch"}}; }

sign_record order_of(std::string_view collection, const std::string& rkey, const value& v, bool attested = true, bool chained = false) {
    sign_record s;
    s.collection = std::string(collection), s.rkey = rkey, s.record = encode_dag_cbor(v), s.attest = attested, s.chained = chained;
    return s;
}

struct with_signer : virtual_time {
    stage::party me{bob};
    stage::repository own{bob};
    signer_actor signer = keep(spawn_signer(sys, {bob, clock()}, own, me.key));

    signed_record sign(const sign_record& what) { return answer<signed_record>(signer, what); }
    signed_record sign_receipt(const std::string& rkey) { return sign(order_of(ccr::nsid, rkey, receipt_draft(), true, true)); }
    static value read(const signed_record& r) { return decode_dag_cbor(r.record.data).value(); }
    keys_of_did my_keys() {
        return [this](std::string_view did) -> result<std::vector<crypto::public_key>> {
            if (did != bob) return refusal{"did_unresolved", "nobody"};
            return std::vector{me.open};
        };
    }
};

} // namespace

TEST_CASE_FIXTURE(with_signer, "a signed record is published, attested by its author, and says when it was made") {
    const auto done = sign_receipt("first");
    REQUIRE(code(done.refused) == "good");
    CHECK(done.uri == "at://did:plc:bob/com.publicdomainrelay.ccr/first");
    const auto record = read(done);
    CHECK(cid_of(record).text() == done.cid);
    CHECK(record.text("createdAt") == "2026-05-09T07:42:10.000Z");
    CHECK(code(check_attestation(record, bob, bob, my_keys())) == "good");
    CHECK(code(check_attestation(record, "did:plc:eve", bob, my_keys())) == "signature_cid_mismatch"); // copied into another repository
    CHECK(own.get(std::string(ccr::nsid), "first")->cid.text() == done.cid);
}

TEST_CASE_FIXTURE(with_signer, "a repeated effect is the same record, however much later it is asked for") {
    const auto once = sign_receipt("first");
    sign_receipt("second");
    now += std::chrono::hours{5};
    const auto again = sign_receipt("first");
    CHECK(again.cid == once.cid);
    CHECK(again.record == once.record);
    CHECK(own.list(std::string(ccr::nsid), 9, {}, false).size() == 2);
}

TEST_CASE_FIXTURE(with_signer, "receipts form one hash-linked log, which a repeated one does not fork") {
    const auto one = sign_receipt("m");
    const auto two = sign_receipt("a"); // keys are derived: their order says nothing
    sign_receipt("m");
    const auto three = sign_receipt("z");
    CHECK(read(one).find("previous") == nullptr);
    CHECK(read(two).text("previous") == one.cid);
    CHECK(read(three).text("previous") == two.cid);

    SUBCASE("a signer that starts again goes on where it was, whatever the keys' order") {
        const auto later = keep(spawn_signer(sys, {bob, clock()}, own, me.key));
        const auto four = answer<signed_record>(later, order_of(ccr::nsid, "b", receipt_draft(), true, true));
        CHECK(read(four).text("previous") == three.cid);
    }
    SUBCASE("what a draft claims to follow is not believed") {
        auto draft = receipt_draft();
        draft.as<value::map>()->insert_or_assign("previous", "bafyreiforged");
        CHECK(read(sign(order_of(ccr::nsid, "y", draft, true, true))).text("previous") == three.cid);
    }
    SUBCASE("a write that the disk refused leaves the log as it was") {
        own.broken = refusal{"disk_full", "no room"};
        CHECK(code(sign_receipt("lost").refused) == "disk_full");
        own.broken.reset();
        CHECK(read(sign_receipt("kept")).text("previous") == three.cid);
    }
}

TEST_CASE_FIXTURE(with_signer, "more receipts than one page of the repository still make one log") {
    std::string last;
    for (int i = 0; i < 1203; ++i) {
        auto v = receipt_draft();
        v.as<value::map>()->emplace("n", i);
        last = own.put(std::string(ccr::nsid), "key" + std::to_string((i * 7919) % 100'000), v).value().cid.text();
    }
    const auto later = keep(spawn_signer(sys, {bob, clock()}, own, me.key));
    CHECK(read(answer<signed_record>(later, order_of(ccr::nsid, "next", receipt_draft(), true, true))).text("previous") == last);
}

TEST_CASE_FIXTURE(with_signer, "a vouch can become a denouncement, since its key is the person") {
    const auto kind_of = [&] { return std::string(own.get(std::string(vouch::nsid), "did:plc:eve")->value.text("kind")); };
    const auto first = sign(order_of(vouch::nsid, "did:plc:eve", praise(), false));
    REQUIRE(code(first.refused) == "good");
    now += 1h;
    CHECK(sign(order_of(vouch::nsid, "did:plc:eve", praise(), false)).cid == first.cid); // said already
    CHECK(code(sign(order_of(vouch::nsid, "did:plc:eve", denouncement(), false)).refused) == "good");
    CHECK(kind_of() == "denounce");
}

TEST_CASE_FIXTURE(with_signer, "what a strict reader would refuse is not signed") {
    const auto refused = [&](const sign_record& what) { return code(sign(what).refused); };
    auto odd = receipt_draft();
    odd.as<value::map>()->emplace("colour", "green");
    CHECK(refused(order_of(ccr::nsid, "k", odd)) == "unknown_field");
    auto short_one = receipt_draft();
    short_one.as<value::map>()->erase("bid");
    CHECK(refused(order_of(ccr::nsid, "k", short_one)) == "missing_field");
    auto other = receipt_draft();
    other.as<value::map>()->emplace("$type", "com.publicdomainrelay.ccb");
    CHECK(refused(order_of(ccr::nsid, "k", other)) == "wrong_type");
    CHECK(refused(order_of("com.example.post", "k", value(value::map{}))) == "unknown_kind");
    CHECK(refused(order_of(ccbap::nsid, "k", value(value::map{}))) == "unknown_kind"); // read, never written
    CHECK(refused(order_of(ccr::nsid, "../k", receipt_draft())) == "bad_record_key");
    CHECK(refused(order_of(ccr::nsid, "k", value("text"))) == "wrong_type");
    auto forged = receipt_draft();
    forged.as<value::map>()->emplace("signatures", value::list{});
    CHECK(refused(order_of(ccr::nsid, "k", forged)) == "not_attestable");
    auto undated = receipt_draft();
    undated.as<value::map>()->emplace("createdAt", "yesterday");
    CHECK(refused(order_of(ccr::nsid, "k", undated)) == "bad_datetime");
    sign_record garbage = order_of(ccr::nsid, "k", receipt_draft());
    garbage.record.data.pop_back();
    CHECK(refused(garbage) == "cbor_truncated");
    CHECK(refused(order_of(vouch::nsid, "did:plc:eve", praise(), true)) == "not_attestable");
    CHECK(refused(order_of(vouch::nsid, "did:plc:eve", praise(), false, true)) == "not_chainable");
    CHECK(own.list(std::string(ccr::nsid), 9, {}, false).empty());
}

TEST_CASE_FIXTURE(with_signer, "a record that must be attested is not published without") {
    const value order = value::map{{"accept", receipt_draft().find("rfp")->get().index() ? *receipt_draft().find("rfp") : value()}, {"kind", "stop"}};
    CHECK(code(sign(order_of(cce::nsid, "k", order, false)).refused) == "missing_field");
    CHECK(code(sign(order_of(cce::nsid, "k", order, true)).refused) == "good");
}

TEST_CASE_FIXTURE(virtual_time, "a signer is not given another's repository") {
    stage::party me{bob};
    stage::repository alices("did:plc:alice");
    CHECK_THROWS_AS(spawn_signer(sys, {bob, clock()}, alices, me.key), std::invalid_argument);
}
