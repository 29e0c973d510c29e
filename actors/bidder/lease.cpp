#include <souk/actors/bidder/lease.hpp>

#include <souk/actors/common/planted.hpp>
#include <souk/actors/payments/payment.hpp>
#include <souk/messages/bytes.hpp>

namespace souk {

namespace {

using namespace std::chrono_literals;
using phase = lease::phase;

constexpr auto reserve_within = 1min;  // a bid that takes longer to back than this comes too late anyway
constexpr auto bid_within = 5min;      // our own repository is away
constexpr auto pay_within = 5min;      // from accept to an authorisation in hand
constexpr auto launch_within = 5min;   // from payment to a machine that answers; then it all goes back
constexpr auto alarm_every = 10min;

struct rules {
    using verdicts = decision<lease::event>;
    const lease::state& s;
    instant now;

    verdicts end(std::string why) const {
        const auto back = s.transaction.empty() || (planted(defect::refund_forgotten) && !s.from) ? amount{0} : lease::owed_back(s, now);
        return lease::ending{std::move(why), now, back, now + alarm_every};
    }

    // -- orders --------------------------------------------------------------------------------------------------------
    verdicts operator()(const lease::consider& c) const {
        if (s.at != phase::none) {
            if (c.what.rfp == s.what.rfp) return {}; // on whichever terms: the first ones stand
            return refusal{"lease_conflict", "another request has this key"};
        }
        if (c.what.open_until <= now) return refusal{"rfp_expired", "the request is over"};
        if (c.what.for_slice <= 0 || c.what.slice <= 0) return refusal{"bad_price", "a bid needs a price above zero"};
        if (c.what.step < 0 || c.what.grace < 0) return refusal{"bad_step", "steps and grace are seconds"};
        return lease::considered{c.what, now + reserve_within};
    }
    verdicts operator()(const lease::take& c) const {
        if (lease::accepted(s)) {
            if (c.accept.ref == s.accept.ref) return {};
            return refusal{"already_accepted", "another accept of this bid came first"};
        }
        if (s.at == phase::ending || s.at == phase::closed) return refusal{"bid_withdrawn", "this bid is no longer on offer: " + s.why};
        if (s.at == phase::bidding) return refusal{"not_yet_offered", "the bid is being published at this moment: ask again"}; // seen before we know that it is out
        if (s.at != phase::open) return refusal{"not_offered", "there is no such bid on offer"};
        if (c.accept.author != s.what.tenant) return refusal{"not_the_tenant", "only the author of the request can accept a bid on it"};
        if (c.accept.bid != s.bid) return refusal{"wrong_bid", "the accept names another bid"};
        if (c.accept.rfp != s.what.rfp) return refusal{"wrong_rfp", "the accept names another request than its bid does"};
        if (s.what.open_until <= now) return refusal{"bid_expired", "the bid is over"};
        return lease::taken{c.accept, now + pay_within};
    }
    verdicts operator()(const lease::outbid& c) const {
        if (lease::accepted(s) || c.author != s.what.tenant || c.rfp != s.what.rfp) return {};
        if (s.at == phase::reserving || s.at == phase::bidding || s.at == phase::open) return end("another bid was accepted");
        return {};
    }
    verdicts operator()(const lease::pay& c) const {
        if (!lease::accepted(s)) return refusal{"not_accepted", "this bid has not been accepted"};
        if (!s.payment.empty()) {
            if (c.payment == s.payment) return {};
            return refusal{"payment_under_way", "this accept is being paid with another authorisation"};
        }
        if (const auto why = drawn()) return *why;
        const auto p = decode_described<x402::payment>(c.payment.data);
        if (!p) return p.error();
        const auto& a = p->payload.authorization;
        if (!s.transaction.empty()) {
            if (payment::key_of(a) == s.payment_key) return {};
            return refusal{"already_paid", "this accept has been paid with another authorisation"};
        }
        if (s.at != phase::taken) return refusal{"contract_over", "this contract is over: " + s.why};
        // The nonce may be any: others' clients draw theirs. That it pays for this accept alone, the payment itself remembers.
        if (!crypto::same_address(a.from, s.accept.payer)) return refusal{"wrong_payer", "the accept names another payer"};
        if (a.value != std::to_string(s.what.for_slice)) return refusal{"wrong_amount", "the bid's price is " + to_decimal(s.what.for_slice)};
        return lease::payment_taken{c.payment, now + alarm_every, c.identifier};
    }
    verdicts operator()(const lease::pay_from& c) const {
        if (!lease::accepted(s)) return refusal{"not_accepted", "this bid has not been accepted"};
        if (s.from && s.from->first == c.first) return {};
        if (!s.payment.empty()) return refusal{"payment_under_way", "this accept is being paid with an authorisation"};
        if (const auto why = drawn()) return *why;
        if (!s.transaction.empty()) return refusal{"already_paid", "this accept has been paid with an authorisation"};
        if (s.at != phase::taken) return refusal{"contract_over", "this contract is over: " + s.why};
        if (s.what.step == 0) return refusal{"no_channels", "this contract is not paid from a channel"};
        if (!crypto::same_address(c.payer, s.accept.payer)) return refusal{"wrong_payer", "the accept names another payer"};
        if (c.amount < lease::least_promise(s.what) || c.amount > s.what.for_slice)
            return refusal{"wrong_amount", "a promise is for " + to_decimal(lease::least_promise(s.what)) + " at least, and " + to_decimal(s.what.for_slice) + " at most"};
        return lease::drawing{{c.channel, c.first, c.amount, 0, 0, 0, false, {}}, now + alarm_every};
    }
    verdicts operator()(const lease::raise& c) const {
        if (!s.from || s.transaction.empty() || s.from->channel != c.channel) return refusal{"not_drawn", "this contract is not paid from that channel"};
        if (s.at != phase::launching && s.at != phase::receipting && s.at != phase::active) return refusal{"contract_over", "this contract is over: " + s.why};
        if (c.promised <= s.from->promised) return {};
        return lease::raised{c.promised, look_again(c.promised)};
    }
    verdicts operator()(const lease::stop& c) const {
        if (!c.by.empty()) { // not the operator: only whose contract it is
            if (!lease::accepted(s) || c.by != s.accept.author) return refusal{"not_the_tenant", "only the tenant can stop this contract"};
            if (c.accept_cid != s.accept.ref.cid) return refusal{"wrong_accept", "the order names another accept"};
        }
        switch (s.at) {
        case phase::none: return refusal{"unknown_lease", "no such lease"};
        case phase::reserving:
        case phase::bidding:
        case phase::open:
        case phase::taken:
        case phase::launching:
        case phase::receipting:
        case phase::active: return end(c.why);
        case phase::collecting:
            if (s.stop_wanted) return {};
            return lease::stop_noted{c.why};
        default: return {};
        }
    }

