#include <souk/actors/requester/purchase.hpp>

#include <souk/actors/common/planted.hpp>
#include <souk/messages/dag_cbor.hpp>

#include <limits>

namespace souk {

namespace {

using namespace std::chrono_literals;
using phase = purchase::phase;

constexpr auto publish_within = 10min; // a record network that is away for longer is a failed purchase, before anything was promised
constexpr auto judge_within = 30s;     // an identity that cannot be resolved by then counts against its bidder
constexpr auto pay_within = 5min;      // life of the authorisation
constexpr auto receipt_within = 20min; // a seller's own deadline to start a machine is shorter
constexpr auto alarm_every = 10min;
constexpr std::uint32_t patience = 6; // alarms: a seller who has not stated by then what came of a channel will not

// The machine's document is in the published request: once that is accepted upon, nothing here has a use for it.
void let_go_of_document(octets& request) {
    auto v = decode_dag_cbor(request.data);
    auto* fields = v ? v->as<value::map>() : nullptr;
    if (fields && fields->erase("user_data") > 0) request = encode_dag_cbor(*v);
}

// A step before what is promised is used up; when all of it is promised, at its end.
instant promise_next(const purchase::state& s, amount promised, instant now) {
    const auto* of = purchase::winner(s);
    if (promised >= of->for_slice) return s.ends;
    __extension__ using wide = __int128;
    const auto covered = std::chrono::seconds{static_cast<std::int64_t>(static_cast<wide>(promised) * of->slice / of->for_slice)};
    return std::clamp<instant>(s.paid_at + covered - std::chrono::seconds{s.stream->step}, std::min<instant>(now + 1s, s.ends), s.ends);
}

struct rules {
    using verdicts = decision<purchase::event>;
    const purchase::state& s;
    instant now;

    // -- orders ------------------------------------------------------------------------------------------------------
    verdicts operator()(const purchase::open& c) const {
        if (s.at != phase::none) {
            auto since = c.what; // what is kept of it
            let_go_of_document(since.request);
            since.stream = s.what.stream;
            auto again = c.what;
            again.stream = s.what.stream; // as this node is configured by now
            if (again == s.what || since == s.what) return {};
            return refusal{"purchase_conflict", "this id already stands for another purchase"};
        }
        if (c.what.window_ms < 0 || c.what.window_ms > 24 * 3'600'000) return refusal{"bad_window", "bids are gathered for up to a day"};
        return purchase::opened{c.what, c.key, now + publish_within};
    }
    verdicts operator()(const purchase::stop& c) const {
        switch (s.at) {
        case phase::none: return refusal{"unknown_purchase", "no such purchase"};
        case phase::publishing:
        case phase::gathering:
        case phase::judging:
        case phase::approving:
        case phase::granting: return purchase::failed{c.why}; // no accept was written: nobody was promised anything
        case phase::accepting:
            if (s.stop_wanted) return {};
            return purchase::stop_noted{c.why};
        case phase::paying:
        case phase::doubting:
        case phase::awaiting:
        case phase::active: return purchase::stopping{c.why, now + alarm_every};
        default: return {};
        }
    }

    // Before there is a price it is said of any; then of the one that waits, and of no other that might take its place.
    verdicts operator()(const purchase::approve&) const {
        switch (s.at) {
        case phase::none: return refusal{"unknown_purchase", "no such purchase"};
        case phase::publishing:
        case phase::gathering:
        case phase::judging:
            if (s.what.approve_above == 0 || s.approved == std::numeric_limits<amount>::max()) return {};
            return purchase::approved{std::numeric_limits<amount>::max()};
        case phase::approving: {
            verdicts said = purchase::approved{std::max(s.approved, purchase::winner(s)->for_slice)};
            auto after = purchase::evolve(s, said.events.front());
            for (auto& e : rules{after, now}.choose().events) said.events.push_back(std::move(e));
            return said;
        }
        case phase::failed: return refusal{"purchase_over", "it is over: " + s.why};
        default: return {};
        }
    }

