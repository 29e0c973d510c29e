#include <doctest/doctest.h>

#include <souk/messages/bytes.hpp>
#include <souk/messages/evm/abi.hpp>
#include <souk/messages/evm/escrow.hpp>

#include "data.hpp"

using namespace souk;
using namespace souk::evm;
using namespace souk::evm::escrow;

namespace {

// What the contract itself says of one request, and how the official tools call it (tests/x402/contracts/escrow.mjs compares the chain with it).
const value& recorded() {
    static const auto one = json_file("x402/escrow-84532.json", json_form::plain);
    return one;
}
escrow::place there() { return {84'532, std::string(recorded().find("place")->text("contract"))}; }
request asked() { return from_value<request>(*recorded().find("request")).value(); }
crypto::secret payer() {
    return crypto::secret(from_hex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80").value());
} // as development chains come with
std::string seen(const char* what) { return std::string(recorded().find("calls")->text(what)); }
const instant noon{std::chrono::seconds(1'795'165'352)};

} // namespace

TEST_CASE("a request's digest, signature and calls are the contract's") {
    const auto r = asked();
    CHECK(to_hex_text(digest_of(there(), r).value()) == recorded().text("digest"));
    const auto s = sign(there(), r, payer()).value();
    CHECK(s.signature == recorded().text("signature"));
    CHECK(check_signature(there(), s).has_value());
    CHECK(to_hex_text(consume_call(s).value()) == seen("consume"));
    CHECK(to_hex_text(consume_call(std::vector{s, s}).value()) == seen("consumeAll"));
    CHECK(to_hex_text(deposit_call(r.token, "1000").value()) == seen("deposit"));
    CHECK(to_hex_text(withdraw_call(r.token, "1000").value()) == seen("withdraw"));
    CHECK(to_hex_text(approve_call(r.provider, r.token, "10", "500").value()) == seen("approve"));
    CHECK(to_hex_text(announce_call(r.provider, r.token, "495").value()) == seen("announce"));
    CHECK(to_hex_text(release_call(r.provider, r.token).value()) == seen("release"));
    CHECK(to_hex_text(give_back_call(r.payer, r.token, "5").value()) == seen("giveBack"));
    CHECK(to_hex_text(grant_call(r.payer, r.provider, r.token, "100", 4'000'000'000).value()) == seen("grant"));
    CHECK(to_hex_text(reclaim_call("7").value()) == seen("reclaim"));
    CHECK(to_hex_text(balance_query(r.payer, r.token).value()) == seen("balanceOf"));
    CHECK(to_hex_text(allowance_query(r.payer, r.provider, r.token).value()) == seen("allowance"));
    CHECK(to_hex_text(credit_query("7").value()) == seen("credits"));
    CHECK(to_hex_text(used_query(r.payer, r.provider, r.nonce).value()) == seen("used"));
    const auto& topics = *recorded().find("topics");
    CHECK(topic::consumed() == topics.text("Consumed"));
    CHECK(topic::approved() == topics.text("Approved"));
    CHECK(topic::announced() == topics.text("Announced"));
    CHECK(topic::granted() == topics.text("Granted"));
}

TEST_CASE("a signature is for one contract, one payer, and every member") {
    const auto s = sign(there(), asked(), payer()).value();
    const auto code = [](const escrow::place& p, const signed_request& x) {
        const auto r = check_signature(p, x);
        return r ? std::string("good") : r.error().code;
    };
    CHECK(code(there(), s) == "good");
    CHECK(code({1, there().contract}, s) == "bad_signature");
    CHECK(code({84'532, asked().token}, s) == "bad_signature");
    for (auto change : {+[](request& r) { r.price = "9"; }, +[](request& r) { r.credit = "1"; }, +[](request& r) { ++r.expires; },
                        +[](request& r) { r.payer = r.provider; }, +[](request& r) { r.token = r.payer; }, +[](request& r) { r.provider = r.payer; },
                        +[](request& r) { r.request_hash = r.nonce; }, +[](request& r) { r.nonce = r.request_hash; }}) {
        auto x = s;
        change(x.request);
        CHECK(code(there(), x) == "bad_signature");
    }
    auto x = s;
    x.signature = "0x12";
    CHECK(code(there(), x) == "bad_signature");
    x = s;
    x.request.price = "-1";
    CHECK(code(there(), x) == "bad_number");
    x.request = asked();
    x.request.nonce = "0x12";
    CHECK(code(there(), x) == "bad_hex");
    x.request = asked();
    x.request.expires = -1;
    CHECK(code(there(), x) == "bad_number");
    CHECK(consume_call(std::vector<signed_request>(most_requests + 1, s)).error().code == "too_many");
    CHECK(approve_call(asked().provider, asked().token, "340282366920938463463374607431768211456", "1").error().code == "bad_number");
    CHECK(deposit_call("USDC", "1").error().code == "bad_address");
}

TEST_CASE("a provider serves what he can be paid for") {
    auto r = asked();
    r.price = "10", r.expires = 1'795'165'353;
    const auto code = [&](const allowance& a, const char* promised, instant now = noon) {
        const auto c = covered(r, a, promised, now);
        return c ? std::string("good") : c.error().code;
    };
    CHECK(code({"10", "10", "0", 0}, "0") == "good");
    CHECK(code({"10", "10", "0", 0}, "0", noon + std::chrono::seconds(1)) == "expired");
    CHECK(code({"10", "9", "0", 0}, "0") == "price_too_high");
    CHECK(code({"9", "10", "0", 0}, "0") == "beyond_budget");
    CHECK(code({"20", "10", "0", 0}, "10") == "good");
    CHECK(code({"20", "10", "0", 0}, "11") == "beyond_budget"); // promised to others, and not presented yet
    CHECK(code({"20", "10", "10", 5}, "0") == "good");
    CHECK(code({"20", "10", "11", 5}, "0") == "beyond_budget"); // it is leaving
    CHECK(code({"20", "10", "11", 0}, "0") == "good");
    CHECK(code({"20", "10", "0", 0}, "115792089237316195423570985008687907853269984665640564039457584007913129639935") == "beyond_budget");
    CHECK(code({"20", "10", "0", 0}, "") == "bad_number");

    r.credit = "7";
    const credit c{"0x00", r.payer, r.provider, r.token, r.expires, "10"};
    const auto by = [&](const credit& x, const char* promised, instant now = noon) {
        const auto said = covered(r, x, promised, now);
        return said ? std::string("good") : said.error().code;
    };
    CHECK(by(c, "0") == "good");
    CHECK(by(c, "1") == "beyond_budget");
    CHECK(by(c, "0", noon + std::chrono::seconds(1)) == "expired");
    auto other = c;
    other.expires = r.expires - 1;
    CHECK(by(other, "0") == "expired");
    other = c;
    other.provider = r.payer;
    CHECK(by(other, "0") == "wrong_credit");
}

TEST_CASE("what the escrow answers is read, or refused") {
    const auto words = [](std::initializer_list<std::uint64_t> all) { std::string out; for (auto n : all) out += number(n); return out; };
    CHECK(allowance_of(words({500, 10, 5, 1'795'165'352})).value() == allowance{"500", "10", "5", 1'795'165'352});
    CHECK(allowance_of(words({500, 10, 5})).error().code == "bad_answer");
    CHECK(allowance_of(words({500, 10, 5, 1ull << 40})).error().code == "bad_answer");
    const auto c = credit_of(words({1, 1'795'165'352, 2, 3, 4, 60})).value();
    CHECK(c.grantor == "0x" + std::string(39, '0') + "1");
    CHECK(c.payer == "0x" + std::string(39, '0') + "2");
    CHECK(c.token == "0x" + std::string(39, '0') + "4");
    CHECK(c.left == "60");
    CHECK(credit_of(words({1, 2, 3, 4, 5})).error().code == "bad_answer");
    CHECK(credit_of(words({1, 1ull << 63, 3, 4, 5, 6})).error().code == "bad_answer");
}

TEST_CASE("a nonce may name the second in which its request expires and the credit that pays it, and then fits no other") {
    auto r = asked();
    r.expires = 1'795'165'352;
    r.credit = "258";
    r.nonce = timed_nonce(r.expires, r.credit, std::string(16, 'n'));
    CHECK(r.nonce == "0x000000006b000ca8" "0000000000000102" + to_hex(std::string(16, 'n')));
    CHECK(is_timed(r));
    for (const auto* other : {"0", "257", "18446744073709551874", "x"}) { // the third is 258 beyond 64 bits
        r.credit = other;
        CHECK(!is_timed(r));
    }
    r.credit = "258";
    ++r.expires;
    CHECK(!is_timed(r));
    r.expires = 0x6b000ca8ll << 8;
    CHECK(!is_timed(r));
    r.nonce = "0x00";
    CHECK(!is_timed(r));
}