    // -- time ----------------------------------------------------------------------------------------------------------
    verdicts operator()(const deadline_passed&) const {
        switch (s.at) {
        case phase::reserving: return end("no room was found in time");
        case phase::bidding: return end("the bid could not be published in time");
        case phase::open: return end("the bid expired");
        case phase::taken: return end("not paid in time");
        case phase::launching: return end("the machine did not start in time");
        case phase::receipting:
        case phase::active: return s.from && now < s.ends ? meter_on() : end("the lease ended");
        case phase::none:
        case phase::closed: return {};
        default: return lease::overdue{now + alarm_every};
        }
    }

    // -- outcomes ------------------------------------------------------------------------------------------------------
    verdicts operator()(const outcome<lease::reserve>& o) const {
        if (s.at != phase::reserving || o.said == verdict::unknown) return {};
        if (o.said == verdict::failed) return end("no bid: " + o.why);
        if (o.found.room.refused) return end("no bid: " + o.found.room.refused->text);
        return lease::reserved{o.found.room.host, o.found.room.tier, now + bid_within};
    }
    verdicts operator()(const outcome<lease::publish_bid>& o) const {
        if (s.at != phase::bidding || o.said == verdict::unknown) return {};
        if (o.said == verdict::failed) return end("the bid was refused: " + o.why);
        return lease::bid{o.found.ref};
    }
    verdicts operator()(const outcome<lease::tell_bid>& o) const {
        if (s.at != phase::open || s.told || o.said == verdict::unknown) return {};
        return lease::told{o.said == verdict::failed ? o.why.substr(0, 400) : ""}; // the bid stands in the stream, whatever she says
    }
    // The payment verifier says `refused` only when it is certain that nothing moved and nothing will.
    verdicts operator()(const outcome<lease::settle>& o) const {
        if (planted(defect::launch_unpaid) && s.at == phase::collecting && !s.from && o.said == verdict::unknown) return lease::paid{"promised", "promised", now + launch_within - 30s, now + launch_within};
        if (s.at != phase::collecting || s.from || o.said != verdict::done) return {}; // `from`: of an attempt before that
        if (o.found.refused) {
            verdicts said = lease::payment_refused{o.found.refused->code, o.found.refused->text};
            if (s.stop_wanted) said.events.push_back(lease::ending{s.why, now, 0, now + alarm_every});
            return said;
        }
        verdicts said = lease::paid{o.found.key, o.found.transaction, now + launch_within - 30s, now + launch_within};
        if (s.stop_wanted) said.events.push_back(lease::ending{s.why, now, s.what.for_slice, now + alarm_every});
        return said;
    }
    verdicts operator()(const outcome<lease::draw>& o) const {
        if (s.at != phase::collecting || !s.from || o.of.first != s.from->first || o.said != verdict::done) return {};
        if (o.found.refused) {
            verdicts said = lease::payment_refused{o.found.refused->code, o.found.refused->text};
            if (s.stop_wanted) said.events.push_back(lease::ending{s.why, now, 0, now + alarm_every});
            return said;
        }
        verdicts said = lease::paid{s.from->channel, s.from->channel, now + launch_within - 30s, now + launch_within};
        if (s.stop_wanted) said.events.push_back(lease::ending{s.why, now, s.from->begun_with, now + alarm_every});
        return said;
    }
    // Who keeps the channel knows of promises that the lease was not told of yet.
    verdicts operator()(const outcome<lease::meter>& o) const {
        if (!s.from || (s.at != phase::active && s.at != phase::receipting) || o.said != verdict::done) return {};
        if (o.found.refused) return end("its channel serves it no more: " + o.found.refused->text);
        const auto promised = std::max(o.found.promised, s.from->promised);
        if (o.of.amount <= s.from->metered && promised == s.from->promised) return {};
        return lease::metered{std::max(o.of.amount, s.from->metered), promised, look_again(promised)};
    }
    verdicts operator()(const outcome<lease::settle_up>& o) const {
        if (s.at != phase::refunding || !s.from || s.from->over || o.said != verdict::done) return {};
        return lease::charged{std::clamp<amount>(o.found.charged, 0, s.from->promised)};
    }
    verdicts operator()(const outcome<lease::return_rest>& o) const {
        if (s.at != phase::refunding || !s.from || !s.from->over || o.said != verdict::done) return {};
        return lease::settled_up{std::clamp<amount>(o.found.charged, 0, s.from->promised)};
    }
    verdicts operator()(const outcome<lease::launch>& o) const {
        if (s.at != phase::launching || o.said != verdict::done) return {};
        if (o.found.refused) return end("the machine did not start: " + o.found.refused->text);
        if (o.found.machine.phase != "running") return {};
        return lease::started{o.found.machine, now, now + std::chrono::seconds{s.what.slice}};
    }
    verdicts operator()(const outcome<lease::publish_receipt>& o) const {
        if (s.at != phase::receipting || o.said != verdict::done) return {};
        return lease::receipted{o.found.ref, now};
    }
    verdicts operator()(const outcome<lease::watch>& o) const {
        if (planted(defect::silence_is_loss) && s.at == phase::active && o.said == verdict::unknown) return end("the machine was lost: no answer");
        if ((s.at != phase::active && s.at != phase::receipting) || o.said != verdict::done || !o.found.gone) return {};
        return end("the machine was " + (o.found.why.starts_with("lost") ? o.found.why : "ended by its host: " + o.found.why)); // whose clock may be ahead
    }
    verdicts operator()(const outcome<lease::terminate>& o) const {
        if (s.at != phase::ending || o.said != verdict::done) return {};
        return lease::gone{o.found.as_of, s.to_refund == 0 && !lease::accepted(s), now + alarm_every};
    }
    verdicts operator()(const outcome<lease::refund>& o) const {
        if (s.at != phase::refunding || o.said != verdict::done) return {};
        return lease::refunded{o.found.transaction};
    }
    verdicts operator()(const outcome<lease::publish_statement>& o) const {
        if (s.at != phase::stating || o.said != verdict::done) return {};
        return lease::stated{o.found.ref};
    }

private:
    std::optional<refusal> drawn() const {
        if (!s.from) return std::nullopt;
        if (s.transaction.empty()) return refusal{"payment_under_way", "this accept is being paid from a channel"};
        return refusal{"already_paid", "this accept is being paid from a channel"};
    }
    // When it is looked after next: to meter it, or to end it where nothing more is promised.
    instant look_again(amount promised) const {
        if (s.started == instant{}) return s.due;
        auto with = s;
        with.from->promised = promised;
        const instant over = s.at == phase::receipting ? s.ends : std::max(lease::paid_until(with), s.from->told) + std::chrono::seconds{s.what.grace}, next = now + std::chrono::seconds{s.what.step};
        return std::max(now, std::min({over, next, s.ends}));
    }
    verdicts meter_on() const {
        if (s.at == phase::active && now >= std::max(lease::paid_until(s), s.from->told) + std::chrono::seconds{s.what.grace}) return end("what was promised for it is used up");
        return lease::metering{s.from->promised - lease::owed_back(s, now), look_again(s.from->promised)};
    }
};

// The price of the time that it ran, or of what was metered before a clock was set back: never more than was promised for it.
amount served(const lease::state& s, instant when) {
    if (s.started == instant{}) return 0;
    const price p{s.what.for_slice, std::chrono::seconds{s.what.slice}};
    const auto used = std::chrono::ceil<std::chrono::seconds>(std::max(when - s.started, instant::duration{0}));
    return std::min(std::max(p.of(used), s.from->metering), s.from->promised);
}

ccf statement_of(const lease::state& s) {
    ccf f;
    f.accept = {std::string(ccba::nsid), s.accept.ref};
    if (!s.receipt.cid.empty()) f.receipt = embed{std::string(ccr::nsid), s.receipt};
    f.reason = s.why;
    f.currency = "USDC";
    f.paid = std::to_string(s.transaction.empty() ? 0 : s.what.for_slice);
    f.refunded = std::to_string(s.refunded);
    if (s.from) f.paid = std::to_string(s.from->metered);
    if (!s.transaction.empty()) f.payment = s.transaction;
    if (!s.refund_transaction.empty()) f.refund = s.refund_transaction;
    if (s.started != instant{}) {
        f.seconds = std::chrono::ceil<std::chrono::seconds>(std::max(s.ended - s.started, instant::duration{0})).count(); // a clock may have been set back
        f.startedAt = to_datetime(s.started);
        f.endedAt = to_datetime(s.ended);
    }
    return f;
}

} // namespace

std::string lease::settle::id() const { return "settle/" + to_hex(crypto::sha256(payment.data)).substr(0, 32); }

std::string lease::draw::id() const { return "draw/" + to_hex(crypto::sha256(first.data)).substr(0, 32); }

amount lease::least_promise(const terms& t) { return price{t.for_slice, std::chrono::seconds{t.slice}}.of(std::chrono::seconds{std::min(t.step, t.slice)}); }
instant lease::paid_until(const state& s) {
    __extension__ using wide = __int128;
    const auto seconds = static_cast<wide>(s.from ? s.from->promised : 0) * s.what.slice / s.what.for_slice;
    return s.started + std::chrono::seconds{static_cast<std::int64_t>(std::min<wide>(seconds, s.what.slice))};
}

amount lease::owed_back(const state& s, instant when) {
    if (s.from) return s.from->promised - served(s, when);
    if (s.started == instant{}) return s.what.for_slice;
    const price p{s.what.for_slice, std::chrono::seconds{s.what.slice}};
    const auto used = std::chrono::ceil<std::chrono::seconds>(std::max(when - s.started, instant::duration{0}));
    return s.what.for_slice - p.of(used);
}

decision<lease::event> lease::decide(const state& s, const command& c, instant now) {
    return std::visit(rules{s, now}, c);
}

lease::state lease::evolve(state s, const event& e) {
    match(
        e,
        [&](const considered& x) { s.at = phase::reserving, s.what = x.what, s.due = x.due; },
        [&](const reserved& x) { s.at = phase::bidding, s.host = x.host, s.tier = x.tier, s.due = x.due; },
        [&](const bid& x) {
            s.at = phase::open, s.bid = x.ref, s.due = s.what.open_until;
            if (s.what.answer_to.empty()) let_go(s.what.bid); // else it is still to be sent
        },
        [&](const told&) { s.told = true, let_go(s.what.bid); },
        [&](const taken& x) {
            let_go(s.what.bid);
            s.at = phase::taken, s.accept = x.accept, s.pay_until = s.due = x.pay_until;
            for (auto* same : {&s.accept.rfp, &s.accept.bid}) let_go(same->uri), let_go(same->cid); // as `what.rfp` and `bid`: decided upon
        },
        [&](const payment_taken& x) { s.at = phase::collecting, s.payment = x.payment, s.identifier = x.identifier, s.due = x.due; },
        [&](const payment_refused& x) { s.at = phase::taken, s.payment.clear(), s.identifier.clear(), s.from.reset(), s.refused_payment = x.code + ": " + x.why, s.due = s.pay_until; },
        [&](const paid& x) {
            s.at = phase::launching, s.payment_key = x.key, s.transaction = x.transaction, s.launch_until = x.launch_until, s.due = x.due, let_go(s.payment);
            if (s.from) s.from->promised = s.from->begun_with, let_go(s.from->first);
        },
        [&](const stop_noted& x) { s.stop_wanted = true, s.why = x.why; },
        [&](const started& x) { s.at = phase::receipting, s.machine = x.machine, s.started = x.at, s.ends = x.ends, s.due = x.ends, let_go(s.what.user_data), let_go(s.what.subject);
            if (s.from) s.due = std::min<instant>(x.ends, x.at + std::chrono::seconds{std::min(s.what.step, std::chrono::floor<std::chrono::seconds>(paid_until(s) - x.at).count() + s.what.grace)});
        },
        [&](const receipted& x) {
            s.at = phase::active, s.receipt = x.ref;
            if (!s.from) s.due = s.ends;
            else s.from->told = x.at;
            for (auto* told : {&s.machine.address, &s.machine.host_key, &s.machine.tag, &s.machine.why, &s.accept.ssh_key, &s.accept.seal_to}) let_go(*told);
            let_go(s.accept.record);
        },
        [&](const ending& x) {
            s.at = phase::ending, s.why = x.why, s.ended = x.at, s.to_refund = x.to_refund, s.due = x.due;
            let_go(s.what.user_data), let_go(s.what.subject), let_go(s.what.bid); // if it never came to a launch
        },
        [&](const gone& x) { s.at = x.last ? phase::closed : s.to_refund > 0 || (s.from && !s.transaction.empty()) ? phase::refunding : phase::stating, s.due = x.due; },
        [&](const refunded& x) { s.at = phase::stating, s.refunded = s.to_refund, s.refund_transaction = x.transaction; },
        [&](const stated& x) { s.at = phase::closed, s.statement = x.ref; },
        [&](const overdue& x) { s.due = x.look_again, ++s.alarms; },
        [&](const drawing& x) { s.at = phase::collecting, s.from = x.from, s.due = x.due; },
        [&](const raised& x) { s.from->promised = x.promised, s.due = x.due; },
        [&](const metering& x) { s.from->metering = std::max<amount>(s.from->metering, x.amount), s.due = x.due; },
        [&](const metered& x) { s.from->metered = x.amount, s.from->promised = x.promised, s.due = x.due; },
        [&](const charged& x) { s.from->over = true, s.from->metered = x.amount; },
        [&](const settled_up& x) { s.at = phase::stating, s.from->metered = x.charged; });
    return s;
}

std::vector<lease::effect> lease::effects(const state& s) {
    const auto& t = s.what;
    switch (s.at) {
    case phase::reserving: return {reserve{{tag_of(t), t.cpus, t.mem_mib, t.disk_mib, t.location, t.open_until + pay_within + 5min}}};
    case phase::bidding: return {publish_bid{t.key, t.bid, s.tier, t.by}};
    case phase::open:
        if (s.told || t.answer_to.empty()) return {};
        return {tell_bid{t.key, t.bid, t.by, t.answer_to}};
    case phase::collecting:
        if (s.from) return {draw{t.key, s.from->channel, s.from->first, s.from->begun_with, t.slice + t.grace + 24 * 3600}};
        return {settle{s.payment, s.accept.ref.cid, t.open_until + std::chrono::seconds{t.slice} + 24h}};
    case phase::launching: return {launch{{tag_of(t), s.host, t.user_data, s.accept.ssh_key, t.subject, s.launch_until + std::chrono::seconds{t.slice} + 5min, s.launch_until}}};
    case phase::receipting:
    case phase::active: {
        std::vector<effect> all{watch{tag_of(t), s.host}};
        if (s.at == phase::receipting) all.insert(all.begin(), publish_receipt{t.key, t.rfp, s.bid, s.accept, s.machine, t.by});
        if (s.from && s.from->metering > s.from->metered) all.push_back(meter{t.key, s.from->channel, s.from->metering});
        return all;
    }
    case phase::ending: return {terminate{{tag_of(t), s.host, s.why}}};
    case phase::refunding:
        if (s.from && s.from->over) return {return_rest{t.key, s.from->channel, s.from->metered}};
        if (s.from) return {settle_up{t.key, s.from->channel, s.from->promised - s.to_refund}};
        return {refund{s.payment_key, s.to_refund, s.why}};
    case phase::stating: return {publish_statement{t.key, statement_of(s), t.answer_to}};
    default: return {};
    }
}

std::optional<instant> lease::deadline(const state& s) {
    if (s.at == phase::none || is_final(s)) return std::nullopt;
    return s.due;
}

} // namespace souk
