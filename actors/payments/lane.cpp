#include <souk/actors/payments/lane.hpp>

#include <algorithm>

namespace souk {

namespace {

template <class State>
auto* slot_at(State& s, std::int64_t nonce) {
    const auto found = std::find_if(s.slots.begin(), s.slots.end(), [nonce](const lane::slot& x) { return x.nonce == nonce; });
    return found == s.slots.end() ? nullptr : &*found;
}
template <class State>
auto queued_as(State& s, const std::string& id) {
    return std::find_if(s.queue.begin(), s.queue.end(), [&](const lane::job& j) { return j.id == id; });
}
std::size_t in_flight(const lane::state& s) {
    return static_cast<std::size_t>(std::count_if(s.slots.begin(), s.slots.end(), [](const lane::slot& x) { return !x.mined; }));
}
// The one that the chain waits for. Those behind it cannot be mined before it is, whatever they pay.
const lane::slot* first_in_line(const lane::state& s) {
    const auto found = std::find_if(s.slots.begin(), s.slots.end(), [](const lane::slot& x) { return !x.mined; });
    return found == s.slots.end() ? nullptr : &*found;
}

// One overload a command: a missing one does not compile.
struct rules {
    using verdicts = decision<lane::event>;
    const lane::state& s;
    instant now;

