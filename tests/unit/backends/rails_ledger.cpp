#include "loopback.hpp"

#include <atomic>
#include <thread>

#include <souk/backends/rails/ledger.hpp>
#include <souk/messages/bytes.hpp>

using namespace souk;
using namespace loopback;
using crypto::curve;

namespace {

struct wallet {
    crypto::secret key = crypto::generate(curve::k256);
    crypto::address address = crypto::address_of(key).value();
};

struct market {
    directory home;
    std::atomic<std::int64_t> seconds{1'800'000'000};
    std::unique_ptr<embedded_ledger> ledger = open();
    wallet alice, bob, eve;
    int nonces = 0;

    std::unique_ptr<embedded_ledger> open(std::int64_t largest = 1 << 30) {
        return std::make_unique<embedded_ledger>(
            home / "ledger", [this] { return instant(std::chrono::seconds(seconds.load())); }, largest);
    }
    void reopen(std::int64_t largest = 1 << 30) { ledger.reset(), ledger = open(largest); }
    x402::authorization of(const std::string& value) {
        return {alice.address,
                bob.address,
                value,
                "0",
                std::to_string(seconds + 300),
                "0x" + to_hex(crypto::sha256("nonce " + std::to_string(++nonces)))};
    }
    x402::exact_payload sign(const x402::authorization& a, const wallet& with) const {
        return {"0x" + to_hex(crypto::sign_digest(with.key, x402::digest_of(ledger->token(), a).value()).value()), a};
    }
    settle_answer settle(const x402::exact_payload& p) const {
        inbox<settle_answer> told;
        ledger->settle(p, [&](settle_answer a) { told.put(std::move(a)); });
        return told.take();
    }
    look_up_answer look_up(const x402::authorization& a) const {
        inbox<look_up_answer> told;
        ledger->look_up(a, [&](look_up_answer l) { told.put(std::move(l)); });
        return told.take();
    }
    amount balance(const wallet& w) const {
        inbox<result<amount>> told;
        ledger->balance(w.address, [&](auto b) { told.put(std::move(b)); });
        return told.take().value();
    }
};
std::string code_of(const settle_answer& a) { return a.how == moved::yes ? "moved" : a.how == moved::no ? a.why.code : "unknown"; }

} // namespace

TEST_SUITE("embedded ledger") {

TEST_CASE("its name says that it is no money, and its token is what an offer's extra names") {
    const market m;
    CHECK(m.ledger->network() == "soukdev:ledger");
    x402::requirements offer{"exact", m.ledger->network(), "60000", m.ledger->asset(), m.bob.address, 300,
                             value::map{{"name", m.ledger->token().name}, {"version", m.ledger->token().version}}};
    CHECK(x402::domain_of(offer).value() == m.ledger->token());
}

TEST_CASE("a signed payment moves once; sent again it is the same transaction, after a restart and after it expired too") {
    market m;
    REQUIRE(m.ledger->fund(m.alice.address, 1'000'000, "demo"));
    REQUIRE(m.ledger->fund(m.alice.address, 1'000'000, "demo")); // the same grant again
    CHECK(m.ledger->supply() == 1'000'000);
    const auto a = m.of("60000");
    CHECK(m.look_up(a).how == moved::no);
    const auto first = m.settle(m.sign(a, m.alice)), again = m.settle(m.sign(a, m.alice));
    CHECK(first.how == moved::yes);
    CHECK(again.how == moved::yes);
    CHECK(again.transaction == first.transaction);
    CHECK(first.transaction.starts_with("0x"));
    CHECK(m.balance(m.alice) == 940'000);
    CHECK(m.balance(m.bob) == 60'000);
    m.seconds += 1'000;
    m.reopen();
    CHECK(m.settle(m.sign(a, m.alice)).transaction == first.transaction);
    const auto found = m.look_up(a);
    CHECK(found.how == moved::yes);
    CHECK(found.transaction == first.transaction);
    CHECK(found.as_of == instant(std::chrono::seconds(m.seconds.load())));
    CHECK(m.balance(m.bob) == 60'000);
    CHECK(m.ledger->supply() == 1'000'000);
}

// Alice signs one nonce twice, pays herself with it, and brings Bob the other one.
TEST_CASE("a nonce that was spent on another transfer has paid nobody else") {
    market m;
    REQUIRE(m.ledger->fund(m.alice.address, 100'000, "demo"));
    const auto to_bob = m.of("60000");
    auto to_herself = to_bob;
    to_herself.to = m.alice.address;
    CHECK(m.settle(m.sign(to_herself, m.alice)).how == moved::yes);
    const auto refused = m.settle(m.sign(to_bob, m.alice));
    CHECK(refused.how == moved::no);
    CHECK(refused.why.code == "invalid_exact_evm_nonce_already_used");
    CHECK(m.look_up(to_bob).how == moved::no);
    CHECK(m.look_up(to_bob).spent);
    CHECK(m.look_up(to_herself).how == moved::yes);
    auto less = to_herself;
    less.value = "1";
    CHECK(m.look_up(less).spent);
    less.to.clear(), less.value.clear(); // whoever asks for any transfer of this nonce
    CHECK(m.look_up(less).how == moved::yes);
    CHECK(m.balance(m.bob) == 0);
}

TEST_CASE("wrong signer, reused, expired, not yet valid, too much: each refused with the official code, and nothing moves") {
    market m;
    REQUIRE(m.ledger->fund(m.alice.address, 100'000, "demo"));
    CHECK(code_of(m.settle(m.sign(m.of("1"), m.eve))) == "invalid_exact_evm_signature");

    auto tampered = m.sign(m.of("1"), m.alice);
    tampered.authorization.value = "2";
    CHECK(code_of(m.settle(tampered)) == "invalid_exact_evm_signature");
    auto short_one = m.sign(m.of("1"), m.alice);
    short_one.signature.pop_back();
    CHECK(code_of(m.settle(short_one)) == "invalid_exact_evm_signature");
    short_one.signature = "none";
    CHECK(code_of(m.settle(short_one)) == "invalid_exact_evm_signature");

    const auto used = m.of("10");
    CHECK(code_of(m.settle(m.sign(used, m.alice))) == "moved");
    auto other = m.of("10");
    other.nonce = used.nonce, other.to = m.eve.address;
    CHECK(code_of(m.settle(m.sign(other, m.alice))) == "invalid_exact_evm_nonce_already_used");
    other.nonce = "0x" + std::string(used.nonce.substr(2)); // the same bytes in another spelling
    for (auto& c : other.nonce) c = c >= 'a' && c <= 'f' ? static_cast<char>(c - 32) : c;
    other.nonce[1] = 'x';
    CHECK(code_of(m.settle(m.sign(other, m.alice))) == "invalid_exact_evm_nonce_already_used");

    auto late = m.of("10");
    late.validBefore = std::to_string(m.seconds.load());
    CHECK(code_of(m.settle(m.sign(late, m.alice))) == "invalid_exact_evm_payload_authorization_valid_before");
    auto early = m.of("10");
    early.validAfter = std::to_string(m.seconds + 1);
    CHECK(code_of(m.settle(m.sign(early, m.alice))) == "invalid_exact_evm_payload_authorization_valid_after");
    CHECK(code_of(m.settle(m.sign(m.of("99991"), m.alice))) == "invalid_exact_evm_insufficient_balance");
    CHECK(code_of(m.settle(m.sign(m.of("9223372036854775808"), m.alice))) == "invalid_exact_evm_insufficient_balance");
    CHECK(code_of(m.settle(m.sign(m.of("115792089237316195423570985008687907853269984665640564039457584007913129639935"),
                                  m.alice))) == "invalid_exact_evm_insufficient_balance");
    auto nobody = m.of("1");
    nobody.to = "0x0000000000000000000000000000000000000000";
    CHECK(code_of(m.settle(m.sign(nobody, m.alice))) == "invalid_payload");
    auto nonsense = m.sign(m.of("1"), m.alice);
    nonsense.authorization.value = "-1";
    CHECK(code_of(m.settle(nonsense)) == "invalid_payload");

    CHECK(m.balance(m.alice) == 99'990);
    CHECK(m.balance(m.bob) == 10);
    CHECK(m.balance(m.eve) == 0);
    CHECK(m.ledger->supply() == 100'000);
}

TEST_CASE("a payment signed for a real chain is worth nothing here") {
    market m;
    REQUIRE(m.ledger->fund(m.alice.address, 100, "demo"));
    const auto a = m.of("10");
    auto base = m.ledger->token();
    base.chain_id = 8453;
    const x402::exact_payload p{"0x" + to_hex(crypto::sign_digest(m.alice.key, x402::digest_of(base, a).value()).value()), a};
    CHECK(code_of(m.settle(p)) == "invalid_exact_evm_signature");
}

TEST_CASE("what Alice authorises against an offer passes the door's check and settles; another amount does not pass") {
    market m;
    REQUIRE(m.ledger->fund(m.alice.address, 100'000, "demo"));
    const x402::requirements offer{"exact", m.ledger->network(), "60000", m.ledger->asset(), m.bob.address, 300,
                                   value::map{{"name", m.ledger->token().name}, {"version", m.ledger->token().version}}};
    x402::payment_required asked;
    asked.resource.url = "https://bob.example/ccr/x", asked.accepts = {offer};
    const auto now = instant(std::chrono::seconds(m.seconds.load()));
    const auto paid =
        x402::authorise(asked, offer, m.alice.key, x402::nonce_for(cid::of_raw("accept"), 0), now + std::chrono::seconds(300))
            .value();
    CHECK(crypto::same_address(x402::check_exact(paid, offer, now).value(), m.alice.address));
    CHECK(code_of(m.settle(paid.payload)) == "moved");
    auto dearer = offer;
    dearer.amount = "60001";
    CHECK(x402::check_exact(paid, dearer, now).error().code == "invalid_exact_evm_payload_authorization_value_mismatch");
    CHECK(m.balance(m.bob) == 60'000);
}

TEST_CASE("the supply is what was issued, within what an amount can hold") {
    market m;
    CHECK(m.ledger->fund("nobody", 1, "x").error().code == "bad_address");
    CHECK(m.ledger->fund(m.alice.address, 0, "x").error().code == "bad_amount");
    CHECK(m.ledger->fund(m.alice.address, -1, "x").error().code == "bad_amount");
    constexpr auto most = std::numeric_limits<amount>::max();
    REQUIRE(m.ledger->fund(m.alice.address, most - 5, "much"));
    CHECK(m.ledger->fund(m.bob.address, 6, "more").error().code == "bad_amount");
    REQUIRE(m.ledger->fund(m.bob.address, 5, "rest"));
    CHECK(m.ledger->supply() == most);
    CHECK(code_of(m.settle(m.sign(m.of(std::to_string(most - 5)), m.alice))) == "moved"); // nothing overflows
    CHECK(m.balance(m.bob) == most);
    auto self = m.of("7"); // to oneself
    self.from = m.bob.address;
    CHECK(code_of(m.settle(m.sign(self, m.bob))) == "moved");
    CHECK(m.balance(m.bob) == most);
    CHECK(m.ledger->supply() == most);
}

TEST_CASE("many payers at once: each payment once, the last coin to one of them, and the sum stays") {
    market m;
    REQUIRE(m.ledger->fund(m.alice.address, 100, "demo"));
    std::vector<x402::exact_payload> payments;
    for (int i = 0; i < 150; ++i) payments.push_back(m.sign(m.of("1"), m.alice)); // 50 too many
    inbox<settle_answer> told;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) // each brings all of them
        threads.emplace_back([&] {
            for (const auto& p : payments) m.ledger->settle(p, [&](settle_answer a) { told.put(std::move(a)); });
        });
    for (auto& t : threads) t.join();
    int yes = 0, no = 0;
    for (int i = 0; i < 600; ++i) {
        const auto a = told.take();
        a.how == moved::yes ? ++yes : ++no;
        if (a.how == moved::no) CHECK(a.why.code == "invalid_exact_evm_insufficient_balance");
    }
    CHECK(yes == 400);
    CHECK(no == 200);
    CHECK(m.balance(m.alice) == 0);
    CHECK(m.balance(m.bob) == 100);
    CHECK(m.ledger->supply() == 100);
}

TEST_CASE("a full disk refuses the payment, moves nothing, and keeps what was moved") {
    market m;
    REQUIRE(m.ledger->fund(m.alice.address, 1'000'000, "demo"));
    m.reopen(80'000);
    amount paid = 0;
    settle_answer last;
    std::vector<x402::authorization> good;
    do {
        const auto a = m.of("1");
        last = m.settle(m.sign(a, m.alice));
        if (last.how == moved::yes) ++paid, good.push_back(a);
    } while (last.how == moved::yes && paid < 5'000);
    CHECK(code_of(last) == "disk_full");
    CHECK(paid > 50);
    CHECK(m.balance(m.bob) == paid);
    CHECK(m.ledger->supply() == 1'000'000);
    m.reopen();
    CHECK(m.balance(m.bob) == paid);
    for (const auto& a : good) CHECK(m.look_up(a).how == moved::yes);
    CHECK(code_of(m.settle(m.sign(m.of("1"), m.alice))) == "moved");
}

TEST_CASE("what was asked is answered, also when the ledger goes; and one process has it at a time") {
    market m;
    REQUIRE(m.ledger->fund(m.alice.address, 1'000, "demo"));
    CHECK_THROWS_WITH_AS(m.open(), doctest::Contains("another process has it open"), std::runtime_error);
    inbox<std::string> told;
    for (int i = 0; i < 100; ++i) m.ledger->settle(m.sign(m.of("1"), m.alice), [&](settle_answer a) { told.put(code_of(a)); });
    m.reopen();
    for (int i = 0; i < 100; ++i) CHECK(told.take() == "moved");
    CHECK(m.balance(m.bob) == 100);
}

} // TEST_SUITE
