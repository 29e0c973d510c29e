#include <doctest/doctest.h>

#include <random>

#include <souk/messages/attest.hpp>
#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/dialect.hpp>
#include <souk/messages/money.hpp>

#include "data.hpp"

using namespace souk;

namespace {

const std::string alice = "did:plc:alice", bob = "did:plc:bob";

strong_ref ref_to(const std::string& who, std::string_view collection, const std::string& what) {
    return {"at://" + who + '/' + std::string(collection) + "/3mlf7tjlfjr2d", cid::of_raw(what).text()};
}

// Publishes drafts as a repository would: the envelope, and the values that it consists of.
struct said {
    std::string collection;
    value record;
    std::vector<value> parts;
};
said publish(const std::vector<draft>& drafts) {
    said out;
    std::vector<strong_ref> refs;
    for (const auto& d : drafts) {
        out.collection = d.collection, out.record = filled(d, refs);
        refs.push_back({"at://" + bob + '/' + d.collection + "/k", cid_of(out.record).text()});
        out.parts.push_back(out.record);
    }
    out.parts.pop_back();
    // Whoever writes a kind must be able to read it strictly, too.
    std::size_t known = 0;
    boost::mp11::mp_for_each<boost::mp11::mp_transform<boost::mp11::mp_identity, boost::mp11::mp_append<all_records, later_records>>>([&]<class I>(I) {
        for (const auto& each : out.parts) known += from_record<typename I::type>(each).has_value();
        known += from_record<typename I::type>(out.record).has_value();
    });
    CHECK(known == drafts.size());
    return out;
}

std::string service(dialect d, const std::string& name = "did:plc:bob#pdr_temp_market") { return d == dialect::g4 ? name : ""; }

// Requests, bids, accepts and receipts with every choice of what may be absent.
template <class T>
std::optional<T> maybe(unsigned bits, unsigned n, T x) {
    return bits >> n & 1 ? std::optional(std::move(x)) : std::nullopt;
}

ccrfp request(unsigned bits) {
    ccrfp r;
    r.cpus = 2, r.mem = "512M", r.disk = "10G", r.network = "500G", r.role = "my-cool-role", r.user_data = "#cloud-config\n";
    r.location = maybe(bits, 0, place{"USA", maybe<std::string>(bits, 1, "west")});
    r.createdAt = maybe<std::string>(bits, 2, "2026-05-09T07:42:10.123Z"), r.expiresAt = maybe<std::string>(bits, 3, "2026-05-09T08:42:10.123Z");
    return r;
}
ccb bid(unsigned bits, value cost = "0.06") {
    ccb b;
    b.embed_ = {std::string(ccrfp::nsid), ref_to(alice, ccrfp::nsid, "request")};
    b.bid = {std::move(cost), "USDC", "hourly", true, {"https://bob.example/ccr/{at}/{cid}"}, maybe<std::int64_t>(bits, 0, 600)};
    b.wif = maybe(bits, 1, wif{"https://issuer.example", "role", "/t", "/u", "/v1/oidc/issue", "actx:a:plc:{did-plc-key}:role:{role}"});
    b.location = maybe(bits, 2, place{"DE", {}}), b.attestation = maybe<std::string>(bits, 3, "simulated");
    b.createdAt = maybe<std::string>(bits, 4, "2026-05-09T07:42:10.123Z"), b.expiresAt = maybe<std::string>(bits, 5, "2026-05-09T08:42:10.123Z");
    return b;
}
ccba accept(unsigned bits, std::string_view payment) {
    ccba a;
    a.embed_ = {std::string(ccrfp::nsid), ref_to(alice, ccrfp::nsid, "request")}, a.bid = {std::string(ccb::nsid), ref_to(bob, ccb::nsid, "bid")};
    a.sshKey = maybe<std::string>(bits, 0, "ssh-ed25519 AAAA"), a.sealTo = maybe<std::string>(bits, 1, "did:key:z6LS"), a.payer = maybe<std::string>(bits, 2, "0x00");
    a.createdAt = maybe<std::string>(bits, 3, "2026-05-09T07:42:10.123Z");
    if (bits >> 4 & 1) a.payment = payment_ref{{std::string(ccbap::nsid), ref_to(alice, payment, "payment")}};
    return a;
}
ccr receipt(unsigned bits) {
    ccr r;
    r.rfp = {std::string(ccrfp::nsid), ref_to(alice, ccrfp::nsid, "request")}, r.bid = {std::string(ccb::nsid), ref_to(bob, ccb::nsid, "bid")};
    r.accept = embed{std::string(ccba::nsid), ref_to(alice, ccba::nsid, "accept")};
    r.sealed = maybe(bits, 0, octets{"closed"}), r.attestation = maybe<std::string>(bits, 1, "none"), r.previous = maybe<std::string>(bits, 2, "bafy");
    r.createdAt = "2026-05-09T07:42:10.123Z";
    return r;
}

value changed(value record, const std::string& key, value x) {
    record.as<value::map>()->insert_or_assign(key, std::move(x));
    return record;
}

} // namespace

