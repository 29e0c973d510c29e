#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <map>

#include <souk/actors/book/fold.hpp>

using namespace souk;
using namespace souk::book;
using namespace std::chrono_literals;

namespace {

const instant begin{1'700'000'000s};
constexpr auto most = std::numeric_limits<amount>::max(), least = std::numeric_limits<amount>::min();
const std::string asset = "soukdev:ledger/erc20:0xtoken";

// What was entered, each once.
struct books {
    std::map<std::string, entry> all;
    void take(const folded& f) {
        for (const auto& e : f.entries) all.emplace(e.id(), e);
    }
    wide sum(account in) const {
        wide n = 0;
        for (const auto& [id, e] : all)
            for (const auto& p : e.postings())
                if (p.in == in) n += p.value;
        return n;
    }
    wide of_all() const {
        wide n = 0;
        for (const auto& [id, e] : all)
            for (const auto& p : e.postings()) n += p.value;
        return n;
    }
    const details* find(kind what) const {
        for (const auto& [id, e] : all)
            if (e.what().what == what) return &e.what();
        return nullptr;
    }
    std::vector<std::string> ids() const {
        std::vector<std::string> out;
        for (const auto& [id, e] : all) out.push_back(id);
        return out;
    }
};

payment::terms terms(std::int64_t value = 60'000) {
    payment::terms t;
    t.authorised = {"0xsig", {"0xAlice", "0xBob", std::to_string(value), "0", "1700000300", "0xnonce"}};
    t.network = "soukdev:ledger", t.asset = "0xTOKEN", t.accept = "bafyaccept", t.value = value, t.valid_before = begin + 300s, t.refundable_until = begin + 90'000s;
    return t;
}
// Every way that a payment's facts can follow one another.
void ways(const payment::state& s, std::vector<payment::state> so_far, const std::function<void(const std::vector<payment::state>&)>& each, int left = 7) {
    using phase = payment::phase;
    so_far.push_back(s);
    each(so_far);
    if (left == 0) return;
    std::vector<payment::event> next;
    switch (s.at) {
    case phase::none: next = {payment::intended{terms()}}; break;
    case phase::intended: next = {payment::confirmed{"0xtx"}, payment::doubted{{"late", "late"}, begin}}; break;
    case phase::asking: next = {payment::confirmed{"0xtx"}, payment::failed{{"never", "never used"}}, payment::overdue{begin}}; break;
    case phase::confirmed: next = {payment::refund_intended{60'000, "it never started", begin}, payment::refund_intended{1, "a part", begin}, payment::settled{}}; break;
    case phase::refunding: next = {payment::refunded{"0xback"}, payment::overdue{begin}}; break;
    default: return;
    }
    for (const auto& e : next) ways(payment::evolve(s, e), so_far, each, left - 1);
}

purchase::state accepted() {
    purchase::offer o;
    o.ref = {"at://bob/ccb/b", "bafybid"}, o.bidder = "did:web:bob.example", o.for_slice = 60'000, o.slice = 600;
    purchase::state s;
    for (const purchase::event& e : std::initializer_list<purchase::event>{purchase::opened{{}, "p", begin}, purchase::requested{{"at://a/r/p", "bafyrfp"}, begin}, purchase::offered{o}, purchase::chosen{0, "", begin},
                                                                          purchase::granted{begin}, purchase::accepted{{"at://a/ccba/p", "bafyaccept"}, 60'000, begin + 300s}})
        s = purchase::evolve(std::move(s), e);
    return s;
}
void ways(const purchase::state& s, std::vector<purchase::state> so_far, const std::function<void(const std::vector<purchase::state>&)>& each, int left = 4) {
    so_far.push_back(s);
    each(so_far);
    if (left == 0 || purchase::is_final(s)) return;
    const strong_ref r{"at://bob/ccf/s", "bafystatement"};
    for (const purchase::event& e : std::initializer_list<purchase::event>{
             purchase::doubted{"late", begin}, purchase::paid{"0xtx", begin, begin}, purchase::stopping{"enough", begin}, purchase::overdue{begin}, purchase::delivered{std::string("sealed"), "none", begin, begin},
             purchase::stated{r, 60'000, 50'000, 100, "enough", begin}, purchase::stated{r, 60'000, 0, 600, "over", begin}, purchase::stated{r, 0, 0, 0, "not paid in time", begin},
             purchase::stated{r, 60'000, 60'001, 0, "a lie", begin}, purchase::stated{r, 60'000, most, 0, "a lie", begin}, purchase::stated{r, most, least, 0, "a lie", begin}, purchase::failed{"nothing was paid"}})
        ways(purchase::evolve(s, e), so_far, each, left - 1);
}

// Whatever is told of those states, in whatever order and however often, as long as the last is told of at some time: the books are the same.
template <class State, class Fold>
void told_in_any_order(const std::vector<State>& states, Fold f) {
    std::vector<std::vector<std::string>> entered; // ids, in order
    books usual;
    for (const auto& s : states) {
        books b;
        b.take(f(s)), usual.take(f(s));
        entered.push_back(b.ids());
    }
    bool same = true;
    std::vector<std::size_t> order(states.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    do {
        for (std::size_t lost = 0; lost < (std::size_t{1} << (states.size() - 1)); ++lost) { // any of them, but the last
            std::set<std::string> there;
            for (const auto i : order)
                for (int twice = 0; twice < 2; ++twice)
                    if (i + 1 == states.size() || !(lost >> i & 1)) there.insert(entered[i].begin(), entered[i].end());
            same = same && std::vector<std::string>(there.begin(), there.end()) == usual.ids();
        }
    } while (std::next_permutation(order.begin(), order.end()));
    REQUIRE(same);
    for (const auto& s : states) // and what has one id is one entry
        for (const auto& e : f(s).entries) REQUIRE(usual.all.at(e.id()) == e);
}

} // namespace

TEST_SUITE("book") {

TEST_CASE("on every way that a payment can go the seller's books say what moved, and are even when it is over") {
    std::size_t seen = 0;
    const auto f = [](const payment::state& s) { return fold("0xalice/0xnonce", s, "0xBOB", begin); };
    ways(payment::state{}, {}, [&](const std::vector<payment::state>& states) {
        ++seen;
        using phase = payment::phase;
        const auto& s = states.back();
        books b, before;
        b.take(f(s));
        if (states.size() > 1) before.take(f(states[states.size() - 2]));
        const auto now = b.ids();
        for (const auto& id : before.ids()) REQUIRE(std::find(now.begin(), now.end(), id) != now.end()); // nothing is taken back
        REQUIRE(b.of_all() == 0);
        const bool in = s.at == phase::confirmed || s.at == phase::refunding || s.at == phase::refunded || s.at == phase::settled;
        const auto back = s.at == phase::refunded ? s.back : 0;
        REQUIRE(b.sum(account::wallet) == (in ? 60'000 - back : 0));
        REQUIRE(b.sum(account::revenue) == (in ? -60'000 : 0));
        REQUIRE(b.sum(account::receivable) == (s.at == phase::intended || s.at == phase::asking ? 60'000 : 0));
        REQUIRE(b.sum(account::payable) == (s.at == phase::refunding ? -s.back : 0));
        REQUIRE(b.sum(account::refunds) == s.back);
        if (s.at == phase::refunded) REQUIRE(b.find(kind::refunded)->why == s.back_why);
        if (states.size() <= 5) told_in_any_order(states, f);
    });
    MESSAGE(seen << " ways");
}

TEST_CASE("on every way that a purchase can go the buyer's books say what moved; what a seller states beyond that is not believed") {
    std::size_t seen = 0, lies = 0;
    const auto f = [](const purchase::state& s) { return fold("p", s, asset, begin); };
    ways(accepted(), {}, [&](const std::vector<purchase::state>& states) {
        ++seen;
        const auto& s = states.back();
        books b, before;
        const auto folded = f(s);
        b.take(folded);
        if (states.size() > 1) before.take(f(states[states.size() - 2]));
        const auto now = b.ids();
        for (const auto& id : before.ids()) REQUIRE(std::find(now.begin(), now.end(), id) != now.end());
        REQUIRE(b.of_all() == 0);
        const bool out = !s.transaction.empty() || (s.at == purchase::phase::closed && s.paid > 0);
        const bool believed = s.at == purchase::phase::closed && s.refunded > 0 && s.refunded <= 60'000 && out;
        REQUIRE(b.sum(account::wallet) == (out ? -60'000 : 0) + (believed ? s.refunded : 0));
        REQUIRE(b.sum(account::expense) == (out ? 60'000 : 0));
        REQUIRE(b.sum(account::payable) == (out || purchase::is_final(s) ? 0 : -60'000));
        REQUIRE(b.sum(account::promised) == -b.sum(account::payable));
        if (believed) REQUIRE(b.find(kind::refunded)->why == s.why);
        if (s.at == purchase::phase::closed && s.refunded != 0 && !believed) {
            ++lies;
            REQUIRE(folded.refused.size() == 1);
        }
        if (states.size() <= 4 && purchase::is_final(s)) told_in_any_order(states, f);
    });
    CHECK(lies > 0);
    MESSAGE(seen << " ways, " << lies << " lies");
}

TEST_CASE("both sides of a contract mirror each other to the unit, with the same reason") {
    auto sold = payment::state{};
    for (const payment::event& e : std::initializer_list<payment::event>{payment::intended{terms()}, payment::confirmed{"0xtx"}, payment::refund_intended{12'345, "stopped by the tenant", begin}, payment::refunded{"0xback"}})
        sold = payment::evolve(std::move(sold), e);
    auto bought = accepted();
    for (const purchase::event& e : std::initializer_list<purchase::event>{purchase::paid{"0xtx", begin, begin}, purchase::stated{{"at://b/s/s", "bafys"}, 60'000, 12'345, 100, "stopped by the tenant", begin}})
        bought = purchase::evolve(std::move(bought), e);
    books bob, alice;
    bob.take(fold("0xalice/0xnonce", sold, "0xbob", begin)), alice.take(fold("p", bought, asset, begin));
    CHECK(bob.sum(account::wallet) == 60'000 - 12'345);
    CHECK(bob.sum(account::wallet) + alice.sum(account::wallet) == 0);
    CHECK(bob.sum(account::revenue) + alice.sum(account::expense) == 0);
    CHECK(bob.sum(account::refunds) + alice.sum(account::refunds) == 0);
    CHECK(bob.find(kind::refunded)->why == alice.find(kind::refunded)->why);
    CHECK(bob.find(kind::settled)->contract == alice.find(kind::settled)->contract);
}

TEST_CASE("of a contract that was paid while it ran both sides enter what was claimed, when it is over") {
    auto bought = accepted();
    bought.what.stream = true;
    purchase_stream by;
    by.channel = "0xchannel", by.promised = 40'000;
    bought = purchase::evolve(std::move(bought), purchase::agreed{by});
    bought = purchase::evolve(std::move(bought), purchase::paid{"0xchannel", begin, begin});
    books before;
    before.take(fold("p", bought, asset, begin));
    CHECK(before.sum(account::wallet) == 0); // it is hers until it is claimed
    CHECK(before.sum(account::promised) == 60'000);
    bought = purchase::evolve(std::move(bought), purchase::stated{{"at://b/s/s", "bafys"}, 25'000, 0, 100, "stopped by the tenant", begin});
    bought = purchase::evolve(std::move(bought), purchase::emptied{25'000});
    lease::state sold;
    sold.accept.ref = bought.accept, sold.what.tenant = "did:plc:alice", sold.why = "stopped by the tenant", sold.transaction = "0xchannel";
    sold.from = channel_payment{"0xchannel", {}, 20'000, 40'000, 20'000, 20'000, true, {}};
    sold.at = lease::phase::refunding;
    books bob, alice;
    bob.take(fold("3aaa", sold, asset, begin));
    CHECK(bob.sum(account::wallet) == 0);
    sold = lease::evolve(std::move(sold), lease::settled_up{25'000});
    bob.take(fold("3aaa", sold, asset, begin)), alice.take(fold("p", bought, asset, begin));
    CHECK(alice.sum(account::wallet) == -25'000);
    CHECK(alice.sum(account::promised) == 0);
    CHECK(alice.sum(account::payable) == 0);
    CHECK(bob.sum(account::wallet) == 25'000);
    CHECK(bob.sum(account::revenue) + alice.sum(account::expense) == 0);
    CHECK(bob.of_all() + alice.of_all() == 0);
    CHECK(bob.find(kind::settled)->contract == alice.find(kind::settled)->contract);
    bought.paid = 0;
    books nothing;
    nothing.take(fold("p", bought, asset, begin));
    CHECK(nothing.sum(account::wallet) == 0);
    CHECK(nothing.sum(account::promised) == 0);
}

TEST_CASE("what others are paid through this node moves nothing of ours") {
    auto s = payment::evolve({}, payment::intended{terms()});
    const auto f = fold("k", payment::evolve(s, payment::confirmed{"0xtx"}), "0xfacilitator", begin);
    CHECK(f.entries.empty());
    CHECK(f.labels == std::vector<label>{{"payment/k", "bafyaccept", "", ""}});
}

TEST_CASE("amounts that there cannot be make no entry") {
    for (const auto v : {least, least + 1, amount{-1}, amount{0}}) {
        const auto f = fold("k", payment::evolve({}, payment::intended{terms(v)}), "0xbob", begin);
        CHECK(f.entries.empty());
        CHECK(f.refused.size() == 1);
    }
    CHECK(fold("k", payment::evolve({}, payment::intended{terms(most)}), "0xbob", begin).entries.size() == 1);
    const spending s{"https://x", "0xa", "0xb", "0xn", "n", "0xt", least, begin};
    CHECK(!promised(s, begin));
    CHECK(!opening("0xa", "x", least, begin));
    CHECK(!opening("0xa", "x", 0, begin)); // nothing was there: nothing to enter
    CHECK(opening("0xa", "x", -5, begin).has_value());
}

TEST_CASE("gas is entered when its transaction is buried, whatever it came to, and for the contract that it was for") {
    lane::state s;
    const auto place = [](std::int64_t used, std::int64_t price, bool came) { return lane::place{"0xhash", "0xblock", 7, used, price, came, came ? "" : "reverted"}; };
    const auto run = [&s](const lane::event& e) {
        auto f = gas_of("eip155:1/0xtoken/0xsigner", s, e, begin);
        s = lane::evolve(std::move(s), e);
        return f;
    };
    lane::job j;
    j.id = "pay/0xalice/0xnonce";
    for (const lane::event& e : std::initializer_list<lane::event>{lane::queued{"0xsigner", j}, lane::allotted{j.id, 4, 100'000, begin, begin}, lane::mined{4, j.id, place(50'000, 3'000, true)},
                                                                  lane::confirmed{4, j.id, place(50'000, 3'000, true)}, lane::reorganised{4, begin}, lane::mined{4, j.id, place(60'000, 2'000, false)}})
        CHECK(run(e).entries.empty());
    const auto f = run(lane::buried{4, j.id, true});
    REQUIRE(f.entries.size() == 1);
    CHECK(f.entries[0].postings() == std::vector<posting>{{account::gas, "eip155:1/slip44:60", 120'000'000}, {account::wallet, "eip155:1/slip44:60", -120'000'000}});
    CHECK(f.entries[0].what().contract == "payment/0xalice/0xnonce");
    CHECK(f.entries[0].what().why == "it came to nothing: reverted");
    lane::state full;
    lane::slot x;
    x.nonce = 1, x.mined = place(most, 2, true);
    full.slots = {x};
    CHECK(gas_of("n/t/s", full, lane::buried{1, "j", false}, begin).refused.size() == 1);
}

}

TEST_CASE("of what was promised by a permit less may move: that is entered, and the rest is owed no more") {
    const spending s{"https://shop.example/upto", "0xAlice", "0xBob", "permit2:0xnonce", "eip155:84532", "0xTOKEN", 500'000, begin + 300s};
    const auto promise = promised(s, begin);
    REQUIRE(promise.has_value());
    for (const std::optional<amount> moved : {std::optional<amount>(123'456), std::optional<amount>(0), std::optional<amount>(), std::optional<amount>(600'000)}) {
        const auto said = came_true(promise->what(), token_of(s.network, s.asset), s.value, moved == 0 ? "" : "0xtx", begin, moved);
        REQUIRE(said.has_value());
        books b;
        b.all.emplace(promise->id(), *promise), b.all.emplace(said->id(), *said);
        const auto much = std::min<amount>(moved.value_or(500'000), 500'000);
        CHECK(b.sum(account::expense) == much);
        CHECK(b.sum(account::wallet) == -much);
        CHECK(b.sum(account::promised) == 0);
        CHECK(b.sum(account::payable) == 0);
        CHECK(b.of_all() == 0);
    }
    // The seller's side of nothing makes no entry.
    payment::state nothing;
    nothing.at = payment::phase::confirmed, nothing.what = terms(0);
    CHECK(fold("0xalice/0xnonce", nothing, "0xBob", begin).refused.size() == 2);
    nothing.what.authorised.permit2Authorization.emplace().witness.facilitator = "0xEve"; // of at most so much, that is an amount
    const auto f = fold("0xalice/0xnonce", nothing, "0xBob", begin);
    CHECK(f.entries.empty());
    CHECK(f.refused.empty());
}
