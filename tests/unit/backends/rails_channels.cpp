#include "loopback.hpp"

#include <atomic>

#include <souk/backends/rails/ledger_call.hpp>
#include <souk/backends/sqlite/database.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/evm/word.hpp>

using namespace souk;
using namespace loopback;
namespace ch = evm::channel;

namespace {

struct wallet {
    crypto::secret key = crypto::generate(crypto::curve::k256);
    crypto::address address = crypto::address_of(key).value();
};

struct rail {
    directory home;
    std::atomic<std::int64_t> seconds{1'800'000'000};
    std::unique_ptr<embedded_ledger> ledger = open();
    wallet alice, bob, clerk, eve; // the clerk signs Bob's claims and refunds
    ch::place place = development_channels();
    int salts = 0;

    std::unique_ptr<embedded_ledger> open() {
        return std::make_unique<embedded_ledger>(home / "ledger", [this] { return instant(std::chrono::seconds(seconds.load())); });
    }
    void reopen() { ledger.reset(), ledger = open(); }

    ch::config config() const {
        return {alice.address, "0x0000000000000000000000000000000000000000", bob.address, clerk.address, ledger->asset(), 900, "0x" + std::string(64, '0')};
    }
    ch::deposit deposit(std::int64_t value, const wallet& by, std::chrono::seconds valid = std::chrono::seconds{300}) {
        ch::deposit d;
        d.amount = std::to_string(value);
        d.authorization.erc3009Authorization = {"0", std::to_string(seconds + valid.count()), "0x" + to_hex(crypto::sha256("salt" + std::to_string(++salts))), {}};
        REQUIRE(ch::sign_deposit(place, ledger->token(), config(), d, by.key));
        return d;
    }
    ch::claim charged(std::int64_t most, std::int64_t total, const wallet& by) const {
        const auto v = ch::sign_voucher(place, config(), std::to_string(most), by.key).value();
        return {{config(), v.maxClaimableAmount}, v.signature, std::to_string(total)};
    }
    std::string word(const ch::claim& c, const wallet& by) const { return evm::to_hex_text(crypto::sign_digest(by.key, ch::claims_digest(place, {c}).value()).value()); }
    std::string refund_word(std::int64_t much, std::int64_t nonce, const wallet& by) const {
        const auto id = evm::to_hex_text(ch::id_of(place, config()).value());
        return evm::to_hex_text(crypto::sign_digest(by.key, ch::refund_digest(place, id, std::to_string(nonce), std::to_string(much)).value()).value());
    }
    template <class F>
    channel_answer said(F ask) {
        inbox<channel_answer> told;
        ask([&](channel_answer a) { told.put(std::move(a)); });
        return told.take();
    }
    channel_answer fill(const ch::deposit& d) {
        return said([&](auto tell) { ledger->fill(config(), d, tell); });
    }
    channel_answer look() {
        return said([&](auto tell) { ledger->look(config(), tell); });
    }
    channel_answer claim(const ch::claim& c, const std::string& word) {
        return said([&](auto tell) { ledger->claim(c, word, tell); });
    }
    channel_answer claim(std::int64_t most, std::int64_t total) {
        const auto c = charged(most, total, alice);
        return claim(c, word(c, clerk));
    }
    channel_answer give_back(std::int64_t much, std::int64_t nonce, const wallet& by) {
        return said([&](auto tell) { ledger->give_back(config(), much, nonce, refund_word(much, nonce, by), tell); });
    }
    channel_answer leave(std::int64_t much, const wallet& by) {
        return said([&](auto tell) { ledger->begin_withdrawal(config(), much, by.key, tell); });
    }
    channel_answer gone(const wallet& by) {
        return said([&](auto tell) { ledger->complete_withdrawal(config(), by.key, tell); });
    }
    amount has(const wallet& w) const {
        inbox<result<amount>> told;
        ledger->balance(w.address, [&](auto b) { told.put(std::move(b)); });
        return told.take().value();
    }
};
std::string code(const channel_answer& a) {
    const std::string_view pre = "invalid_batch_settlement_evm_";
    if (a.how == moved::yes) return "done";
    if (a.how == moved::unknown) return "unknown";
    return a.why.code.starts_with(pre) ? a.why.code.substr(pre.size()) : a.why.code;
}

} // namespace

TEST_SUITE("channels of the embedded ledger") {

TEST_CASE("a channel is filled, claimed of, refunded, and every unit is somewhere") {
    rail m;
    REQUIRE(m.ledger->fund(m.alice.address, 1'000'000, "demo"));
    const auto d = m.deposit(500'000, m.alice);
    const auto filled = m.fill(d);
    CHECK(code(filled) == "done");
    CHECK(filled.books.balance == 500'000);
    CHECK(m.has(m.alice) == 500'000);
    const auto again = m.fill(d); // brought again, after its time
    m.seconds += 1'000;
    CHECK(code(m.fill(d)) == "done");
    CHECK(again.transaction == filled.transaction);
    CHECK(m.look().books.balance == 500'000);

    CHECK(code(m.claim(90'000, 80'000)) == "done");
    CHECK(code(m.claim(90'000, 80'000)) == "done");
    CHECK(code(m.claim(90'000, 70'000)) == "done"); // less than was claimed: nothing to do
    CHECK(m.has(m.bob) == 80'000);
    CHECK(code(m.give_back(100'000, 0, m.clerk)) == "done");
    CHECK(code(m.give_back(100'000, 0, m.clerk)) == "done"); // once
    CHECK(m.has(m.alice) == 600'000);
    m.reopen();
    const auto left = m.give_back(999'999, 1, m.clerk); // no more than is left
    CHECK(left.books.balance == 80'000);
    CHECK(left.books.claimed == 80'000);
    CHECK(left.books.refund_nonce == 2);
    CHECK(m.has(m.alice) == 920'000);
    CHECK(m.ledger->supply() == 1'000'000);
    CHECK(code(m.fill(m.deposit(5, m.alice))) == "done"); // it goes on
    CHECK(m.look().books.balance == 80'005);
}

TEST_CASE("a deposit is the payer's, in its time, once, and no more than he has") {
    rail m;
    REQUIRE(m.ledger->fund(m.alice.address, 100, "demo"));
    CHECK(code(m.fill(m.deposit(50, m.eve))) == "receive_authorization_signature");
    auto more = m.deposit(50, m.alice);
    more.amount = "51";
    CHECK(code(m.fill(more)) == "receive_authorization_signature");
    CHECK(code(m.fill(m.deposit(101, m.alice))) == "insufficient_balance");
    CHECK(code(m.fill(m.deposit(50, m.alice, std::chrono::seconds{0}))) == "payload_authorization_valid_before");
    auto d = m.deposit(50, m.alice);
    d.authorization.erc3009Authorization.validAfter = std::to_string(m.seconds + 1);
    REQUIRE(ch::sign_deposit(m.place, m.ledger->token(), m.config(), d, m.alice.key));
    CHECK(code(m.fill(d)) == "payload_authorization_valid_after");
    auto good = m.deposit(50, m.alice);
    CHECK(code(m.fill(good)) == "done");
    good.amount = "40"; // the same nonce for something else
    REQUIRE(ch::sign_deposit(m.place, m.ledger->token(), m.config(), good, m.alice.key));
    CHECK(code(m.fill(good)) == "deposit_transaction_failed");
    // Each byte of a signature.
    const auto whole = m.deposit(10, m.alice);
    for (std::size_t at = 2; at < whole.authorization.erc3009Authorization.signature.size(); at += 2) {
        auto bad = whole;
        auto& digit = bad.authorization.erc3009Authorization.signature[at];
        digit = digit == '0' ? '1' : '0';
        CHECK(code(m.fill(bad)) == "receive_authorization_signature");
    }
    auto other = m.config();
    other.token = m.bob.address;
    CHECK(code(m.said([&](auto tell) { m.ledger->fill(other, whole, tell); })) == "token_mismatch");
    other = m.config();
    other.withdrawDelay = 899;
    CHECK(code(m.said([&](auto tell) { m.ledger->fill(other, whole, tell); })) == "withdraw_delay_out_of_range");
    CHECK(m.has(m.alice) == 50);
    CHECK(m.ledger->supply() == 100);
}

TEST_CASE("the receiver has what was promised to him, by his authorizer's word, and no more than there is") {
    rail m;
    REQUIRE(m.ledger->fund(m.alice.address, 100, "demo"));
    CHECK(code(m.fill(m.deposit(50, m.alice))) == "done");
    const auto by_eve = m.charged(40, 40, m.eve), good = m.charged(40, 40, m.alice);
    CHECK(code(m.claim(by_eve, m.word(by_eve, m.clerk))) == "voucher_signature");
    CHECK(code(m.claim(good, m.word(good, m.eve))) == "authorizer_address_mismatch");
    CHECK(code(m.claim(good, m.word(m.charged(40, 30, m.alice), m.clerk))) == "authorizer_address_mismatch"); // a word on another sum
    CHECK(code(m.claim(40, 41)) == "charge_exceeds_signed_cumulative");
    CHECK(code(m.claim(60, 51)) == "cumulative_exceeds_balance");
    CHECK(code(m.give_back(5, 0, m.bob)) == "authorizer_address_mismatch");
    CHECK(code(m.give_back(5, 1, m.clerk)) == "refund_payload");
    CHECK(code(m.give_back(0, 0, m.clerk)) == "refund_amount_invalid");
    CHECK(m.has(m.bob) == 0);
    CHECK(code(m.claim(good, m.word(good, m.clerk))) == "done");
    CHECK(m.has(m.bob) == 40);
}

TEST_CASE("a payer takes back what is left after the delay, by the ledger's clock, and the receiver may claim until then") {
    rail m;
    REQUIRE(m.ledger->fund(m.alice.address, 100, "demo"));
    CHECK(code(m.fill(m.deposit(50, m.alice))) == "done");
    CHECK(code(m.leave(50, m.bob)) == "not_the_payer");
    CHECK(code(m.gone(m.alice)) == "no_withdrawal");
    CHECK(code(m.leave(51, m.alice)) == "refund_amount_invalid");
    const auto began = m.leave(50, m.alice);
    CHECK(began.books.leaving_since == instant(std::chrono::seconds(m.seconds.load())));
    m.seconds += 899;
    CHECK(m.leave(50, m.alice).books.leaving_since == began.books.leaving_since); // said again, it does not begin anew
    CHECK(code(m.leave(49, m.alice)) == "withdrawal_pending");
    CHECK(code(m.gone(m.alice)) == "too_early");
    CHECK(code(m.claim(30, 20)) == "done");
    ++m.seconds;
    CHECK(code(m.gone(m.bob)) == "not_the_payer");
    CHECK(code(m.gone(m.alice)) == "done");
    CHECK(m.has(m.alice) == 80);
    CHECK(m.has(m.bob) == 20);
    CHECK(code(m.claim(30, 30)) == "cumulative_exceeds_balance"); // too late
    CHECK(m.look().books.leaving_since == instant{});
    // A refund takes from what is being withdrawn.
    CHECK(code(m.fill(m.deposit(40, m.alice))) == "done");
    CHECK(code(m.leave(40, m.alice)) == "done");
    CHECK(code(m.give_back(30, 0, m.clerk)) == "done");
    CHECK(m.look().books.leaving_since != instant{});
    m.seconds += 900;
    CHECK(code(m.gone(m.alice)) == "done");
    CHECK(m.look().books.balance == 20);
    CHECK(m.ledger->supply() == 100);
}

TEST_CASE("a ledger whose channels hold more than was put in is damaged, and does not open") {
    rail m;
    REQUIRE(m.ledger->fund(m.alice.address, 100, "demo"));
    CHECK(code(m.fill(m.deposit(50, m.alice))) == "done");
    m.ledger.reset();
    {
        sqlite::database raw(m.home / "ledger");
        raw.run("UPDATE channel SET balance = balance + 1");
    }
    CHECK_THROWS_AS(m.open(), std::runtime_error);
}
TEST_CASE("another node's wallet uses them by calls that carry what a chain would ask for; a withdrawal is the payer's signature, and of now") {
    rail m;
    REQUIRE(m.ledger->fund(m.alice.address, 1'000'000, "demo"));
    const auto now = [&] { return instant{std::chrono::seconds{m.seconds.load()}}; };
    const auto call = [&](const ledger_call& c) {
        const auto over_the_wire = from_json(to_json(to_value(c)));
        const auto read = from_value<ledger_call>(over_the_wire.value());
        REQUIRE(read);
        return m.said([&](auto tell) { carry_out(*m.ledger, *read, now(), tell); });
    };
    const auto by = [&](ledger_call c, const wallet& w) {
        c.at = c.at ? c.at : m.seconds.load();
        c.signature = evm::to_hex_text(crypto::sign_digest(w.key, digest_of(c).value()).value());
        return c;
    };
    const auto c = m.config();
    CHECK(code(call({"fill", c, m.deposit(500'000, m.eve), {}, 0, 0, {}, 0})) == "receive_authorization_signature");
    CHECK(call({"fill", c, m.deposit(500'000, m.alice), {}, 0, 0, {}, 0}).books.balance == 500'000);
    const auto charged = m.charged(200'000, 100'000, m.alice);
    CHECK(code(call({"claim", c, {}, charged, 0, 0, m.word(charged, m.eve), 0})) == "authorizer_address_mismatch");
    CHECK(call({"claim", c, {}, charged, 0, 0, m.word(charged, m.clerk), 0}).books.claimed == 100'000);
    CHECK(call({"give_back", c, {}, {}, 50'000, 0, m.refund_word(50'000, 0, m.clerk), 0}).books.balance == 450'000);
    CHECK(call({"look", c, {}, {}, 0, 0, {}, 0}).books.balance == 450'000);

    const ledger_call leave{"begin_withdrawal", c, {}, {}, 350'000, 0, {}, 0}, left{"complete_withdrawal", c, {}, {}, 0, 0, {}, 0};
    CHECK(code(call(leave)) == "call_expired");
    CHECK(code(call(by(leave, m.eve))) == "not_the_payer");
    auto altered = by(leave, m.alice);
    altered.amount = 1;
    CHECK(code(call(altered)) == "not_the_payer"); // whose signature that would be nobody knows
    altered = by(leave, m.alice), altered.signature.pop_back();
    CHECK(code(call(altered)) == "bad_signature");
    auto stale = leave;
    stale.at = m.seconds - 301;
    CHECK(code(call(by(stale, m.alice))) == "call_expired");
    CHECK(call(by(leave, m.alice)).books.leaving_since == now());
    CHECK(code(call(by(left, m.alice))) == "too_early");
    m.seconds += 900;
    CHECK(call(by(left, m.alice)).books.balance == 100'000);
    CHECK(m.has(m.alice) == 900'000);
    CHECK(m.has(m.bob) == 100'000);
    CHECK(code(call({"empty", c, {}, {}, 0, 0, {}, 0})) == "unknown_call");
    CHECK(code(call({"fill", c, {}, {}, 0, 0, {}, 0})) == "unknown_call");
}

}
