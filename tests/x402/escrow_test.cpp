// Escrow on a chain, and its keeper, on a real node of one: deploy/contracts/Escrow.sol. Provider, payer and giver have a node each, since each sends his own
// transactions.
#include "chain_node.hpp"

#include <souk/actors/payments/escrow_keeper.hpp>
#include <souk/actors/payments/evm_escrow.hpp>

namespace es = evm::escrow;

namespace {

const es::place there{84532, "0xe5c0e5c0e5c0e5c0e5c0e5c0e5c0e5c0e5c0e5c0"};
constexpr std::int64_t day = 86'400;

std::string code(const escrow_answer& a) {
    if (a.how == moved::yes) return "done";
    return a.how == moved::unknown ? "unknown: " + a.why.code + ": " + a.why.text : a.why.code;
}

// A node of somebody's with his key, and the escrow as he sees it.
struct holder : node {
    explicit holder(std::function<http::fetcher(http::fetcher)> through = {}) : node(1, std::move(through)) { open(); }
    ~holder() { stop(); }
    void open() { vault = std::make_unique<evm_escrow>(*rail, evm_escrow_options{there}); }

    template <class F>
    static escrow_answer said(F ask) {
        loopback::inbox<escrow_answer> told;
        ask([&](escrow_answer a) { told.put(std::move(a)); });
        return told.take();
    }
    escrow_answer order(escrow_order o) {
        if (o.once.empty()) o.once = "order " + std::to_string(++names);
        return said([&](auto tell) { vault->carry_out(o, me().key, tell); });
    }
    escrow_answer order(const char* what, std::int64_t much = 0, const std::string& provider = {}, std::int64_t price = 0) {
        escrow_order o;
        o.what = what, o.amount = much, o.provider = provider, o.price = price;
        return order(o);
    }
    escrow_answer look(const std::string& payer, const std::string& provider, const std::string& credit = "0") {
        return said([&](auto tell) { vault->look_at({payer, provider, dollar.contract, credit}, {}, tell); });
    }
    escrow_answer consume(const std::vector<es::signed_request>& all) {
        return said([&](auto tell) { vault->consume(all, me().key, tell); });
    }
    amount free() {
        loopback::inbox<result<amount>> told;
        vault->free_of(me().address, [&](result<amount> a) { told.put(std::move(a)); });
        return told.take().value();
    }
    std::int64_t sent() { return hands.transactions_of(me().address); }
    const person& me() const { return keys[0]; }

    es::signed_request asked(const person& provider, std::int64_t price, const std::string& credit = "0", std::chrono::seconds life = 3h) {
        const auto expires = std::chrono::floor<std::chrono::seconds>((system_now() + life).time_since_epoch()).count();
        return es::sign(there, {me().address, provider.address, dollar.contract, std::to_string(price), "0x" + to_hex(crypto::sha256("what is to be done")), credit,
                                es::timed_nonce(expires, credit, crypto::generate(crypto::curve::k256).view()), expires}, me().key).value();
    }

    int names = 0;
    std::unique_ptr<evm_escrow> vault;
};
struct provider final : holder {
    explicit provider(std::function<http::fetcher(http::fetcher)> through = {}) : holder(std::move(through)) { begin(); }
    ~provider() { end_keeper(), stop(); }
    void begin() {
        world = std::make_unique<escrow_world>(*vault, me().key.copy());
        escrow_options o;
        o.provider = me().address, o.now = system_now, o.most_open = 400'000, o.present_at = 60'000, o.most_in_all = 500'000;
        if (std::getenv("SOUK_TEST_LOUD")) o.trouble = [](const std::string&, const std::string& effect, verdict, const std::string& why) { MESSAGE(effect << ": " << why); };
        keeper.emplace(spawn_escrow_keeper(*sys, o, *log, *vault, *world));
    }
    void end_keeper() {
        if (keeper) caf::anon_send_exit(*keeper, caf::exit_reason::kill);
        keeper.reset();
    }
    // As if it were killed: what was in memory is gone.
    void restart() {
        end_keeper();
        stop();
        world.reset(), vault.reset();
        start(), open(), begin();
    }
    // A keeper that has just begun reads its journal first; until then it says "not_now", and its caller asks again.
    template <class Message>
    std::string ask(Message what) {
        caf::scoped_actor self{*sys};
        request_said a;
        REQUIRE(loopback::soon([&] {
            self->request(*keeper, 60s, what).receive([&](request_said& x) { a = std::move(x); }, [](const caf::error&) { FAIL("the keeper does not answer"); });
            return !a.refused || a.refused->code != "not_now";
        }));
        return a.how == came::yes ? a.stage : a.refused ? a.refused->code : "unknown";
    }
    std::string serve(const es::signed_request& s) { return ask(serve_request{octets{encode_described(s)}, 0}); }
    std::string end(const es::signed_request& s, bool served = true) { return ask(end_request{tab_of(there, source_of(s.request)), s.request.nonce, served}); }
    void present(const es::signed_request& s) { ask(present_tab{tab_of(there, source_of(s.request))}); }
    tab_view view(const es::signed_request& s) {
        caf::scoped_actor self{*sys};
        tabs_view all;
        self->request(*keeper, 60s, tabs_query{tab_of(there, source_of(s.request))}).receive([&](tabs_view& x) { all = std::move(x); }, [](const caf::error&) { FAIL("the keeper does not answer"); });
        REQUIRE(all.all.size() == 1);
        return all.all.front();
    }