TEST_CASE("there and back is the same, in every generation, whatever is left out") {
    for (const auto d : all_dialects) {
        CAPTURE(std::string(boost::describe::enum_to_string(d, "?")));
        for (unsigned bits = 0; bits < 64; ++bits) {
            if (bits < 16) {
                const auto out = publish(write_request(d, request(bits), service(d)).value());
                CHECK(out.collection == collection_of(d, speech::request));
                CHECK(parts_of(out.record).size() == out.parts.size());
                const auto back = read_request(out.collection, out.record, out.parts).value();
                CHECK(back.said == request(bits));
                CHECK(back.by == d);
                CHECK(back.answer_to == service(d));
            }
            const auto b = publish(write_bid(d, bid(bits), service(d)).value());
            CHECK(parts_of(b.record).size() == b.parts.size());
            const auto back = read_bid(b.collection, b.record, b.parts).value();
            CHECK(back.said == bid(bits));
            CHECK(back.by == d);
            CHECK(back.answer_to == service(d));
            if (bits < 32) {
                const auto proof = d == dialect::g1 || d == dialect::g2 ? ccbap::nsid : market::receipts_x402::nsid;
                const auto a = publish(write_accept(d, accept(bits, proof), service(d)).value());
                CHECK(read_accept(a.collection, a.record)->said == accept(bits, proof));
                CHECK(read_accept(a.collection, a.record)->by == d);
            }
            if (bits < 8) {
                const auto subject = to_record(accept(7, ccbap::nsid));
                const auto r = publish(write_receipt(d, receipt(bits), service(d), subject, alice).value());
                CHECK(read_receipt(r.collection, r.record)->said == receipt(bits));
                CHECK(read_receipt(r.collection, r.record)->by == d);
                if (const auto* bound = r.record.find("cid")) CHECK(*bound == value(remote_cid(r.record, subject, alice)->text()));
            }
        }
    }
}

TEST_CASE("a record of any generation is read by the collection that it lies in, and by no other's rules") {
    for (const auto d : all_dialects)
        for (const auto what : {speech::request, speech::bid, speech::accept, speech::receipt}) {
            const auto collection = collection_of(d, what);
            CHECK(speech_of(collection) == what);
            const value nothing = value::map{};
            CHECK((read_request(collection, nothing).error().code == "unknown_kind") == (what != speech::request));
            CHECK((read_bid(collection, nothing).error().code == "unknown_kind") == (what != speech::bid));
            CHECK((read_accept(collection, nothing).error().code == "unknown_kind") == (what != speech::accept));
            CHECK((read_receipt(collection, nothing).error().code == "unknown_kind") == (what != speech::receipt));
        }
    CHECK_FALSE(speech_of(ccbap::nsid));
    CHECK_FALSE(speech_of("app.bsky.feed.post"));
}

