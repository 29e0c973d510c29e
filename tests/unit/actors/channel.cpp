#include <souk/actors/payments/channel.hpp>

#include "explore.hpp"

using namespace souk;
using namespace std::chrono_literals;

namespace {

const instant start{1'700'000'000s};

channel::terms terms() {
    channel::terms t;
    t.config = {"0xpayer", "0xkey", "0xreceiver", "0xauthorizer", "0xtoken", 900, "0x00"};
    t.most_unclaimed = 20, t.claim_at = 10;
    return t;
}
channel::filling deposit(const char* salt = "0x01") {
    channel::filling f;
    f.what = {"30", {{"0", "1700000300", salt, "0xsig"}}};
    f.amount = 30, f.valid_before = instant{1'700'000'300s};
    return f;
}
evm::channel::voucher voucher(std::int64_t total) { return {"0xid", std::to_string(total), "0xsig" + std::to_string(total)}; }
channel::take request(const char* id, std::int64_t charged, std::int64_t amount) { return {id, voucher(charged + amount), charged + amount, amount}; }
channel::books books(std::int64_t balance, std::int64_t claimed, instant as_of, std::int64_t nonce = 0, instant leaving = {}) {
    return {balance, claimed, leaving, nonce, as_of};
}

template <class Effect>
channel::command said(const Effect& f, verdict v, channel::books found = {}) {
    return outcome<Effect>{f, v, {found}, v == verdict::done ? "" : "no"};
}

// A story: each command in turn, at its time. What is refused is given back as its code.
struct story {
    channel::state s;
    instant now = start;
    std::string operator()(const channel::command& c) {
        const auto d = channel::decide(s, c, now);
        for (const auto& e : d.events) s = channel::evolve(std::move(s), e);
        return d.refused ? d.refused->code : d.events.empty() ? "nothing" : "done";
    }
    template <class Effect>
    const Effect* wants() {
        asked = channel::effects(s);
        for (const auto& f : asked)
            if (const auto* e = std::get_if<Effect>(&f)) return e;
        return nullptr;
    }
    template <class Effect>
    const Effect& the() {
        const auto* e = wants<Effect>();
        REQUIRE(e);
        return *e;
    }
    std::vector<channel::effect> asked;
    static story open() {
        story x;
        x(channel::fund{terms(), deposit()});
        x(said(x.the<channel::fill>(), verdict::done, books(30, 0, start)));
        return x;
    }
    void serve(const char* id, std::int64_t amount, std::int64_t charged) {
        REQUIRE((*this)(request(id, s.charged, amount)) == "done");
        REQUIRE((*this)(channel::charge{id, charged}) == "done");
    }
};
const std::string pre = "invalid_batch_settlement_evm_";

void judge(const test::step<channel>&);

// Every state that a channel reaches by requests that are served at once; or, `sliced`, by one that is metered and promised more.
test::explorer<channel> every_state(bool sliced) {
    test::explorer<channel> x;
    x.orders = [sliced](const channel::state& s) {
        std::vector<channel::command> out{channel::close{}};
        if (!s.in && s.chain.balance == 0) out.push_back(channel::fund{terms(), deposit()});
        if (sliced) {
            const auto before = s.charged + channel::open_promise(s);
            out.push_back(request("a", s.charged, 10));
            out.push_back(channel::take{"a", voucher(before + 5), before + 5, 5});
            out.push_back(channel::take{"a", voucher(before + 4), before + 4, 5}); // not all that was promised before
            for (const std::int64_t amount : {5, 15}) out.push_back(channel::meter{"a", amount}), out.push_back(channel::charge{"a", amount});
            out.push_back(channel::drop{"a"});
            return out;
        }
        out.push_back(channel::drop{"b"});
        out.push_back(channel::claim_now{});
        for (const char* id : {"a", "b"}) {
            out.push_back(request(id, s.charged, 10));
            out.push_back(request(id, s.charged, 25)); // more than may be unclaimed
            out.push_back(channel::charge{id, 10});
            out.push_back(channel::charge{id, 0});
            out.push_back(channel::charge{id, 11});
        }
        out.push_back(request("a", s.charged + 1, 10)); // not what was charged
        return out;
    };
    x.outcomes = [sliced](const channel::effect& f, instant now) {
        std::vector<channel::command> out;
        match(
            f,
            [&](const channel::fill& e) {
                out = {said(e, verdict::done, books(30, 0, now)), said(e, verdict::failed), said(e, verdict::unknown)};
            },
            [&](const channel::look& e) {
                out = {said(e, verdict::done, books(30, 0, now)), said(e, verdict::done, books(30, 0, now, 0, now)), said(e, verdict::done, books(10, 10, now)),
                       said(e, verdict::done, books(10, 0, now)), said(e, verdict::unknown)};
                if (sliced) return;
                for (const auto& b : {books(0, 0, now), books(30, 10, now), books(10, 10, now, 1), books(30, 0, start - 1s)}) out.push_back(said(e, verdict::done, b));
            },
            [&](const channel::claim& e) {
                out = {said(e, verdict::done, books(30, e.total, now)), said(e, verdict::failed), said(e, verdict::unknown)};
            },
            [&](const channel::give_back& e) {
                if (e.nonce < (sliced ? 1 : 2))
                    out = {said(e, verdict::done, books(10, 10, now, e.nonce + 1)), said(e, verdict::done, books(20, 10, now, e.nonce + 1)),
                           said(e, verdict::unknown)};
            });
        return out;
    };
    x.same = [](const channel::state& s) {
        auto t = s;
        t.look_at = {}, t.chain.as_of = {}, t.newest = {}, t.forfeited = 0; // the last decides nothing
        if (t.serving) t.serving->due = {};
        if (t.chain.leaving_since != instant{}) t.chain.leaving_since = start;
        return encode_described(t);
    };
    x.judge = judge;
    return x;
}

void judge(const test::step<channel>& s) {
    const auto &before = s.before, &after = s.after;
    std::int64_t charged = 0;
    const auto charges = [&](const std::string& id, std::int64_t amount) {
        REQUIRE(before.serving);
        CHECK(before.serving->id == id); // only what was journalled before
        CHECK(amount <= before.serving->amount);
        CHECK(amount >= before.serving->used);
        charged = amount - before.serving->used;
    };
    for (const auto& e : s.said.events) {
        if (const auto* c = std::get_if<channel::charged>(&e)) charges(c->id, c->amount);
        if (const auto* c = std::get_if<channel::metered>(&e)) charges(c->id, c->amount);
        if (std::holds_alternative<channel::taken>(e)) {
            if (before.serving) { // what was promised for it before still is
                CHECK(before.serving->id == after.serving->id);
                CHECK(channel::open_promise(after) > channel::open_promise(before));
                CHECK(after.promised > before.charged + channel::open_promise(before));
            }
            CHECK(!channel::leaves(before));
            CHECK(s.now < before.chain.as_of + 450s);
            CHECK(after.promised == before.charged + channel::open_promise(after));
            CHECK(after.promised <= before.chain.balance);
        }
        if (const auto* c = std::get_if<channel::close_intended>(&e)) CHECK(c->amount <= before.chain.balance - before.charged);
    }
    // Every unit that was ever charged is claimed, unclaimed or forfeited.
    if (after.chain.claimed <= before.charged + charged) CHECK(after.charged + after.forfeited == before.charged + before.forfeited + charged);
    CHECK(after.chain.claimed >= before.chain.claimed);
    CHECK(after.charged >= after.chain.claimed);
    if (after.serving) {
        CHECK(channel::at_risk(after) <= after.what.most_unclaimed);
        CHECK(channel::open_promise(after) >= 0);
        // What is served next is covered by the newest voucher, whatever was metered, claimed or promised meanwhile.
        CHECK(after.charged + channel::open_promise(after) <= std::max(after.promised, after.chain.claimed));
    }
    bool claims = false, gives = false;
    for (const auto& f : channel::effects(after))
        match(
            f,
            [&](const channel::claim& e) {
                claims = true;
                CHECK(e.total <= after.charged);
                CHECK(e.total > after.chain.claimed);
                CHECK(e.total <= after.promised);
                CHECK(e.voucher.maxClaimableAmount == std::to_string(after.promised));
            },
            [&](const channel::give_back& e) {
                gives = true;
                CHECK(e.nonce == after.chain.refund_nonce);
            },
            [](const auto&) {});
    // What the payer can take, or asked to have back, does not wait with what was charged.
    if (channel::unclaimed(after) > 0 &&
        (channel::leaves(after) || after.at == channel::phase::closing || channel::unclaimed(after) >= after.what.claim_at))
        CHECK(claims);
    if (gives) CHECK(channel::unclaimed(after) == 0);
    // A refund is asked for again only where its nonce did not go on.
    if (before.at == channel::phase::closing && after.chain.refund_nonce > before.chain.refund_nonce) CHECK(after.at != channel::phase::closing);
}

} // namespace

TEST_CASE("a channel's money is claimed, given back or forfeited, whatever the chain says and when") {
    std::set<std::size_t> seen;
    for (const bool sliced : {false, true}) {
        auto x = every_state(sliced);
        x.run();
        seen.merge(x.events_seen);
        MESSAGE(x.states << " states, " << x.steps << " steps");
    }
    CHECK(seen.size() == std::variant_size_v<channel::event>); // nothing here is dead
}

TEST_CASE("a voucher is for what was charged and this request, to the unit") {
    auto x = story::open();
    CHECK(x(request("a", 1, 5)) == pre + "cumulative_amount_mismatch");
    CHECK(x(request("a", 0, 0)) == pre + "cumulative_amount_mismatch");
    CHECK(x(request("a", 0, 31)) == pre + "cumulative_exceeds_balance");
    CHECK(x(request("a", 0, 21)) == pre + "too_much_unclaimed");
    CHECK(x(request("a", 0, 8)) == "done");
    CHECK(x(request("a", 0, 8)) == "nothing"); // said again
    CHECK(x(request("b", 0, 8)) == pre + "channel_busy");
    CHECK(x(channel::charge{"a", 9}) == pre + "charge_exceeds_signed_cumulative");
    CHECK(x(channel::charge{"b", 1}) == "not_taken");
    CHECK(x(channel::charge{"a", 5}) == "done");
    CHECK(x(channel::charge{"a", 5}) == "nothing");
    CHECK(x(channel::charge{"a", 6}) == "charge_conflict");
    CHECK(x(request("a", 5, 5)) == "nothing"); // it was served: nothing is served twice for one promise
    CHECK(x.s.charged == 5);
    CHECK(!x.wants<channel::claim>()); // not worth a transaction yet
    x.serve("c", 5, 5);
    CHECK(x.the<channel::claim>().total == 10);
    CHECK(x.the<channel::claim>().voucher == voucher(10));
}

TEST_CASE("nothing is served on promises beyond what was agreed, until they are claimed") {
    auto x = story::open();
    x.serve("a", 15, 15);
    CHECK(x(request("b", 15, 6)) == pre + "too_much_unclaimed");
    CHECK(x(request("b", 15, 5)) == "done");
    CHECK(x(channel::charge{"b", 5}) == "done");
    CHECK(x(said(x.the<channel::claim>(), verdict::unknown)) == "nothing");
    CHECK(x(said(x.the<channel::claim>(), verdict::done, books(30, 15, x.now))) == "done");
    CHECK(x(request("c", 20, 10)) == "done");
}

TEST_CASE("from a withdrawal on, nothing is taken, and all that was charged is claimed before it ends") {
    auto x = story::open();
    x.serve("a", 3, 3);
    CHECK(!x.wants<channel::claim>());
    x.now = *channel::deadline(x.s);
    CHECK(x.now <= start + 900s / 4);
    CHECK(x(deadline_passed{}) == "done");
    CHECK(x(said(x.the<channel::look>(), verdict::done, books(30, 0, x.now, 0, start + 1s))) == "done");
    CHECK(x(request("b", 3, 3)) == pre + "channel_leaving");
    CHECK(x.the<channel::claim>().total == 3);
    CHECK(x.the<channel::claim>().before == start + 901s);
    // It came too late: what is gone is said to be.
    x.now += 900s;
    CHECK(x(deadline_passed{}) == "done");
    CHECK(x(said(x.the<channel::look>(), verdict::done, books(1, 0, x.now))) == "done");
    CHECK(x.s.forfeited == 2);
    CHECK(x.s.charged == 1);
}

TEST_CASE("who has not seen the chain for half a delay takes nothing") {
    auto x = story::open();
    x.now = start + 449s;
    CHECK(x(request("a", 0, 5)) == "done");
    CHECK(x(channel::drop{"a"}) == "done");
    x.now = start + 450s;
    CHECK(x(request("b", 0, 5)) == pre + "verification_state_unavailable");
    CHECK(x(deadline_passed{}) == "done");
    CHECK(x(said(x.the<channel::look>(), verdict::done, books(30, 0, x.now))) == "done");
    CHECK(x(request("b", 0, 5)) == "done");
}

TEST_CASE("a request that was never said to be served is not charged") {
    auto x = story::open();
    CHECK(x(request("a", 0, 5)) == "done");
    CHECK(x(channel::close{}) == pre + "channel_busy");
    x.now += 10min;
    CHECK(x(deadline_passed{}) == "done");
    CHECK(x(channel::charge{"a", 5}) == "not_taken");
    CHECK(x.s.charged == 0);
}

TEST_CASE("one request of many slices is metered, promised more, and claimed as it goes") {
    auto x = story::open();
    CHECK(x(request("lease", 0, 6)) == "done");
    CHECK(x(channel::meter{"lease", 2}) == "done");
    CHECK(x(channel::meter{"lease", 2}) == "nothing");
    CHECK(x(channel::meter{"lease", 1}) == "nothing"); // overtaken
    CHECK(x(channel::meter{"lease", 7}) == pre + "charge_exceeds_signed_cumulative");
    CHECK(x(channel::take{"lease", voucher(8), 8, 6}) == pre + "cumulative_amount_mismatch"); // the promise before counts, too
    CHECK(x(channel::take{"lease", voucher(12), 12, 6}) == "done");
    CHECK(x(channel::take{"lease", voucher(12), 12, 6}) == "nothing");
    CHECK(x(channel::take{"lease", voucher(6), 6, 6}) == pre + "cumulative_amount_mismatch"); // an older one
    CHECK(x(request("other", 2, 5)) == pre + "channel_busy");
    CHECK(x(channel::meter{"lease", 10}) == "done");
    CHECK(x.the<channel::claim>().total == 10);
    CHECK(x.the<channel::claim>().voucher == voucher(12));
    CHECK(x(channel::take{"lease", voucher(20), 20, 8}) == "done"); // while that is under way
    CHECK(x(said(x.the<channel::claim>(), verdict::done, books(30, 10, x.now))) == "done");
    CHECK(x(channel::charge{"lease", 9}) == "charge_conflict");
    // It is served for longer than any request may be silent.
    for (int i = 11; i <= 13; ++i) {
        x.now += 5min;
        CHECK(x(deadline_passed{}) == "done");
        CHECK(x(said(x.the<channel::look>(), verdict::done, books(30, 10, x.now))) == "done");
        CHECK(x(channel::meter{"lease", i}) == "done");
    }
    CHECK(x(channel::charge{"lease", 15}) == "done"); // stopped within the slice
    CHECK(x(channel::charge{"lease", 15}) == "nothing");
    CHECK(x(channel::meter{"lease", 14}) == "nothing");
    CHECK(x.s.charged == 15);
    CHECK(x(channel::claim_now{}) == "done"); // too little for a claim of its own
    CHECK(x(channel::claim_now{}) == "nothing");
    CHECK(x.the<channel::claim>().total == 15);
    CHECK(x(said(x.the<channel::claim>(), verdict::done, books(30, 15, x.now))) == "done");
    CHECK(x(channel::close{}) == "done");
    CHECK(x.the<channel::give_back>().amount == 15);
}

TEST_CASE("who falls silent in the middle of a lease is charged what was metered") {
    auto x = story::open();
    CHECK(x(request("lease", 0, 8)) == "done");
    CHECK(x(channel::meter{"lease", 3}) == "done");
    CHECK(x(channel::drop{"lease"}) == "done");
    CHECK(x.s.charged == 3);
    CHECK(x(request("again", 3, 8)) == "done");
    x.now += 10min;
    CHECK(x(deadline_passed{}) == "done");
    CHECK(!x.s.serving);
    CHECK(x.s.charged == 3);
}

TEST_CASE("a withdrawal under a running lease: nothing more is promised, what was may be charged, and is claimed") {
    auto x = story::open();
    CHECK(x(request("lease", 0, 8)) == "done");
    CHECK(x(channel::meter{"lease", 3}) == "done");
    x.now = *channel::deadline(x.s);
    CHECK(x(deadline_passed{}) == "done");
    CHECK(x(said(x.the<channel::look>(), verdict::done, books(30, 0, x.now, 0, start + 1s))) == "done");
    CHECK(x(channel::take{"lease", voucher(12), 12, 4}) == pre + "channel_leaving");
    CHECK(x.the<channel::claim>().total == 3);
    CHECK(x(channel::charge{"lease", 6}) == "done");
    CHECK(x(said(x.the<channel::claim>(), verdict::done, books(30, 3, x.now, 0, start + 1s))) == "done");
    CHECK(x.the<channel::claim>().total == 6);
    CHECK(x.the<channel::claim>().before == start + 901s);
}

TEST_CASE("a channel is closed once: claimed first, then refunded, however often the answer is lost") {
    auto x = story::open();
    x.serve("a", 3, 3);
    CHECK(x(channel::close{10}) == "done");
    CHECK(x(channel::close{10}) == "nothing");
    CHECK(!x.wants<channel::give_back>());
    CHECK(x(said(x.the<channel::claim>(), verdict::done, books(30, 3, x.now))) == "done");
    CHECK(x.the<channel::give_back>().amount == 10);
    CHECK(x(said(x.the<channel::give_back>(), verdict::unknown)) == "nothing");
    x.now = *channel::deadline(x.s);
    CHECK(x(deadline_passed{}) == "done");
    CHECK(x(said(x.the<channel::look>(), verdict::done, books(20, 3, x.now, 1))) == "done"); // it had come to pass
    CHECK(!x.wants<channel::give_back>());
    CHECK(x.s.at == channel::phase::open);
    CHECK(x(channel::close{}) == "done");
    CHECK(x.the<channel::give_back>().amount == 17);
    CHECK(x(said(x.the<channel::give_back>(), verdict::done, books(3, 3, x.now, 2))) == "done");
    CHECK(x.s.at == channel::phase::closed);
    CHECK(channel::rests(x.s));
    auto more = deposit("0x02");
    more.valid_before = x.now + 300s;
    CHECK(x(channel::fund{terms(), more}) == "done");
    CHECK(x(said(x.the<channel::fill>(), verdict::done, books(33, 3, x.now, 2))) == "done");
    CHECK(x(request("b", 3, 5)) == "done");
}

TEST_CASE("a deposit that the token takes no more was made, or was not, by the balance") {
    for (const bool made : {false, true}) {
        story x;
        CHECK(x(channel::fund{terms(), deposit()}) == "done");
        CHECK(x(channel::fund{terms(), deposit()}) == "nothing");
        CHECK(x(channel::fund{terms(), deposit("0x02")}) == pre + "channel_busy");
        CHECK(x(request("a", 0, 5)) == pre + "channel_not_found");
        CHECK(x(said(x.the<channel::fill>(), verdict::failed)) == "nothing");
        x.now = *channel::deadline(x.s) + 1s;
        CHECK(x(deadline_passed{}) == "done");
        CHECK(x(said(x.the<channel::look>(), verdict::done, books(made ? 30 : 0, 0, start + 300s))) == "done");
        CHECK(x.s.in); // by the chain's clock it can still happen
        x.now = *channel::deadline(x.s);
        CHECK(x(deadline_passed{}) == "done");
        CHECK(x(said(x.the<channel::look>(), verdict::done, books(made ? 30 : 0, 0, start + 301s))) == "done");
        CHECK(x.s.at == (made ? channel::phase::open : channel::phase::closed));
        CHECK(!x.wants<channel::fill>());
    }
    story x;
    auto late = deposit();
    late.valid_before = start;
    CHECK(x(channel::fund{terms(), late}) == pre + "payload_authorization_valid_before");
    auto none = deposit();
    none.amount = 0;
    CHECK(x(channel::fund{terms(), none}) == "bad_amount");
    auto t = terms();
    t.claim_at = 21;
    CHECK(x(channel::fund{t, deposit()}) == "bad_terms");
}
