#include <doctest/doctest.h>

#include <functional>

#include <souk/messages/bytes.hpp>
#include <souk/messages/evm/abi.hpp>
#include <souk/messages/evm/channel.hpp>
#include <souk/messages/evm/transaction.hpp>

#include "data.hpp"

using namespace souk;
using namespace souk::evm;
using namespace souk::evm::channel;

namespace {

// A contract of six requests between the official client, server and facilitator, in front of a chain.
const value& recorded() {
    static const auto one = json_file("x402/v2-batch-settlement-84532.json", json_form::plain);
    return one;
}
const value::list& runs() { return *recorded().find("runs")->as<value::list>(); }
const value& header(std::size_t run, const std::string& name) {
    for (const auto& message : *runs()[run].find("http")->as<value::list>())
        if (const auto* decoded = message.find("decoded"))
            if (const auto* h = decoded->find(name)) return *h;
    throw std::runtime_error("no " + name);
}
// What the server asked the facilitator to settle.
value settled(std::size_t run) {
    for (const auto& message : *runs()[run].find("http")->as<value::list>()) {
        const auto raw = message.text("raw");
        if (raw.starts_with("POST /settle"))
            return *from_json(raw.substr(raw.find("\r\n\r\n") + 4), json_form::plain).value().find("paymentPayload")->find("payload");
    }
    throw std::runtime_error("no settlement");
}
std::string raw_transaction(std::size_t run) { return *(*runs()[run].find("rawTxs")->as<value::list>())[0].as<std::string>(); }

const channel::place there{84'532};
crypto::secret key(const char* hex) { return crypto::secret(from_hex(hex).value()); }
crypto::secret facilitator() {
    return key("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
} // the keys that development chains come with
crypto::secret payer() { return key("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"); }

deposit_payload deposited() { return std::get<deposit_payload>(payload_of(*header(0, "PAYMENT-SIGNATURE").find("payload")).value()); }
x402::requirements offered() {
    return from_value<x402::requirements>((*header(0, "PAYMENT-REQUIRED").find("accepts")->as<value::list>())[0], unknown_fields::ignore).value();
}
x402::domain dollar() { return x402::domain_of(offered()).value(); }
const instant then{std::chrono::seconds(1'795'165'352)};

std::string sent(std::uint64_t nonce, std::uint64_t most, std::uint64_t gas, const std::string& data) {
    return to_hex_text(sign({84'532, nonce, 1'000'000'000, most, gas, there.contract, 0, data}, facilitator()).value().raw);
}
std::string signed_by(const crypto::secret& k, const result<std::string>& digest) {
    return to_hex_text(crypto::sign_digest(k, digest.value()).value());
}

} // namespace

TEST_CASE("a channel's name and a voucher's digest are those that were recorded") {
    const auto& seen = *recorded().find("voucherVector");
    const auto c = from_value<config>(*seen.find("channelConfig")).value();
    const auto v = from_value<voucher>(*seen.find("voucher")).value();
    CHECK(to_hex_text(id_of(there, c).value()) == v.channelId);
    CHECK(v.channelId == seen.text("channelIdRecomputed"));
    CHECK(to_hex_text(voucher_digest(there, v.channelId, v.maxClaimableAmount).value()) == seen.text("digest"));
    CHECK(sign_voucher(there, c, v.maxClaimableAmount, payer()).value() == v);
    CHECK(check_voucher(there, c, v).has_value());
    CHECK(id_of({1}, c).value() != id_of(there, c).value());
    CHECK(id_of({84'532, there.collector}, c).value() != id_of(there, c).value());
}

TEST_CASE("every payload that was sent is read, and written again as it was") {
    for (std::size_t run : {0u, 1u, 2u, 5u}) {
        const auto& said = *header(run, "PAYMENT-SIGNATURE").find("payload");
        CHECK(std::visit([](const auto& p) { return to_value(p); }, payload_of(said).value()) == said);
    }
    for (std::size_t run : {0u, 3u, 4u, 5u}) {
        const auto said = settled(run);
        CHECK(std::visit([](const auto& p) { return to_value(p); }, payload_of(said).value()) == said);
    }
    CHECK(payload_of(value::map{{"type", "gift"}}).error().code == "invalid_batch_settlement_evm_payload_type");
    CHECK(payload_of(value::map{{"type", "voucher"}}).error().code == "missing_field");
    CHECK(payload_of("voucher").error().code == "invalid_batch_settlement_evm_payload_type");
    const auto t = terms_of(offered()).value();
    CHECK(t.minDeposit == "500000");
    CHECK(to_value(t) == *offered().extra);
    for (std::size_t run : {0u, 1u, 2u, 5u}) {
        const auto& extra = *header(run, "PAYMENT-RESPONSE").find("extra");
        CHECK(to_value(from_value<receipt>(extra).value()) == extra);
    }
}

// From the same fields and the same keys, to the byte what another implementation sent to a chain.
TEST_CASE("deposit, claim, settlement and refund are the transactions that were sent") {
    auto d = deposited();
    CHECK(sent(9, 0x5ab7cd6f, 0x25002, deposit_call(there, d.channelConfig, d.deposit).value()) == raw_transaction(0));
    const auto was = d.deposit.authorization.erc3009Authorization.signature;
    d.deposit.authorization.erc3009Authorization.signature.clear();
    CHECK(sign_deposit(there, dollar(), d.channelConfig, d.deposit, payer()).has_value());
    CHECK(d.deposit.authorization.erc3009Authorization.signature == was);

    const auto c = std::get<claim_payload>(payload_of(settled(3)).value());
    CHECK(sent(10, 0x585708cc, 0x11a1e, claim_call(c.claims, signed_by(facilitator(), claims_digest(there, c.claims))).value()) ==
          raw_transaction(3));

    const auto s = std::get<settle_payload>(payload_of(settled(4)).value());
    CHECK(sent(11, 0x563f9068, 0x1d4c0, settle_call(s.receiver, s.token).value()) == raw_transaction(4));

    const auto r = std::get<refund_payload>(payload_of(settled(5)).value());
    const auto word = signed_by(facilitator(), refund_digest(there, r.voucher.channelId, *r.refundNonce, *r.amount));
    const auto both = multicall({claim_call(*r.claims, signed_by(facilitator(), claims_digest(there, *r.claims))).value(),
                                 refund_call(r.channelConfig, *r.amount, *r.refundNonce, word).value()});
    CHECK(sent(12, 0x5469e166, 0x18016, both) == raw_transaction(5));
}

TEST_CASE("the other calls begin as the contract's interface says") {
    const auto c = deposited().channelConfig;
    const auto id = deposited().voucher.channelId;
    const std::string form = "(address,address,address,address,address,uint40,bytes32)";
    const auto begins = [](const result<std::string>& call, const std::string& signature, std::size_t words) {
        return call.value().substr(0, 4) == abi::selector(signature) && call->size() == 4 + 32 * words;
    };
    CHECK(begins(refund_call(c, "1"), "refund(" + form + ",uint128)", 8));
    CHECK(begins(initiate_withdraw_call(c, "1"), "initiateWithdraw(" + form + ",uint128)", 8));
    CHECK(begins(finalize_withdraw_call(c), "finalizeWithdraw(" + form + ")", 7));
    CHECK(begins(channels_query(id), "channels(bytes32)", 1));
    CHECK(begins(pending_query(id), "pendingWithdrawals(bytes32)", 1));
    CHECK(begins(refund_nonce_query(id), "refundNonce(bytes32)", 1));
    CHECK(begins(receivers_query(c.receiver, c.token), "receivers(address,address)", 2));
    CHECK(claim_call({}).value().substr(0, 4) == abi::selector("claim(((" + form + ",uint128),bytes,uint128)[])"));
    CHECK(topic::created() == to_hex_text(abi::topic("ChannelCreated(bytes32," + form + ")")));
    CHECK(topic::settled() != topic::claimed());
}

TEST_CASE("an offer's channel is the one that was offered") {
    const auto d = deposited();
    const auto code = [](const result<void>& r) { return r ? std::string("good") : r.error().code; };
    const auto of = [&](const std::function<void(config&)>& change, bool named = true) {
        auto c = d.channelConfig;
        change(c);
        return code(check_config(there, c, named ? to_hex_text(id_of(there, c).value()) : d.voucher.channelId, offered()));
    };
    const std::string pre = "invalid_batch_settlement_evm_", other = "0x00000000000000000000000000000000000000Aa";
    CHECK(of([](config&) {}) == "good");
    CHECK(of([&](config& c) { c.receiver = other; }, false) == pre + "channel_id_mismatch");
    CHECK(of([&](config& c) { c.receiver = other; }) == pre + "receiver_mismatch");
    CHECK(of([&](config& c) { c.receiverAuthorizer = other; }) == pre + "receiver_authorizer_mismatch");
    CHECK(of([&](config& c) { c.token = other; }) == pre + "token_mismatch");
    CHECK(of([&](config& c) { c.withdrawDelay = 901; }) == pre + "withdraw_delay_mismatch");
    CHECK(code(check_config(there, d.channelConfig, "0x12", offered())) == pre + "channel_id_invalid");
    auto r = offered();
    auto t = terms_of(r).value();
    t.withdrawDelay = 899;
    r.extra = to_value(t);
    auto c = d.channelConfig;
    c.withdrawDelay = 899;
    CHECK(code(check_config(there, c, to_hex_text(id_of(there, c).value()), r)) == pre + "withdraw_delay_out_of_range");
    r.scheme = "exact";
    CHECK(terms_of(r).error().code == pre + "scheme");
    r = offered();
    r.extra.reset();
    CHECK(terms_of(r).error().code == pre + "missing_eip712_domain");
}

TEST_CASE("a voucher is believed from the one key that signs for the channel") {
    const auto d = deposited();
    const auto code = [&](const config& c, const voucher& v) {
        const auto r = check_voucher(there, c, v);
        return r ? std::string("good") : r.error().code;
    };
    const std::string bad = "invalid_batch_settlement_evm_voucher_signature";
    CHECK(code(d.channelConfig, d.voucher) == "good");
    auto v = d.voucher;
    v.maxClaimableAmount = "50001";
    CHECK(code(d.channelConfig, v) == bad);
    for (const char* amount : {"", "-1", "050000", "340282366920938463463374607431768211456"}) {
        v.maxClaimableAmount = amount;
        CHECK(code(d.channelConfig, v) == bad);
    }
    v = d.voucher;
    v.signature = v.signature.substr(0, 130);
    CHECK(code(d.channelConfig, v) == bad);
    v = sign_voucher(there, d.channelConfig, "50000", facilitator()).value();
    CHECK(code(d.channelConfig, v) == bad);
    auto c = d.channelConfig;
    c.salt = "0x" + std::string(64, '1');
    CHECK(code(c, d.voucher) == "invalid_batch_settlement_evm_channel_id_mismatch");
    // Who signs for another, and who signs for himself.
    c.payerAuthorizer = crypto::address_of(facilitator()).value();
    CHECK(code(c, sign_voucher(there, c, "1", facilitator()).value()) == "good");
    CHECK(code(c, sign_voucher(there, c, "1", payer()).value()) == bad);
    c.payerAuthorizer = "0x0000000000000000000000000000000000000000";
    CHECK(code(c, sign_voucher(there, c, "1", payer()).value()) == "good");
    CHECK(code(c, sign_voucher(there, c, "1", facilitator()).value()) == bad);
}

TEST_CASE("a deposit is believed as far as no chain is asked") {
    const auto good = deposited();
    const auto code = [&](const deposit_payload& d, instant now = then, x402::requirements r = offered()) {
        const auto said = check_deposit(there, d, r, now);
        return said ? std::string("good") : said.error().code.substr(29);
    };
    CHECK(code(good) == "good");
    const auto before = std::stoll(good.deposit.authorization.erc3009Authorization.validBefore);
    CHECK(code(good, instant(std::chrono::seconds(before - 6))) == "good");
    CHECK(code(good, instant(std::chrono::seconds(before - 5))) == "payload_authorization_valid_before");
    CHECK(code(good, instant(std::chrono::seconds(-10))) == "payload_authorization_valid_before");
    auto d = good;
    d.deposit.amount = "500001";
    CHECK(code(d) == "receive_authorization_signature");
    d.deposit.amount = "many";
    CHECK(code(d) == "receive_authorization_signature");
    d = good;
    d.deposit.authorization.erc3009Authorization.salt = "0x" + std::string(64, '0');
    CHECK(code(d) == "receive_authorization_signature");
    d = good;
    d.deposit.authorization.erc3009Authorization.validAfter = std::to_string(before - 100);
    CHECK(sign_deposit(there, dollar(), d.channelConfig, d.deposit, payer()).has_value());
    CHECK(code(d) == "payload_authorization_valid_after");
    d = good;
    d.deposit.amount = "499999";
    CHECK(sign_deposit(there, dollar(), d.channelConfig, d.deposit, payer()).has_value());
    CHECK(code(d) == "deposit_below_min_deposit");
    d = good;
    d.voucher.maxClaimableAmount = "1";
    CHECK(code(d) == "voucher_signature");
}

TEST_CASE("what the contract answers is read, and its books must add up") {
    const auto pair = [](std::uint64_t a, std::uint64_t b) { return number(a) + number(b); };
    const auto s = state_of("0x01", pair(500, 90), pair(10, 1'795'165'352), number(3)).value();
    CHECK(s == state{"0x01", "500", "90", 1'795'165'352, "3", {}});
    CHECK(state_of("0x01", pair(90, 500), pair(0, 0), number(0)).error().code == "bad_answer");
    CHECK(state_of("0x01", number(90), pair(0, 0), number(0)).error().code == "bad_answer");
    CHECK(state_of("0x01", pair(90, 50), pair(0, 1ull << 40), number(0)).error().code == "bad_answer");
    CHECK(state_of("0x01", pair(90, 50), "", number(0)).error().code == "bad_answer");
    CHECK(state_of("0x01", pair(90, 50), pair(0, 0), "").error().code == "bad_answer");
    CHECK(unsettled(pair(65'536, 1)).value() == "65535");
    CHECK(unsettled(pair(1, 2)).error().code == "bad_answer");
    CHECK(unsettled("").error().code == "bad_answer");
}

TEST_CASE("what is no channel has no name, and what is too much no call") {
    auto c = deposited().channelConfig;
    c.withdrawDelay = -1;
    CHECK(id_of(there, c).error().code == "bad_number");
    c.withdrawDelay = std::int64_t(1) << 40;
    CHECK(id_of(there, c).error().code == "bad_number");
    c = deposited().channelConfig;
    c.salt = "0x12";
    CHECK(id_of(there, c).error().code == "bad_hex");
    c = deposited().channelConfig;
    c.token = "USDC";
    CHECK(id_of(there, c).error().code == "bad_address");
    const claim one{{deposited().channelConfig, "1"}, "0x" + std::string(130, '0'), "1"};
    CHECK(claim_call(std::vector<claim>(most_claims, one)).has_value());
    CHECK(claim_call(std::vector<claim>(most_claims + 1, one)).error().code == "too_many");
    CHECK(claims_digest(there, std::vector<claim>(most_claims + 1, one)).error().code == "too_many");
    CHECK(claim_call({{{deposited().channelConfig, "1"}, "0x" + std::string(2 * 8193, '0'), "1"}}).error().code == "bad_hex");
    CHECK(refund_call(deposited().channelConfig, "340282366920938463463374607431768211456").error().code == "bad_number");
    CHECK(uint128("340282366920938463463374607431768211455").has_value());
}
