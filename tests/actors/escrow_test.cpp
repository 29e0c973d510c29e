#include "stage.hpp"
#include "virtual_time.hpp"

#include <random>

#include <souk/actors/payments/escrow_keeper.hpp>
#include <souk/backends/rails/ledger.hpp>
#include <souk/messages/ascii.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/evm/word.hpp>

using namespace souk;
namespace es = evm::escrow;

namespace {

std::int64_t seconds_of(instant t) { return std::chrono::floor<std::chrono::seconds>(t.time_since_epoch()).count(); }

// An escrow in memory, of one payer and one provider; who breaks a rule of signatures is the business of others. It can be silent, before or after it did
// what it was asked, and slow: then it answers when it is let.
class vault final : public escrow_rail {
public:
    explicit vault(std::function<instant()> now) : now_(std::move(now)) {}

    bool away = false; // it does nothing, and does not answer
    bool mute = false; // it does it, and does not answer
    stage::tray out;   // answers
    std::optional<refusal> refuses;
    struct gift { amount left = 0; instant until; };
    amount own = 0, budget = 0, price = 0, leaving = 0, earned = 0, withdrawn = 0; // the payer's, but for what the provider earned
    instant since;
    std::map<std::string, gift> gifts;
    std::map<std::string, std::string> used; // by nonce: the hash of what was paid
    int calls = 0, looks = 0;
    std::vector<std::size_t> batches;

    std::string network() const override { return std::string(x402::development_network); }
    x402::domain token() const override { return development_token(); }
    es::place escrow() const override { return development_escrow(); }
    void look_at(const escrow_source& of, const std::vector<std::string>& nonces, tell_escrow tell) override {
        ++looks;
        if (!away) say(books(of, nonces), tell);
    }
    void free_of(const std::string&, std::function<void(result<amount>)>) override {}
    void carry_out(const escrow_order&, const crypto::secret&, tell_escrow) override {}
    void consume(const std::vector<es::signed_request>& all, const crypto::secret&, tell_escrow tell) override {
        ++calls;
        if (away) return;
        escrow_answer a;
        if (refuses) return a.how = moved::no, a.why = *refuses, say(a, tell);
        std::size_t before = 0;
        auto left = budget;
        auto rest = gifts;
        for (const auto& s : all) {
            const auto& r = s.request;
            const auto much = std::stoll(r.price);
            const auto was = used.find(r.nonce);
            if (was != used.end() && was->second == r.request_hash) ++before, a.bad.push_back({r.nonce, {"consumed", "before"}});
            else if (was != used.end()) a.bad.push_back({r.nonce, {"used", "for another"}});
            else if (seconds_of(now_()) > r.expires) a.bad.push_back({r.nonce, {"expired", "late"}});
            else if (r.credit != "0" && now_() > rest[r.credit].until) a.bad.push_back({r.nonce, {"expired", "its day is over"}});
            else if (auto& of = r.credit == "0" ? left : rest[r.credit].left; much > of) a.bad.push_back({r.nonce, {"beyond_budget", "no"}});
            else of -= much;
        }
        if (before < all.size()) {
            if (!a.bad.empty()) return a.how = moved::no, a.why = a.bad.front().why, say(a, tell);
            budget = left, gifts = rest, batches.push_back(all.size());
            for (const auto& s : all) used[s.request.nonce] = s.request.request_hash, earned += std::stoll(s.request.price);
        }
        say(books({{}, {}, {}, all[0].request.credit}, {}), tell);
    }

    // What a payer does: all that the contract lets him.
    void announce(amount much) {
        if (since == instant{} && much > 0 && much <= budget) leaving = much, since = std::chrono::floor<std::chrono::seconds>(now_());
    }
    void release() {
        if (since == instant{} || now_() < since + 24h) return;
        const auto much = std::min(leaving, budget);
        budget -= much, own += much, leaving = 0, since = {};
    }
    void withdraw() { withdrawn += own, own = 0; }
    amount sum() const {
        amount all = own + budget + earned + withdrawn;
        for (const auto& [number, g] : gifts) all += g.left;
        return all;
    }

private:
    escrow_answer books(const escrow_source& of, const std::vector<std::string>& nonces) {
        escrow_answer a;
        a.how = moved::yes, a.books.as_of = now_();
        if (of.credit == "0") a.books.budget = budget, a.books.price = price, a.books.leaving = leaving, a.books.leaving_since = since;
        else if (gifts.contains(of.credit)) a.books.budget = a.books.price = gifts[of.credit].left, a.books.expires = gifts[of.credit].until;
        else a.books.fits = false;
        for (const auto& n : nonces)
            if (used.contains(n)) a.books.used.push_back(n);
        return a;
    }
    void say(const escrow_answer& a, const tell_escrow& tell) {
        if (!mute) out.give([a, tell] { tell(a); });
    }
    std::function<instant()> now_;
};

struct person {
    crypto::secret key = crypto::generate(crypto::curve::k256);
    crypto::address address = crypto::address_of(key).value();
};

struct shop : virtual_time {
    person alice, bob, eve;
    vault on{clock()};
    stage::journal log;
    escrow_world world{on, bob.key.copy()};
    escrow_actor keeper = open();

