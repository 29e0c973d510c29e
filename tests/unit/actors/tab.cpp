#include <souk/actors/payments/tab.hpp>

#include "explore.hpp"

using namespace souk;
using namespace std::chrono_literals;
namespace es = evm::escrow;

namespace {

const instant start{1'700'000'000s};
constexpr std::int64_t start_s = 1'700'000'000, hour = 3'600;
const std::string payer = "0x1111111111111111111111111111111111111111", provider = "0x2222222222222222222222222222222222222222",
                  token = "0x3333333333333333333333333333333333333333";

tab_terms terms(const std::string& credit = "0") { return {{payer, provider, token, credit}, 30, 20, 600, 900}; }
// "a", "b": a request and its nonce. The signature is the business of others.
es::signed_request asked(const std::string& nonce, std::int64_t price = 10, std::int64_t expires = start_s + 4 * hour, const std::string& credit = "0") {
    return {{payer, provider, token, std::to_string(price), "0xhash", credit, nonce, expires}, "0xsig"};
}
escrow_books books(std::int64_t budget, instant as_of, std::int64_t leaving = 0, instant since = {}) {
    escrow_books b;
    b.budget = budget, b.price = 15, b.leaving = leaving, b.leaving_since = since, b.as_of = as_of;
    return b;
}
tab::take take(const std::string& nonce, std::int64_t price = 10, std::optional<escrow_books> chain = {}, std::int64_t expires = start_s + 4 * hour, std::int64_t within = 0) {
    return {terms(), asked(nonce, price, expires), price, within, std::move(chain)};
}
tab::command came_of(const tab::consume& f, verdict v, escrow_books b, std::vector<escrow_bad> bad = {}) { return outcome<tab::consume>{f, v, {std::move(b), std::move(bad)}, v == verdict::done ? "" : "no"}; }
tab::command came_of(const tab::look& f, verdict v, escrow_books b) { return outcome<tab::look>{f, v, {std::move(b)}, v == verdict::done ? "" : "no"}; }

struct story : test::told<tab> {
    std::string operator()(const tab::command& c) {
        const auto d = tab::decide(s, c, now);
        for (const auto& e : d.events) s = tab::evolve(std::move(s), e);
        return d.refused ? d.refused->code : d.events.empty() ? "nothing" : "done";
    }
    std::vector<std::string> presents() {
        std::vector<std::string> all;
        if (const auto f = wants<tab::consume>())
            for (const auto& r : f->all) all.push_back(r.request.nonce);
        return all;
    }
    std::string consumes(verdict v, escrow_books b, std::vector<escrow_bad> bad = {}) { return (*this)(came_of(wants<tab::consume>().value(), v, std::move(b), std::move(bad))); }
    std::string looks(escrow_books b) { return (*this)(came_of(wants<tab::look>().value(), verdict::done, std::move(b))); }
    std::string stage(const std::string& nonce) const {
        const auto at = tab::stage_of(s, nonce);
        return at ? boost::describe::enum_to_string(*at, "?") : "unknown";
    }
    void serve(const std::string& nonce, std::int64_t price = 10) {
        REQUIRE((*this)(take(nonce, price, s.requests.empty() ? std::optional(books(100, now)) : std::nullopt)) == "done");
        REQUIRE((*this)(tab::end{nonce, true}) == "done");
    }
};

void judge(const test::step<tab>& s) {
    const auto &before = s.before, &after = s.after;
    std::int64_t in = 0, out = 0;
    auto t = before;
    for (const auto& e : s.said.events) {
        const auto was = t;
        t = tab::evolve(std::move(t), e);
        if (const auto* x = std::get_if<tab::taken>(&e)) {
            in += x->request.price;
            CHECK(x->request.due > s.now);
            CHECK(x->request.due <= instant{std::chrono::seconds{x->request.what.request.expires - 900}}); // and there is time to present it
            CHECK(s.now < x->chain.as_of + 12h);
            const auto leaving = x->chain.leaving_since == instant{} ? 0 : x->chain.leaving;
            CHECK(tab::open(was) + x->request.price <= x->chain.budget - leaving); // all that is promised is set aside, and stays
            CHECK(x->request.price <= x->chain.price);
            CHECK(tab::open(t) <= 30);
        }
        if (const auto* x = std::get_if<tab::unserved>(&e)) {
            CHECK(tab::stage_of(was, x->nonce) == tab_stage::held);
            out += tab::open(was) - tab::open(t);
        }
        if (const auto* x = std::get_if<tab::presented>(&e))
            for (const auto& n : x->nonces) CHECK(tab::stage_of(was, n) == tab_stage::served); // nothing else is ever presented
        if (std::holds_alternative<tab::consumed>(e)) {
            CHECK(t.consumed - was.consumed == tab::open(was, tab_stage::presented));
            CHECK(t.lost == was.lost);
        }
        if (std::holds_alternative<tab::refused>(e)) CHECK(t.consumed + t.lost - was.consumed - was.lost == tab::open(was) - tab::open(t));
    }
    // Every unit that was ever taken is open, consumed, lost, or was not served.
    CHECK(tab::open(before) + in == tab::open(after) + out + (after.consumed - before.consumed) + (after.lost - before.lost));
    std::set<std::string> nonces;
    for (const auto& r : after.requests) CHECK(nonces.insert(r.what.request.nonce).second);
    std::set<std::string> past;
    for (const auto& p : after.past) CHECK(past.insert(p.data.substr(0, 16)).second);
    for (const auto& n : nonces)
        if (const auto p = tab::past_of(after, n)) CHECK(p->at == tab_stage::unserved);
    std::size_t presenting = 0, served = 0;
    bool overdue = false;
    for (const auto& r : after.requests) {
        presenting += r.at == tab_stage::presented, served += r.at == tab_stage::served;
        overdue |= r.at == tab_stage::served && r.due <= s.now;
    }
    std::size_t asked_for = 0;
    for (const auto& f : tab::effects(after))
        if (const auto* c = std::get_if<tab::consume>(&f)) asked_for = c->all.size();
    CHECK(asked_for == presenting);
    if (s.said.events.empty() || presenting > 0 || served == 0) return;
    // What is due, enough, or about to lose its money does not wait.
    CHECK(tab::open(after, tab_stage::served) < 20);
    CHECK(!(tab::leaves(after) && tab::open(after) > after.chain.budget - after.chain.leaving));
    if (std::holds_alternative<deadline_passed>(s.command)) CHECK(!overdue);
}

} // namespace

TEST_CASE("whatever the rail says and when, only what was served is presented, and every unit of it is consumed, lost or open") {
    test::explorer<tab> x;
    x.orders = [](const tab::state& s) {
        std::vector<tab::command> out{tab::present_now{}};
        const auto fresh = s.requests.empty() && s.past.empty() ? std::optional(books(25, start)) : std::nullopt;
        for (const char* n : {"a", "b", "c"}) {
            out.push_back(take(n, 10, fresh));
            out.push_back(tab::end{n, true});
            out.push_back(tab::end{n, false});
        }
        out.push_back(take("a", 11, fresh));       // the same nonce for another request
        out.push_back(take("d", 16, fresh));       // dearer than may be
        out.push_back(take("e", 5, fresh, start_s + 1'000)); // too soon
        return out;
    };
    x.outcomes = [](const tab::effect& f, instant now) {
        std::vector<tab::command> out;
        match(
            f,
            [&](const tab::look& e) {
                out = {came_of(e, verdict::done, books(25, now)), came_of(e, verdict::done, books(25, now, 20, now)), came_of(e, verdict::done, books(0, now)),
                       came_of(e, verdict::done, books(25, start - 1s)), came_of(e, verdict::unknown, {})};
            },
            [&](const tab::consume& e) {
                const auto n = e.all.front().request.nonce;
                out = {came_of(e, verdict::done, books(15, now)), came_of(e, verdict::failed, {}), came_of(e, verdict::unknown, {}), came_of(e, verdict::failed, {}, {{n, {"expired", "late"}}}),
                       came_of(e, verdict::failed, {}, {{n, {"consumed", "before"}}}), came_of(e, verdict::failed, {}, {{"x", {"expired", "of another"}}})};
            });
        return out;
    };
    x.same = [](const tab::state& s) {
        auto t = s;
        t.look_at = {}, t.chain.as_of = {}, t.round = 0, t.consumed = t.lost = 0, t.why.clear(), t.chain.leaving_since = t.chain.leaving_since == instant{} ? instant{} : start;
        for (auto& r : t.requests) r.due = {};
        std::sort(t.past.begin(), t.past.end(), [](const octets& a, const octets& b) { return a.data < b.data; });
        return encode_described(t);
    };
    x.judge = judge;
    x.run();
    CHECK(x.events_seen.size() == std::variant_size_v<tab::event>); // nothing here is dead
    MESSAGE(x.states << " states, " << x.steps << " steps");
}

TEST_CASE("a request is judged once: said again it is what it was, and its nonce is for no other") {
    story x;
    CHECK(x(take("a")) == "price_too_high"); // nothing is known of any allowance
    CHECK(x(take("a", 10, books(100, start))) == "done");
    CHECK(x(take("a")) == "nothing");
    CHECK(x(take("a", 11)) == "nonce_conflict");
    CHECK(x.stage("a") == "held");
    CHECK(x(take("b", 16)) == "price_too_high");
    CHECK(x(take("b", 15)) == "done");
    CHECK(x(take("c", 6)) == "too_much_open");
    CHECK(x(tab::end{"b", false}) == "done");
    CHECK(x(tab::end{"b", false}) == "nothing");
    CHECK(x(tab::end{"b", true}) == "too_late");
    CHECK(x(tab::end{"z", true}) == "not_taken");
    CHECK(x(take("b", 14)) == "nonce_conflict");
    CHECK(x(take("b", 15)) == "done"); // it was not served: it may be, still
    CHECK(x(tab::end{"b", true}) == "done");
    CHECK(x(tab::end{"b", true}) == "nothing");
    CHECK(x(tab::end{"b", false}) == "was_served");
    CHECK(x.presents().empty());
    CHECK(x(tab::end{"a", true}) == "done");
    CHECK(x.presents() == std::vector<std::string>{"a", "b"});
    CHECK(x.consumes(verdict::done, books(75, x.now)) == "done");
    CHECK(x(take("a")) == "nothing"); // nothing is served twice for one price
    CHECK(x(take("a", 9)) == "nonce_conflict");
    CHECK(x(tab::end{"a", false}) == "was_served");
    CHECK(x.s.consumed == 25);
    CHECK(tab::rests(x.s));
    // Until it expires; then it is forgotten, and nobody can bring it.
    x.now = *tab::deadline(x.s);
    CHECK(x(deadline_passed{}) == "done");
    CHECK(x.s.past.empty());
    CHECK(x(take("a", 10, books(75, x.now))) == "expired");
    auto again = books(75, x.now);
    again.used = {"a"};
    CHECK(x(take("a", 10, again, start_s + 9 * hour)) == "nonce_conflict"); // the rail has not forgotten
}

TEST_CASE("what is promised and not presented comes out of the same budget") {
    story x;
    CHECK(x(take("a", 10, books(25, start))) == "done");
    CHECK(x(take("b", 10)) == "done");
    CHECK(x(take("c", 6)) == "beyond_budget");
    CHECK(x(take("c", 5)) == "done");
    CHECK(x(tab::end{"a", true}) == "done");
    CHECK(x(tab::end{"b", true}) == "done");
    CHECK(x.presents().size() == 2);
    CHECK(x(take("d", 5)) == "beyond_budget"); // being presented it still counts
    CHECK(x.consumes(verdict::done, books(5, x.now)) == "done");
    CHECK(x(take("d", 5)) == "beyond_budget");
    CHECK(x(tab::end{"c", false}) == "done");
    CHECK(x(take("d", 5)) == "done");
}

TEST_CASE("it is presented when it is enough, when it has waited, and in time before it expires") {
    story x;
    x.serve("a", 5);
    CHECK(x.presents().empty());
    x.now += 599s;
    CHECK(x(deadline_passed{}) == "nothing");
    x.now += 1s;
    CHECK(*tab::deadline(x.s) == x.now);
    CHECK(x(deadline_passed{}) == "done");
    CHECK(x.presents() == std::vector<std::string>{"a"});
    CHECK(x(take("b", 15)) == "done");
    CHECK(x(tab::end{"b", true}) == "done");
    CHECK(x(take("c", 10)) == "done");
    CHECK(x(tab::end{"c", true}) == "done");
    CHECK(x.presents().size() == 1); // one after the other
    CHECK(x.consumes(verdict::unknown, {}) == "nothing");
    CHECK(x.consumes(verdict::done, books(95, x.now)) == "done");
    CHECK(x.presents() == std::vector<std::string>{"b", "c"});
    CHECK(x.consumes(verdict::done, books(70, x.now)) == "done");
    // One that expires soon does not wait as long as others.
    CHECK(x(take("d", 5, books(70, x.now), start_s + 600 + 1'800)) == "done");
    CHECK(x(take("e", 5, {}, start_s + 600 + 1'799)) == "expires_too_soon");
    CHECK(x(tab::end{"d", true}) == "done");
    CHECK(*tab::deadline(x.s) == x.now + 600s);
    x.now += 600s;
    CHECK(x(deadline_passed{}) == "done");
    CHECK(x.presents() == std::vector<std::string>{"d"});
    story y;
    CHECK(y(take("a", 5, books(100, start), start_s + 2'000)) == "done");
    y.now += 600s;
    CHECK(y(deadline_passed{}) == "done");
    CHECK(y(tab::end{"a", true}) == "too_late"); // ten minutes, usually
    story z;
    CHECK(z(take("a", 5, books(100, start), start_s + 2'000, 5'000)) == "done");
    z.now += 1'099s;
    CHECK(z(tab::end{"a", true}) == "done");
    CHECK(*tab::deadline(z.s) == start + 1'100s); // 900 before it expires
}

TEST_CASE("one that became bad is lost alone; one that is paid already is paid") {
    story x;
    x.serve("a", 5);
    x.serve("b", 5);
    x.serve("c", 10);
    REQUIRE(x.presents().size() == 3);
    CHECK(x.consumes(verdict::failed, {}) == "nothing"); // nothing is said of any: it is brought again
    CHECK(x.presents().size() == 3);
    const auto old = x.wants<tab::consume>().value();
    CHECK(x.consumes(verdict::failed, {}, {{"b", {"expired", "its time is over"}}, {"c", {"consumed", "it is yours"}}}) == "done");
    CHECK(x.s.lost == 5);
    CHECK(x.s.consumed == 10);
    CHECK(x.stage("b") == "lost");
    CHECK(x.stage("c") == "consumed");
    CHECK(x.stage("a") == "served");
    CHECK(x.s.why == "expired: its time is over");
    CHECK(x(came_of(old, verdict::done, books(80, x.now))) == "nothing"); // what it says of "a" is asked again
    CHECK(x(tab::present_now{}) == "done");
    CHECK(x.presents() == std::vector<std::string>{"a"});
    CHECK(x(came_of(old, verdict::done, books(80, x.now))) == "nothing"); // of another round
    CHECK(x.consumes(verdict::done, books(85, x.now)) == "done");
    CHECK(x.s.consumed == 15);
}

TEST_CASE("an announced leaving is seen in time: what it endangers is presented, and no more is taken than what stays") {
    story x;
    CHECK(x(take("a", 10, books(25, start))) == "done");
    CHECK(x(tab::end{"a", true}) == "done");
    CHECK(x(take("b", 10)) == "done");
    x.now = start + 600s;
    CHECK(x(deadline_passed{}) == "done"); // a is presented, b was not said to be served
    CHECK(x.consumes(verdict::done, books(15, x.now)) == "done");
    CHECK(x(take("c", 10, {}, start_s + 11 * hour, 10 * hour)) == "done"); // a long one
    x.now = start + 3h + 600s;
    REQUIRE(*tab::deadline(x.s) <= x.now); // an eighth of the notice
    CHECK(x(deadline_passed{}) == "done");
    CHECK(x.looks(books(15, x.now, 15, start + 700s)) == "done");
    CHECK(x(take("d", 1)) == "beyond_budget");
    CHECK(tab::leaves(x.s) == start + 700s + 24h);
    CHECK(x(tab::end{"c", true}) == "done");
    CHECK(x.presents() == std::vector<std::string>{"c"}); // at once
    story y; // what leaves endangers nothing that was taken
    CHECK(y(take("a", 10, books(100, start))) == "done");
    CHECK(y(tab::end{"a", true}) == "done");
    y.now = start + 599s;
    CHECK(y(take("b", 5, books(100, y.now, 85, start + 1s))) == "done");
    CHECK(y.presents().empty());
    CHECK(y(take("c", 1)) == "beyond_budget");
}

TEST_CASE("who has not seen the rail for half a notice takes nothing") {
    story x;
    CHECK(x(take("a", 5, books(100, start))) == "done");
    CHECK(x(tab::end{"a", false}) == "done");
    x.now = start + 12h;
    CHECK(x(take("b", 5, {}, start_s + 20 * hour)) == "rail_unseen");
    CHECK(x(take("b", 5, books(100, x.now), start_s + 20 * hour)) == "done");
    CHECK(tab::longest_served + hour == es::notice / 2); // taken in the first half of a notice, served and presented in the second
}

TEST_CASE("a credit is covered until its day, and has no notice") {
    story x;
    auto b = books(20, start);
    b.price = 20, b.expires = start + 3h;
    const auto of = [&](const char* n, std::int64_t price, std::int64_t expires) { return tab::take{terms("7"), asked(n, price, expires, "7"), price, 0, b}; };
    CHECK(x(of("a", 10, start_s + 3 * hour + 1)) == "expired"); // the credit ends before
    CHECK(x(of("a", 10, start_s + 3 * hour)) == "done");
    CHECK(x(of("b", 11, start_s + 3 * hour)) == "beyond_budget");
    CHECK(x(of("b", 10, start_s + 3 * hour)) == "done");
    b.fits = false;
    b.as_of += 1s;
    CHECK(x(of("c", 1, start_s + 3 * hour)) == "wrong_credit");
}

TEST_CASE("as many as are remembered, a start can read") {
    story x;
    REQUIRE(x(take("a", 10, books(100, start))) == "done");
    REQUIRE(x(tab::end{"a", false}) == "done");
    const auto one = x.s.past.front();
    CHECK(one.data.size() == 41);
    while (x.s.past.size() < tab::most_past) {
        auto other = one;
        const auto n = std::to_string(x.s.past.size());
        other.data.replace(0, n.size(), n);
        x.s.past.push_back(std::move(other));
    }
    CHECK(x(take("b", 10, books(100, start))) == "too_many_open");
    const auto kept = encode_described(x.s);
    const auto read = decode_described<tab::state>(kept);
    REQUIRE(read.has_value());
    CHECK(read->past.size() == tab::most_past);
    x.s = *read;
    x.now = instant{std::chrono::seconds{start_s + 4 * hour + 1}};
    CHECK(x(deadline_passed{}) == "done");
    CHECK(x.s.past.empty());
}

TEST_CASE("a tab's name is of who pays whom, in what, and out of what") {
    const es::place p{1, "0xAA"};
    const escrow_source of{payer, provider, token, "0"};
    CHECK(tab_of(p, of) == tab_of({1, "0xaa"}, of));
    std::set<std::string> all{tab_of(p, of), tab_of({2, "0xAA"}, of), tab_of(p, {provider, payer, token, "0"}), tab_of(p, {payer, provider, payer, "0"}), tab_of(p, {payer, provider, token, "1"})};
    CHECK(all.size() == 5);
}
