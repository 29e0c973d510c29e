#include <doctest/doctest.h>

#include <functional>

#include <souk/messages/bytes.hpp>
#include <souk/messages/evm/abi.hpp>
#include <souk/messages/evm/permit2.hpp>

#include "data.hpp"

using namespace souk;
using namespace souk::evm;
using std::chrono::seconds;
using permit = permit2::permit;

namespace {

// Permits as the official packages sign and settle them (tests/x402/vectors.mjs).
const value::list& made() {
    static const auto all = json_file("x402/permit2-84532.json", json_form::plain);
    return *all.find("cases")->as<value::list>();
}
crypto::secret payer() { return crypto::secret(from_hex("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d").value()); }
permit permit_in(const value& v) { return from_value<permit>(*v.find("authorization")).value(); }
std::string bytes(const value& v, const char* key) { return bytes_of(v.text(key), any_size).value(); }
const value& case_of(const std::string& scheme) {
    for (const auto& c : made())
        if (c.text("scheme") == scheme) return c;
    throw std::runtime_error("no " + scheme);
}

const instant frozen{seconds(1'800'000'000)};
const std::string settler = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

x402::requirements offered(const std::string& scheme) {
    x402::requirements r;
    r.scheme = scheme, r.network = "eip155:84532", r.amount = scheme == "upto" ? "500000" : "10000", r.asset = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
    r.payTo = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC", r.maxTimeoutSeconds = 300;
    value::map extra{{"name", "USDC"}, {"version", "2"}, {"assetTransferMethod", "permit2"}};
    if (scheme == "upto") extra.emplace("facilitatorAddress", settler);
    r.extra = value(std::move(extra));
    return r;
}
x402::payment paid(const std::string& scheme) {
    x402::payment p;
    p.accepted = offered(scheme);
    p.payload = permit2::authorise(p.accepted, payer(), "0x" + std::string(64, 'a'), frozen + seconds(300)).value();
    return p;
}
// All that is said of it without a chain.
std::string judged(const x402::payment& p, const x402::requirements& r, instant now = frozen, std::vector<std::string> facilitators = {settler}) {
    if (const auto terms = permit2::check_terms(p, r, facilitators, now); !terms) return terms.error().code;
    if (const auto signature = permit2::check_signature(84532, p.payload); !signature) return signature.error().code;
    if (const auto much = permit2::check_amount(p.payload); !much) return much.error().code;
    return "good";
}
void sign_again(x402::payment& p) { p.payload = permit2::sign(84532, *p.payload.permit2Authorization, payer()).value(); }

} // namespace

TEST_CASE("a permit's digest, its signature and the call that settles it are the official packages', to the byte") {
    for (const auto& c : made()) {
        const auto p = permit_in(c);
        CHECK(permit2::is_upto(p) == (c.text("scheme") == "upto"));
        CHECK(permit2::digest_of(84532, p).value() == bytes(c, "digest"));
        const auto by_us = permit2::sign(84532, p, payer()).value();
        CHECK(by_us.signature == c.text("signature"));
        CHECK(permit2::check_signature(84532, by_us).value() == p.from);
        for (const auto& call : *c.find("calls")->as<value::list>()) {
            const auto data = bytes(call, "data");
            CHECK(permit2::settle_call(p, call.text("amount"), bytes(c, "signature")).value() == data);
            const auto read = permit2::read_settle(p.spender, data);
            REQUIRE(read.has_value());
            CHECK(crypto::same_address(read->owner, p.from));
            CHECK(crypto::same_address(read->token, p.permitted.token));
            CHECK(crypto::same_address(read->to, p.witness.to));
            CHECK(read->nonce == uint256(p.nonce).value());
            CHECK(read->value == uint256(call.text("amount")).value());
            CHECK(!permit2::read_settle(permit2::contract, data));
            CHECK(!permit2::read_settle(permit2::is_upto(p) ? permit2::exact_proxy : permit2::upto_proxy, data));
            for (std::size_t n = 0; n < 4 + 32 * 6; ++n) CHECK(!permit2::read_settle(p.spender, data.substr(0, n)));
        }
    }
    CHECK(!permit2::sign(84532, permit_in(case_of("exact")), crypto::secret(std::string(32, '\0'))));
    CHECK(permit2::digest_of(8453, permit_in(case_of("exact"))).value() != bytes(case_of("exact"), "digest"));
}

TEST_CASE("every member of a permit is signed, and every byte of its signature counts") {
    for (const std::string scheme : {"exact", "upto"}) {
        const auto good = paid(scheme);
        REQUIRE(permit2::check_signature(84532, good.payload).has_value());
        CHECK(!permit2::check_signature(84531, good.payload).has_value());
        const std::vector<std::function<void(permit&)>> changes{
            [](permit& p) { p.from = settler; },
            [](permit& p) { p.permitted.token = settler; },
            [](permit& p) { p.permitted.amount += '0'; },
            [](permit& p) { p.spender = p.permitted.token; },
            [](permit& p) { p.nonce.pop_back(); },
            [](permit& p) { p.deadline = "1800000301"; },
            [](permit& p) { p.witness.to = p.permitted.token; },
            [](permit& p) { p.witness.validAfter = "1"; },
            [](permit& p) { p.witness.facilitator = p.permitted.token; },
        };
        for (std::size_t i = 0; i < changes.size(); ++i) {
            auto bad = good.payload;
            changes[i](*bad.permit2Authorization);
            CAPTURE(i);
            CHECK(permit2::check_signature(84532, bad).error().code == "invalid_permit2_signature");
        }
        if (scheme == "upto") {
            auto bad = good.payload;
            bad.permit2Authorization->witness.facilitator.reset();
            CHECK(permit2::check_signature(84532, bad).error().code == "invalid_permit2_signature");
        }
        for (std::size_t at = 2; at < good.payload.signature.size(); ++at) {
            auto bad = good.payload;
            bad.signature[at] = bad.signature[at] == '0' ? '1' : '0';
            CHECK(permit2::check_signature(84532, bad).error().code == "invalid_permit2_signature");
        }
        for (const auto& signature : {std::string(), std::string("0x"), good.payload.signature + "00", good.payload.signature.substr(0, 130), good.payload.signature.substr(2)}) {
            auto bad = good.payload;
            bad.signature = signature;
            CHECK(permit2::check_signature(84532, bad).error().code == "invalid_permit2_signature");
        }
    }
}

TEST_CASE("what is wrong with a permit has the official code, in the official order") {
    for (const std::string scheme : {"exact", "upto"}) {
        const bool upto = scheme == "upto";
        const auto r = offered(scheme);
        const auto good = paid(scheme);
        CHECK(judged(good, r) == "good");
        // Signed anew, so that only the change is at fault.
        const auto with = [&](const std::function<void(permit&)>& change) {
            auto p = good;
            change(*p.payload.permit2Authorization);
            sign_again(p);
            return judged(p, r);
        };
        CHECK(with([](permit& p) { p.spender = permit2::contract; }) == "invalid_permit2_spender");
        CHECK(with([&](permit& p) { p.spender = upto ? permit2::exact_proxy : permit2::upto_proxy; }) == "invalid_permit2_spender");
        CHECK(with([](permit& p) { p.witness.to = settler; }) == "invalid_permit2_recipient_mismatch");
        CHECK(with([](permit& p) { p.deadline = "1800000005"; }) == "permit2_deadline_expired");
        CHECK(with([](permit& p) { p.deadline = "1800000006"; }) == "good");
        CHECK(with([](permit& p) { p.witness.validAfter = "1800000001"; }) == "permit2_not_yet_valid");
        CHECK(with([](permit& p) { p.witness.validAfter = "1800000000"; }) == "good");
        CHECK(with([](permit& p) { p.permitted.amount = "9999"; }) == "permit2_amount_mismatch");
        CHECK(with([](permit& p) { p.permitted.amount = "1000000"; }) == "permit2_amount_mismatch");
        CHECK(with([](permit& p) { p.permitted.token = settler; }) == "permit2_token_mismatch");
        // Several at once: what is asked first is answered.
        CHECK(with([](permit& p) { p.spender = settler, p.witness.to = settler, p.deadline = "1"; }) == "invalid_permit2_spender");
        CHECK(with([](permit& p) { p.witness.to = settler, p.deadline = "1", p.permitted.amount = "1"; }) == "invalid_permit2_recipient_mismatch");
        CHECK(with([](permit& p) { p.deadline = "1", p.permitted.amount = "1"; }) == "permit2_deadline_expired");
        CHECK(with([](permit& p) { p.permitted.amount = "1", p.permitted.token = settler; }) == "permit2_amount_mismatch");

        auto p = good;
        p.accepted.network = "eip155:8453";
        CHECK(judged(p, r) == (upto ? "invalid_upto_evm_network_mismatch" : "invalid_exact_evm_network_mismatch"));
        p = good, p.accepted.scheme = upto ? "exact" : "upto";
        CHECK(judged(p, r) == "invalid_upto_evm_scheme");
        p = good, p.x402Version = 1;
        CHECK(judged(p, r) == "invalid_x402_version");
        p = good, p.payload.permit2Authorization.reset();
        CHECK(judged(p, r) == "unsupported_payload_type");
        p = good, p.payload.permit2Authorization->deadline = "0x7";
        CHECK(judged(p, r) == "invalid_payload");
        p = good, p.payload.permit2Authorization->witness.facilitator = upto ? std::nullopt : std::optional(settler);
        CHECK(judged(p, r) == "unsupported_payload_type");
        p = good, p.payload.signature[70] ^= 1;
        CHECK(judged(p, r) == "invalid_permit2_signature");
        auto elsewhere = r;
        elsewhere.network = "soukdev:nowhere";
        CHECK(judged(good, elsewhere) == "invalid_network");
        CHECK(judged(good, r, instant{seconds(-10)}) == "permit2_not_yet_valid");
        if (upto) {
            CHECK(judged(good, r, frozen, {}) == "upto_facilitator_mismatch");
            CHECK(judged(good, r, frozen, {"0x70997970C51812dc3A010C7d01b50e0d17dc79C8"}) == "upto_facilitator_mismatch");
            CHECK(judged(good, r, frozen, {"0x70997970C51812dc3A010C7d01b50e0d17dc79C8", "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"}) == "good");
        }
    }
}

TEST_CASE("of `upto` no more than was permitted is moved, of `exact` neither more nor less, and what is moved is what was signed for") {
    const auto with = [](const std::string& scheme, const std::string& value) {
        auto p = paid(scheme).payload;
        p.authorization.value = value;
        const auto said = permit2::check_amount(p);
        return said ? "good" : said.error().code;
    };
    CHECK(with("upto", "0") == "good");
    CHECK(with("upto", "123456") == "good");
    CHECK(with("upto", "500000") == "good");
    CHECK(with("upto", "500001") == "invalid_upto_evm_payload_settlement_exceeds_amount");
    CHECK(with("upto", "-1") == "invalid_payload");
    CHECK(with("upto", "") == "invalid_payload");
    CHECK(with("exact", "10000") == "good");
    CHECK(with("exact", "9999") == "permit2_amount_mismatch");
    CHECK(with("exact", "10001") == "permit2_amount_mismatch");
    for (const auto& change : std::vector<std::function<void(x402::authorization&)>>{
             [](x402::authorization& a) { a.to = settler; }, [](x402::authorization& a) { a.from = settler; }, [](x402::authorization& a) { a.validBefore += '0'; },
             [](x402::authorization& a) { a.validAfter = "1"; }, [](x402::authorization& a) { a.nonce.back() = 'b'; }}) {
        auto p = paid("upto").payload;
        change(p.authorization);
        CHECK(permit2::check_amount(p).error().code == "invalid_payload");
    }
}

TEST_CASE("a permit goes over the wire as the official packages have it, and what a stranger says beside it is not looked at") {
    const auto p = paid("upto");
    const auto wire = from_json(from_base64(x402::to_header(p)).value()).value();
    CHECK(!wire.find("payload")->find("authorization"));
    CHECK(wire.find("payload")->find("permit2Authorization")->find("witness")->text("facilitator") == settler);
    const auto back = x402::from_header<x402::payment>(x402::to_header(p));
    REQUIRE(back.has_value());
    CHECK(back->payload == p.payload);
    CHECK(back->payload.authorization.nonce == "permit2:0x" + std::string(64, 'a'));
    CHECK(!x402::words_of(back->payload.authorization).has_value()); // no token takes it

    auto both = wire;
    auto& payload = *both.as<value::map>()->at("payload").as<value::map>();
    payload.insert_or_assign("authorization", to_value(x402::authorization{settler, settler, "1", "0", "1", "0x" + std::string(64, '1')}));
    CHECK(x402::payment_of(both)->payload == p.payload);
    payload.erase("permit2Authorization");
    CHECK(!x402::payment_of(both)->payload.permit2Authorization);
    payload.insert_or_assign("permit2Authorization", value()); // some write what they do not have as null
    CHECK(!x402::payment_of(both)->payload.permit2Authorization);
    payload.insert_or_assign("permit2Authorization", value("permit"));
    CHECK(!x402::payment_of(both).has_value());
    auto broken = wire;
    broken.as<value::map>()->at("payload").as<value::map>()->at("permit2Authorization").as<value::map>()->insert_or_assign("nonce", "0x01");
    CHECK(x402::payment_of(broken).error().code == "invalid_payload");
    CHECK(decode_described<x402::payment>(encode_described(p))->payload == p.payload); // between roles it has both
}

TEST_CASE("a permit is paid with where nothing better is offered: first an authorisation, then what is exact, then what is at most") {
    const x402::domain dollar{"USDC", "2", 84532, "0x036CbD53842c5426634e7929541eC2318f3dCF7e"};
    auto plain = offered("exact");
    plain.extra = value(value::map{{"name", "USDC"}, {"version", "2"}}), plain.amount = "20000";
    const auto chosen = [&](std::vector<x402::requirements> all, amount most) {
        x402::payment_required need;
        need.accepts = std::move(all);
        const auto c = x402::choose(need, "eip155:84532", dollar, most);
        return c ? c->scheme + ' ' + c->amount : c.error().code;
    };
    CHECK(chosen({offered("upto"), offered("exact"), plain}, 1'000'000) == "exact 20000");
    CHECK(chosen({offered("upto"), offered("exact")}, 1'000'000) == "exact 10000");
    CHECK(chosen({offered("upto")}, 500'000) == "upto 500000");
    CHECK(chosen({offered("upto")}, 499'999) == "price_too_high"); // the limit is for what may be taken
    auto nobody = offered("upto");
    nobody.extra = value(value::map{{"assetTransferMethod", "permit2"}});
    CHECK(chosen({nobody}, 1'000'000) == "no_way_to_pay");
    auto other = offered("exact");
    other.asset = settler;
    CHECK(chosen({other}, 1'000'000) == "no_way_to_pay");
    auto odd = offered("exact");
    odd.extra = value(value::map{{"name", "USDC"}, {"version", "2"}, {"assetTransferMethod", "carrier-pigeon"}});
    CHECK(chosen({odd}, 1'000'000) == "no_way_to_pay");

    x402::payment_required need;
    for (const std::string scheme : {"exact", "upto"}) {
        const auto p = x402::authorise(need, offered(scheme), payer(), "0x" + std::string(64, '7'), frozen + seconds(60));
        REQUIRE(p.has_value());
        CHECK(judged(*p, offered(scheme)) == "good");
    }
    CHECK(!x402::authorise(need, offered("exact"), payer(), "0x77", frozen));
    CHECK(x402::authorise(need, nobody, payer(), "0x" + std::string(64, '7'), frozen).error().code == "invalid_exact_evm_scheme");
}

TEST_CASE("a nonce is a bit of its owner's, and an owner can void many at once") {
    const auto nonce = [](std::uint64_t n) { return number(n); };
    CHECK(permit2::nonces_query(settler, nonce(255)).value() == permit2::nonces_query(settler, nonce(0)).value());
    CHECK(permit2::nonces_query(settler, nonce(256)).value() != permit2::nonces_query(settler, nonce(255)).value());
    CHECK(permit2::nonces_query(settler, nonce(256)).value().substr(36) == number(1));
    CHECK(!permit2::nonces_query("0x12", nonce(0)));
    for (unsigned bit = 0; bit < 256; ++bit) {
        word bits(32, '\0');
        bits[31 - bit / 8] = static_cast<char>(1u << (bit % 8));
        for (unsigned n = 0; n < 256; ++n) REQUIRE(permit2::is_used(bits, nonce(n)).value() == (n == bit));
        CHECK(permit2::voids(number(3) + bits, nonce(3 * 256 + bit)));
        CHECK(!permit2::voids(number(3) + bits, nonce(4 * 256 + bit)));
        CHECK(!permit2::voids(number(3) + bits, nonce(3 * 256 + (bit + 1) % 256)));
    }
    CHECK(!permit2::is_used("", nonce(0)));
    CHECK(!permit2::voids("", nonce(0)));
    const auto p = paid("exact").payload.authorization;
    CHECK(permit2::nonce_of(p.nonce).value() == word(32, '\xaa'));
    CHECK(!permit2::nonce_of(p.nonce.substr(8)));
    CHECK(!permit2::nonce_of(p.nonce + "00"));
}
