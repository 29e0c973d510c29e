// Permits on a chain, on a real node of one: contracts like Permit2 and x402's proxies at the addresses that the official packages know.
#include "chain_node.hpp"

#include <souk/actors/payments/evm_permits.hpp>
#include <souk/actors/payments/payments.hpp>
#include <souk/messages/evm/permit2.hpp>

namespace p2 = evm::permit2;

namespace {

const std::string first_account = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

struct desk : node {
    explicit desk(std::size_t signers = 2, std::function<http::fetcher(http::fetcher)> through = {}) : node(signers, std::move(through)) { open(); }
    ~desk() { close(), stop(); }
    void open() {
        permits = std::make_unique<evm_permits>(*rail, evm_permits_options{});
        world = std::make_unique<payment_world>(*permits, bob.address, bob.key.copy());
        payments_options o;
        o.pay_to = bob.address, o.now = system_now;
        payments.emplace(spawn_payments(*sys, o, *log, *permits, *world));
    }
    void close() {
        if (payments) caf::anon_send_exit(*payments, caf::exit_reason::kill);
        payments.reset();
    }
    // As if it were killed: what was in memory is gone.
    void restart() {
        close();
        stop();
        world.reset(), permits.reset();
        start();
        open();
    }

    // Dollars, and Permit2's to move.
    void provide(const person& who, std::uint64_t atomic, std::uint64_t allowed) {
        hands.issue(who.address, atomic);
        send_as(who, dollar.contract, evm::token::approve(p2::contract, std::to_string(allowed)).value());
    }
    std::string send_as(const person& who, const std::string& to, const std::string& data) {
        hands.gas(who.address);
        hands.rpc("anvil_impersonateAccount", {who.address});
        const auto sent = *hands.rpc("eth_sendTransaction", {value::map{{"from", who.address}, {"to", to}, {"data", evm::to_hex_text(data)}}}).as<std::string>();
        REQUIRE(loopback::soon([&] { return !hands.rpc("eth_getTransactionReceipt", {sent}).is_null(); }));
        return sent;
    }
    x402::requirements offered(const std::string& scheme, const person& to, std::uint64_t amount, std::size_t by = 0) const {
        x402::requirements r;
        r.scheme = scheme, r.network = "eip155:84532", r.amount = std::to_string(amount), r.asset = dollar.contract, r.payTo = to.address, r.maxTimeoutSeconds = 300;
        value::map extra{{"name", "USDC"}, {"version", "2"}, {"assetTransferMethod", "permit2"}};
        if (scheme == "upto") extra.emplace("facilitatorAddress", keys.empty() ? first_account : keys[by].address);
        r.extra = value(std::move(extra));
        return r;
    }
    static x402::payment paid(const person& from, const x402::requirements& r, std::chrono::seconds valid = 300s) {
        x402::payment p;
        p.accepted = r;
        p.payload = p2::authorise(r, from.key, "0x" + to_hex(crypto::generate(crypto::curve::k256).view()), system_now() + valid).value();
        return p;
    }
    static x402::exact_payload of(x402::exact_payload p, std::uint64_t actual) {
        p.authorization.value = std::to_string(actual);
        return p;
    }
    std::vector<settle_answer> settle_all(const std::vector<x402::exact_payload>& all) { return node::settle_all(*permits, all); }
    settle_answer settle(const x402::exact_payload& p) { return settle_all({p}).front(); }
    look_up_answer look_up(const x402::exact_payload& p) {
        loopback::inbox<look_up_answer> told;
        permits->look_up(p.authorization, [&told](look_up_answer l) { told.put(std::move(l)); });
        return told.take();
    }
    std::string check(const x402::payment& p, const x402::requirements& r) {
        loopback::inbox<result<crypto::address>> told;
        permits->check(p, r, system_now(), [&told](result<crypto::address> a) { told.put(std::move(a)); });
        const auto said = told.take();
        return said ? "good" : said.error().code;
    }
    std::string check(const x402::payment& p) { return check(p, p.accepted); }
    // By the payments role: journalled before anything is brought to the chain.
    money_moved take(const x402::payment& p, std::chrono::seconds within = 60s) {
        caf::scoped_actor self{*sys};
        money_moved m;
        self->request(*payments, within, collect{octets{encode_described(p)}, "test", system_now()}).receive([&](money_moved& x) { m = std::move(x); }, [](const caf::error&) {});
        return m;
    }
    std::int64_t transactions() {
        std::int64_t sum = 0;
        for (const auto& k : keys) sum += hands.transactions_of(k.address);
        return sum;
    }