    // -- what others published -----------------------------------------------------------------------------------------
    verdicts operator()(const purchase::bid_seen& c) const {
        if (s.at != phase::publishing && s.at != phase::gathering) return {};
        for (const auto& o : s.offers)
            if (o.ref == c.of.ref) return {};
        if (s.offers.size() >= purchase::most_bids) return refusal{"too_many_bids", "this purchase listens to no further bids"};
        if (s.at == phase::gathering && c.of.rfp != s.rfp) return refusal{"wrong_rfp", "the bid names another request, or another content of it"};
        if (c.of.expires <= now) return refusal{"bid_expired", "the bid is already over"};
        return purchase::offered{c.of};
    }
    verdicts operator()(const purchase::bid_withdrawn& c) const {
        if (s.at != phase::publishing && s.at != phase::gathering && s.at != phase::judging && s.at != phase::approving) return {}; // chosen is chosen
        for (const auto& o : s.offers)
            if (o.ref.uri == c.bid_uri && o.bidder == c.by && !o.withdrawn) return purchase::withdrawn{c.bid_uri};
        return {};
    }
    verdicts operator()(const purchase::receipt_seen& c) const {
        if (s.at != phase::awaiting && s.at != phase::paying && s.at != phase::doubting) return {};
        if (!s.receipt.cid.empty()) return {};
        if (c.by != purchase::winner(s)->bidder) return refusal{"not_the_seller", "the receipt is by somebody else than the bidder"};
        return purchase::receipt_found{c.receipt};
    }
    // The seller's last word. What it says of money is checked against what was signed; a lie is kept on record, not believed.
    verdicts operator()(const purchase::statement_seen& c) const {
        if (s.accept.cid.empty() || purchase::is_final(s) || !s.statement.cid.empty()) return {};
        if (c.by != purchase::winner(s)->bidder) return refusal{"not_the_seller", "the statement is by somebody else than the bidder"};
        std::string why = c.why;
        if (c.paid > (s.stream ? s.stream->promised : s.authorised) || c.refunded > c.paid || c.refunded < 0 || c.paid < 0)
            why += " (the statement's sums do not agree with what was authorised: disputed)";
        return purchase::stated{c.ref, c.paid, c.refunded, c.seconds, why, now + alarm_every};
    }

    // -- time ----------------------------------------------------------------------------------------------------------
    verdicts operator()(const deadline_passed&) const {
        switch (s.at) {
        case phase::publishing: return purchase::failed{"the request could not be published in time"};
        case phase::gathering:
            if (s.offers.empty()) return purchase::failed{"no bids: nobody answered the request in its window"};
            if (undecided()) return purchase::judging{now + judge_within};
            return choose();
        case phase::judging: return choose();
        case phase::approving: return purchase::failed{"approval_timeout: nobody said yes in time to " + to_decimal(purchase::winner(s)->for_slice)};
        case phase::granting: return purchase::failed{"the workload's grant could not be published in time"};
        case phase::accepting: return purchase::overdue{now + alarm_every};
        case phase::paying: return purchase::doubted{"not settled while the authorisation was valid", now + alarm_every};
        case phase::awaiting: return purchase::stopping{"paid, but no receipt came in time", now + alarm_every};
        case phase::active: return s.stream && now < s.ends ? promise_on() : purchase::stopping{"the lease ended", now + alarm_every};
        case phase::stopping:
            if (s.stream && s.alarms >= patience) return purchase::gave_up{s.why + " (the seller has not stated what came of it)", now + alarm_every};
            [[fallthrough]];
        case phase::emptying:
        case phase::doubting: return purchase::overdue{now + alarm_every};
        default: return {};
        }
    }

