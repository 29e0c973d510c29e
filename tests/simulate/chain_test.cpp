// Ten thousand payments on chains that fork, by nodes that are killed, through endpoints that lag, err and fall silent after they broadcast:
// each is made once or not at all, whoever says so is right, and no money is made or lost.
#include <doctest/doctest.h>

#include <cstdlib>
#include <iostream>
#include <numeric>

#include <souk/actors/payments/evm_rail.hpp>
#include <souk/actors/payments/payments.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/evm/token.hpp>
#include <souk/messages/evm/transaction.hpp>
#include <souk/runtime/simulate/blocks.hpp>
#include <souk/runtime/simulate/nodes.hpp>

using namespace souk;
using namespace souk::simulate;
using namespace std::chrono_literals;

namespace {

#ifdef SOUK_TESTS_THE_SANITIZED
constexpr std::uint64_t share = 10;
#else
constexpr std::uint64_t share = 1;
#endif
constexpr std::uint64_t deepest_fork = 3;
constexpr std::size_t payments_each = 50, payers = 4;
constexpr amount rich = 1'000'000'000;

struct wallets { // the same in every universe: to make them is most of the work
    std::vector<crypto::secret> payer, settling;
    crypto::secret seller;
    crypto::address seller_address;
    std::vector<crypto::address> payer_address;
};
const wallets& known() {
    static const wallets all = [] {
        wallets w;
        const auto key = [](const std::string& name) { return crypto::secret(crypto::sha256("a simulated wallet: " + name)); };
        for (std::size_t i = 0; i < payers; ++i) w.payer.push_back(key("payer " + std::to_string(i))), w.payer_address.push_back(crypto::address_of(w.payer.back()).value());
        for (std::size_t i = 0; i < 3; ++i) w.settling.push_back(key("settling " + std::to_string(i)));
        w.seller = key("seller"), w.seller_address = crypto::address_of(w.seller).value();
        return w;
    }();
    return all;
}

x402::domain dollar() { return {"USDC", "2", 84532, "0x036CbD53842c5426634e7929541eC2318f3dCF7e"}; }

class till final : public node { // a seller's payment verifier, on a chain
public:
    till(universe& u, blocks& b) : node(u, "bob"), blocks_(b) {}
    payments_actor payments() const { return payments_; }

private:
    void open() override {
        auto view = std::make_shared<blocks_view>(u_, blocks_, life_);
        evm_rail_options o;
        o.network = "eip155:84532", o.token = blocks_.token(), o.now = clock();
        o.gas.confirmations = static_cast<std::int64_t>(deepest_fork) + 1, o.gas.watched = 12;
        std::vector<crypto::secret> keys;
        for (const auto& k : known().settling) keys.push_back(k.copy());
        rail_ = &keep(std::make_unique<evm_rail>(u_.system(), std::move(o), log(), std::move(view), std::move(keys)));
        auto& world = keep<payment_world>(*rail_, known().seller_address, known().seller.copy());
        payments_options p;
        p.pay_to = known().seller_address, p.now = clock();
        payments_ = cast(spawn_payments(u_.system(), std::move(p), log(), *rail_, world));
    }
    void close() override {
        rail_->close();
        payments_ = nullptr;
    }