    person bob;
    std::unique_ptr<evm_permits> permits;
    std::unique_ptr<payment_world> world;
    std::optional<payments_actor> payments;
};

} // namespace

TEST_CASE("a permit moves all of it, once, and brought again it is the same transaction") {
    desk n;
    const person alice;
    n.provide(alice, 100'000, 1'000'000);
    const auto p = n.paid(alice, n.offered("exact", n.bob, 60'000));
    CHECK(n.look_up(p.payload).how == moved::no);
    CHECK(n.check(p) == "good");
    const auto first = n.settle(p.payload);
    CHECK(first.why.text == "");
    REQUIRE(first.how == moved::yes);
    CHECK(n.balance(n.bob) == 60'000);
    CHECK(n.balance(alice) == 40'000);
    const auto again = n.settle(p.payload);
    CHECK(again.how == moved::yes);
    CHECK(again.transaction == first.transaction);
    const auto found = n.look_up(p.payload);
    CHECK(found.how == moved::yes);
    CHECK(found.transaction == first.transaction);
    CHECK(found.value == 60'000);
    CHECK(n.check(p) == "permit2_invalid_nonce");
    auto other = p.payload; // it was not this one that was asked for
    other.authorization.value = "59999";
    CHECK(n.look_up(other).how == moved::no);
    CHECK(n.look_up(other).spent);
    auto any = p.payload;
    any.authorization.to.clear(), any.authorization.value.clear();
    CHECK(n.look_up(any).transaction == first.transaction);
    CHECK(n.transactions() == 1);
}

TEST_CASE("of a permit of at most so much what it came to is moved, by the key that it names; of nothing there is no transaction; more is refused") {
    desk n(3);
    const person alice;
    n.provide(alice, 1'000'000, 10'000'000);
    for (std::size_t by = 0; by < 3; ++by) {
        const auto p = n.paid(alice, n.offered("upto", n.bob, 100'000, by));
        CHECK(n.check(p) == "good");
        const auto before = n.hands.transactions_of(n.keys[by].address);
        const auto said = n.settle(n.of(p.payload, 12'345));
        CHECK_MESSAGE(said.how == moved::yes, said.why.code << ": " << said.why.text);
        CHECK(n.hands.transactions_of(n.keys[by].address) == before + 1);
        CHECK(n.balance(n.bob) == static_cast<amount>(12'345 * (by + 1)));
        CHECK(n.look_up(n.of(p.payload, 12'345)).transaction == said.transaction);
        const auto more = n.settle(n.of(p.payload, 100'000)); // the first one counts
        CHECK(more.how == moved::no);
        CHECK(more.why.code == "permit2_invalid_nonce");
    }
    CHECK(n.transactions() == 3);
    const auto nothing = n.paid(alice, n.offered("upto", n.bob, 100'000));
    const auto said = n.settle(n.of(nothing.payload, 0));
    CHECK(said.how == moved::yes);
    CHECK(said.transaction.empty());
    const auto much = n.settle(n.of(nothing.payload, 100'001));
    CHECK(much.how == moved::no);
    CHECK(much.why.code == "invalid_upto_evm_payload_settlement_exceeds_amount");
    auto elsewhere = n.offered("upto", n.bob, 100'000);
    elsewhere.extra->as<value::map>()->insert_or_assign("facilitatorAddress", first_account);
    const auto not_ours = n.paid(alice, elsewhere);
    CHECK(n.check(not_ours) == "upto_facilitator_mismatch");
    CHECK(n.settle(not_ours.payload).why.code == "upto_facilitator_mismatch");
    auto forged = nothing.payload;
    forged.signature[20] = forged.signature[20] == '0' ? '1' : '0';
    CHECK(n.settle(n.of(forged, 0)).why.code == "invalid_permit2_signature"); // not even for nothing
    CHECK(n.transactions() == 3);
    CHECK(n.balance(n.bob) == 3 * 12'345);
}

TEST_CASE("sixty-four permits at once all settle; one of them sent sixty-four times settles once") {
    desk n(4);
    const person carol;
    std::vector<person> payers(64);
    std::vector<x402::exact_payload> all;
    std::uint64_t i = 0;
    for (const auto& p : payers) {
        n.provide(p, 1'000, 1'000);
        const bool upto = ++i % 2;
        all.push_back(n.paid(p, n.offered(upto ? "upto" : "exact", n.bob, 1'000, i % 4)).payload);
        if (upto) all.back() = n.of(all.back(), 700);
    }
    std::set<std::string> transactions;
    for (const auto& a : n.settle_all(all)) {
        CHECK_MESSAGE(a.how == moved::yes, a.why.code << ": " << a.why.text);
        transactions.insert(a.transaction);
    }
    CHECK(transactions.size() == 64);
    CHECK(n.balance(n.bob) == 32 * 1'000 + 32 * 700);

    n.provide(carol, 500'000, 500'000);
    const auto before = n.transactions();
    const auto has = n.balance(n.bob);
    for (const std::string scheme : {"exact", "upto"}) {
        const auto one = n.paid(carol, n.offered(scheme, n.bob, 5'000)).payload;
        transactions.clear();
        for (const auto& a : n.settle_all(std::vector(64, one))) {
            CHECK_MESSAGE(a.how == moved::yes, a.why.code << ": " << a.why.text);
            transactions.insert(a.transaction);
        }
        CHECK(transactions.size() == 1);
    }
    CHECK(n.balance(n.bob) == has + 10'000);
    CHECK(n.transactions() == before + 2);

    // Sixty-four amounts of one permit: one of them is what was settled, and who asked for another is told that his was not.
    const auto many = n.paid(carol, n.offered("upto", n.bob, 5'000)).payload;
    std::vector<x402::exact_payload> amounts;
    for (std::uint64_t k = 1; k <= 64; ++k) amounts.push_back(n.of(many, k));
    std::size_t done = 0, at = 0;
    std::uint64_t what = 0;
    for (const auto& a : n.settle_all(amounts)) {
        ++at;
        if (a.how == moved::yes) ++done, what = at;
        else CHECK(a.why.code == "permit2_invalid_nonce");
    }
    CHECK(done == 1);
    CHECK(n.balance(n.bob) == has + 10'000 + static_cast<amount>(what));
}

TEST_CASE("what the contracts would refuse is refused with the official codes, and costs no gas") {
    desk n(1);
    const person alice, eve, poor, shy;
    n.provide(alice, 1'000, 1'000), n.provide(poor, 999, 1'000), n.provide(shy, 1'000, 999);
    const auto said = [&](const x402::payment& p) {
        const auto s = n.settle(p.payload);
        CHECK(s.how == moved::no);
        return std::pair{n.check(p), s.why.code};
    };
    using both = std::pair<std::string, std::string>;
    for (const std::string scheme : {"exact", "upto"}) {
        const auto r = n.offered(scheme, n.bob, 1'000);
        CHECK(said(n.paid(poor, r)) == both{"permit2_insufficient_balance", "permit2_insufficient_balance"});
        CHECK(said(n.paid(shy, r)) == both{"permit2_allowance_required", "permit2_allowance_required"});
        CHECK(said(n.paid(eve, r)) == both{"permit2_insufficient_balance", "permit2_insufficient_balance"});
        CHECK(said(n.paid(alice, r, -10s)) == both{"permit2_deadline_expired", "permit2_deadline_expired"});
        auto stolen = n.paid(eve, r);
        stolen.payload.permit2Authorization->from = alice.address, stolen.payload.authorization.from = alice.address;
        CHECK(said(stolen) == both{"invalid_permit2_signature", "invalid_permit2_signature"});
        auto p = n.paid(alice, r);
        CHECK(n.check(p) == "good");
        for (std::size_t at = 2; at < p.payload.signature.size(); at += 2) { // every byte of the signature
            auto bad = p;
            bad.payload.signature[at] = bad.payload.signature[at] == '0' ? '1' : '0';
            CHECK(n.check(bad) == "invalid_permit2_signature");
        }
        auto wrong = r;
        wrong.asset = p2::exact_proxy;
        CHECK(n.check(n.paid(alice, wrong)) == "asset_not_allowed");
        auto early = p;
        early.payload.permit2Authorization->witness.validAfter = early.payload.permit2Authorization->deadline;
        early.payload = p2::sign(84532, *early.payload.permit2Authorization, alice.key).value();
        CHECK(n.check(early) == "permit2_not_yet_valid");
        CHECK(n.settle(early.payload).how == moved::no); // the proxy's own word
    }
    // Less than all of it is there: enough for what it came to.
    auto p = n.paid(poor, n.offered("upto", n.bob, 1'000));
    CHECK(n.transactions() == 0);
    CHECK(n.settle(n.of(p.payload, 999)).how == moved::yes);
    const auto code = n.hands.rpc("eth_getCode", {std::string(p2::exact_proxy), "latest"});
    n.hands.rpc("anvil_setCode", {std::string(p2::exact_proxy), "0x"});
    p = n.paid(alice, n.offered("exact", n.bob, 1'000));
    CHECK(n.check(p) == "permit2_proxy_not_deployed");
    n.hands.rpc("anvil_setCode", {std::string(p2::exact_proxy), code});
    CHECK(n.check(p) == "good");
    CHECK(n.transactions() == 1);
}

TEST_CASE("a permit that somebody else brought to the chain is paid, by his transaction; one that went elsewhere or was made void never will be") {
    desk n;
    const person alice, carol;
    n.provide(alice, 10'000, 10'000);
    const auto p = n.paid(alice, n.offered("exact", n.bob, 1'000));
    const auto data = p2::settle_call(*p.payload.permit2Authorization, "1000", evm::bytes_of(p.payload.signature, 65).value()).value();
    const auto his = *n.hands.rpc("eth_sendTransaction", {value::map{{"from", first_account}, {"to", std::string(p2::exact_proxy)}, {"data", evm::to_hex_text(data)}}}).as<std::string>();
    REQUIRE(loopback::soon([&] { return !n.hands.rpc("eth_getTransactionReceipt", {his}).is_null(); }));
    const auto s = n.settle(p.payload);
    CHECK(s.how == moved::yes);
    CHECK(s.transaction == his);
    // An equal one under another nonce is not paid by it.
    const auto second = n.paid(alice, n.offered("exact", n.bob, 1'000));
    CHECK(n.look_up(second.payload).how == moved::no);
    CHECK(!n.look_up(second.payload).spent);
    CHECK(n.settle(second.payload).transaction != his);
    CHECK(n.balance(n.bob) == 2'000);

    const auto to_carol = n.paid(alice, n.offered("exact", carol, 1'000));
    auto to_bob = to_carol;
    to_bob.payload.permit2Authorization->witness.to = n.bob.address;
    to_bob.payload = p2::sign(84532, *to_bob.payload.permit2Authorization, alice.key).value(); // the same nonce
    CHECK(n.settle(to_carol.payload).how == moved::yes);
    CHECK(n.settle(to_bob.payload).why.code == "permit2_invalid_nonce");
    CHECK(n.look_up(to_bob.payload).spent);
    CHECK(n.balance(n.bob) == 2'000);

    const auto regretted = n.paid(alice, n.offered("exact", n.bob, 1'000));
    const auto nonce = evm::uint256(regretted.payload.permit2Authorization->nonce).value();
    evm::word where = std::string(1, '\0') + nonce.substr(0, 31), mask(32, '\0');
    const auto bit = static_cast<unsigned char>(nonce[31]);
    mask[31 - bit / 8] = static_cast<char>(1u << (bit % 8));
    n.send_as(alice, std::string(p2::contract), evm::abi::call("invalidateUnorderedNonces(uint256,uint256)", {evm::abi::fixed(where), evm::abi::fixed(mask)}));
    const auto late = n.settle(regretted.payload);
    CHECK(late.how == moved::no);
    CHECK(late.why.code == "permit2_invalid_nonce");
    CHECK(n.look_up(regretted.payload).spent);
    CHECK(n.balance(n.bob) == 2'000);
}

// Whoever has a token of his own has any call made in the middle of a permit's settlement.
TEST_CASE("a nonce that went with another token is spent, whatever else the same transaction has moved; and that is paid for once") {
    const std::string courier = "0x0000000000000000000000000000000000c04a1e";
    desk n;
    const person alice;
    n.provide(alice, 10'000, 10'000);
    n.hands.rpc("anvil_setCode", {courier, deployed("Courier")});
    const auto p = n.paid(alice, n.offered("exact", n.bob, 1'000));
    auto elsewhere = *p.payload.permit2Authorization; // the same nonce, payee and amount
    elsewhere.permitted.token = courier;
    const auto signed_elsewhere = p2::sign(84532, elsewhere, alice.key).value();
    const auto authorised = n.by(alice, n.node::of(alice, n.bob, 1'000));
    const auto parcel = evm::token::transfer_with_authorization(authorised.authorization, evm::bytes_of(authorised.signature, 65).value()).value();
    n.send_as(alice, courier, evm::abi::call("load(address,bytes)", {evm::abi::fixed(*evm::address_word(dollar.contract)), evm::abi::bytes(parcel)}));
    n.send_as(alice, std::string(p2::exact_proxy), p2::settle_call(elsewhere, "1000", evm::bytes_of(signed_elsewhere.signature, 65).value()).value());
    CHECK(n.balance(n.bob) == 1'000);
    CHECK(n.settle(authorised).how == moved::yes); // by that transaction
    const auto s = n.settle(p.payload);
    CHECK(s.how == moved::no);
    CHECK(s.why.code == "permit2_invalid_nonce");
    CHECK(n.look_up(p.payload).how == moved::no);
    CHECK(n.look_up(p.payload).spent);
    CHECK(n.balance(n.bob) == 1'000);

    // Nor does anybody get an expired one looked after who has not signed it.
    auto late = n.paid(alice, n.offered("exact", n.bob, 1'000), 1s);
    CHECK(n.check(late) == "permit2_deadline_expired");
    late.payload.signature = p.payload.signature;
    CHECK(n.check(late) == "invalid_permit2_signature");
}

// The node takes the transaction and its answer never comes; then the process ends, with its journal and its lanes.
TEST_CASE("killed after it was broadcast: the permit is settled once, and asked again it is the same transaction and the same amount") {
    std::atomic<bool> dropping = false;
    desk n(1, [&](http::fetcher real) {
        return [&, real](http::call c, std::function<void(result<http::response>)> tell) {
            const bool sends = c.body.find("eth_sendRawTransaction") != std::string::npos, looks = c.body.find("eth_getTransactionReceipt") != std::string::npos;
            if (!dropping || (!sends && !looks)) return real(std::move(c), std::move(tell));
            if (sends) real(std::move(c), [](result<http::response>) {});
            tell(refusal{"http_timeout", "the test let it fall"});
        };
    });
    const person alice;
    n.provide(alice, 10'000, 10'000);
    amount has = 0;
    for (const std::string scheme : {"exact", "upto"}) {
        auto p = n.paid(alice, n.offered(scheme, n.bob, 1'000));
        if (scheme == "upto") p.payload = n.of(p.payload, 400);
        const auto before = n.transactions();
        dropping = true;
        n.take(p, 1s);
        CHECK(loopback::soon([&] { return n.transactions() == before + 1; }));
        n.restart();
        dropping = false;
        has += scheme == "upto" ? 400 : 1'000;
        const auto m = n.take(p);
        CHECK_MESSAGE(m.how == came::yes, (m.refused ? m.refused->code : "unknown"));
        CHECK(n.balance(n.bob) == has);
        CHECK(n.look_up(p.payload).transaction == m.transaction);
        CHECK(n.take(p).transaction == m.transaction);
        if (scheme == "upto") { // what was asked for first is what it is
            auto more = p;
            more.payload = n.of(p.payload, 1'000);
            const auto no = n.take(more);
            CHECK(no.how == came::no);
            CHECK(no.refused->code == "nonce_conflict");
        }
        CHECK(loopback::soon([&] { return n.rail->lanes()[0].in_flight == 0; }));
        CHECK(n.transactions() == before + 1);
    }
    CHECK(n.balance(n.bob) == has);
}

TEST_CASE("nothing of a permit is an answer that stays: after a restart, too, no more is moved of it") {
    desk n(1);
    const person alice;
    n.provide(alice, 10'000, 10'000);
    for (int round = 0; round < 6; ++round) {
        auto p = n.paid(alice, n.offered("upto", n.bob, 1'000));
        p.payload = n.of(p.payload, 0);
        const auto m = n.take(p);
        CHECK(m.how == came::yes);
        CHECK(m.transaction.empty());
        if (round % 2) n.restart();
        CHECK(n.take(p).how == came::yes);
        auto all = p;
        all.payload = n.of(p.payload, 1'000);
        CHECK(n.take(all).how == came::no); // though the first one's facts may come between
    }
    CHECK(n.balance(n.bob) == 0);
    CHECK(n.transactions() == 0);
    auto nothing = n.paid(alice, n.offered("exact", n.bob, 1'000));
    nothing.payload = n.of(nothing.payload, 0);
    CHECK(n.take(nothing).refused->code == "bad_amount");
}

TEST_CASE("a permit that is good for ever is taken as any other") {
    desk n(1);
    const person alice;
    n.provide(alice, 1'000, 1'000);
    auto p = n.paid(alice, n.offered("exact", n.bob, 1'000));
    p.payload.permit2Authorization->deadline = evm::to_decimal(evm::word(32, '\xff'));
    p.payload = p2::sign(84532, *p.payload.permit2Authorization, alice.key).value();
    CHECK(n.check(p) == "good");
    CHECK(n.take(p).how == came::yes);
    CHECK(n.take(p).how == came::yes);
    CHECK(n.balance(n.bob) == 1'000);
    CHECK(n.transactions() == 1);
}

TEST_CASE("a permit in a block that the chain drops is brought again, once") {
    desk n(1);
    const person alice;
    n.provide(alice, 1'000, 1'000);
    const auto snapshot = n.hands.rpc("evm_snapshot", {});
    const auto p = n.paid(alice, n.offered("upto", n.bob, 1'000));
    CHECK(n.settle(n.of(p.payload, 600)).how == moved::yes);
    n.hands.rpc("evm_revert", {snapshot});
    n.hands.rpc("anvil_mine", {"0x2", "0x1"}); // others where it was
    CHECK(n.balance(n.bob) == 0);
    CHECK(loopback::soon([&] { return n.balance(n.bob) == 600; }));
    CHECK(n.rail->lanes()[0].reorganised == 1);
}

TEST_CASE("while the node does not say, nobody is told that it moved or that it never will") {
    std::atomic<bool> silent = false;
    desk n(1, [&](http::fetcher real) {
        return [&, real](http::call c, std::function<void(result<http::response>)> tell) {
            if (!silent) return real(std::move(c), std::move(tell));
            tell(refusal{"http_timeout", "the test let it fall"});
        };
    });
    const person alice;
    n.provide(alice, 1'000, 1'000);
    const auto p = n.paid(alice, n.offered("exact", n.bob, 1'000));
    silent = true;
    CHECK(n.check(p) == "rail_unknown");
    CHECK(n.settle(p.payload).how == moved::unknown);
    CHECK(n.settle(p.payload).why.code == "rail_unknown");
    CHECK(n.look_up(p.payload).how == moved::unknown);
    silent = false;
    CHECK(loopback::soon([&] { return n.settle(p.payload).how == moved::yes; }));
    CHECK(n.balance(n.bob) == 1'000);
}
