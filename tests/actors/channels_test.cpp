#include "stage.hpp"
#include "virtual_time.hpp"

#include <random>

#include <souk/actors/payments/channels.hpp>
#include <souk/backends/rails/ledger.hpp>
#include <souk/messages/evm/word.hpp>

using namespace souk;
namespace ch = evm::channel;

namespace {

// A rail with channels, in memory; who breaks a rule of signatures is the business of others. It can be silent, before or after it did what it was asked.
class rail final : public channel_rail {
public:
    explicit rail(std::function<instant()> now) : now_(std::move(now)) {}

    bool away = false; // it does nothing, and does not answer
    bool mute = false; // it does it, and does not answer
    std::optional<refusal> refuses;
    struct account { amount balance = 0, claimed = 0; std::int64_t nonce = 0; instant leaving; };
    std::map<std::string, account> all;
    std::map<std::string, amount> filled; // by salt
    amount paid = 0, back = 0;
    int claims = 0, looks = 0;

    std::string network() const override { return std::string(x402::development_network); }
    x402::domain token() const override { return development_token(); }
    ch::place channels() const override { return development_channels(); }

    void fill(const ch::config& c, const ch::deposit& d, tell_books tell) override {
        if (away) return;
        if (refuses) return tell({moved::no, *refuses, {}, {}});
        if (filled.try_emplace(d.authorization.erc3009Authorization.salt, 1).second) at(c).balance += std::stoll(d.amount);
        say(c, tell);
    }
    void look(const ch::config& c, tell_books tell) override {
        ++looks;
        if (!away) say(c, tell);
    }
    void claim(const ch::claim& c, const std::string&, tell_books tell) override {
        if (away) return;
        auto& a = at(c.voucher.channel);
        const auto total = std::stoll(c.totalClaimed);
        if (total > a.balance || total > std::stoll(c.voucher.maxClaimableAmount)) return tell({moved::no, {"reverted", "too much"}, {}, {}});
        if (total > a.claimed) ++claims, paid += total - a.claimed, a.claimed = total;
        say(c.voucher.channel, tell);
    }
    void give_back(const ch::config& c, amount much, std::int64_t nonce, const std::string&, tell_books tell) override {
        if (away) return;
        auto& a = at(c);
        if (nonce == a.nonce) {
            ++a.nonce, much = std::min(much, a.balance - a.claimed);
            a.balance -= much, back += much;
        }
        say(c, tell);
    }
    void begin_withdrawal(const ch::config& c, amount, const crypto::secret&, tell_books) override { at(c).leaving = now_(); }
    void complete_withdrawal(const ch::config& c, const crypto::secret&, tell_books) override {
        auto& a = at(c);
        back += a.balance - a.claimed, a.balance = a.claimed, a.leaving = {};
    }

private:
    account& at(const ch::config& c) { return all[evm::to_hex_text(ch::id_of(channels(), c).value())]; }
    void say(const ch::config& c, const tell_books& tell) {
        const auto& a = at(c);
        if (!mute) tell({moved::yes, {}, {a.balance, a.claimed, a.leaving, a.nonce, now_()}, {}});
    }
    std::function<instant()> now_;
};

struct person {
    crypto::secret key = crypto::generate(crypto::curve::k256);
    crypto::address address = crypto::address_of(key).value();
};

struct shop : virtual_time {
    person alice, bob, clerk, eve;
    rail on{clock()};
    stage::journal log;
    channel_world world{on, clerk.key.copy()};
    channels_actor keeper = open();
    int salts = 0;

    channels_options options() {
        channels_options o;
        o.pay_to = bob.address, o.authorizer = clerk.address, o.withdraw_delay = 900, o.least_deposit = 10, o.now = clock();
        o.most_unclaimed = 200, o.claim_at = 100, o.most_of_payer = 300, o.most_in_all = 400;
        return o;
    }
    channels_actor open() { return keep(spawn_channels(sys, options(), log, on, world)); }
    void restart() { // what was in memory is gone
        caf::anon_send_exit(keeper, caf::exit_reason::kill);
        sched.run();
        keeper = open();
    }

