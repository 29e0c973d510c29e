#include <doctest/doctest.h>

#include <souk/messages/bytes.hpp>
#include <souk/messages/evm/abi.hpp>
#include <souk/messages/evm/in_a_row.hpp>
#include <souk/messages/evm/rlp.hpp>
#include <souk/messages/evm/transaction.hpp>
#include <souk/messages/evm/typed_data.hpp>
#include <souk/messages/x402.hpp>

#include "data.hpp"

using namespace souk;
using namespace souk::evm;

namespace {

const value& recorded() {
    static const auto one = json_file("x402/v2-exact-eip3009-84532.json", json_form::plain);
    return one;
}
std::string hex(const value& v, const char* key) { return from_hex(v.text(key).substr(2)).value(); }

} // namespace

TEST_CASE("words are numbers, and compare as they do") {
    for (const char* n : {"0", "1", "255", "256", "18446744073709551616", "115792089237316195423570985008687907853269984665640564039457584007913129639935"}) CHECK(to_decimal(uint256(n).value()) == n);
    CHECK(uint256("9").value() < uint256("10").value());
    CHECK(number(258) == uint256("258").value());
    CHECK(small(number(~0ull)).value() == ~0ull);
    CHECK(small(uint256("18446744073709551616").value()).error().code == "bad_number");
    for (const char* bad : {"", "01", "-1", "1.0", "0x1", " 1"}) CHECK(uint256(bad).has_error());
    CHECK(quantity(0) == "0x0");
    CHECK(quantity(31) == "0x1f");
    CHECK(from_quantity("0x1f").value() == 31);
    CHECK(from_quantity("0x00ff").value() == 255);
    for (const char* bad : {"", "0x", "1f", "0xg", "0x-1", "0x10000000000000000", "0x1 "}) CHECK(from_quantity(bad).has_error());
    CHECK(address_of(address_word("0x70997970C51812dc3A010C7d01b50e0d17dc79C8").value()) == "0x70997970c51812dc3a010c7d01b50e0d17dc79c8");
    CHECK(address_word("0x70997970C51812dc3A010C7d01b50e0d17dc79").error().code == "bad_address");
}

// The examples of the format's own description.
TEST_CASE("prefixes of lengths are the shortest") {
    CHECK(rlp::text("dog") == "\x83"
                              "dog");
    CHECK(rlp::text("") == "\x80");
    CHECK(rlp::text("\x0f") == "\x0f");
    CHECK(rlp::text("\x80") == "\x81\x80");
    CHECK(rlp::number(0) == "\x80");
    CHECK(rlp::number(1024) == "\x82\x04" + std::string(1, '\0'));
    CHECK(rlp::integer(std::string(3, '\0') + "\x7f") == "\x7f");
    CHECK(rlp::integer(std::string(32, '\0')) == "\x80");
    CHECK(rlp::list("") == "\xc0");
    CHECK(rlp::list(rlp::text("cat") + rlp::text("dog")) == "\xc8\x83"
                                                           "cat\x83"
                                                           "dog");
    CHECK(rlp::text(std::string(56, 'x')).substr(0, 2) == "\xb8\x38");
    CHECK(rlp::list(std::string(1024, 'x')).substr(0, 3) == "\xf9\x04" + std::string(1, '\0'));
}

// The same transaction from the same key, as another implementation sent it to a chain.
TEST_CASE("a transaction is signed to the byte as the official facilitator's was") {
    const auto& seen = *recorded().find("settlementTx");
    const auto& parsed = *seen.find("parsed");
    transaction t;
    t.chain = 84532, t.nonce = 1, t.tip = 1'000'000'000, t.most = 2'119'345'858, t.gas = 88'079;
    t.to = parsed.text("to"), t.data = hex(parsed, "data");
    const crypto::secret facilitator(hex(*recorded().find("keys"), "deployer_facilitator"));
    const auto s = sign(t, facilitator).value();
    CHECK(to_hex_text(s.raw) == seen.text("raw"));
    CHECK(s.hash == seen.text("hash"));
    t.to = "0x12";
    CHECK(sign(t, facilitator).error().code == "bad_address");
}

TEST_CASE("a call's bytes are those that the token was given") {
    const auto& seen = *recorded().find("eip712");
    const auto paid = from_value<x402::exact_payload>(
        *from_json(from_base64([&] {
             for (const auto& m : *recorded().find("http")->as<value::list>()) {
                 const auto raw = m.text("raw");
                 const auto at = raw.find("\r\nPAYMENT-SIGNATURE: ");
                 if (at != std::string_view::npos) return std::string(raw.substr(at + 21, raw.find("\r\n", at + 2) - at - 21));
             }
             return std::string();
         }()).value()).value().find("payload")).value();
    CHECK(seen.text("digest").size() == 66);
    auto words = x402::words_of(paid.authorization).value();
    const auto signature = bytes_of(paid.signature, 65).value();
    std::vector<abi::item> arguments;
    for (auto& w : words) arguments.push_back(abi::fixed(w));
    arguments.push_back(abi::fixed(number(static_cast<unsigned char>(signature[64]))));
    arguments.push_back(abi::fixed(signature.substr(0, 32)));
    arguments.push_back(abi::fixed(signature.substr(32, 32)));
    const auto data = abi::call("transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)", arguments);
    CHECK(to_hex_text(data) == recorded().find("settlementTx")->text("calldata"));
}