    // -- outcomes ------------------------------------------------------------------------------------------------------
    verdicts operator()(const outcome<purchase::publish_request>& o) const {
        if (s.at != phase::publishing) return {};
        if (o.said == verdict::done) return purchase::requested{o.found.ref, now + std::chrono::milliseconds{s.what.window_ms}};
        if (o.said == verdict::failed) return purchase::failed{"the request was refused: " + o.why}; // by our own repository: nothing is out
        return {};
    }
    // Telling somebody promises nothing, and who is not told may read of it all the same: what fails here fails nothing.
    verdicts operator()(const outcome<purchase::find_sellers>& o) const {
        if (s.at != phase::gathering || !s.told.empty() || o.said != verdict::done || o.found.all.empty()) return {};
        auto to = o.found.all;
        if (to.size() > purchase::most_told) to.resize(purchase::most_told);
        return purchase::addressed{std::move(to)};
    }
    verdicts operator()(const outcome<purchase::tell_seller>& o) const {
        if (s.at != phase::gathering || o.said == verdict::unknown) return {};
        for (const auto& a : s.told)
            if (a.to == o.of.to && !a.over) return purchase::told{a.to.did, o.said == verdict::failed ? o.why.substr(0, 400) : ""};
        return {};
    }
    verdicts operator()(const outcome<purchase::judge>& o) const {
        if (s.at != phase::gathering && s.at != phase::judging) return {};
        if (o.said == verdict::unknown && !o.why.empty() && s.why != o.why) return purchase::noted{o.why}; // should time run out over it
        if (o.said != verdict::done || o.found.verdict.wait) return {};
        bool last = true, known = false;
        for (const auto& x : s.offers) {
            if (x.ref.cid == o.of.bid) known = !x.verdict;
            else if (!x.withdrawn && !x.verdict) last = false;
        }
        if (!known) return {};
        verdicts said = purchase::judged{o.of.of.ref.uri, o.found.verdict, now};
        if (s.at == phase::judging && last) {
            auto after = purchase::evolve(s, said.events.front());
            for (auto& e : rules{after, now}.choose().events) said.events.push_back(std::move(e));
        }
        return said;
    }
    verdicts operator()(const outcome<purchase::grant>& o) const {
        if (s.at != phase::granting || o.of.who.bid != purchase::winner(s)->ref.cid) return {};
        if (o.said == verdict::done && o.found.denied) { // nothing binds yet: whoever is next
            verdicts said = fallen(*o.found.denied);
            auto after = purchase::evolve(s, said.events.front());
            for (auto& e : rules{after, now}.choose().events) said.events.push_back(std::move(e));
            return said;
        }
        if (o.said == verdict::done && o.found.over_limit) return purchase::failed{o.found.over_limit->code + ": " + o.found.over_limit->text};
        if (o.said == verdict::done) return purchase::granted{now + publish_within};
        if (o.said == verdict::failed) return purchase::failed{"the workload's grant was refused: " + o.why};
        return {};
    }
    verdicts operator()(const outcome<purchase::publish_accept>& o) const {
        if (s.at != phase::accepting || o.said != verdict::done) return {};
        if (o.found.denied) return also(fallen(*o.found.denied), purchase::failed{no_longer(*o.found.denied)});
        verdicts said = purchase::accepted{o.found.ref, purchase::winner(s)->for_slice, now + pay_within};
        if (s.stop_wanted) said.events.push_back(purchase::stopping{s.why, now + alarm_every});
        return said;
    }
    // A refusal from the seller is a claim: the authorisation is out, and might still be used. Only the rail ends a payment.
    verdicts operator()(const outcome<purchase::pay>& o) const {
        if (s.at != phase::paying && s.at != phase::awaiting) return {};
        if (o.said == verdict::failed && s.why != o.why) return purchase::noted{o.why};
        if (o.said != verdict::done) return {};
        // An authorisation of before may be out all the same, so this ends as any stop does: by the seller's word, or the rail's.
        if (o.found.denied && s.at == phase::paying) return also(fallen(*o.found.denied), purchase::stopping{no_longer(*o.found.denied), now + alarm_every});
        if (o.found.over_limit && s.at == phase::paying) return purchase::stopping{o.found.over_limit->code + ": " + o.found.over_limit->text, now + alarm_every};
        if (o.found.agreed && s.at == phase::paying && !s.way_agreed) return purchase::agreed{o.found.agreed->by};
        verdicts said;
        if (s.at == phase::paying && !o.found.transaction.empty()) said.events.push_back(purchase::paid{o.found.transaction, now + receipt_within, now});
        if (!o.found.receipt.cid.empty() && s.receipt.cid.empty()) said.events.push_back(purchase::receipt_found{o.found.receipt});
        if (o.found.over && said.events.empty()) said.events.push_back(purchase::stopping{"the seller refused: " + o.found.over->text, now + alarm_every});
        return said;
    }
    verdicts operator()(const outcome<purchase::look_up>& o) const {
        if ((s.at != phase::doubting && s.at != phase::stopping) || o.said != verdict::done) return {};
        if (!o.found.transaction.empty()) {
            if (s.at == phase::stopping) return {}; // used: the seller owes a statement, and the alarm stays on
            return purchase::paid{o.found.transaction, now + receipt_within, now};
        }
        if (o.found.as_of <= s.pay_until) return {};
        return purchase::failed{s.why.empty() ? "the authorisation expired unused: nothing was paid" : s.why + " (nothing was paid)"};
    }
    verdicts operator()(const outcome<purchase::fetch_receipt>& o) const {
        if (s.receipt.cid.empty() || !s.sealed.empty() || o.said != verdict::done) return {};
        if (s.at != phase::awaiting && s.at != phase::paying && s.at != phase::doubting) return {};
        if (o.found.broken) return purchase::stopping{"the receipt is not good: " + o.found.broken->text, now + alarm_every};
        return purchase::delivered{o.found.sealed, o.found.tier, now, now + std::chrono::seconds{purchase::winner(s)->slice}};
    }
    verdicts operator()(const outcome<purchase::publish_stop>&) const { return {}; } // what counts is the seller's statement
    verdicts operator()(const outcome<purchase::promise>& o) const {
        if (s.at != phase::active || !s.stream) return {};
        if (o.said == verdict::failed && s.why != o.why) return purchase::noted{o.why};
        if (o.said != verdict::done) return {};
        if (o.found.over) return purchase::stopping{"the seller ended it: " + o.found.over->text, now + alarm_every};
        if (o.of.by.promised <= s.stream->heard) return {};
        return purchase::heard{o.of.by.promised};
    }
    // An empty channel may still be filled while the deposit is valid.
    verdicts operator()(const outcome<purchase::take_out>& o) const {
        if (s.at != phase::emptying || o.said != verdict::done || (!o.found.filled && o.found.as_of <= s.pay_until)) return {};
        return purchase::emptied{o.found.claimed};
    }
    verdicts operator()(const outcome<purchase::find_statement>& o) const {
        if (o.said != verdict::done || o.found.ref.cid.empty()) return {};
        return (*this)(purchase::statement_seen{o.of.bidder, o.found.ref, o.found.paid, o.found.refunded, o.found.seconds, o.found.why});
    }

private:
    // So that two steps are promised from now on, counted from when it was paid: the seller's clock began after that.
    verdicts promise_on() const {
        const auto* of = purchase::winner(s);
        const auto until = std::chrono::ceil<std::chrono::seconds>(now - s.paid_at) + std::chrono::seconds{2 * s.stream->step};
        const price each{of->for_slice, std::chrono::seconds{of->slice}};
        // A seller takes none for less than a step more, but the last.
        const auto least = std::min(of->for_slice, s.stream->promised + each.of(std::chrono::seconds{s.stream->step}));
        const auto most = std::max(least, each.of(until));
        return purchase::promising{most, promise_next(s, most, now)};
    }
    verdicts fallen(const policy_verdict& v) const { return purchase::judged{purchase::winner(s)->ref.uri, v, now}; }
    static verdicts also(verdicts said, purchase::event e) {
        said.events.push_back(std::move(e));
        return said;
    }
    std::string no_longer(const policy_verdict& v) const { return "the policy no longer allows " + purchase::winner(s)->bidder + ": " + v.reason; }
    bool undecided() const {
        for (const auto& o : s.offers)
            if (!o.withdrawn && !o.verdict) return true;
        return false;
    }
    verdicts choose() const {
        const auto which = purchase::best(s, now);
        if (!which) return purchase::failed{"no acceptable bid: " + why_none()};
        std::size_t allowed = 0;
        for (const auto& o : s.offers) allowed += !o.withdrawn && o.verdict && o.verdict->allowed;
        const auto why = "the cheapest of " + std::to_string(allowed) + " allowed, out of " + std::to_string(s.offers.size());
        if (s.what.plan) return purchase::planned{*which, why};
        const auto& best = s.offers[*which];
        if (s.what.approve_above > 0 && best.for_slice > s.what.approve_above && best.for_slice > s.approved)
            return purchase::approving{*which, to_decimal(best.for_slice) + " is more than " + to_decimal(s.what.approve_above) + ", which is spent without asking: somebody has to approve it",
                                       std::min(now + std::chrono::milliseconds{s.what.approve_ms}, best.expires)};
        return purchase::chosen{*which, why, now + publish_within};
    }
    std::string why_none() const {
        std::string all;
        const auto late = "could not be judged in time" + (s.why.empty() ? "" : " (" + s.why + ")");
        for (const auto& o : s.offers) {
            if (!all.empty()) all += "; ";
            if (all.size() > 500) return all + "...";
            all += o.bidder + ": " + (o.withdrawn ? "withdrawn" : !o.verdict ? late : o.verdict->allowed ? "over the ceiling, or expired" : o.verdict->reason);
        }
        return all.empty() ? "there were none" : all;
    }
};

} // namespace

amount purchase::first_promise(const offer& of, std::int64_t step) { return price{of.for_slice, std::chrono::seconds{of.slice}}.of(std::chrono::seconds{2 * step}); }

decision<purchase::event> purchase::decide(const state& s, const command& c, instant now) {
    return std::visit(rules{s, now}, c);
}

purchase::state purchase::evolve(state s, const event& e) {
    match(
        e,
        [&](const opened& x) { s.at = phase::publishing, s.what = x.what, s.key = x.key, s.due = x.due; },
        [&](const requested& x) { s.at = phase::gathering, s.rfp = x.rfp, s.due = x.gather_until; },
        [&](const offered& x) { s.offers.push_back(x.of); },
        [&](const withdrawn& x) {
            for (auto& o : s.offers)
                if (o.ref.uri == x.bid_uri) o.withdrawn = true;
        },
        [&](const judging& x) { s.at = phase::judging, s.due = x.judge_until; },
        [&](const judged& x) {
            for (auto& o : s.offers)
                if (o.ref.uri == x.bid_uri) o.verdict = x.verdict, o.judged_at = x.at;
        },
        [&](const chosen& x) { s.at = phase::granting, s.chosen = x.which, s.why = x.why, s.due = x.due; },
        [&](const planned& x) { s.at = phase::planned, s.chosen = x.which, s.why = x.why; },
        [&](const granted& x) { s.at = phase::accepting, s.granted = true, s.due = x.due; },
        [&](const accepted& x) {
            s.at = phase::paying, s.accept = x.accept, s.authorised = x.for_slice, s.pay_until = s.due = x.pay_until;
            let_go_of_document(s.what.request);
            for (std::uint32_t i = 0; i < s.offers.size(); ++i)
                if (i != s.chosen) let_go(s.offers[i].record);
        },
        [&](const doubted& x) { s.at = phase::doubting, s.why = x.why, s.due = x.look_again; },
        [&](const agreed& x) { s.way_agreed = true, s.stream = x.by; },
        [&](const paid& x) {
            s.at = phase::awaiting, s.transaction = x.transaction, s.due = x.receipt_by, s.paid_at = x.at;
            if (s.stream) s.stream->heard = s.stream->promised;
        },
        [&](const promising& x) { s.stream->promised = x.promised, s.due = x.due; },
        [&](const heard& x) { s.stream->heard = x.promised; },
        [&](const gave_up& x) { s.at = phase::emptying, s.why = x.why, s.due = x.due; },
        [&](const emptied& x) {
            s.at = phase::closed;
            if (!s.statement.cid.empty() && x.claimed != s.paid) s.why += " (of the channel he claimed " + to_decimal(x.claimed) + ", he stated " + to_decimal(s.paid) + ")";
            s.paid = x.claimed, s.refunded = 0; // by the rail's word
        },
        [&](const receipt_found& x) { s.receipt = x.receipt; },
        [&](const delivered& x) { s.at = phase::active, s.sealed = x.sealed, s.tier = x.tier, s.started = x.at, s.ends = s.due = x.ends;
            if (s.stream && s.stream->promised < winner(s)->for_slice) s.due = x.at; // the seller's clock may have begun before it was heard that he was paid
        },
        [&](const stop_noted& x) { s.stop_wanted = true, s.why = x.why; },
        [&](const stopping& x) { s.at = phase::stopping, s.why = x.why, s.due = x.look_again; },
        [&](const stated& x) {
            s.at = s.stream ? phase::emptying : phase::closed, s.alarms = 0, s.due = x.due;
            s.statement = x.ref, s.paid = x.paid, s.refunded = x.refunded, s.seconds = x.seconds, s.why = x.why;
        },
        [&](const noted& x) { s.why = x.why; },
        [&](const failed& x) { s.at = phase::failed, s.why = x.why; },
        [&](const overdue& x) { s.due = x.look_again, ++s.alarms; },
        [&](const addressed& x) {
            for (const auto& to : x.to) s.told.push_back({to, false, {}});
        },
        [&](const told& x) {
            for (auto& a : s.told)
                if (a.to.did == x.did) a.over = true, a.why = x.why;
        },
        [&](const approving& x) { s.at = phase::approving, s.chosen = x.which, s.why = x.why, s.due = x.due; },
        [&](const approved& x) { s.approved = x.most; });
    if (is_final(s)) // what was signed is in the repositories; here is what became of it
        for (auto& o : s.offers) let_go(o.record);
    return s;
}

std::vector<purchase::effect> purchase::effects(const state& s) {
    std::vector<effect> all;
    const auto fetch = [&] {
        if (!s.receipt.cid.empty() && s.sealed.empty()) all.push_back(fetch_receipt{s.receipt, s.rfp, winner(s)->ref, s.accept, winner(s)->bidder});
    };
    const auto who = [&] { return judge{s.rfp, winner(s)->ref.cid, *winner(s), s.what}; };
    switch (s.at) {
    case phase::publishing: all.push_back(publish_request{s.key, s.what.request, s.what.by}); break;
    case phase::gathering:
        if (s.what.seek && s.told.empty()) all.push_back(find_sellers{s.rfp, s.what});
        for (const auto& a : s.told)
            if (!a.over) all.push_back(tell_seller{s.rfp, a.to});
        [[fallthrough]];
    case phase::judging:
        for (const auto& o : s.offers)
            if (!o.verdict && !o.withdrawn) all.push_back(judge{s.rfp, o.ref.cid, o, s.what});
        break;
    case phase::granting: all.push_back(grant{s.key, who()}); break;
    case phase::accepting: all.push_back(publish_accept{s.key, s.rfp, winner(s)->ref, who(), winner(s)->by, service_of_winner(s)}); break;
    case phase::paying:
        all.push_back(pay{s.accept, who(), winner(s)->for_slice, s.pay_until, false, s.what.stream && !s.way_agreed, s.stream});
        fetch();
        break;
    case phase::doubting:
        all.push_back(look_up{s.accept, winner(s)->record, s.stream});
        fetch();
        break;
    case phase::awaiting:
        if (s.receipt.cid.empty()) all.push_back(pay{s.accept, who(), winner(s)->for_slice, s.pay_until, true});
        fetch();
        break;
    case phase::stopping:
        all.push_back(publish_stop{s.key, s.why, s.accept, service_of_winner(s)});
        all.push_back(find_statement{winner(s)->bidder, s.accept});
        if (s.transaction.empty() && s.alarms > 0) all.push_back(look_up{s.accept, winner(s)->record, s.stream});
        break;
    case phase::active:
        if (s.stream && s.stream->promised > s.stream->heard) all.push_back(promise{s.accept, winner(s)->record, *s.stream});
        break;
    case phase::emptying: all.push_back(take_out{*s.stream, s.alarms > 0}); break;
    default: break;
    }
    return all;
}

std::string purchase::service_of_winner(const state& s) {
    const auto* w = winner(s);
    if (!w || !w->answer_to.empty()) return w ? w->answer_to : std::string();
    for (const auto& a : s.told)
        if (a.to.did == w->bidder) return a.to.service;
    return {};
}

std::optional<instant> purchase::deadline(const state& s) {
    if (s.at == phase::none || is_final(s)) return std::nullopt;
    return s.due;
}

std::optional<std::uint32_t> purchase::best(const state& s, instant now) {
    std::optional<std::uint32_t> found;
    // a.for_slice / a.slice < b.for_slice / b.slice, without fractions
    __extension__ using wide = __int128;
    const auto cheaper = [](const offer& a, const offer& b) {
        return static_cast<wide>(a.for_slice) * b.slice < static_cast<wide>(b.for_slice) * a.slice;
    };
    for (std::uint32_t i = 0; i < s.offers.size(); ++i) {
        const auto& o = s.offers[i];
        if (o.rfp != s.rfp || o.withdrawn || !o.verdict || (!o.verdict->allowed && !planted(defect::verdict_ignored)) || o.expires <= now) continue;
        if (s.what.ceiling > 0 && o.for_slice > s.what.ceiling) continue;
        if (!found || cheaper(o, s.offers[*found])) found = i;
    }
    return found;
}

} // namespace souk
