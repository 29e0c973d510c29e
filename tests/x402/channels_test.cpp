// Channels on a chain, and their keeper, on a real node of one: deploy/contracts/Channels.sol at the address that the official packages know.
#include "chain_node.hpp"

#include <souk/actors/payments/channels.hpp>
#include <souk/actors/payments/evm_channels.hpp>

namespace ch = evm::channel;

namespace {

const ch::place place{84532};

struct shop : node {
    explicit shop(std::size_t signers = 1, std::function<http::fetcher(http::fetcher)> through = {}) : node(signers, std::move(through)) { open(); }
    ~shop() { close(), stop(); }
    void open() {
        channels = std::make_unique<evm_channels>(*rail, evm_channels_options{place});
        world = std::make_unique<channel_world>(*channels, clerk.key.copy());
        channels_options o;
        o.pay_to = bob.address, o.authorizer = clerk.address, o.withdraw_delay = 900, o.now = system_now;
        o.most_unclaimed = 400'000, o.claim_at = 300'000, o.most_of_payer = 500'000, o.most_in_all = 500'000;
        if (std::getenv("SOUK_TEST_LOUD")) o.trouble = [](const std::string&, const std::string& effect, verdict, const std::string& why) { MESSAGE(effect << ": " << why); };
        keeper.emplace(spawn_channels(*sys, o, *log, *channels, *world));
    }
    void close() {
        if (keeper) caf::anon_send_exit(*keeper, caf::exit_reason::kill);
        keeper.reset();
    }
    // As if it were killed: what was in memory is gone.
    void restart() {
        close();
        stop();
        world.reset(), channels.reset();
        start();
        open();
    }

    ch::config config(const person& who) const {
        return {who.address, "0x0000000000000000000000000000000000000000", bob.address, clerk.address, dollar.contract, 900, "0x" + std::string(64, '0')};
    }
    ch::deposit deposit(const person& who, std::int64_t value, const person* by = nullptr) const {
        ch::deposit d;
        d.amount = std::to_string(value);
        const auto until = std::chrono::floor<std::chrono::seconds>((system_now() + 300s).time_since_epoch()).count();
        d.authorization.erc3009Authorization = {"0", std::to_string(until), "0x" + to_hex(crypto::generate(crypto::curve::k256).view()), {}};
        REQUIRE(ch::sign_deposit(place, dollar, config(who), d, by ? by->key : who.key).has_value());
        return d;
    }
    ch::voucher voucher(const person& who, std::int64_t most) const { return ch::sign_voucher(place, config(who), std::to_string(most), who.key).value(); }
    ch::claim charged(const person& who, std::int64_t most, std::int64_t total) const {
        const auto v = voucher(who, most);
        return {{config(who), v.maxClaimableAmount}, v.signature, std::to_string(total)};
    }
    std::string word(const ch::claim& c) const { return evm::to_hex_text(crypto::sign_digest(clerk.key, ch::claims_digest(place, {c}).value()).value()); }
    template <class F>
    static channel_answer said(F ask) {
        loopback::inbox<channel_answer> told;
        ask([&](channel_answer a) { told.put(std::move(a)); });
        return told.take();
    }
    channel_answer fill(const person& who, const ch::deposit& d) {
        return said([&](auto tell) { channels->fill(config(who), d, tell); });
    }
    channel_answer look(const person& who) {
        return said([&](auto tell) { channels->look(config(who), tell); });
    }
    channel_answer claim(const person& who, std::int64_t most, std::int64_t total) {
        const auto c = charged(who, most, total);
        return said([&](auto tell) { channels->claim(c, word(c), tell); });
    }

    // A keeper that has just begun reads its journal first; until then it says "not_now", and its caller asks again.
    template <class Message>
    channel_said ask(Message what) {
        caf::scoped_actor self{*sys};
        channel_said a;
        REQUIRE(loopback::soon([&] {
            self->request(*keeper, 60s, what).receive([&](channel_said& x) { a = std::move(x); }, [](const caf::error&) { FAIL("the keeper does not answer"); });
            return !a.refused || a.refused->code != "not_now";
        }));
        return a;
    }
    channel_said open_for(const person& who, std::int64_t value) {
        return ask(fund_channel{octets{encode_described(ch::deposit_payload{"deposit", config(who), voucher(who, 1), deposit(who, value)})}});
    }
    std::string id_of(const person& who) const { return evm::to_hex_text(ch::id_of(place, config(who)).value()); }
    channel_said take(const person& who, const std::string& id, std::int64_t total, std::int64_t amount) { return ask(take_voucher{id, octets{encode_described(voucher(who, total))}, amount}); }
    channel_said charge(const person& who, const std::string& id, std::int64_t amount, bool ends = true) { return ask(charge_channel{id_of(who), id, amount, ends}); }