// The example of the format's description: f(uint256,uint32[],bytes10,bytes).
TEST_CASE("what is dynamic stands behind an offset") {
    auto padded = [](std::string s) { s.resize(32, '\0'); return s; };
    const auto got = abi::call("f(uint256,uint32[],bytes10,bytes)", {abi::fixed(number(0x123)), abi::list({abi::fixed(number(0x456)), abi::fixed(number(0x789))}),
                                                                    abi::fixed(padded("1234567890")), abi::bytes("Hello, world!")});
    CHECK(to_hex(got) == "8be65246"
                         "0000000000000000000000000000000000000000000000000000000000000123"
                         "0000000000000000000000000000000000000000000000000000000000000080"
                         "3132333435363738393000000000000000000000000000000000000000000000"
                         "00000000000000000000000000000000000000000000000000000000000000e0"
                         "0000000000000000000000000000000000000000000000000000000000000002"
                         "0000000000000000000000000000000000000000000000000000000000000456"
                         "0000000000000000000000000000000000000000000000000000000000000789"
                         "000000000000000000000000000000000000000000000000000000000000000d"
                         "48656c6c6f2c20776f726c642100000000000000000000000000000000000000");
    const auto nested = abi::tuple({abi::fixed(number(1)), abi::bytes("x")});
    CHECK(nested.dynamic);
    CHECK(abi::encode({nested}).substr(0, 32) == number(32));
}

TEST_CASE("an answer is read within its bounds, or refused") {
    const auto answer = abi::encode({abi::bytes("USDC"), abi::fixed(number(7))});
    CHECK(abi::bytes_at(answer, 0).value() == "USDC");
    CHECK(small(abi::word_at(answer, 1).value()).value() == 7);
    CHECK(abi::word_at(answer, 4).error().code == "bad_answer");
    CHECK(abi::bytes_at(answer, 1).error().code == "bad_answer");           // 7 is no offset of anything
    CHECK(abi::bytes_at(answer, 0, 3).error().code == "bad_answer");        // longer than wanted
    CHECK(abi::bytes_at(answer.substr(0, 98), 0).error().code == "bad_answer"); // cut off
    CHECK(abi::bytes_at(std::string(32, '\xff'), 0).error().code == "bad_answer");
    CHECK(abi::bytes_at("", 0).error().code == "bad_answer");
    CHECK(abi::revert_reason(abi::call("Error(string)", {abi::bytes("no\x1b[2J money")})) == "no [2J money");
    CHECK(abi::revert_reason(abi::call("Panic(uint256)", {abi::fixed(number(17))})) == "panic 17");
    CHECK(abi::revert_reason("") == "reverted without a reason");
    CHECK(abi::revert_reason("\x12\x34") == "reverted with 0x1234");
}

TEST_CASE("a domain without a version is another domain") {
    const auto contract = "0x000000000022D473030F116dDEE9F6B43aC78BA3";
    CHECK(domain_separator("Permit2", std::nullopt, 1, contract).value() != domain_separator("Permit2", "", 1, contract).value());
    // The separator that the contract itself answers on Ethereum's main chain.
    CHECK(to_hex(domain_separator("Permit2", std::nullopt, 1, contract).value()) == "866a5aba21966af95d6c7ab78eb2b2fc913915c28be3b9aa07cc04ff903e3f28");
    CHECK(domain_separator("x", "1", 1, "0x").error().code == "bad_address");
}

TEST_CASE("calls in a row: each finds its data, and jumps over its revert when it went well") {
    const std::string a = "0x036cbd53842c5426634e7929541ec2318f3dcf7e";
    const std::vector<one_call> calls{{a, "first"}, {a, ""}, {a, std::string(3000, 'x')}};
    const auto code = calls_in_a_row(calls).value();
    std::size_t made = 0, at = 0, size = 0, from = 0;
    for (unsigned char o = 0; made < calls.size(); ++at) {
        o = static_cast<unsigned char>(code[at]);
        const auto two = [&](std::size_t where) { return static_cast<std::size_t>(static_cast<unsigned char>(code[where]) << 8 | static_cast<unsigned char>(code[where + 1])); };
        if (o == 0x61) size = from, from = two(at + 1); // PUSH2
        if (o == 0x39) CHECK(code.substr(from, size) == calls[made].data); // CODECOPY
        if (o == 0x57) { // JUMPI
            CHECK(static_cast<unsigned char>(code[from]) == 0x5b);
            ++made;
        }
        if (o >= 0x60 && o <= 0x7f) at += o - 0x5f;
    }
    CHECK(code.ends_with(calls[2].data));
    CHECK(calls_in_a_row({{"0x", ""}}).error().code == "bad_address");
    CHECK(calls_in_a_row({{a, std::string(49'100, 'x')}}).error().code == "too_large");
}