    verdicts operator()(const lane::submit& c) const {
        if (lane::knows(s, c.what.id)) return {};
        if (s.queue.size() >= lane::most_queued) return refusal{"rail_busy", "too many payments wait for this key"};
        if (c.what.not_after <= now) return refusal{"too_late", "its time has passed"};
        return lane::queued{c.signer, c.what};
    }
    verdicts operator()(const deadline_passed&) const {
        verdicts all;
        for (const auto& j : s.queue)
            if (j.not_after <= now) all.events.emplace_back(lane::refused{j.id, {"too_late", "it could not be sent while it was valid"}});
        if (const auto* first = first_in_line(s); first && !first->attempts.empty() && first->due <= now) {
            const bool signing = static_cast<std::size_t>(first->rounds) > first->attempts.size();
            all.events.emplace_back(lane::stalled{first->nonce, !signing && first->attempts.size() < lane::most_attempts, now + lane::patience});
        }
        return all;
    }
    verdicts operator()(const outcome<lane::estimate>& o) const {
        if (queued_as(s, o.of.what.id) == s.queue.end() || o.said != verdict::done) return {};
        if (o.found.refused) return lane::refused{o.of.what.id, *o.found.refused};
        if (in_flight(s) >= lane::most_in_flight || s.slots.size() >= lane::most_buried_later) return {}; // asked again when there is room
        // With nothing under way the chain knows best: it may have been reset, or the key used elsewhere. Else it may not have heard of the last ones.
        const auto nonce = s.slots.empty() ? o.found.next : std::max(s.next, o.found.next);
        return lane::allotted{o.of.what.id, nonce, o.found.gas, now, now + lane::patience};
    }
    verdicts operator()(const outcome<lane::sign>& o) const {
        const auto* x = slot_at(s, o.of.nonce);
        if (!x || o.said != verdict::done || x->what.id != o.of.what.id || o.of.round != static_cast<std::int64_t>(x->attempts.size()) + 1) return {};
        // Signed at the fee of another time: what this nonce stood for before, perhaps.
        if (!x->attempts.empty() && (o.found.made.tip <= x->attempts.back().tip || o.found.made.most <= x->attempts.back().most)) return {};
        return lane::signed_one{x->nonce, o.found.made};
    }
    verdicts operator()(const outcome<lane::land>& o) const {
        const auto* x = slot_at(s, o.of.nonce);
        if (!x || x->mined || o.said != verdict::done) return {};
        if (o.found.displaced) return lane::displaced{x->nonce};
        if (!o.found.at) return {};
        const bool ours = std::any_of(x->attempts.begin(), x->attempts.end(), [&](const lane::attempt& a) { return a.hash == o.found.at->hash; });
        if (!ours) return {};
        return lane::mined{x->nonce, x->what.id, *o.found.at};
    }
    verdicts operator()(const outcome<lane::bury>& o) const {
        const auto* x = slot_at(s, o.of.nonce);
        if (!x || !x->mined || x->mined->block_hash != o.of.at.block_hash || o.said != verdict::done) return {};
        if (o.found.gone) return lane::reorganised{x->nonce, now + lane::patience};
        if (!o.of.for_good) {
            if (x->confirmed) return {};
            return lane::confirmed{x->nonce, x->what.id, *x->mined};
        }
        if (!x->confirmed) return {};
        return lane::buried{x->nonce, x->what.id, x->confirmed && !x->mined->succeeded};
    }
};

} // namespace

bool lane::knows(const state& s, const std::string& id) {
    return queued_as(s, id) != s.queue.end() || std::any_of(s.slots.begin(), s.slots.end(), [&](const slot& x) { return x.what.id == id; });
}

decision<lane::event> lane::decide(const state& s, const command& c, instant now) { return std::visit(rules{s, now}, c); }

lane::state lane::evolve(state s, const event& e) {
    const auto forget = [&s](const std::string& id) {
        if (const auto at = queued_as(s, id); at != s.queue.end()) s.queue.erase(at);
    };
    const auto with = [&s](std::int64_t nonce, auto&& change) {
        if (auto* x = slot_at(s, nonce)) change(*x);
    };
    const auto release = [&s](std::int64_t nonce) { std::erase_if(s.slots, [nonce](const slot& x) { return x.nonce == nonce; }); };
    match(
        e,
        [&](const queued& x) { s.signer = x.signer, s.queue.push_back(x.what); },
        [&](const refused& x) { forget(x.id); },
        [&](const allotted& x) {
            const auto at = queued_as(s, x.id);
            if (at == s.queue.end()) return;
            slot made;
            made.nonce = x.nonce, made.gas = x.gas, made.what = *at, made.since = x.at, made.due = x.due;
            s.queue.erase(at);
            s.slots.push_back(std::move(made));
            std::sort(s.slots.begin(), s.slots.end(), [](const slot& a, const slot& b) { return a.nonce < b.nonce; });
            s.next = x.nonce + 1;
        },
        [&](const signed_one& x) { with(x.nonce, [&](slot& at) { at.attempts.push_back(x.made); }); },
        [&](const mined& x) { with(x.nonce, [&](slot& at) { at.mined = x.at; }); },
        [&](const confirmed& x) { with(x.nonce, [&](slot& at) { at.confirmed = true; }); },
        [&](const reorganised& x) { ++s.reorganised, with(x.nonce, [&](slot& at) { at.mined.reset(), at.due = x.due; }); },
        [&](const buried& x) { s.lost += x.lost, release(x.nonce); },
        [&](const displaced& x) {
            if (const auto* at = slot_at(s, x.nonce)) s.queue.insert(s.queue.begin(), at->what);
            release(x.nonce);
        },
        [&](const stalled& x) { with(x.nonce, [&](slot& at) { at.rounds += x.another_round, at.due = x.due; }); });
    return s;
}

std::vector<lane::effect> lane::effects(const state& s) {
    std::vector<effect> all;
    // As many as could get a nonce: one estimate that waits for an answer does not hold up the others.
    auto room = most_in_flight - std::min(in_flight(s), most_in_flight);
    if (s.slots.size() >= most_buried_later) room = 0;
    for (const auto& j : s.queue) {
        if (room-- == 0) break;
        all.push_back(estimate{s.signer, j});
    }
    for (const auto& x : s.slots) {
        if (x.mined) {
            all.push_back(bury{x.nonce, *x.mined, x.confirmed});
            continue;
        }
        if (static_cast<std::int64_t>(x.attempts.size()) < x.rounds) {
            sign f{s.signer, x.nonce, x.gas, x.rounds, x.what};
            if (!x.attempts.empty()) f.above_tip = x.attempts.back().tip, f.above_most = x.attempts.back().most;
            all.push_back(std::move(f));
        }
        if (x.attempts.empty()) continue;
        land f{s.signer, x.nonce, x.attempts.back().raw, {}, {}, x.what.expects, x.since};
        for (const auto& a : x.attempts) f.hashes.push_back(a.hash), f.prices.push_back(a.most);
        all.push_back(std::move(f));
    }
    return all;
}

// A key waits for ever; whoever runs it wants an hour all the same.
std::optional<instant> lane::deadline(const state& s) {
    constexpr instant never{std::chrono::seconds{32'503'680'000}}; // the year 3000
    auto first = never;
    for (const auto& j : s.queue) first = std::min(first, j.not_after);
    if (const auto* x = first_in_line(s); x && !x->attempts.empty()) first = std::min(first, x->due);
    return first;
}

} // namespace souk
