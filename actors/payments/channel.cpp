#include <souk/actors/payments/channel.hpp>

#include <limits>

namespace souk {

namespace {

using namespace std::chrono_literals;
using phase = channel::phase;

constexpr auto serving_time = 10min; // a request that was neither served nor dropped by then was not served
constexpr auto asleep = 30 * 24h;    // a closed one is looked at so seldom: nothing is served on it

refusal invalid(const char* what, const char* text) { return {std::string("invalid_batch_settlement_evm_") + what, text}; }

std::chrono::seconds delay_of(const channel::terms& t) { return std::chrono::seconds(t.config.withdrawDelay); }
// A withdrawal is known in the first quarter of its delay, even when one look fails.
instant next_look(const channel::terms& t, instant now) { return now + delay_of(t) / 8; }
bool watched(const channel::state& s, instant now) { return now < s.chain.as_of + delay_of(s.what) / 2; }

// An answer that is older than what is known says nothing.
bool newer(const channel::state& s, const channel::books& b) {
    return b.as_of >= s.chain.as_of && b.claimed >= s.chain.claimed && b.refund_nonce >= s.chain.refund_nonce && b.balance >= b.claimed;
}

// With the facts that are about to be written, what has to be claimed now.
void claims(const channel::state& before, std::vector<channel::event>& all) {
    auto s = before;
    for (const auto& e : all) s = channel::evolve(std::move(s), e);
    const auto open = channel::unclaimed(s);
    const bool must = s.at == phase::closing || channel::leaves(s).has_value() || open >= s.what.claim_at;
    if (open > 0 && must && s.claiming <= s.chain.claimed) all.emplace_back(channel::claim_intended{s.charged});
}

struct rules {
    using verdicts = decision<channel::event>;
    const channel::state& s;
    instant now;

    verdicts with_claims(std::vector<channel::event> all) const {
        claims(s, all);
        verdicts d;
        d.events = std::move(all);
        return d;
    }