    ch::config channel_of(const person& who, int number = 0) const {
        return {who.address, "0x0000000000000000000000000000000000000000", bob.address, clerk.address, on.token().contract, 900,
                "0x" + std::string(63, '0') + std::to_string(number)};
    }
    std::string id_of(const ch::config& c) const { return evm::to_hex_text(ch::id_of(on.channels(), c).value()); }
    fund_channel deposit(const person& who, std::int64_t value, int number = 0) {
        ch::deposit_payload d;
        d.channelConfig = channel_of(who, number);
        d.deposit.amount = std::to_string(value);
        const auto until = std::chrono::floor<std::chrono::seconds>((now + 300s).time_since_epoch()).count();
        d.deposit.authorization.erc3009Authorization = {"0", std::to_string(until), "0x" + to_hex(crypto::sha256("salt" + std::to_string(++salts))), {}};
        REQUIRE(ch::sign_deposit(on.channels(), on.token(), d.channelConfig, d.deposit, who.key).has_value());
        d.voucher = ch::sign_voucher(on.channels(), d.channelConfig, "1", who.key).value();
        return {octets{encode_described(d)}};
    }
    void fill(const person& who, std::int64_t value, int number = 0) { REQUIRE(answer<channel_said>(keeper, deposit(who, value, number)).how == came::yes); }
    octets voucher(const person& by, const ch::config& c, std::int64_t total) const {
        return {encode_described(ch::sign_voucher(on.channels(), c, std::to_string(total), by.key).value())};
    }
    channel_said take(const std::string& id, std::int64_t total, std::int64_t amount, int number = 0) {
        return answer<channel_said>(keeper, take_voucher{id, voucher(alice, channel_of(alice, number), total), amount});
    }
    channel_said charge(const std::string& id, std::int64_t amount, bool ends = true, int number = 0) {
        return answer<channel_said>(keeper, charge_channel{id_of(channel_of(alice, number)), id, amount, ends});
    }
    channel_view view(int number = 0) {
        auto all = answer<channels_view>(keeper, channels_query{id_of(channel_of(alice, number))}).all;
        REQUIRE(all.size() == 1);
        return all.front();
    }
};

std::string told(const channel_said& s) {
    const std::string_view pre = "invalid_batch_settlement_evm_";
    if (s.how == came::yes) return "yes";
    const auto why = s.refused ? s.refused->code : std::string("unknown");
    return why.starts_with(pre) ? why.substr(pre.size()) : why;
}

} // namespace