    person bob, clerk;
    std::unique_ptr<evm_channels> channels;
    std::unique_ptr<channel_world> world;
    std::optional<channels_actor> keeper;
};

std::string code(const channel_answer& a) {
    const std::string_view pre = "invalid_batch_settlement_evm_";
    if (a.how == moved::yes) return "done";
    if (a.how == moved::unknown) return "unknown: " + a.why.text;
    return a.why.code.starts_with(pre) ? a.why.code.substr(pre.size()) : a.why.code;
}

} // namespace

TEST_CASE("a channel of hundreds of vouchers: one deposit, one claim, one refund, and balances to the unit") {
    shop n;
    const person alice;
    n.hands.issue(alice.address, 1'000'000);
    const auto opened = n.open_for(alice, 700'000);
    REQUIRE_MESSAGE(opened.how == came::yes, (opened.refused ? opened.refused->code + ": " + opened.refused->text : "unknown"));
    CHECK(opened.now.balance == 700'000);
    CHECK(n.balance(alice) == 300'000);
    for (int i = 0; i < 250; ++i) {
        const auto id = "request " + std::to_string(i);
        REQUIRE(n.take(alice, id, i * 1'001 + 1'100, 1'100).how == came::yes);
        REQUIRE(n.charge(alice, id, 1'001).how == came::yes);
    }
    CHECK(n.hands.transactions_of(n.keys[0].address) == 1); // the deposit
    const auto wish = octets{encode_described(n.voucher(alice, 250'250))};
    const auto closed = n.ask(close_channel{n.id_of(alice), 0, wish});
    REQUIRE(closed.how == came::yes);
    CHECK(closed.now.claimed == 250'250);
    CHECK(closed.now.phase == "closed");
    CHECK(n.balance(n.bob) == 250'250);
    CHECK(n.balance(alice) == 1'000'000 - 250'250);
    CHECK(n.hands.transactions_of(n.keys[0].address) == 3);
}

TEST_CASE("what the contract would refuse is refused with the official codes, and what was done is not done again") {
    shop n;
    const person alice, eve;
    n.hands.issue(alice.address, 1'000);
    CHECK(code(n.look(alice)) == "done");
    CHECK(n.look(alice).books.balance == 0);
    CHECK(code(n.fill(alice, n.deposit(alice, 500, &eve))) == "deposit_transaction_failed");
    CHECK(code(n.fill(alice, n.deposit(alice, 1'001))) == "deposit_transaction_failed");
    CHECK(n.hands.transactions_of(n.keys[0].address) == 0);
    const auto d = n.deposit(alice, 500);
    const auto filled = n.fill(alice, d);
    CHECK(code(filled) == "done");
    const auto again = n.fill(alice, d);
    CHECK(code(again) == "done");
    CHECK(again.transaction == filled.transaction);
    CHECK(again.books.balance == 500);
    CHECK(code(n.claim(alice, 600, 501)) == "cumulative_exceeds_balance");
    CHECK(code(n.claim(alice, 40, 41)) == "claim_transaction_failed");
    CHECK(code(n.claim(alice, 40, 30)) == "done");
    CHECK(code(n.claim(alice, 40, 30)) == "done");
    CHECK(code(n.claim(alice, 40, 20)) == "done"); // less than was claimed
    CHECK(n.balance(n.bob) == 30);
    CHECK(n.hands.transactions_of(n.keys[0].address) == 2);
    const auto key = alice.key.copy();
    CHECK(code(shop::said([&](auto tell) { n.channels->begin_withdrawal(n.config(alice), 100, key, tell); })) == "rail_reads_only"); // not a key of this rail
    CHECK(code(shop::said([&](auto tell) { n.channels->begin_withdrawal(n.config(alice), 100, eve.key, tell); })) == "not_the_payer");
}

// The node takes the claim and its answer never comes; then the process ends, in the middle of a lease.
TEST_CASE("killed after a claim was broadcast, under a running lease: it is claimed once, and the lease goes on where it was") {
    std::atomic<bool> dropping = false;
    shop n(1, [&](http::fetcher real) {
        return [&, real](http::call c, std::function<void(result<http::response>)> tell) {
            const bool sends = c.body.find("eth_sendRawTransaction") != std::string::npos, looks = c.body.find("eth_getTransactionReceipt") != std::string::npos;
            if (!dropping || (!sends && !looks)) return real(std::move(c), std::move(tell));
            if (sends) real(std::move(c), [](result<http::response>) {});
            tell(refusal{"http_timeout", "the test let it fall"});
        };
    });
    const person alice;
    n.hands.issue(alice.address, 1'000'000);
    REQUIRE(n.open_for(alice, 1'000'000).how == came::yes);
    REQUIRE(n.take(alice, "lease", 350'000, 350'000).how == came::yes);
    dropping = true;
    REQUIRE(n.charge(alice, "lease", 310'000, false).how == came::yes); // that much is claimed
    CHECK(loopback::soon([&] { return n.hands.transactions_of(n.keys[0].address) == 2; }));
    n.restart();
    dropping = false;
    CHECK(loopback::soon([&] { return n.balance(n.bob) == 310'000; }));
    const auto on = n.charge(alice, "lease", 320'000, false);
    CHECK(on.how == came::yes);
    CHECK(on.now.serving == "lease");
    CHECK(loopback::soon([&] { return n.take(alice, "lease", 400'000, 50'000).now.claimed == 310'000; }));
    CHECK(n.charge(alice, "lease", 333'333).how == came::yes);
    REQUIRE(n.ask(close_channel{n.id_of(alice), 0, {}}).how == came::yes);
    CHECK(n.balance(n.bob) == 333'333);
    CHECK(n.balance(alice) == 666'667);
    CHECK(n.hands.transactions_of(n.keys[0].address) == 4); // deposit, two claims, refund
}

TEST_CASE("a claim in a block that the chain drops is brought again, once") {
    shop n;
    const person alice;
    n.hands.issue(alice.address, 1'000);
    REQUIRE(code(n.fill(alice, n.deposit(alice, 500))) == "done");
    const auto snapshot = n.hands.rpc("evm_snapshot", {});
    CHECK(code(n.claim(alice, 200, 150)) == "done");
    CHECK(n.balance(n.bob) == 150);
    n.hands.rpc("evm_revert", {snapshot});
    n.hands.rpc("anvil_mine", {"0x2", "0x1"}); // others where it was
    CHECK(n.balance(n.bob) == 0);
    CHECK(loopback::soon([&] { return n.balance(n.bob) == 150; }));
    CHECK(n.look(alice).books.claimed == 150);
    CHECK(n.rail->lanes()[0].reorganised == 1);
}

TEST_CASE("a payer withdraws by a key of his own: it is seen, what was charged is claimed before the delay ends, and he has the rest") {
    shop n, hers;
    auto& alice = hers.keys[0];
    n.hands.issue(alice.address, 1'000);
    REQUIRE(code(n.fill(alice, n.deposit(alice, 1'000))) == "done");
    // The channel is one with Bob of the first shop.
    const auto config = n.config(alice);
    const auto begin = [&](std::int64_t much) { return shop::said([&](auto tell) { hers.channels->begin_withdrawal(config, much, alice.key, tell); }); };
    const auto end = [&] { return shop::said([&](auto tell) { hers.channels->complete_withdrawal(config, alice.key, tell); }); };
    CHECK(code(end()) == "no_withdrawal");
    CHECK(code(begin(1'001)) == "refund_amount_invalid");
    const auto began = begin(1'000);
    CHECK(code(began) == "done");
    CHECK(began.books.leaving_since != instant{});
    CHECK(code(begin(1'000)) == "done"); // said again
    CHECK(code(end()) == "too_early");
    CHECK(n.look(alice).books.leaving_since == began.books.leaving_since);
    CHECK(code(n.claim(alice, 300, 250)) == "done");
    const auto snapshot = n.hands.rpc("evm_snapshot", {}); // the chain's clock goes back with it, for the cases after this one
    n.hands.rpc("evm_increaseTime", {901});
    n.hands.rpc("anvil_mine", {"0x1"});
    CHECK(code(end()) == "done");
    CHECK(n.balance(alice) == 750);
    CHECK(n.balance(n.bob) == 250);
    CHECK(code(n.claim(alice, 300, 300)) == "cumulative_exceeds_balance"); // too late
    n.hands.rpc("evm_revert", {snapshot});
}