    blocks& blocks_;
    evm_rail* rail_ = nullptr;
    payments_actor payments_;
};

struct one { // payment, as whoever waits for it knows it
    x402::payment what;
    std::string accept;
    amount value = 0, back = 0;
    instant refundable_until;
    std::optional<money_moved> paid, refunded;
    bool asked = false;
};

x402::payment signed_payment(universe& u, std::size_t payer, amount value, std::chrono::seconds life) {
    x402::payment p;
    p.accepted.scheme = "exact", p.accepted.network = "eip155:84532", p.accepted.asset = dollar().contract, p.accepted.payTo = known().seller_address;
    p.accepted.amount = std::to_string(value);
    auto& a = p.payload.authorization;
    a.from = known().payer_address[payer], a.to = known().seller_address, a.value = std::to_string(value), a.validAfter = "0";
    a.validBefore = std::to_string(std::chrono::floor<std::chrono::seconds>((u.now() + life).time_since_epoch()).count());
    a.nonce = "0x" + to_hex(crypto::sha256("nonce " + std::to_string(u.chance().next())));
    p.payload.signature = "0x" + to_hex(crypto::sign_digest(known().payer[payer], x402::digest_of(dollar(), a).value()).value());
    return p;
}

struct counts {
    std::uint64_t paid = 0, failed = 0, refunded = 0, forks = 0, reverted = 0;
};

counts run_one(std::uint64_t seed, const hazards& faults) {
    universe u(seed, faults, std::getenv("SOUK_SEED") ? &std::cout : nullptr);
    blocks chain(u, dollar(), deepest_fork);
    for (std::size_t i = 0; i + 1 < payers; ++i) chain.fund(known().payer_address[i], rich);
    chain.fund(known().payer_address[payers - 1], 60'000); // has little, and signs for more
    chain.fund(known().seller_address, rich);
    const auto supply = chain.supply();
    till bob(u, chain);
    bob.start();

    std::vector<one> all(payments_each);
    std::uint64_t strangers = 0;
    // Asked again until the answer is one: as the lease does.
    std::function<void(one&)> collect_it = [&](one& x) {
        const auto again = [&] { u.later(u.chance().between(500ms, 20'000ms), [&] { collect_it(x); }); };
        if (x.paid) return;
        if (!bob.payments()) return again();
        ask<money_moved>(u.system(), bob.payments(), 30s, collect{encode_described(x.what), x.accept, x.refundable_until}, [&, again](result<money_moved> m) {
            if (!m || m->how == came::unknown) return again();
            if (m->refused && m->refused->code == "not_now") return again();
            if (!x.paid) x.paid = *m;
        });
    };
    std::function<void(one&)> give_it_back = [&](one& x) {
        const auto again = [&] { u.later(u.chance().between(500ms, 20'000ms), [&] { give_it_back(x); }); };
        if (x.refunded) return;
        if (!bob.payments() || !x.paid) return again();
        if (x.paid->how != came::yes) return;
        ask<money_moved>(u.system(), bob.payments(), 30s, give_back{x.paid->key, x.back, "the lease ended early"}, [&, again](result<money_moved> m) {
            if (!m || m->how != came::yes) return again();
            x.refunded = *m;
        });
    };
    for (std::size_t i = 0; i < all.size(); ++i)
        u.later(u.chance().between(0ms, 600'000ms), [&, i] {
            auto& x = all[i];
            x.value = u.chance().between(1'000, 50'000);
            x.what = signed_payment(u, u.chance().next() % payers, x.value, std::chrono::seconds{u.chance().between(20, 400)});
            x.accept = "accept " + std::to_string(i), x.refundable_until = u.now() + 24h, x.asked = true;
            if (u.chance().one_in(3)) x.back = u.chance().between(1, x.value), u.later(u.chance().between(0ms, 300'000ms), [&] { give_it_back(x); });
            for (int times = u.chance().one_in(4) ? 3 : 1; times > 0; --times) collect_it(x); // or several at once
            if (u.chance().one_in(12)) // somebody else saw it, and brings it to the chain himself
                u.later(u.chance().between(0ms, 20'000ms), [&] {
                    evm::transaction t;
                    static const crypto::secret stranger(crypto::sha256("a stranger"));
                    t.chain = 84532, t.nonce = strangers++, t.tip = 1'000'000, t.most = 90'000'000'000, t.gas = 100'000, t.to = dollar().contract;
                    t.data = evm::token::transfer_with_authorization(x.what.payload.authorization, from_hex(x.what.payload.signature.substr(2)).value()).value();
                    chain.bring(evm::sign(t, stranger).value().raw);
                });
        });
    const auto begin = u.now();
    u.later(20min, [&] { u.calm(); });
    const auto over = [&] {
        return u.now() > begin + 20min && std::all_of(all.begin(), all.end(), [](const one& x) { return x.asked && x.paid && (x.back == 0 || x.paid->how != came::yes || x.refunded); });
    };
    u.run(begin + 3h, over);
    u.run(u.now() + 1min, [] { return false; }); // nothing that is still on its way changes it

    CAPTURE(seed);
    CHECK(chain.supply() == supply);
    counts n;
    n.forks = chain.forks(), n.reverted = chain.reverted();
    amount earned = 0;
    std::size_t made = 0;
    for (const auto& x : all) {
        REQUIRE(x.paid.has_value());
        const auto& a = x.what.payload.authorization;
        const auto* used = chain.used(a.from, a.nonce);
        CAPTURE(x.accept);
        CAPTURE(x.paid->refused.value_or(refusal{}).code);
        CAPTURE(x.paid->refused.value_or(refusal{}).text);
        CHECK((x.paid->how == came::yes) == (used != nullptr)); // and nobody was told otherwise
        made += used != nullptr;
        if (x.paid->how != came::yes) {
            ++n.failed;
            continue;
        }
        ++n.paid, earned += x.value;
        CHECK(used->transaction == x.paid->transaction);
        if (x.back == 0) continue;
        REQUIRE(x.refunded.has_value());
        ++n.refunded, earned -= x.back;
    }
    CHECK(chain.balance(known().seller_address) == rich + earned);
    CHECK(chain.transfers() == made + n.refunded); // a refund happens once as well
    return n;
}

} // namespace

TEST_CASE("payments on a chain without faults are all made, but those that cannot be") {
    const auto n = run_one(1, {});
    CHECK(n.paid > payments_each / 2);
    CHECK(n.forks == 0);
}

TEST_CASE("ten thousand payments on chains that fork, lag and fall silent are each made once or never, and the money is all there") {
    counts all;
    const char* only = std::getenv("SOUK_SEED"); // one of them again, with its story
    const std::uint64_t first = only ? std::stoul(only) : 1, last = only ? first : 200 / share;
    for (std::uint64_t seed = first; seed <= last; ++seed) {
        const auto n = run_one(seed, {hazard::kill, hazard::drop, hazard::delay, hazard::torn_write, hazard::failed_sync, hazard::rail_error, hazard::rail_lag, hazard::rewind});
        all.paid += n.paid, all.failed += n.failed, all.refunded += n.refunded, all.forks += n.forks, all.reverted += n.reverted;
    }
    if (only) return;
    CHECK(all.paid > all.failed);
    CHECK(all.forks > 100 / share);
    MESSAGE(all.paid << " paid, " << all.failed << " refused, " << all.refunded << " paid back in part, over " << all.forks << " forks; " << all.reverted << " transactions reverted");
}