    std::unique_ptr<escrow_world> world;
    std::optional<escrow_actor> keeper;
};

void set_aside(holder& alice, const person& bob, std::int64_t deposited, std::int64_t price, std::int64_t budget) {
    alice.hands.issue(alice.me().address, static_cast<std::uint64_t>(deposited));
    REQUIRE(code(alice.order("deposit", deposited)) == "done");
    const auto said = alice.order("approve", budget, bob.address, price);
    REQUIRE(code(said) == "done");
    REQUIRE(said.books.budget == budget);
}

} // namespace

TEST_CASE("two hundred requests of which three were not served: presented in batches, and balances to the unit") {
    provider bob;
    holder alice;
    set_aside(alice, bob.me(), 1'000'000, 2'000, 700'000);
    CHECK(alice.balance(alice.me()) == 0);
    CHECK(alice.free() == 300'000);
    std::int64_t served = 0;
    es::signed_request last;
    for (int i = 0; i < 200; ++i) {
        last = alice.asked(bob.me(), 1'000 + i);
        REQUIRE(bob.serve(last) == "held");
        const bool good = i % 70 != 9;
        REQUIRE(bob.end(last, good) == (good ? "served" : "unserved"));
        if (good) served += 1'000 + i;
    }
    bob.present(last);
    CHECK(loopback::soon([&] {
        bob.present(last);
        return bob.view(last).requests == 0;
    }));
    CHECK(bob.view(last).consumed == served);
    CHECK(bob.view(last).lost == 0);
    CHECK(bob.free() == served);
    const auto batches = bob.sent();
    CHECK(batches >= 2);
    CHECK(batches <= 8);
    MESSAGE("197 requests in " << batches << " transactions");
    CHECK(code(bob.order("withdraw", served)) == "done");
    CHECK(bob.balance(bob.me()) == served);
    CHECK(alice.look(alice.me().address, bob.me().address).books.budget == 700'000 - served);
    CHECK(code(alice.order("withdraw", 300'000)) == "done");
    CHECK(alice.balance(alice.me()) == 300'000);
    CHECK(code(alice.order("withdraw", 1)) == "too_much");
}

TEST_CASE("a payer takes out all that he can between the check and the presenting, and the provider is paid all the same") {
    provider bob;
    holder alice;
    set_aside(alice, bob.me(), 1'000, 100, 500);
    const auto r = alice.asked(bob.me(), 100);
    REQUIRE(bob.serve(r) == "held");
    CHECK(code(alice.order("withdraw", 501)) == "too_much");
    CHECK(code(alice.order("withdraw", 500)) == "done");
    const auto left = alice.order("announce", 500, bob.me().address);
    CHECK(code(left) == "done");
    CHECK(left.books.leaving == 500);
    CHECK(code(alice.order("announce", 500, bob.me().address)) == "notice_pending");
    CHECK(code(alice.order("release", 0, bob.me().address)) == "too_early");
    CHECK(code(alice.order("approve", 0, bob.me().address, 1)) == "price_lowered");
    REQUIRE(bob.end(r) == "served");
    bob.present(r);
    CHECK(loopback::soon([&] { return bob.view(r).consumed == 100; }));
    CHECK(bob.free() == 100);
    const auto snapshot = alice.hands.rpc("evm_snapshot", {}); // the chain's clock goes back with it, for the cases after this one
    alice.hands.rpc("evm_increaseTime", {day + 1});
    alice.hands.rpc("anvil_mine", {"0x1"});
    CHECK(code(alice.order("release", 0, bob.me().address)) == "done");
    CHECK(alice.free() == 400);
    CHECK(code(bob.consume({alice.asked(bob.me(), 1, "0", 2 * 24h)})) == "beyond_budget");
    alice.hands.rpc("evm_revert", {snapshot});
}

TEST_CASE("a trial credit is spent with one provider, withdrawn by neither side, and its rest is the giver's after its day") {
    provider bob;
    holder alice, carol;
    carol.hands.issue(carol.me().address, 1'000);
    REQUIRE(code(carol.order("deposit", 1'000)) == "done");
    escrow_order gift;
    gift.what = "grant", gift.payer = alice.me().address, gift.provider = bob.me().address, gift.amount = 300;
    gift.expires = std::chrono::floor<std::chrono::seconds>((system_now() + 5h).time_since_epoch()).count();
    const auto granted = carol.order(gift);
    REQUIRE(code(granted) == "done");
    REQUIRE(granted.credit != "");
    const auto r = alice.asked(bob.me(), 120, granted.credit);
    CHECK(bob.serve(alice.asked(bob.me(), 301, granted.credit)) == "beyond_budget");
    CHECK(bob.serve(alice.asked(bob.me(), 10, granted.credit, 6h)) == "expired");
    REQUIRE(bob.serve(r) == "held");
    REQUIRE(bob.end(r) == "served");
    bob.present(r);
    CHECK(loopback::soon([&] { return bob.view(r).consumed == 120; }));
    CHECK(alice.look(alice.me().address, bob.me().address, granted.credit).books.budget == 180);
    CHECK(code(alice.order("withdraw", 1)) == "too_much");
    CHECK(code(bob.order("withdraw", 121)) == "too_much");
    CHECK(code(carol.order("withdraw", 701)) == "too_much");
    escrow_order back;
    back.what = "reclaim", back.credit = granted.credit;
    CHECK(code(carol.order(back)) == "too_early");
    const auto snapshot = carol.hands.rpc("evm_snapshot", {});
    carol.hands.rpc("evm_increaseTime", {6 * 3'600});
    carol.hands.rpc("anvil_mine", {"0x1"});
    CHECK(code(carol.order(back)) == "done");
    CHECK(carol.free() == 880);
    CHECK(code(carol.order(back)) == "no_amount");
    carol.hands.rpc("evm_revert", {snapshot});
}

// The node takes the batch and its answer never comes; then the process ends.
TEST_CASE("killed after a batch was broadcast: each request is consumed once, and nothing is forgotten") {
    std::atomic<bool> dropping = false;
    provider bob([&](http::fetcher real) {
        return [&, real](http::call c, std::function<void(result<http::response>)> tell) {
            const bool sends = c.body.find("eth_sendRawTransaction") != std::string::npos, looks = c.body.find("eth_getTransactionReceipt") != std::string::npos;
            if (!dropping || (!sends && !looks)) return real(std::move(c), std::move(tell));
            if (sends) real(std::move(c), [](result<http::response>) {});
            tell(refusal{"http_timeout", "the test let it fall"});
        };
    });
    holder alice;
    set_aside(alice, bob.me(), 500'000, 50'000, 500'000);
    const auto a = alice.asked(bob.me(), 40'000), b = alice.asked(bob.me(), 30'000), c = alice.asked(bob.me(), 1'000), never = alice.asked(bob.me(), 9'000);
    for (const auto* r : {&a, &b, &c, &never}) REQUIRE(bob.serve(*r) == "held");
    dropping = true;
    REQUIRE(bob.end(a) == "served");
    REQUIRE(bob.end(b) == "served"); // that is enough for a batch
    CHECK(loopback::soon([&] { return bob.sent() == 1; }));
    CHECK(bob.view(a).consumed == 0); // nobody told us
    bob.restart();
    dropping = false;
    CHECK(bob.serve(c) == "held"); // the journal has it
    CHECK(bob.end(c) == "served");
    CHECK(bob.end(never, false) == "unserved");
    CHECK(loopback::soon([&] { return bob.view(a).consumed == 70'000; }));
    bob.present(c);
    CHECK(loopback::soon([&] { return bob.view(a).consumed == 71'000; }));
    CHECK(bob.serve(a) == "consumed");
    CHECK(bob.free() == 71'000);
    CHECK(bob.sent() == 2);
}

TEST_CASE("a batch in a block that the chain drops is brought again, once") {
    provider bob;
    holder alice;
    set_aside(alice, bob.me(), 1'000, 100, 1'000);
    const std::vector all{alice.asked(bob.me(), 60), alice.asked(bob.me(), 40)};
    const auto snapshot = bob.hands.rpc("evm_snapshot", {});
    const auto paid = bob.consume(all);
    CHECK(code(paid) == "done");
    CHECK(paid.books.budget == 900);
    CHECK(paid.books.used.size() == 2);
    const auto again = bob.consume(all);
    CHECK(code(again) == "done");
    CHECK(bob.sent() == 1);
    bob.hands.rpc("evm_revert", {snapshot});
    bob.hands.rpc("anvil_mine", {"0x2", "0x1"}); // others where it was
    CHECK(bob.free() == 0);
    CHECK(loopback::soon([&] { return bob.free() == 100; }));
    CHECK(bob.sent() == 1);
    CHECK(bob.rail->lanes()[0].reorganised == 1);
}

TEST_CASE("a batch in which some are bad moves nothing and names them, with the contract's words; the others go without them") {
    provider bob;
    holder alice, eve;
    set_aside(alice, bob.me(), 1'000, 100, 250);
    const auto good = alice.asked(bob.me(), 100), dear = alice.asked(bob.me(), 101), late = alice.asked(bob.me(), 1, "0", -10s);
    auto forged = alice.asked(bob.me(), 10);
    forged.signature = es::sign(there, forged.request, eve.me().key).value().signature;
    const auto said = bob.consume({dear, good, forged, late});
    CHECK(code(said) == "price_too_high");
    std::map<std::string, std::string> bad;
    for (const auto& b : said.bad) bad[b.nonce] = b.why.code;
    CHECK(bad == std::map<std::string, std::string>{{dear.request.nonce, "price_too_high"}, {forged.request.nonce, "bad_signature"}, {late.request.nonce, "expired"}});
    CHECK(bob.free() == 0);
    CHECK(bob.sent() == 0);
    const auto more = alice.asked(bob.me(), 100), third = alice.asked(bob.me(), 51);
    const auto sum = bob.consume({good, more, third}); // each alone would do
    CHECK(sum.how == moved::no);
    REQUIRE(sum.bad.size() == 1);
    CHECK(sum.bad[0].nonce == third.request.nonce);
    CHECK(sum.bad[0].why.code == "beyond_budget");
    CHECK(code(bob.consume({good})) == "done");
    const auto mixed = bob.consume({good, more});
    CHECK(code(mixed) == "consumed");
    REQUIRE(mixed.bad.size() == 1);
    CHECK(mixed.bad[0].nonce == good.request.nonce);
    CHECK(code(bob.consume({more})) == "done");
    CHECK(bob.free() == 200);
    CHECK(code(bob.consume({eve.asked(bob.me(), 1)})) == "price_too_high"); // who set nothing aside
    CHECK(code(holder::said([&](auto tell) { bob.vault->consume({third}, eve.me().key, tell); })) == "rail_reads_only");
}

TEST_CASE("an order under one name is one transaction; another rail's key sends none; and a provider gives back what he will not need") {
    provider bob;
    holder alice;
    alice.hands.issue(alice.me().address, 1'000);
    escrow_order o;
    o.what = "deposit", o.amount = 400, o.once = "first";
    const auto first = alice.order(o), again = alice.order(o);
    CHECK(code(first) == "done");
    CHECK(again.transaction == first.transaction);
    CHECK(alice.free() == 400);
    CHECK(alice.sent() == 2); // what the token lets the contract take, and the deposit
    CHECK(code(alice.order("deposit", 601)) == "too_much");
    CHECK(code(alice.order("approve", 401, bob.me().address, 10)) == "too_much");
    CHECK(code(alice.order("approve", 300, alice.me().address, 10)) == "bad_party");
    CHECK(code(alice.order("approve", 300, bob.me().address, 10)) == "done");
    CHECK(code(alice.order("release", 0, bob.me().address)) == "no_notice");
    escrow_order back;
    back.what = "give_back", back.payer = alice.me().address, back.amount = 120;
    const auto gave = bob.order(back);
    CHECK(code(gave) == "done");
    CHECK(gave.books.budget == 180);
    CHECK(alice.free() == 220);
    CHECK(code(holder::said([&](auto tell) { alice.vault->carry_out(o, bob.me().key, tell); })) == "rail_reads_only");
}