    verdicts operator()(const channel::fund& c) const {
        if (s.in) {
            if (s.in->what == c.in.what) return {}; // said again: the first time counts
            return invalid("channel_busy", "another deposit is on its way");
        }
        if (s.at == phase::closing) return invalid("channel_busy", "the channel is being closed");
        if (s.at != phase::none && c.what.config != s.what.config) return invalid("channel_id_mismatch", "another channel has this name");
        if (c.in.amount <= 0 || c.in.amount > std::numeric_limits<std::int64_t>::max() - s.chain.balance)
            return refusal{"bad_amount", "no such deposit can be counted"};
        if (c.what.most_unclaimed <= 0 || c.what.claim_at <= 0 || c.what.claim_at > c.what.most_unclaimed)
            return refusal{"bad_terms", "claims come before the most that may be unclaimed"};
        if (c.in.valid_before <= now) return invalid("payload_authorization_valid_before", "the deposit's authorisation is no longer valid");
        return channel::fill_intended{c.what, c.in};
    }
    verdicts operator()(const channel::take& c) const {
        const bool on = s.serving && s.serving->id == c.id;
        if (on && s.newest == c.voucher) return {};        // said again
        if (!c.id.empty() && s.last_id == c.id) return {}; // it was served and charged
        if (s.at != phase::open) return invalid("channel_not_found", "the channel is not open");
        if (s.serving && !on) return invalid("channel_busy", "another request of this channel is being served");
        const auto before = s.charged + channel::open_promise(s);
        if (c.amount <= 0 || c.amount > std::numeric_limits<std::int64_t>::max() - before || c.total != before + c.amount)
            return invalid("cumulative_amount_mismatch", "a voucher is for what was charged and this request, to the unit");
        if (c.total > s.chain.balance) return invalid("cumulative_exceeds_balance", "the channel has less than that");
        if (channel::leaves(s)) return invalid("channel_leaving", "the payer withdraws from the channel");
        if (!watched(s, now)) return invalid("verification_state_unavailable", "the chain was not seen for too long");
        if (c.amount > s.what.most_unclaimed - channel::at_risk(s))
            return invalid("too_much_unclaimed", "what was promised before must be claimed first");
        const auto due = now + (c.within > 0 ? std::chrono::seconds(c.within) : std::chrono::seconds(serving_time));
        return channel::taken{{c.id, c.amount + (on ? s.serving->amount : 0), on ? s.serving->used : 0, on ? std::max(due, s.serving->due) : due}, c.voucher, c.total};
    }
    verdicts operator()(const channel::meter& c) const {
        if (s.last_id == c.id && !s.serving) return {}; // it is over: nothing is added to it
        if (!s.serving || s.serving->id != c.id) return refusal{"not_taken", "no voucher was taken for this request"};
        if (c.amount > s.serving->amount) return invalid("charge_exceeds_signed_cumulative", "no more than was promised for it");
        if (c.amount <= s.serving->used) return {}; // said again, or overtaken
        return with_claims({channel::metered{c.id, c.amount, std::max<instant>(now + serving_time, s.serving->due)}});
    }
    verdicts operator()(const channel::charge& c) const {
        if (s.last_id == c.id && !s.serving)
            return c.amount == s.last ? verdicts{} : verdicts{refusal{"charge_conflict", "it was charged another amount"}};
        if (!s.serving || s.serving->id != c.id) return refusal{"not_taken", "no voucher was taken for this request"};
        if (c.amount < s.serving->used) return refusal{"charge_conflict", "more than that was metered already"};
        if (c.amount > s.serving->amount) return invalid("charge_exceeds_signed_cumulative", "no more than was promised for it");
        return with_claims({channel::charged{c.id, c.amount}});
    }
    verdicts operator()(const channel::drop& c) const {
        if (!s.serving || s.serving->id != c.id) return {};
        return channel::dropped{c.id};
    }
    verdicts operator()(const channel::claim_now&) const {
        if (channel::unclaimed(s) <= 0 || s.claiming > s.chain.claimed) return {};
        return channel::claim_intended{s.charged};
    }
    verdicts operator()(const channel::close& c) const {
        if (s.at == phase::closing) return {};
        if (s.at != phase::open) return invalid("channel_not_found", "the channel is not open");
        if (s.serving || s.in) return invalid("channel_busy", "a request or a deposit is under way");
        if (c.amount < 0) return invalid("refund_amount_invalid", "an amount is above zero");
        const auto left = s.chain.balance - s.charged;
        if (left <= 0) return invalid("refund_no_balance", "nothing is left of it");
        return with_claims({channel::close_intended{c.amount == 0 ? left : std::min(c.amount, left)}});
    }
    verdicts operator()(const deadline_passed&) const {
        if (s.serving && now >= s.serving->due) return channel::dropped{s.serving->id};
        if (s.at == phase::none) return {};
        if (now >= s.look_at) return channel::look_due{next_look(s.what, now)}; // the time of the next one, should this one stay unanswered
        return {};
    }

    // -- what came of it. Only books are believed, however the call ended: a plain "failed" may have happened all the same.
    verdicts operator()(const outcome<channel::fill>& o) const {
        if (!s.in || o.of.deposit != s.in->what || o.said != verdict::done || !newer(s, o.found.chain)) return {};
        return with_claims({channel::filled{o.found.chain, next_look(s.what, now)}});
    }
    verdicts operator()(const outcome<channel::look>& o) const {
        if (o.said != verdict::done || !s.looking || !newer(s, o.found.chain)) return {};
        auto all = news(o.found.chain);
        // By the chain's clock, the token takes the deposit no more. Whether it did is in the balance.
        if (s.in && o.found.chain.as_of > s.in->valid_before) all.emplace_back(channel::not_filled{});
        return with_claims(std::move(all));
    }
    verdicts operator()(const outcome<channel::claim>& o) const {
        if (o.said != verdict::done || !newer(s, o.found.chain) || o.found.chain.claimed <= s.chain.claimed) return {};
        return with_claims(news(o.found.chain));
    }
    verdicts operator()(const outcome<channel::give_back>& o) const {
        if (s.at != phase::closing || o.said != verdict::done || !newer(s, o.found.chain) || o.found.chain.refund_nonce <= s.chain.refund_nonce)
            return {};
        return with_claims(news(o.found.chain));
    }