    shop() { on.budget = 1'000, on.price = 50; }
    escrow_options options() {
        escrow_options o;
        o.provider = bob.address, o.now = clock(), o.most_open = 200, o.present_at = 100, o.most_in_all = 300, o.present_after = 120s, o.before = 60s, o.latest = 24h;
        return o;
    }
    escrow_actor open() { return keep(spawn_escrow_keeper(sys, options(), log, on, world)); }
    void restart() { // what was in memory is gone
        caf::anon_send_exit(keeper, caf::exit_reason::kill);
        sched.run();
        keeper = open();
    }
    es::signed_request asked(const std::string& name, std::int64_t price, std::chrono::seconds life = 1h, const std::string& credit = "0") const {
        const auto expires = seconds_of(now + life);
        return signed_by(alice, {alice.address, bob.address, on.token().contract, std::to_string(price), "0x" + to_hex(crypto::sha256(name)), credit,
                                 es::timed_nonce(expires, credit, crypto::sha256(name)), expires});
    }
    es::signed_request signed_by(const person& who, es::request r) const { return es::sign(on.escrow(), std::move(r), who.key).value(); }
    static serve_request asking(const es::signed_request& s, std::int64_t within = 0) { return {octets{encode_described(s)}, within}; }
    request_said serve(const es::signed_request& s, std::int64_t within = 0) { return answer<request_said>(keeper, asking(s, within)); }
    request_said end(const es::signed_request& s, bool served = true) { return answer<request_said>(keeper, end_request{tab_of(on.escrow(), source_of(s.request)), s.request.nonce, served}); }
    tab_view view(const es::signed_request& s) {
        auto all = answer<tabs_view>(keeper, tabs_query{tab_of(on.escrow(), source_of(s.request))}).all;
        REQUIRE(all.size() == 1);
        return all.front();
    }
};
std::string told(const request_said& s) { return s.how == came::yes ? s.stage : s.refused ? s.refused->code : "unknown"; }

} // namespace

TEST_CASE_FIXTURE(shop, "two hundred requests of which three were not served: presented in batches, and paid to the unit") {
    std::int64_t served = 0;
    es::signed_request last;
    for (int i = 0; i < 200; ++i) {
        last = asked("r" + std::to_string(i), 1 + i % 7);
        REQUIRE(told(serve(last)) == "held");
        const bool good = i % 70 != 9;
        REQUIRE(told(end(last, good)) == (good ? "served" : "unserved"));
        if (good) served += 1 + i % 7;
    }
    CHECK(view(last).served < 100); // what is enough was presented at once
    CHECK(on.batches.size() >= 5);
    pass(2min);
    CHECK(on.earned == served);
    CHECK(view(last).consumed == served);
    CHECK(view(last).lost == 0);
    CHECK(view(last).requests == 0);
    CHECK(on.used.size() == 197);
    CHECK(on.sum() == 1'000);
    CHECK(on.looks < 10); // and nobody asked the rail for each
}

TEST_CASE_FIXTURE(shop, "a request is judged before anything is journalled, with a code for each objection") {
    const auto good = asked("good", 10);
    auto change = [&](auto&& how) {
        auto r = good.request;
        how(r);
        return signed_by(alice, r);
    };
    CHECK(told(serve({good.request, asked("other", 10).signature})) == "bad_signature");
    CHECK(told(serve(signed_by(eve, good.request))) == "bad_signature");
    CHECK(told(serve(change([&](es::request& r) { r.provider = eve.address; }))) == "not_provider");
    CHECK(told(serve(change([&](es::request& r) { r.token = eve.address; }))) == "wrong_token");
    CHECK(told(serve(change([&](es::request& r) { ++r.expires; }))) == "nonce_not_timed");
    CHECK(told(serve(asked("far", 10, 24h + 1s))) == "expires_too_late");
    CHECK(told(serve(asked("near", 10, 119s))) == "expires_too_soon");
    CHECK(told(serve(asked("over", 10, 0s))) == "expired");
    CHECK(told(serve(asked("dear", 51))) == "price_too_high");
    CHECK(told(serve(asked("free", 0))) == "no_amount");
    CHECK(told(serve(asked("gift", 1, 1h, "7"))) == "wrong_credit");
    CHECK(told(answer<request_said>(keeper, serve_request{octets{"nonsense"}, 0})) != "held");
    CHECK(told(end(good)) == "not_taken");
    CHECK(answer<tabs_view>(keeper, tabs_query{}).all.empty()); // nothing of a stranger's is kept
    CHECK(told(serve(good)) == "held");
    CHECK(told(serve(good)) == "held"); // said again
    auto upper = good;
    for (auto* x : {&upper.request.payer, &upper.request.nonce})
        for (auto& c : *x)
            if (c >= 'a' && c <= 'f') c = static_cast<char>(c - 'a' + 'A');
    CHECK(told(serve(upper)) == "held"); // the same, in other letters
    CHECK(told(serve(change([](es::request& r) { r.price = "11"; }))) == "nonce_conflict");
    CHECK(told(end(good)) == "served");
    CHECK(told(end(good)) == "served");
    CHECK(told(end(good, false)) == "was_served");
    pass(2min);
    CHECK(told(serve(good)) == "consumed");
    CHECK(on.earned == 10);
    on.away = true;
    CHECK(told(serve(asked("known", 10))) == "held"); // what is known covers it
    const auto hers = ask<request_said>(keeper, asking(signed_by(eve, [&] { auto r = asked("hers", 10).request; r.payer = eve.address; return r; }())));
    CHECK(!hers->has_value());
    pass(11s);
    CHECK(told((*hers)->value()) == "rail_unknown");
}

TEST_CASE_FIXTURE(shop, "a payer who takes out all he can between the check and the presenting: the provider is paid all the same") {
    on.own = 5'000;
    const auto first = asked("first", 40, 20h), second = asked("second", 30, 23h);
    REQUIRE(told(serve(first)) == "held");
    on.withdraw();
    on.announce(1'000); // all of it, in the moment after it was looked at
    REQUIRE(told(end(first)) == "served");
    REQUIRE(told(serve(second, 10 * 3'600)) == "held"); // nobody knows of the notice yet
    for (int i = 0; i < 3 * 60 + 5; ++i) pass(1min), on.release();
    CHECK(view(second).leaves != instant{});
    CHECK(told(serve(asked("third", 1, 10h))) == "beyond_budget");
    REQUIRE(told(end(second)) == "served");
    CHECK(on.earned == 70); // at once: it is in danger
    pass(24h);
    on.release(), on.withdraw();
    CHECK(on.withdrawn == 5'930);
    CHECK(on.budget == 0);
    CHECK(view(second).lost == 0);
}

TEST_CASE_FIXTURE(shop, "a trial credit is spent until its day, and presented before it") {
    on.gifts["1"] = {50, now + 2h};
    const auto a = asked("a", 30, 110min, "1");
    CHECK(told(serve(asked("late", 10, 3h, "1"))) == "expired");
    REQUIRE(told(serve(a, 7'000)) == "held");
    CHECK(told(serve(asked("b", 21, 1h, "1"))) == "beyond_budget");
    pass(108min);
    REQUIRE(told(end(a)) == "served");
    pass(1min + 1s);
    CHECK(on.earned == 30);
    CHECK(on.gifts["1"].left == 20);
    CHECK(on.budget == 1'000);
}

TEST_CASE_FIXTURE(shop, "what is open is capped, of one tab and in all, counting what is being journalled; then it is presented, and there is room") {
    std::vector<es::signed_request> held;
    for (int i = 0; i < 4; ++i) REQUIRE(told(serve(held.emplace_back(asked("h" + std::to_string(i), 50)))) == "held");
    CHECK(told(serve(asked("more", 1))) == "too_much_open");
    on.gifts["1"] = {500, now + 20h};
    const auto ask_late = [&](const char* name) { return ask<request_said>(keeper, asking(asked(name, 60, 1h, "1"))); };
    const auto one = ask_late("one"), two = ask_late("two");
    CHECK(told((*one)->value()) == "held");
    CHECK(told((*two)->value()) == "too_much_open");
    CHECK(answer<tabs_view>(keeper, tabs_query{}).at_risk == 260);
    CHECK(told(serve(held[0])) == "held"); // asked again it is what it is, however full we are
    REQUIRE(told(end(held[0])) == "served");
    CHECK(on.calls == 0); // not enough for a call
    CHECK(told((*ask_late("two"))->value()) == "too_much_open");
    CHECK(on.earned == 50); // so that it is presented
    CHECK(told((*ask_late("two"))->value()) == "held");
}

TEST_CASE_FIXTURE(shop, "answers that are lost, late, or of another time, and restarts in between: each request is presented once") {
    on.mute = true;
    const auto first = ask<request_said>(keeper, asking(asked("a", 50)));
    pass(11s);
    CHECK(told((*first)->value()) == "rail_unknown");
    on.mute = false;
    const auto a = asked("a", 50), b = asked("b", 50), c = asked("c", 50);
    REQUIRE(told(serve(a)) == "held");
    REQUIRE(told(serve(b)) == "held");
    restart();
    REQUIRE(told(serve(a)) == "held");
    on.mute = true;
    REQUIRE(told(end(a)) == "served");
    REQUIRE(told(end(b)) == "served");
    CHECK(on.earned == 100);
    CHECK(view(a).consumed == 0); // not known here
    restart();
    on.mute = false;
    on.out.hold = true; // answers of the first life come in the second
    for (int i = 0; i < 6; ++i) pass(10s);
    on.out.release();
    sched.run();
    CHECK(view(a).consumed == 100);
    CHECK(on.earned == 100);
    CHECK(told(serve(a)) == "consumed");
    REQUIRE(told(serve(c)) == "held");
    pass(10min); // nobody says that it was served
    CHECK(told(end(c)) == "too_late");
    CHECK(told(serve(c)) == "held"); // it is asked for again
    CHECK(told(end(c)) == "served");
    pass(2min);
    CHECK(on.earned == 150);
    CHECK(on.batches == std::vector<std::size_t>{2, 1});
}

TEST_CASE_FIXTURE(shop, "a batch with one that became bad pays the others; and a rail that is away loses nothing that has not expired") {
    const auto a = asked("a", 30, 1h), b = asked("b", 30, 4min), c = asked("c", 30, 1h);
    for (const auto* r : {&a, &b, &c}) REQUIRE(told(serve(*r)) == "held");
    on.away = true;
    for (const auto* r : {&a, &b, &c}) REQUIRE(told(end(*r)) == "served");
    pass(3min); // b is due: all are presented, to nobody
    CHECK(on.calls > 0);
    pass(2min);
    on.away = false;
    for (int i = 0; i < 20; ++i) pass(10s);
    CHECK(view(a).lost == 30);
    CHECK(view(a).why == "expired: late");
    CHECK(on.earned == 60);
    CHECK(told(serve(b)) == "expired"); // and forgotten
    CHECK(on.sum() == 1'000);
    on.refuses = refusal{"rail_busy", "later"};
    const auto d = asked("d", 50), e = asked("e", 50);
    for (const auto* r : {&d, &e}) REQUIRE(told(serve(*r)) == "held");
    for (const auto* r : {&d, &e}) REQUIRE(told(end(*r)) == "served");
    pass(1min);
    CHECK(view(a).served == 100);
    on.refuses.reset();
    for (int i = 0; i < 4; ++i) pass(10s);
    CHECK(on.earned == 160);
}

// Requests, silence, slowness, kills between an order and its answer, a payer who takes what he can; the same by the same seed.
TEST_CASE("whatever goes wrong, every unit is somebody's, what was served is paid once, and what was not served never") {
    std::int64_t kills = 0, notices = 0, served = 0, dropped = 0;
    for (unsigned seed = 1; seed <= 120; ++seed) {
        CAPTURE(seed);
        shop m;
        m.on.own = 300;
        std::mt19937 dice(seed);
        const auto roll = [&](int n) { return static_cast<int>(dice() % static_cast<unsigned>(n)); };
        std::map<std::string, std::pair<es::signed_request, int>> all; // 0: held; 1: served, as we were told; 2: not served, as we were told; 3: somebody began to say that it was
        const auto one_held = [&]() -> std::pair<es::signed_request, int>* {
            for (auto& [name, r] : all)
                if (r.second == 0 && roll(2)) return &r;
            return nullptr;
        };
        for (int step = 0; step < 40; ++step) {
            switch (roll(9)) {
            case 0:
            case 1:
            case 2: {
                const auto name = std::to_string(step);
                const auto r = m.asked(name, 1 + roll(50), std::chrono::minutes{60 + roll(600)});
                const auto said = m.ask<request_said>(m.keeper, shop::asking(r, 600 * (1 + roll(10))));
                if (said->has_value() && told((*said)->value()) == "held") all.emplace(name, std::pair{r, 0});
                break;
            }
            case 3:
            case 4:
                if (auto* r = one_held()) {
                    const bool good = roll(4) != 0;
                    const auto said = m.end(r->first, good);
                    r->second = said.how == came::yes && good ? 1 : 2;
                    const auto why = said.how == came::yes ? "" : told(said);
                    CHECK((why.empty() || (good && why == "too_late") || why == "not_taken")); // the last: expired and forgotten
                }
                break;
            case 5: // killed when it is journalled, and before anybody hears of it
                ++kills;
                if (auto* r = one_held()) {
                    souk::ask<request_said>(m.sys, m.keeper, 5s, end_request{tab_of(m.on.escrow(), source_of(r->first.request)), r->first.request.nonce, true}, [](auto) {});
                    r->second = 3;
                }
                m.restart();
                break;
            case 6: {
                auto& silent = roll(2) ? m.on.mute : m.on.away;
                silent = true, m.on.out.hold = roll(2);
                for (int i = roll(12); i >= 0; --i) m.pass(5s);
                silent = false, m.on.out.release(), m.sched.run();
                break;
            }
            case 7:
                if (roll(4) == 0) m.on.announce(1 + roll(1'000)), ++notices;
                m.on.release(), m.on.withdraw();
                break;
            default: m.pass(std::chrono::seconds{1 + roll(2'000)});
            }
        }
        for (int i = 0; i < 60; ++i) m.pass(20min), m.on.release(), m.on.withdraw();
        std::int64_t sure = 0, most = 0;
        for (const auto& entry : all) {
            const auto& r = entry.second;
            const auto price = std::stoll(r.first.request.price);
            const bool paid = m.on.used.contains(r.first.request.nonce);
            if (r.second == 1) CHECK_MESSAGE(paid, "served, and not paid: " << entry.first);
            if (r.second == 0 || r.second == 2) CHECK_MESSAGE(!paid, "not served, and paid: " << entry.first);
            served += r.second == 1, dropped += r.second == 2;
            if (r.second == 1) sure += price;
            if (r.second == 1 || r.second == 3) most += price;
        }
        CHECK(m.on.earned >= sure);
        CHECK(m.on.earned <= most);
        CHECK(m.on.sum() == 1'300);
        const auto views = m.answer<tabs_view>(m.keeper, tabs_query{});
        CHECK(views.at_risk == 0);
        for (const auto& v : views.all) {
            CHECK(v.consumed == m.on.earned);
            CHECK(v.lost == 0);
        }
    }
    MESSAGE(kills << " kills, " << notices << " notices, " << served << " served, " << dropped << " not");
}

TEST_CASE_FIXTURE(shop, "the terms of a node's escrow are those that its payers are judged by") {
    const auto o = answer<escrow_offer>(keeper, escrow_offer_query{});
    CHECK(o.provider == bob.address);
    CHECK(o.contract == on.escrow().contract);
    CHECK(o.soonest == 120);
    CHECK(o.latest == 86'400);
    CHECK(o.most_open == 200);
    for (const auto& change : std::vector<std::function<void(escrow_options&)>>{[](auto& x) { x.present_at = 201; }, [](auto& x) { x.most_open = 301; }, [](auto& x) { x.before = 59s; },
                                                                                [](auto& x) { x.before = 61min; }, [](auto& x) { x.latest = 179s; }, [](auto& x) { x.present_after = 0s; }}) {
        auto broken = options();
        change(broken);
        CHECK_THROWS_AS(spawn_escrow_keeper(sys, broken, log, on, world), std::invalid_argument);
    }
}