TEST_CASE("a bid's price survives in every generation") {
    std::mt19937 dice(20260708); // a failure names what it was
    for (int i = 0; i < 500; ++i) {
        auto b = bid(63, dice() % 2 ? value(static_cast<std::int64_t>(dice() % 1'000'000)) : value(to_decimal(static_cast<amount>(dice() % 1'000'000'000))));
        b.bid.frequency = std::array{"monthly", "hourly", "one-time"}[dice() % 3];
        b.bid.slice = 1 + static_cast<std::int64_t>(dice() % 1'000'000);
        b.bid.prepay = dice() % 2;
        const auto price = price_of(b.bid).value();
        for (const auto d : all_dialects) {
            const auto out = publish(write_bid(d, b, service(d)).value());
            const auto back = read_bid(out.collection, out.record, out.parts).value();
            CHECK(back.said.bid == b.bid);
            CHECK(price_of(back.said.bid).value() == price);
        }
    }
}

TEST_CASE("cost comparison that makes the first bid win: a bid's price is in the record that it names, and is compared") {
    const auto dear = publish(write_bid(dialect::g4, bid(63, "9.00"), service(dialect::g4)).value()), cheap = publish(write_bid(dialect::g4, bid(63, "0.01"), service(dialect::g4)).value());
    CHECK_FALSE(dear.record.find("cost"));
    const auto price = [](const said& s) { return price_of(read_bid(s.collection, s.record, s.parts)->said.bid)->for_slice; };
    CHECK(price(cheap) < price(dear));
    CHECK(read_bid(dear.collection, dear.record).error().code == "missing_part"); // never taken for some price
}

TEST_CASE("strongRef CID ignored: a part counts for the CID that its bytes make") {
    const auto out = publish(write_bid(dialect::g3, bid(63), "").value());
    auto swapped = out.parts;
    swapped[0] = changed(swapped[0], "cost", "0.000001"); // the record under the same name, changed after it was signed
    CHECK(read_bid(out.collection, out.record, swapped).error().code == "missing_part");
    swapped = out.parts;
    swapped[1] = changed(swapped[1], "issuer_uri", "https://eve.example");
    CHECK(read_bid(out.collection, out.record, swapped).error().code == "missing_part");
    const auto wanted = publish(write_request(dialect::g3, request(15), "").value());
    CHECK(read_request(wanted.collection, wanted.record, {changed(wanted.parts[0], "user_data", "#!/bin/sh\n")}).error().code == "missing_part");
}

TEST_CASE("what a generation cannot say is refused, not left out") {
    const auto code = [](const auto& r) { return r ? std::string("good") : r.error().code; };
    for (const auto d : {dialect::g3, dialect::g4}) {
        auto b = bid(63);
        for (const auto* url : {"https://bob.example/pay?at={at}&cid={cid}", "/{at}/{cid}", "https://bob.example//{at}/{cid}", "https://{x}/{at}/{cid}"}) {
            b.bid.x402.base_url = url;
            CHECK(code(write_bid(d, b, service(d))) == "dialect_cannot_say");
        }
        for (auto drop : {&wif::issuer_uri, &wif::to_issue, &wif::token_path, &wif::url_path, &wif::url_route, &wif::subject}) {
            auto half = bid(63);
            (*half.wif.*drop).reset();
            CHECK(code(write_bid(d, half, service(d))) == "dialect_cannot_say");
        }
        CHECK(code(write_accept(d, accept(31, ccbap::nsid), service(d))) == "dialect_cannot_say"); // paid in the words of the first two
        auto r = receipt(7);
        r.accept.reset();
        CHECK(code(write_receipt(d, r, service(d), value::map{}, alice)) == "dialect_cannot_say");
        r = receipt(7), r.createdAt.clear();
        CHECK(code(write_receipt(d, r, service(d), value::map{}, alice)) == "bad_datetime");
    }
    for (const auto d : {dialect::g1, dialect::g2}) CHECK(code(write_accept(d, accept(31, market::receipts_x402::nsid), "")) == "dialect_cannot_say");
    for (const auto d : {dialect::g1, dialect::g2, dialect::g3}) {
        CHECK(code(write_request(d, request(0), "did:plc:alice#pdr_temp_market")) == "dialect_cannot_say");
        CHECK(code(write_bid(d, bid(0), "did:plc:bob#pdr_temp_market")) == "dialect_cannot_say");
    }
    CHECK(code(write_request(dialect::g4, request(0), "")) == "dialect_cannot_say");
}

TEST_CASE("what deployed programs write is understood") {
    const auto wanted = publish(write_request(dialect::g4, request(0), service(dialect::g4)).value());
    // The newest requester names no size: upstream's providers start their smallest.
    const value unsized = value::map{{"$type", market::vm::nsid}, {"role", "r"}, {"user_data", "u"}, {"createdAt", "2026-07-08T05:50:24.474Z"}};
    auto asked = changed(wanted.record, "payload", value::map{{"uri", "at://x"}, {"cid", cid_of(unsized).text()}});
    const auto smallest = read_request(wanted.collection, asked, {unsized})->said;
    CHECK(smallest.cpus == 1);
    CHECK(smallest.mem == "512M");
    const auto half = changed(unsized, "mem", "8G");
    asked = changed(asked, "payload", value::map{{"uri", "at://x"}, {"cid", cid_of(half).text()}});
    CHECK(read_request(wanted.collection, asked, {half}).error() == refusal{"missing_field", "payload.cpus: missing"});
    // Another payload, another domain.
    CHECK(read_request(wanted.collection, changed(wanted.record, "domain", "storage"), wanted.parts).error().code == "not_applicable");
    const value other = value::map{{"$type", "com.publicdomainrelay.temp.compute.deno"}};
    asked = changed(asked, "payload", value::map{{"uri", "at://x"}, {"cid", cid_of(other).text()}});
    CHECK(read_request(wanted.collection, asked, {other}).error().code == "not_applicable");

    const auto b = publish(write_bid(dialect::g4, bid(63), service(dialect::g4)).value());
    auto renamed = b.record;
    renamed.as<value::map>()->erase("config"); // the newest bidder writes the other spelling alone
    CHECK(read_bid(b.collection, renamed, b.parts)->said == bid(63));
    auto two = changed(b.record, "bidConfig", value::map{{"uri", "at://x"}, {"cid", "bafy"}});
    CHECK(read_bid(b.collection, two, b.parts).error().code == "wrong_type");
    const value nested = value::map{{"$type", market::rfp::nsid}, {"record", *b.record.find("rfp")}};
    CHECK(read_bid(b.collection, changed(b.record, "rfp", nested), b.parts)->said == bid(63)); // nested and flat references alike
    auto untyped = b.record;
    untyped.as<value::map>()->erase("$type");
    CHECK(read_bid(b.collection, untyped, b.parts)->said == bid(63));
    CHECK(read_bid(b.collection, changed(b.record, "later", 1), b.parts)->said == bid(63)); // these grow by fields
    for (const auto d : all_dialects) {
        const auto one = publish(write_bid(d, bid(63), service(d)).value());
        CHECK(read_bid(one.collection, changed(one.record, "version", "0.0.0"), one.parts)->said == bid(63));
        CHECK(read_bid(one.collection, changed(one.record, "version", "1.0.0"), one.parts).error().code == "unknown_version");
    }
    const value free = value::map{{"$type", market::bids_free::nsid}, {"cost", 0}};
    CHECK(read_bid(b.collection, changed(b.record, "payload", value::map{{"uri", "at://x"}, {"cid", cid_of(free).text()}}), {free}).error().code == "free_terms");

    // Paid URLs: what follows is appended, whether or not a slash is there; a template stands.
    for (const auto& [url, wanted_url] : {std::pair{"https://bob.example/receipt/", "https://bob.example/receipt/{at}/{cid}"},
                                          std::pair{"https://bob.example/ccr/{at}/{cid}", "https://bob.example/ccr/{at}/{cid}"}}) {
        const auto terms = changed(b.parts[0], "url", url);
        const auto named = changed(b.record, "payload", value::map{{"uri", "at://x"}, {"cid", cid_of(terms).text()}});
        CHECK(read_bid(b.collection, named, {terms, b.parts[1]})->said.bid.x402.base_url == wanted_url);
    }
    for (const auto* url : {"", "https://bob.example/{at}"}) {
        const auto terms = changed(b.parts[0], "url", url);
        const auto named = changed(b.record, "payload", value::map{{"uri", "at://x"}, {"cid", cid_of(terms).text()}});
        CHECK(read_bid(b.collection, named, {terms, b.parts[1]}).error().code == "bad_paid_url");
    }
    // A provider's account beside its template.
    const auto config = changed(changed(b.parts[1], "subject", "actx:{actx}:plc:{did-plc-key}:role:{role}"), "actx", "4959");
    auto open = b.record;
    open.as<value::map>()->erase("bidConfig");
    open = changed(open, "config", value::map{{"uri", "at://x"}, {"cid", cid_of(config).text()}});
    CHECK(*read_bid(b.collection, open, {b.parts[0], config})->said.wif->subject == "actx:4959:plc:{did-plc-key}:role:{role}");
}

TEST_CASE("a part that is malformed is refused with its path") {
    const auto b = publish(write_bid(dialect::g4, bid(63), service(dialect::g4)).value());
    const auto terms = changed(b.parts[0], "prepay", "yes");
    const auto named = changed(b.record, "payload", value::map{{"uri", "at://x"}, {"cid", cid_of(terms).text()}});
    CHECK(read_bid(b.collection, named, {terms, b.parts[1]}).error() == refusal{"wrong_type", "payload.prepay: expected a truth value, found text"});
    CHECK(read_bid(b.collection, value("text")).error().code == "wrong_type");
    CHECK(parts_of(value("text")).empty());
}

TEST_CASE("the live records of the fourth generation are understood") {
    const auto b = json_file("compute-contract/g4-bid.json");
    CHECK(parts_of(b).size() == 2);
    CHECK(read_accept(market::accept::nsid, json_file("compute-contract/g4-accept.json"))->answer_to == "did:plc:o3stzy6qojgmdtdzjq6tynqs#pdr_temp_compute_event");
    const auto r = read_receipt(market::receipt::nsid, json_file("compute-contract/g4-receipt.json")).value();
    CHECK(r.by == dialect::g4);
    CHECK(r.said.accept->record.cid == "bafyreiebpdz5zuya2qz5vk5dg6ue7ngvz7wdz4ephwlclxrqzpb44aweda");
}
