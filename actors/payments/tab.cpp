#include <souk/actors/payments/tab.hpp>

#include <algorithm>

#include <souk/messages/ascii.hpp>
#include <souk/messages/evm/word.hpp>

namespace souk {

namespace {

using namespace std::chrono_literals;
using stage = tab_stage;
namespace es = evm::escrow;

constexpr std::chrono::seconds notice{es::notice};
constexpr auto usually_within = 10min;
constexpr instant never{std::chrono::seconds{32'503'680'000}}; // the year 3000

instant at_second(std::int64_t s) { return instant{std::chrono::seconds{std::clamp<std::int64_t>(s, 0, 253'402'300'799)}}; }
// An announced leaving is known in the first quarter of its notice, even when one look fails.
instant next_look(instant now) { return now + notice / 8; }
bool watched(const escrow_books& b, instant now) { return now < b.as_of + notice / 2; }
// An answer that is older than what is known says nothing.
bool newer(const tab::state& s, const escrow_books& b) { return b.as_of >= s.chain.as_of; }

template <class State>
auto* find(State& s, const std::string& nonce) {
    const auto at = std::find_if(s.requests.begin(), s.requests.end(), [&](const tab_request& r) { return r.what.request.nonce == nonce; });
    return at == s.requests.end() ? nullptr : &*at;
}
// Of one that is over: 16 bytes of its nonce's digest, 16 of its own, its stage, and its last second.
std::string short_name(const std::string& nonce) { return crypto::sha256(nonce).substr(0, 16); }
std::string digest_of(const es::request& r) { return crypto::sha256(encode_described(r)).substr(0, 16); }
octets packed(const es::request& r, stage at) {
    return {short_name(r.nonce) + digest_of(r) + static_cast<char>(at) + evm::number(static_cast<std::uint64_t>(std::max<std::int64_t>(r.expires, 0))).substr(24)};
}
instant until_of(const octets& p) {
    std::uint64_t s = 0;
    for (std::size_t i = 33; i < 41 && i < p.data.size(); ++i) s = s << 8 | static_cast<unsigned char>(p.data[i]);
    return at_second(static_cast<std::int64_t>(std::min<std::uint64_t>(s, 253'402'300'799)));
}
auto found_past(const std::vector<octets>& past, const std::string& nonce) {
    const auto name = short_name(nonce);
    return std::find_if(past.begin(), past.end(), [&](const octets& p) { return p.data.size() == 41 && p.data.compare(0, 16, name) == 0; });
}
std::optional<tab_past> find_past(const tab::state& s, const std::string& nonce) {
    if (s.past.empty()) return std::nullopt;
    const auto at = found_past(s.past, nonce);
    if (at == s.past.end()) return std::nullopt;
    return tab_past{at->data.substr(16, 16), static_cast<stage>(at->data[32]), until_of(*at)};
}
bool presenting(const tab::state& s) {
    return std::any_of(s.requests.begin(), s.requests.end(), [](const tab_request& r) { return r.at == stage::presented; });
}

// One overload a command: a missing one does not compile.
struct rules {
    using verdicts = decision<tab::event>;
    const tab::state& s;
    instant now;

    verdicts operator()(const tab::take& c) const {
        const auto& r = c.request.request;
        if (const auto* has = find(s, r.nonce)) {
            if (has->what.request == r) return {}; // said again
            return refusal{"nonce_conflict", "this nonce was signed for another request"};
        }
        if (const auto has = find_past(s, r.nonce)) {
            if (has->digest != digest_of(r)) return refusal{"nonce_conflict", "this nonce was signed for another request"};
            if (has->at != stage::unserved) return {}; // it was served: nothing is served twice for one price
        }
        if (c.what.most_open <= 0 || c.what.present_at <= 0 || c.what.present_after <= 0 || c.what.before <= 0) return refusal{"bad_terms", "a tab's limits are above zero"};
        const auto& b = c.chain && newer(s, *c.chain) ? *c.chain : s.chain;
        if (auto why = tab::objection(s, c, b, now)) return std::move(*why);
        tab_request held{c.request, c.price, stage::held, {}};
        const auto within = c.within > 0 ? std::chrono::seconds{std::min(c.within, tab::longest_served)} : std::chrono::seconds{usually_within};
        held.due = std::min<instant>(now + within, at_second(r.expires) - std::chrono::seconds{c.what.before});
        auto kept = b;
        kept.used.clear();
        return tab::taken{c.what, std::move(held), std::move(kept), s.requests.empty() ? next_look(now) : s.look_at};
    }
    verdicts operator()(const tab::end& c) const {
        if (const auto* has = find(s, c.nonce)) {
            if (has->at != stage::held) return c.served ? verdicts{} : verdicts{refusal{"was_served", "it was said to be served"}};
            if (!c.served) return tab::unserved{c.nonce};
            const auto latest = at_second(has->what.request.expires) - std::chrono::seconds{s.what.before};
            return with_batch({tab::served{c.nonce, std::min<instant>(now + std::chrono::seconds{s.what.present_after}, latest)}});
        }
        const auto was = find_past(s, c.nonce);
        if (!was) return refusal{"not_taken", "no such request was taken"};
        if ((was->at == stage::unserved) != c.served) return {}; // said again
        return c.served ? refusal{"too_late", "it was not said to be served in time, and will not be paid"} : refusal{"was_served", "it was said to be served"};
    }
    verdicts operator()(const tab::present_now&) const { return with_batch({}, true); }
    verdicts operator()(const deadline_passed&) const {
        std::vector<tab::event> all;
        for (const auto& r : s.requests)
            if (r.at == stage::held && r.due <= now) all.emplace_back(tab::unserved{r.what.request.nonce});
        // Of a request that has expired neither the chain nor we hear again.
        if (std::any_of(s.past.begin(), s.past.end(), [&](const octets& p) { return until_of(p) < now; })) all.emplace_back(tab::forgotten{now});
        if (!s.requests.empty() && s.look_at <= now) all.emplace_back(tab::look_due{next_look(now)}); // the time of the next one, should this one stay unanswered
        return with_batch(std::move(all));
    }

    // -- what came of it
    verdicts operator()(const outcome<tab::look>& o) const {
        if (o.said != verdict::done || !s.looking || !newer(s, o.found.chain)) return {};
        return with_batch({tab::seen{o.found.chain, next_look(now)}});
    }
    verdicts operator()(const outcome<tab::consume>& o) const {
        if (o.of.round != s.round || !presenting(s) || o.said == verdict::unknown) return {};
        if (o.said == verdict::done) return with_batch({tab::consumed{o.found.chain}});
        // "failed" is only a claim. What the rail says of single requests is not.
        std::vector<escrow_bad> bad;
        for (const auto& b : o.found.bad)
            if (const auto* r = find(s, b.nonce); r && r->at == stage::presented) bad.push_back(b);
        if (bad.empty()) return {};
        return with_batch({tab::refused{std::move(bad)}});
    }

    // With the facts that are about to be written, what has to be presented now. The soonest to expire go first.
    verdicts with_batch(std::vector<tab::event> all, bool at_once = false) const {
        verdicts d;
        d.events = std::move(all);
        tab::state t{s.what, s.chain, s.requests, {}, s.round, s.consumed, s.lost, {}, s.looking, s.look_at}; // without its past, which may be long
        for (const auto& e : d.events) t = tab::evolve(std::move(t), e);
        if (presenting(t)) return d;
        std::vector<const tab_request*> ready;
        std::int64_t sum = 0;
        const auto leaves = tab::leaves(t);
        // Taken before it was known that the budget leaves, and beyond what stays.
        bool must = at_once || (leaves && tab::open(t) > t.chain.budget - t.chain.leaving);
        for (const auto& r : t.requests) {
            if (r.at != stage::served) continue;
            ready.push_back(&r), sum += r.price;
            must |= r.due <= now;
        }
        if (ready.empty() || (!must && sum < t.what.present_at && ready.size() < es::most_requests)) return d;
        std::stable_sort(ready.begin(), ready.end(), [](const tab_request* a, const tab_request* b) { return a->what.request.expires < b->what.request.expires; });
        if (ready.size() > es::most_requests) ready.resize(es::most_requests);
        tab::presented p;
        for (const auto* r : ready) p.nonces.push_back(r->what.request.nonce);
        d.events.emplace_back(std::move(p));
        return d;
    }
};

void move_on(tab::state& s, const std::string& nonce, stage to) {
    const auto at = std::find_if(s.requests.begin(), s.requests.end(), [&](const tab_request& r) { return r.what.request.nonce == nonce; });
    if (at == s.requests.end()) return;
    if (const auto before = found_past(s.past, nonce); before != s.past.end()) s.past.erase(before); // taken again after it was not served
    s.past.push_back(packed(at->what.request, to));
    if (to == stage::consumed) s.consumed += at->price;
    if (to == stage::lost) s.lost += at->price;
    s.requests.erase(at);
}
void believe(tab::state& s, const escrow_books& b) {
    if (!newer(s, b)) return;
    s.chain = b;
    s.chain.used.clear();
}

} // namespace

std::optional<refusal> tab::objection(const state& s, const take& c, const escrow_books& b, instant now) {
    const auto& r = c.request.request;
    if (!b.fits) return refusal{"wrong_credit", "the credit is for others, or in another token"};
    if (std::find(b.used.begin(), b.used.end(), r.nonce) != b.used.end()) return refusal{"nonce_conflict", "this nonce was presented before"};
    // Both come out of one budget, and what is being presented may be in the books or not.
    const auto promised = std::to_string(open(s));
    const auto seconds_at = [](instant t) { return std::chrono::floor<std::chrono::seconds>(t.time_since_epoch()).count(); };
    const auto good = r.credit == "0" ? es::covered(r, es::allowance{std::to_string(b.budget), std::to_string(b.price), std::to_string(b.leaving), seconds_at(b.leaving_since)}, promised, now)
                                      : es::covered(r, es::credit{{}, r.payer, r.provider, r.token, seconds_at(b.expires), std::to_string(b.budget)}, promised, now);
    if (!good) return good.error();
    if (!watched(b, now)) return refusal{"rail_unseen", "the rail was not seen for too long"};
    if (at_second(r.expires) < now + 2 * std::chrono::seconds{c.what.before}) return refusal{"expires_too_soon", "there would be no time to serve it and to present it"};
    if (c.price <= 0) return refusal{"no_amount", "a request costs something"};
    if (c.price > c.what.most_open - open(s)) return refusal{"too_much_open", "what was served before must be presented first"};
    if (s.requests.size() >= most_requests || s.past.size() >= most_past) return refusal{"too_many_open", "as many requests are open, or remembered, as may be"};
    return std::nullopt;
}

std::int64_t tab::open(const state& s) {
    std::int64_t sum = 0; // no overflow: it is no more than the terms allow
    for (const auto& r : s.requests) sum += r.price;
    return sum;
}
std::int64_t tab::open(const state& s, tab_stage at) {
    std::int64_t sum = 0;
    for (const auto& r : s.requests) sum += r.at == at ? r.price : 0;
    return sum;
}
std::optional<instant> tab::leaves(const state& s) {
    if (s.chain.leaving_since == instant{} || s.chain.leaving == 0) return std::nullopt;
    return s.chain.leaving_since + notice;
}
std::optional<tab_stage> tab::stage_of(const state& s, const std::string& nonce) {
    if (const auto* r = find(s, nonce)) return r->at;
    if (const auto p = find_past(s, nonce)) return p->at;
    return std::nullopt;
}
std::optional<tab_past> tab::past_of(const state& s, const std::string& nonce) { return find_past(s, nonce); }
bool tab::is_known(const state& s, const es::request& r) {
    if (const auto* has = find(s, r.nonce)) return has->what.request == r;
    const auto was = find_past(s, r.nonce);
    return was && was->at != stage::unserved && was->digest == digest_of(r);
}

decision<tab::event> tab::decide(const state& s, const command& c, instant now) { return std::visit(rules{s, now}, c); }

tab::state tab::evolve(state s, const event& e) {
    match(
        e,
        [&](const taken& x) {
            s.what = x.what, s.look_at = x.look_at;
            believe(s, x.chain);
            s.requests.push_back(x.request);
        },
        [&](const served& x) {
            if (auto* r = find(s, x.nonce)) r->at = stage::served, r->due = x.due;
        },
        [&](const unserved& x) { move_on(s, x.nonce, stage::unserved); },
        [&](const presented& x) {
            ++s.round;
            for (const auto& n : x.nonces)
                if (auto* r = find(s, n)) r->at = stage::presented;
        },
        [&](const consumed& x) {
            std::vector<std::string> all;
            for (const auto& r : s.requests)
                if (r.at == stage::presented) all.push_back(r.what.request.nonce);
            for (const auto& n : all) move_on(s, n, stage::consumed);
            believe(s, x.chain);
        },
        [&](const refused& x) {
            for (const auto& b : x.bad) {
                const bool ours = b.why.code == "consumed";
                move_on(s, b.nonce, ours ? stage::consumed : stage::lost);
                if (!ours) s.why = b.why.code + ": " + b.why.text;
            }
            for (auto& r : s.requests) // the others wait for the next round
                if (r.at == stage::presented) r.at = stage::served;
        },
        [&](const look_due& x) { s.looking = true, s.look_at = x.look_at; },
        [&](const seen& x) {
            believe(s, x.chain);
            s.looking = false, s.look_at = x.look_at;
        },
        [&](const forgotten& x) { std::erase_if(s.past, [&](const octets& p) { return until_of(p) < x.until; }); });
    if (s.requests.empty()) s.looking = false; // nothing is at stake
    return s;
}

std::vector<tab::effect> tab::effects(const state& s) {
    std::vector<effect> all;
    if (s.looking) all.emplace_back(look{s.what});
    consume f{s.what, s.round, {}};
    for (const auto& r : s.requests)
        if (r.at == stage::presented) f.all.push_back(r.what);
    if (!f.all.empty()) all.emplace_back(std::move(f));
    return all;
}

std::optional<instant> tab::deadline(const state& s) {
    auto first = never;
    const bool waits = presenting(s); // for the rail: the next round comes after this one
    for (const auto& r : s.requests)
        if (r.at == stage::held || (r.at == stage::served && !waits)) first = std::min(first, r.due);
    if (!s.requests.empty()) first = std::min(first, s.look_at);
    for (const auto& p : s.past) first = std::min<instant>(first, until_of(p) + 1s);
    return first;
}

std::string tab_of(const es::place& p, const escrow_source& of) {
    return evm::to_hex_text(crypto::sha256("souk tab\n" + std::to_string(p.chain) + '\n' + lower(p.contract) + '\n' + lower(of.payer) + '\n' + lower(of.provider) + '\n' + lower(of.token) + '\n' + of.credit));
}
escrow_source source_of(const es::request& r) { return {r.payer, r.provider, r.token, r.credit}; }

} // namespace souk
