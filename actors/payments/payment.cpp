#include <souk/actors/payments/payment.hpp>

#include <algorithm>

#include <souk/actors/common/planted.hpp>
#include <souk/messages/ascii.hpp>

namespace souk {

namespace {

using namespace std::chrono_literals;
using phase = payment::phase;
constexpr auto alarm_every = 10min;

// One overload a command: a missing one does not compile.
struct rules {
    using verdicts = decision<payment::event>;
    const payment::state& s;
    instant now;

    verdicts operator()(const payment::pay& c) const {
        if (s.at != phase::none) {
            if (payment::is_same(c.what, s.what)) return {}; // the first time counts
            return refusal{"nonce_conflict", "this nonce already stands for another payment"};
        }
        // Of a permit of at most so much nothing may be asked for, and then nothing else ever is.
        const auto& permit = c.what.authorised.permit2Authorization;
        const bool may_be_nothing = permit && permit->witness.facilitator;
        if (c.what.value < (may_be_nothing ? 0 : 1)) return refusal{"bad_amount", "an amount must be above zero"};
        // One that has expired may have been used before, by whoever got hold of it: the rail says.
        return payment::intended{c.what};
    }
    verdicts operator()(const payment::refund& c) const {
        if (s.at == phase::refunding || s.at == phase::refunded) {
            if (c.amount == s.back) return {};
            return refusal{"refund_conflict", "another amount is already going back"};
        }
        if (s.at == phase::settled) return refusal{"too_late", "the time for a refund has passed"};
        if (s.at != phase::confirmed) return refusal{"not_paid", "there is no confirmed payment to refund"};
        if (c.amount <= 0 || c.amount > s.what.value) return refusal{"bad_amount", "no more can go back than was paid"};
        return payment::refund_intended{c.amount, c.why, now + alarm_every};
    }
    verdicts operator()(const deadline_passed&) const {
        switch (s.at) {
        case phase::intended: return payment::doubted{{"not_confirmed", "not confirmed while it was valid"}, now + alarm_every};
        case phase::asking:
        case phase::refunding: return payment::overdue{now + alarm_every};
        case phase::confirmed: return payment::settled{};
        default: return {};
        }
    }
    // Unknown adds no fact, so it adds no event: the effect stays listed and is asked again. A plain "failed" from a rail is believed
    // only as far as to stop asking it: it can move money and then err. Whether it did is looked up, until the authorisation is dead.
    verdicts operator()(const outcome<payment::move>& o) const {
        if (s.at != phase::intended) return {};
        if (o.said == verdict::done) return payment::confirmed{o.found.transaction};
        if (planted(defect::unknown_is_failed) && o.said == verdict::unknown) return payment::failed{{"unknown", o.why}};
        if (o.said == verdict::failed) {
            const auto colon = o.why.find(": ");
            return payment::doubted{colon == std::string::npos ? refusal{"refused", o.why} : refusal{o.why.substr(0, colon), o.why.substr(colon + 2)},
                                    now + alarm_every};
        }
        return {};
    }
    verdicts operator()(const outcome<payment::look_up>& o) const {
        if (s.at != phase::asking || o.said != verdict::done) return {};
        if (o.found.transaction) return payment::confirmed{*o.found.transaction};
        if (o.found.spent)
            return payment::failed{{s.what.authorised.permit2Authorization ? "permit2_invalid_nonce" : "invalid_exact_evm_nonce_already_used", "its nonce was spent on another transfer"}};
        if (o.found.as_of > s.what.valid_before || planted(defect::early_absence)) return payment::failed{s.why}; // by the rail's clock, not ours
        return {};
    }
    verdicts operator()(const outcome<payment::give_back>& o) const {
        if (s.at == phase::refunding && o.said == verdict::done) return payment::refunded{o.found.transaction};
        return {};
    }
};

} // namespace

std::string payment::key_of(const x402::authorization& a) { return lower(a.from) + '/' + lower(a.nonce); }

decision<payment::event> payment::decide(const state& s, const command& c, instant now) {
    return std::visit(rules{s, now}, c);
}

payment::state payment::evolve(state s, const event& e) {
    match(
        e,
        [&](const intended& x) { s.at = phase::intended, s.what = x.what, s.due = x.what.valid_before; },
        [&](const doubted& x) { s.at = phase::asking, s.why = x.why, s.due = x.look_again; },
        [&](const confirmed& x) { s.at = phase::confirmed, s.transaction = x.transaction, s.due = s.what.refundable_until; },
        [&](const failed& x) { s.at = phase::failed, s.why = x.why; },
        [&](const refund_intended& x) { s.at = phase::refunding, s.back = x.amount, s.back_why = x.why, s.due = x.look_again; },
        [&](const refunded& x) { s.at = phase::refunded, s.back_transaction = x.transaction; },
        [&](const settled&) { s.at = phase::settled; },
        [&](const overdue& x) { s.due = x.look_again, ++s.alarms; });
    return s;
}

std::vector<payment::effect> payment::effects(const state& s) {
    switch (s.at) {
    case phase::intended: return {move{s.what}};
    case phase::asking: return {look_up{s.what}};
    case phase::refunding: return {give_back{s.what, s.back}};
    default: return {};
    }
}

std::optional<instant> payment::deadline(const state& s) {
    if (s.at == phase::none || is_final(s)) return std::nullopt;
    return s.due;
}

} // namespace souk