TEST_CASE_FIXTURE(shop, "hundreds of vouchers are one claim, and what is left goes back, to the unit") {
    fill(alice, 1'000);
    for (int i = 0; i < 99; ++i) {
        const auto id = "r" + std::to_string(i);
        REQUIRE(told(take(id, i + 1, 1)) == "yes");
        REQUIRE(told(charge(id, 1)) == "yes");
    }
    CHECK(on.claims == 0);
    CHECK(told(take("last", 199, 100)) == "yes");
    CHECK(told(charge("last", 61)) == "yes");
    CHECK(on.claims == 1);
    CHECK(on.paid == 160);
    const auto wish = voucher(alice, channel_of(alice), 160);
    CHECK(told(answer<channel_said>(keeper, close_channel{id_of(channel_of(alice)), 0, voucher(alice, channel_of(alice), 161)})) == "cumulative_amount_mismatch");
    CHECK(told(answer<channel_said>(keeper, close_channel{id_of(channel_of(alice)), 0, voucher(eve, channel_of(alice), 160)})) == "voucher_signature");
    CHECK(told(answer<channel_said>(keeper, close_channel{id_of(channel_of(alice)), 0, wish})) == "yes");
    CHECK(on.back == 840);
    CHECK(view().phase == "closed");
    CHECK(told(take("more", 161, 1)) == "channel_not_found");
}

TEST_CASE_FIXTURE(shop, "a voucher that is lost, repeated, older, forged or for too much has a code each, and the answer says from where to go on") {
    fill(alice, 150);
    REQUIRE(told(take("a", 40, 40)) == "yes");
    CHECK(told(take("a", 40, 40)) == "yes"); // said again
    CHECK(told(take("b", 80, 40)) == "channel_busy");
    CHECK(told(charge("a", 41)) == "charge_exceeds_signed_cumulative");
    REQUIRE(told(charge("a", 30)) == "yes");
    CHECK(told(charge("a", 30)) == "yes");
    CHECK(told(charge("a", 31)) == "charge_conflict");
    const auto older = take("b", 40, 40); // its answer was lost: the payer thinks that nothing was charged
    CHECK(told(older) == "cumulative_amount_mismatch");
    CHECK(older.now.charged == 30);
    CHECK(older.now.promised == 40);
    const auto newest = decode_described<ch::voucher>(voucher(alice, channel_of(alice), 40).data).value();
    CHECK(older.now.signature == newest.signature); // his own: he need not believe us
    CHECK(told(take("b", 151, 121)) == "cumulative_exceeds_balance");
    CHECK(told(answer<channel_said>(keeper, take_voucher{"b", voucher(eve, channel_of(alice), 70), 40})) == "voucher_signature");
    CHECK(told(answer<channel_said>(keeper, take_voucher{"b", voucher(eve, channel_of(eve), 70), 40})) == "channel_not_found");
    auto cut = voucher(alice, channel_of(alice), 70);
    cut.data.pop_back();
    CHECK(told(answer<channel_said>(keeper, take_voucher{"b", cut, 40})) == "cbor_truncated");
    CHECK(told(take("b", 70, 40)) == "yes"); // nothing was lost by any of it
    CHECK(told(answer<channel_said>(keeper, drop_voucher{id_of(channel_of(alice)), "b"})) == "yes");
    CHECK(view().charged == 30);
}

TEST_CASE_FIXTURE(shop, "a deposit is judged before the rail is asked, and its refusal is said while it may still come") {
    auto d = decode_described<ch::deposit_payload>(deposit(alice, 50).deposit.data).value();
    const auto funded = [&](const ch::deposit_payload& x) { return told(answer<channel_said>(keeper, fund_channel{octets{encode_described(x)}})); };
    auto bad = d;
    bad.deposit.amount = "51";
    CHECK(funded(bad) == "receive_authorization_signature");
    bad = d, bad.channelConfig.receiver = eve.address;
    CHECK(funded(bad) == "channel_id_mismatch");
    CHECK(told(answer<channel_said>(keeper, deposit(alice, 9))) == "deposit_below_min_deposit");
    CHECK(on.all.empty());
    on.refuses = refusal{"invalid_batch_settlement_evm_insufficient_balance", "poor"};
    const auto said = answer<channel_said>(keeper, fund_channel{octets{encode_described(d)}});
    CHECK(said.how == came::unknown);
    CHECK(told(said) == "insufficient_balance");
    on.refuses.reset();
    pass(2s); // it is asked again while it is valid
    CHECK(view().phase == "open");
    CHECK(funded(d) == "yes"); // brought again: no second deposit
    CHECK(view().balance == 50);
}

TEST_CASE_FIXTURE(shop, "a lease of many slices is metered to the second and claimed as it goes, over a restart in the middle") {
    fill(alice, 1'000);
    std::int64_t promised = 0, served = 0;
    for (int slice = 0; slice < 30; ++slice) {
        promised += 20;
        REQUIRE(told(take("lease", promised, 20)) == "yes"); // before it is used
        for (int i = 0; i < 4; ++i) {
            pass(5s);
            served += 5;
            REQUIRE(told(charge("lease", served, false)) == "yes");
        }
        if (slice == 13) restart();
    }
    CHECK(view().serving == "lease");
    CHECK(told(charge("lease", served - 1)) == "charge_conflict");
    CHECK(told(charge("lease", served)) == "yes");
    CHECK(on.claims >= 5);
    CHECK(on.paid >= 500);
    CHECK(told(answer<channel_said>(keeper, close_channel{id_of(channel_of(alice)), 0, {}})) == "yes");
    CHECK(on.paid == 600);
    CHECK(on.back == 400);
}

TEST_CASE_FIXTURE(shop, "a withdrawal under a running request: nothing more is taken, and what was charged is claimed before the delay ends") {
    fill(alice, 1'000);
    REQUIRE(told(take("lease", 50, 50)) == "yes");
    REQUIRE(told(charge("lease", 20, false)) == "yes");
    on.begin_withdrawal(channel_of(alice), 1'000, alice.key, {});
    const auto began = now;
    while (on.paid == 0 && now < began + 900s) pass(5s);
    CHECK(now < began + 450s);
    CHECK(on.paid == 20);
    CHECK(view().leaves == std::chrono::floor<std::chrono::milliseconds>(began + 900s));
    CHECK(told(take("lease", 80, 30)) == "channel_leaving");
    CHECK(told(charge("lease", 45)) == "yes"); // it was promised before
    CHECK(on.paid == 45);
    on.complete_withdrawal(channel_of(alice), alice.key, {});
    CHECK(on.back == 955);
}

TEST_CASE_FIXTURE(shop, "claims whose answers are lost, and a rail that is away over a restart, cost nothing and nobody") {
    fill(alice, 1'000);
    on.mute = true;
    REQUIRE(told(take("a", 120, 120)) == "yes");
    REQUIRE(told(charge("a", 120)) == "yes");
    CHECK(on.paid == 120);
    CHECK(view().claimed == 0); // not known here
    restart();
    CHECK(told(take("b", 201, 81)) == "too_much_unclaimed");
    on.mute = false;
    for (int i = 0; i < 6; ++i) pass(5s);
    CHECK(view().claimed == 120);
    CHECK(on.claims == 1);
    on.away = true;
    REQUIRE(told(take("b", 220, 100)) == "yes");
    REQUIRE(told(charge("b", 100)) == "yes");
    restart();
    pass(15min); // the chain was not seen for half a delay
    CHECK(told(take("c", 230, 10)) == "verification_state_unavailable");
    on.away = false;
    for (int i = 0; i < 24; ++i) pass(5s);
    CHECK(on.paid == 220);
    CHECK(told(take("c", 230, 10)) == "yes");
}

TEST_CASE_FIXTURE(shop, "what is at risk is capped for one payer and in all, counting what is being journalled; and then what is open is claimed") {
    for (int i = 0; i < 4; ++i) fill(alice, 500, i);
    const auto late = [&](int number, std::int64_t amount) { // all at once
        return ask<channel_said>(keeper, take_voucher{"x", voucher(alice, channel_of(alice, number), amount), amount});
    };
    REQUIRE(told(take("a", 90, 90, 0)) == "yes");
    REQUIRE(told(charge("a", 90, true, 0)) == "yes");
    REQUIRE(told(take("b", 90, 90, 1)) == "yes");
    REQUIRE(told(charge("b", 90, true, 1)) == "yes");
    CHECK(on.claims == 0); // too little for a transaction each
    CHECK(answer<channels_view>(keeper, channels_query{}).at_risk == 180);
    const auto one = late(2, 100), two = late(3, 100);
    CHECK(told((*one)->value()) == "yes");
    CHECK(told((*two)->value()) == "too_much_unclaimed");
    CHECK(on.claims == 2);
    CHECK(told(take("y", 100, 100, 3)) == "yes"); // now there is room

    const person carol;
    const auto of = [&](const person& who, std::int64_t amount) {
        return answer<channel_said>(keeper, take_voucher{"z", voucher(who, channel_of(who), amount), amount});
    };
    fill(carol, 500);
    fill(eve, 500);
    CHECK(told(of(carol, 150)) == "yes");
    CHECK(told(of(eve, 51)) == "too_much_unclaimed"); // 400 in all
    CHECK(told(of(eve, 50)) == "yes");
}

// Requests, leases, silence, kills between an order and its answer, withdrawals; the same by the same seed.
TEST_CASE("whatever goes wrong, every unit is the payer's or the payee's, and what was said to be charged is claimed") {
    std::int64_t kills = 0, withdrawals = 0, charges = 0;
    for (unsigned seed = 1; seed <= 150; ++seed) {
        CAPTURE(seed);
        shop m;
        std::mt19937 dice(seed);
        const auto roll = [&](int n) { return static_cast<int>(dice() % static_cast<unsigned>(n)); };
        m.fill(m.alice, 1'000);
        const auto config = m.channel_of(m.alice);
        std::int64_t sure = 0, unsure = 0; // charged, as we were told; ordered, and nobody said
        bool leaving = false;
        for (int step = 0, id = 0; step < 40; ++step) {
            const auto v = m.view();
            const auto name = v.serving.empty() ? "r" + std::to_string(++id) : v.serving;
            const auto open = v.taken - v.metered;
            switch (roll(9)) {
            case 0:
            case 1:
            case 2: {
                const auto amount = 1 + roll(60);
                m.take(name, v.charged + open + amount, amount);
                break;
            }
            case 3:
            case 4:
                if (v.serving.empty()) break;
                if (const auto much = v.metered + roll(static_cast<int>(open) + 1); told(m.charge(name, much, roll(2))) == "yes") sure += much - v.metered, ++charges;
                break;
            case 5: // killed when it is journalled, and before anybody hears of it
                ++kills;
                if (v.serving.empty()) souk::ask<channel_said>(m.sys, m.keeper, 5s, take_voucher{name, m.voucher(m.alice, config, v.charged + 7), 7}, [](auto) {});
                else souk::ask<channel_said>(m.sys, m.keeper, 5s, charge_channel{v.id, name, v.taken, true}, [](auto) {}), unsure += open;
                m.restart();
                break;
            case 6: {
                auto& silent = roll(2) ? m.on.mute : m.on.away;
                silent = true;
                for (int i = roll(12); i >= 0; --i) m.pass(5s);
                silent = false;
                break;
            }
            case 7:
                if (!leaving && roll(4) == 0) m.on.begin_withdrawal(config, 1'000, m.alice.key, {}), leaving = true, ++withdrawals;
                break;
            default: m.pass(std::chrono::seconds{1 + roll(20)});
            }
        }
        if (const auto v = m.view(); !v.serving.empty()) CHECK(told(m.answer<channel_said>(m.keeper, drop_voucher{v.id, v.serving})) == "yes");
        if (!leaving) m.ask<channel_said>(m.keeper, close_channel{m.view().id, 0, {}});
        for (int i = 0; i < 180; ++i) m.pass(5s);
        if (leaving) m.on.complete_withdrawal(config, m.alice.key, {});
        for (int i = 0; i < 30; ++i) m.pass(5s);
        const auto v = m.view();
        CHECK(v.charged >= sure);
        CHECK(v.charged <= sure + unsure);
        CHECK(v.forfeited == 0);
        CHECK(m.on.paid == v.charged);
        CHECK(m.on.paid + m.on.back == 1'000);
        CHECK(v.balance == v.claimed);
        CHECK(v.phase == "closed");
    }
    MESSAGE(kills << " kills, " << withdrawals << " withdrawals, " << charges << " charges");
}

TEST_CASE_FIXTURE(shop, "the terms of a node's channels are those that its payers are judged by") {
    const auto o = answer<channel_offer>(keeper, channel_offer_query{});
    CHECK(o.pay_to == bob.address);
    const auto t = from_value<ch::terms>(o.extra, unknown_fields::ignore).value();
    CHECK(t.receiverAuthorizer == clerk.address);
    CHECK(t.withdrawDelay == 900);
    CHECK(t.minDeposit == "10");
    auto broken = options();
    broken.claim_at = 201;
    CHECK_THROWS_AS(spawn_channels(sys, broken, log, on, world), std::invalid_argument);
}

TEST_CASE_FIXTURE(shop, "a deposit that is brought again is what it was the first time, however late") {
    const auto d = deposit(alice, 100);
    REQUIRE(told(answer<channel_said>(keeper, d)) == "yes");
    pass(1h); // by now nobody would take it who sees it first
    CHECK(told(answer<channel_said>(keeper, d)) == "yes");
    restart();
    CHECK(told(answer<channel_said>(keeper, d)) == "yes");
    CHECK(view().balance == 100);
    const auto never = deposit(eve, 100);
    pass(1h);
    CHECK(told(answer<channel_said>(keeper, never)) == "payload_authorization_valid_before");
}

TEST_CASE_FIXTURE(shop, "what is open of a channel is claimed when it is in the way of more, and a request that goes on is served for as long as was said") {
    fill(alice, 1'000);
    REQUIRE(told(take("a", 60, 60)) == "yes");
    REQUIRE(told(charge("a", 60)) == "yes");
    CHECK(on.claims == 0);
    CHECK(told(take("b", 210, 150)) == "too_much_unclaimed");
    CHECK(on.claims == 1);
    REQUIRE(told(answer<channel_said>(keeper, take_voucher{"b", voucher(alice, channel_of(alice), 210), 150, 3'600})) == "yes");
    REQUIRE(told(charge("b", 50, false)) == "yes");
    pass(50min);
    CHECK(view().serving == "b");
    pass(20min);
    CHECK(view().serving == ""); // and what was metered of it stays charged
    CHECK(view().last_id == "b");
    CHECK(view().last == 50);
    CHECK(told(charge("b", 70)) == "charge_conflict");
}