    // While it is being closed, a nonce that went on is the refund that came to pass, whoever tells of it: asked for again, it would be a second one.
    std::vector<channel::event> news(const channel::books& b) const {
        const auto again = b.balance == b.claimed && !s.in ? now + asleep : next_look(s.what, now);
        if (s.at == phase::closing && b.refund_nonce > s.chain.refund_nonce) return {channel::given_back{b, again}};
        return {channel::seen{b, again}};
    }
};

void believe(channel::state& s, const channel::books& b) {
    s.chain = b;
    if (const auto most = std::max(b.balance, b.claimed); s.charged > most) s.forfeited += s.charged - most, s.charged = most;
    if (b.claimed > s.charged) { // after a journal was lost: what was claimed was charged
        if (s.serving) s.serving->used += std::min(b.claimed - s.charged, channel::open_promise(s));
        s.charged = b.claimed;
    }
    if (s.claiming <= b.claimed || s.claiming > s.charged) s.claiming = 0;
}

} // namespace

std::optional<instant> channel::leaves(const state& s) {
    if (s.chain.leaving_since == instant{}) return std::nullopt;
    return s.chain.leaving_since + delay_of(s.what);
}

decision<channel::event> channel::decide(const state& s, const command& c, instant now) { return std::visit(rules{s, now}, c); }

channel::state channel::evolve(state s, const event& e) {
    match(
        e,
        [&](const fill_intended& x) {
            if (s.at != phase::open) s.at = phase::opening, s.look_at = x.in.valid_before;
            s.what = x.what, s.in = x.in;
        },
        [&](const filled& x) {
            believe(s, x.chain);
            if (s.in) s.filled_by = s.in->what.authorization.erc3009Authorization.salt;
            s.in.reset(), s.at = phase::open, s.looking = false, s.look_at = x.look_at;
        },
        [&](const not_filled&) {
            s.in.reset();
            if (s.at == phase::opening) s.at = s.chain.balance > s.chain.claimed ? phase::open : phase::closed;
        },
        [&](const taken& x) { s.serving = x.what, s.newest = x.voucher, s.promised = x.total; },
        [&](const metered& x) {
            if (!s.serving) return;
            s.charged += x.amount - s.serving->used, s.serving->used = x.amount, s.serving->due = x.due;
        },
        [&](const charged& x) { s.charged += x.amount - (s.serving ? s.serving->used : 0), s.last_id = x.id, s.last = x.amount, s.serving.reset(); },
        [&](const dropped& x) {
            if (s.serving && s.serving->used > 0) s.last_id = x.id, s.last = s.serving->used; // it was served for so much
            s.serving.reset();
        },
        [&](const look_due& x) { s.looking = true, s.look_at = x.look_at; },
        [&](const seen& x) {
            believe(s, x.chain);
            s.looking = false, s.look_at = x.look_at;
            // The payer took the rest himself; or a refund of ours came to pass.
            if (s.at == phase::open && s.chain.balance == s.chain.claimed && !s.serving) s.at = phase::closed;
        },
        [&](const claim_intended& x) { s.claiming = x.total; },
        [&](const close_intended& x) { s.at = phase::closing, s.back = x.amount; },
        [&](const given_back& x) {
            believe(s, x.chain);
            s.back = 0, s.looking = false, s.look_at = x.look_at;
            s.at = s.chain.balance == s.chain.claimed ? phase::closed : phase::open;
        });
    return s;
}

std::vector<channel::effect> channel::effects(const state& s) {
    std::vector<effect> all;
    if (s.in) all.emplace_back(fill{s.what, s.in->what});
    if (s.looking) all.emplace_back(look{s.what});
    if (s.claiming > s.chain.claimed) all.emplace_back(claim{s.what, s.newest, s.claiming, leaves(s).value_or(instant{})});
    else if (s.at == phase::closing) all.emplace_back(give_back{s.what, s.back, s.chain.refund_nonce});
    return all;
}

std::optional<instant> channel::deadline(const state& s) {
    if (s.at == phase::none) return std::nullopt;
    if (s.serving) return std::min(s.serving->due, s.look_at);
    return s.look_at;
}

} // namespace souk
