// The rail of a chain, on a real node of one.
#include "chain_node.hpp"

TEST_CASE("a payment moves on the chain, once, and brought again it is the same transaction") {
    node n;
    const person alice, bob;
    n.hands.issue(alice.address, 100'000);
    const auto a = n.of(alice, bob, 60'000);
    CHECK(n.look_up(a).how == moved::no);
    CHECK(n.check(n.by(alice, a), 60'000) == "good");
    const auto first = n.settle(n.by(alice, a));
    CHECK(first.why.text == "");
    REQUIRE(first.how == moved::yes);
    CHECK(n.balance(bob) == 60'000);
    CHECK(n.balance(alice) == 40'000);
    const auto again = n.settle(n.by(alice, a));
    CHECK(again.how == moved::yes);
    CHECK(again.transaction == first.transaction);
    const auto found = n.look_up(a);
    CHECK(found.how == moved::yes);
    CHECK(found.transaction == first.transaction);
    CHECK(n.check(n.by(alice, a), 60'000) == "invalid_exact_evm_nonce_already_used");
    CHECK(n.balance(bob) == 60'000);
}

TEST_CASE("sixty-four payments at once all settle; one of them sent sixty-four times settles once") {
    node n(4);
    const person bob, carol;
    std::vector<person> payers(64);
    std::vector<x402::exact_payload> all;
    for (const auto& p : payers) {
        n.hands.issue(p.address, 1'000);
        all.push_back(n.by(p, n.of(p, bob, 1'000)));
    }
    std::set<std::string> transactions;
    for (const auto& a : n.settle_all(all)) {
        CHECK_MESSAGE(a.how == moved::yes, a.why.code << ": " << a.why.text);
        transactions.insert(a.transaction);
    }
    CHECK(transactions.size() == 64);
    CHECK(n.balance(bob) == 64'000);

    n.hands.issue(carol.address, 5'000);
    const auto one = n.by(carol, n.of(carol, bob, 5'000));
    const auto before = [&] {
        std::int64_t sum = 0;
        for (const auto& k : n.keys) sum += n.hands.transactions_of(k.address);
        return sum;
    }();
    transactions.clear();
    for (const auto& a : n.settle_all(std::vector(64, one))) {
        CHECK(a.how == moved::yes);
        transactions.insert(a.transaction);
    }
    CHECK(transactions.size() == 1);
    CHECK(n.balance(bob) == 69'000);
    std::int64_t after = 0;
    for (const auto& k : n.keys) after += n.hands.transactions_of(k.address);
    CHECK(after == before + 1);
}

TEST_CASE("what the token would refuse is refused with the official codes, and costs no gas") {
    node n(1);
    const person alice, bob, eve;
    n.hands.issue(alice.address, 1'000);
    const auto good = n.of(alice, bob, 1'000);
    const auto said = [&](const x402::exact_payload& p, std::uint64_t amount = 1'000) {
        const auto s = n.settle(p);
        CHECK(s.how == moved::no);
        return std::pair{n.check(p, amount), s.why.code};
    };
    using both = std::pair<std::string, std::string>;
    CHECK(said(n.by(eve, good)) == both{"invalid_exact_evm_signature", "invalid_exact_evm_signature"});
    auto poor = n.of(eve, bob, 1'000);
    CHECK(said(n.by(eve, poor)) == both{"invalid_exact_evm_insufficient_balance", "invalid_exact_evm_insufficient_balance"});
    CHECK(said(n.by(alice, n.of(alice, bob, 1'000, -10s))) ==
          both{"invalid_exact_evm_payload_authorization_valid_before", "invalid_exact_evm_payload_authorization_valid_before"});
    auto early = good;
    early.validAfter = std::to_string(std::stoll(good.validBefore) - 1);
    CHECK(n.check(n.by(alice, early), 1'000) == "invalid_exact_evm_payload_authorization_valid_after");
    auto p = n.by(alice, good);
    for (std::size_t at = 2; at < p.signature.size(); at += 2) { // every byte of the signature
        auto bad = p;
        bad.signature[at] = bad.signature[at] == '0' ? '1' : '0';
        CHECK(n.check(bad, 1'000) == "invalid_exact_evm_signature");
    }
    CHECK(n.hands.transactions_of(n.keys[0].address) == 0);
    CHECK(n.settle(p).how == moved::yes); // and the good one still is
}

TEST_CASE("who signs one nonce twice has paid what came first") {
    node n;
    const person alice, bob;
    n.hands.issue(alice.address, 2'000);
    const auto to_bob = n.of(alice, bob, 1'000);
    auto to_herself = to_bob;
    to_herself.to = alice.address;
    CHECK(n.settle(n.by(alice, to_herself)).how == moved::yes);
    const auto s = n.settle(n.by(alice, to_bob));
    CHECK(s.how == moved::no);
    CHECK(s.why.code == "invalid_exact_evm_nonce_already_used");
    CHECK(n.look_up(to_bob).how == moved::no);
    CHECK(n.look_up(to_bob).spent);
    CHECK(n.balance(bob) == 0);
}

TEST_CASE("one transaction that uses several authorisations pays by each what that one moves, and no more") {
    node n;
    const person alice, bob;
    n.hands.issue(alice.address, 1'000);
    // Both are for Bob; the second one's nonce she signed for herself as well.
    const auto first = n.of(alice, bob, 400), second = n.of(alice, bob, 400);
    auto to_herself = second;
    to_herself.to = alice.address;
    std::vector<evm::one_call> both;
    for (const auto& a : {first, to_herself}) {
        const auto signature = evm::bytes_of(n.by(alice, a).signature, evm::any_size).value();
        both.push_back({dollar.contract, evm::token::transfer_with_authorization(a, signature).value()});
    }
    const auto sent = n.hands.rpc("eth_sendTransaction", {value::map{{"from", "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"}, {"data", evm::to_hex_text(evm::calls_in_a_row(both).value())}}});
    REQUIRE(loopback::soon([&] { return !n.hands.rpc("eth_getTransactionReceipt", {sent}).is_null(); }));
    CHECK(n.balance(bob) == 400);
    CHECK(n.settle(n.by(alice, first)).how == moved::yes);
    const auto s = n.settle(n.by(alice, second));
    CHECK(s.how == moved::no);
    CHECK(s.why.code == "invalid_exact_evm_nonce_already_used");
    CHECK(n.look_up(first).how == moved::yes);
    CHECK(n.look_up(second).how == moved::no);
    CHECK(n.look_up(second).spent);
}

TEST_CASE("an authorisation that somebody else brought to the chain is paid, by his transaction") {
    node n;
    const person alice, bob;
    n.hands.issue(alice.address, 1'000);
    const auto p = n.by(alice, n.of(alice, bob, 1'000));
    const auto data = evm::token::transfer_with_authorization(p.authorization, evm::bytes_of(p.signature, 65).value()).value();
    const auto his = *n.hands.rpc("eth_sendTransaction", {value::map{{"from", "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"}, {"to", dollar.contract}, {"data", evm::to_hex_text(data)}}}).as<std::string>();
    REQUIRE(loopback::soon([&] { return !n.hands.rpc("eth_getTransactionReceipt", {his}).is_null(); }));
    const auto s = n.settle(p);
    CHECK(s.how == moved::yes);
    CHECK(s.transaction == his);
    CHECK(n.balance(bob) == 1'000);
}

// The node takes the transaction and its answer never comes; then the process ends.
TEST_CASE("a node that is silent after it took a transaction, and a restart: nothing is paid twice, nothing is lost") {
    std::atomic<bool> dropping = false;
    node n(1, [&](http::fetcher real) {
        return [&, real](http::call c, std::function<void(result<http::response>)> tell) {
            const bool sends = c.body.find("eth_sendRawTransaction") != std::string::npos, looks = c.body.find("eth_getTransactionReceipt") != std::string::npos;
            if (!dropping || (!sends && !looks)) return real(std::move(c), std::move(tell));
            if (sends) real(std::move(c), [](result<http::response>) {});
            tell(refusal{"http_timeout", "the test let it fall"});
        };
    });
    const person alice, bob;
    n.hands.issue(alice.address, 1'000);
    const auto p = n.by(alice, n.of(alice, bob, 1'000));
    dropping = true;
    n.rail->settle(p, [](settle_answer) {});
    CHECK(loopback::soon([&] { return n.hands.transactions_of(n.keys[0].address) == 1; }));
    const auto hash = n.rail->on_its_way(p.authorization); // what a payer is told meanwhile
    n.stop();
    dropping = false;
    n.start();
    const auto s = n.settle(p);
    CHECK_MESSAGE(s.how == moved::yes, s.why.code << ": " << s.why.text);
    CHECK(s.transaction == hash);
    CHECK(loopback::soon([&] { return n.rail->on_its_way(p.authorization).empty(); }));
    CHECK(n.balance(bob) == 1'000);
    CHECK(loopback::soon([&] { return n.rail->lanes()[0].in_flight == 0; })); // its own transaction is found again
    CHECK(n.hands.transactions_of(n.keys[0].address) == 1);
}

TEST_CASE("a key that was used elsewhere meanwhile goes on after it") {
    node n(1);
    const person alice, bob;
    n.hands.issue(alice.address, 3'000);
    CHECK(n.settle(n.by(alice, n.of(alice, bob, 1'000))).how == moved::yes);
    n.hands.rpc("anvil_setNonce", {n.keys[0].address, "0x9"});
    CHECK(n.settle(n.by(alice, n.of(alice, bob, 1'000))).how == moved::yes);
    CHECK(n.hands.transactions_of(n.keys[0].address) == 10);
}

TEST_CASE("a block that the chain drops is noticed, and what was in it is sent again") {
    node n(1);
    const person alice, bob;
    n.hands.issue(alice.address, 1'000);
    const auto snapshot = n.hands.rpc("evm_snapshot", {});
    const auto p = n.by(alice, n.of(alice, bob, 1'000));
    CHECK(n.settle(p).how == moved::yes);
    n.hands.rpc("evm_revert", {snapshot});
    n.hands.rpc("anvil_mine", {"0x2", "0x1"}); // others where it was
    CHECK(n.balance(bob) == 0);
    CHECK(loopback::soon([&] { return n.balance(bob) == 1'000; }));
    CHECK(loopback::soon([&] { return n.rail->lanes()[0].reorganised == 1; }));
}

// Asset and node are as the operator said; the asset may still be one that he should not have believed in.
TEST_CASE("a token that reverts, burns gas, changes its mind, lies or takes a share: nothing is called paid that is not, and gas is capped") {
    const auto code = deployed("BadDollar");
    const auto bad_dollar = [](std::size_t number) { return x402::domain{"USDC", "2", 84532, "0x00000000000000000000000000000000000bad0" + std::to_string(number)}; };
    struct told {
        moved how;
        std::string code;
        std::int64_t transactions, arrived;
    };
    const auto paid_in = [&](std::size_t manner) {
        const auto token = bad_dollar(manner);
        node n(1, {}, token);
        n.hands.rpc("anvil_setCode", {token.contract, code});
        n.hands.rpc("anvil_setStorageAt", {token.contract, "0x0", evm::to_hex_text(evm::number(manner))});
        const person alice, bob;
        n.hands.issue(alice.address, 1'000, token.contract);
        const auto wei = [&] { return evm::from_quantity(*n.hands.rpc("eth_getBalance", {n.keys[0].address, "latest"}).as<std::string>()).value(); };
        const auto before = wei();
        const auto s = n.settle(n.by(alice, n.of(alice, bob, 1'000, 20s)));
        CHECK(before - wei() <= 30 * 250'000 * std::uint64_t{4'000'000'000}); // a handful of transactions at what one may cost
        return told{s.how, s.why.code, n.hands.transactions_of(n.keys[0].address), n.balance(bob)};
    };
    const auto good = paid_in(0);
    CHECK(good.how == moved::yes);
    CHECK(good.arrived == 1'000);
    const auto reverts = paid_in(1);
    CHECK(reverts.how == moved::no);
    CHECK(reverts.code == "invalid_exact_evm_transaction_simulation_failed");
    CHECK(reverts.transactions == 0);
    const auto burns = paid_in(2);
    CHECK(burns.how != moved::yes);
    CHECK(burns.transactions == 0);
    const auto changes = paid_in(3);
    CHECK(changes.how != moved::yes);
    CHECK(changes.arrived == 0);
    const auto lies = paid_in(4);
    CHECK(lies.how == moved::no);
    CHECK(lies.arrived == 0);
    const auto shares = paid_in(5);
    CHECK(shares.how != moved::yes);
    CHECK(shares.transactions == 1);
}

// EIP-6492: the signature says by whom and how the wallet that made it comes to be.
TEST_CASE("a payer whose wallet is not deployed yet pays where its factory is allowed: deployed once, for what will then be paid, and for nothing else") {
    const std::string factory = "0x00000000000000000000000000000000fac70001";
    node n(1);
    n.hands.rpc("anvil_setCode", {factory, deployed("WalletFactory")});
    const person owner, eve, bob;
    const auto salt = evm::number(7);
    const auto call = [&](const char* what, const person& whose) { return evm::abi::call(what, {evm::abi::fixed(*evm::address_word(whose.address)), evm::abi::fixed(salt)}); };
    const auto where = [&](const person& whose) {
        const auto said = n.hands.rpc("eth_call", {value::map{{"to", factory}, {"data", evm::to_hex_text(call("where(address,bytes32)", whose))}}, "latest"});
        return evm::address_of(*evm::abi::word_at(*evm::bytes_of(*said.as<std::string>(), evm::any_size), 0));
    };
    const person wallet{{}, crypto::checksummed(where(owner)).value()};
    const auto authorised = [&](std::uint64_t value) { return n.of(wallet, bob, value); };
    const auto wrapped = [&](const person& signer, const x402::authorization& a, const person& deployed_for) {
        const auto inner = n.by(signer, a).signature;
        auto bytes = evm::abi::encode({evm::abi::fixed(*evm::address_word(factory)), evm::abi::bytes(call("make(address,bytes32)", deployed_for)), evm::abi::bytes(*evm::bytes_of(inner, evm::any_size))});
        for (int i = 0; i < 16; ++i) bytes += "\x64\x92";
        return x402::exact_payload{evm::to_hex_text(bytes), a};
    };
    const auto code = [&](const x402::exact_payload& p) { return n.check(p, std::stoull(p.authorization.value)); };
    const auto sent = [&] { return n.hands.transactions_of(n.keys[0].address); };
    n.hands.issue(wallet.address, 1'000);
    const auto first = wrapped(owner, authorised(400), owner);
    CHECK(code(first) == "eip6492_factory_not_allowed");
    CHECK(n.settle(first).why.code == "eip6492_factory_not_allowed");
    n.stop();
    n.wallet_factories = {factory};
    n.start();
    CHECK(code(wrapped(eve, authorised(400), owner)) == "invalid_exact_evm_signature");
    CHECK(code(wrapped(owner, authorised(400), eve)) == "invalid_exact_evm_signature"); // that would make another wallet
    const auto too_much = wrapped(owner, authorised(1'001), owner);
    CHECK(code(too_much) == "invalid_exact_evm_insufficient_balance");
    CHECK(n.settle(too_much).how == moved::no);
    CHECK(sent() == 0);
    CHECK(code(first) == "good");
    const auto paid = n.settle(first);
    CHECK_MESSAGE(paid.how == moved::yes, paid.why.code << ": " << paid.why.text);
    CHECK(n.balance(bob) == 400);
    CHECK(sent() == 2);
    CHECK(n.settle(first).transaction == paid.transaction);
    const auto second = wrapped(owner, authorised(600), owner);
    CHECK(code(second) == "good");
    CHECK(n.settle(second).how == moved::yes); // it is there by now
    CHECK(n.balance(bob) == 1'000);
    CHECK(sent() == 3);
}
