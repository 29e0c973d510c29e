#include <souk/actors/offerings/standing.hpp>

#include <souk/messages/bytes.hpp>
#include <souk/messages/crypto.hpp>

namespace souk {

namespace {

using namespace std::chrono_literals;
using phase = standing_offer::phase;
constexpr auto look_again = 10min; // at a repository that is away

struct rules {
    using verdicts = decision<standing_offer::event>;
    const standing_offer::state& s;
    instant now;

    verdicts operator()(const standing_offer::offer& c) const {
        const bool anew = s.at == phase::none || s.at == phase::gone;
        if (!anew && s.at != phase::withdrawing && c.says == s.says) return {};
        return standing_offer::offered{c.key, c.says, anew ? now : s.since, now, now + look_again};
    }
    verdicts operator()(const standing_offer::end&) const {
        if (s.at == phase::publishing || s.at == phase::standing) return standing_offer::withdrawing{now + look_again};
        return {};
    }
    verdicts operator()(const deadline_passed&) const {
        switch (s.at) {
        case phase::standing: return standing_offer::renewing{now, now + look_again};
        case phase::publishing:
        case phase::withdrawing: return standing_offer::overdue{now + look_again};
        default: return {};
        }
    }
    verdicts operator()(const outcome<standing_offer::publish>& o) const {
        if (s.at != phase::publishing || o.of.says != s.says || o.of.renewed != s.renewed) return {}; // of what it said before
        if (o.said == verdict::done) return standing_offer::published{o.found.ref, now + standing_offer::renewed_every};
        if (o.said == verdict::failed) return standing_offer::refused{o.why};
        return {};
    }
    verdicts operator()(const outcome<standing_offer::withdraw>& o) const {
        if (s.at == phase::withdrawing && o.said == verdict::done) return standing_offer::withdrawn{};
        return {};
    }
};

} // namespace

std::string standing_offer::publish::id() const { return "offer/" + key + '/' + to_hex(crypto::sha256(says.data)).substr(0, 16); }

decision<standing_offer::event> standing_offer::decide(const state& s, const command& c, instant now) { return std::visit(rules{s, now}, c); }

standing_offer::state standing_offer::evolve(state s, const event& e) {
    match(
        e,
        [&](const offered& x) { s.at = phase::publishing, s.key = x.key, s.says = x.says, s.since = x.since, s.renewed = x.at, s.due = x.due, s.why.clear(); },
        [&](const renewing& x) { s.at = phase::publishing, s.renewed = x.at, s.due = x.due; },
        [&](const published& x) { s.at = phase::standing, s.ref = x.ref, s.due = x.due; },
        [&](const withdrawing& x) { s.at = phase::withdrawing, s.due = x.due; },
        [&](const withdrawn&) { s.at = phase::gone, s.ref = {}; },
        [&](const refused& x) { s.at = phase::gone, s.why = x.why; },
        [&](const overdue& x) { s.due = x.due; });
    return s;
}

std::vector<standing_offer::effect> standing_offer::effects(const state& s) {
    if (s.at == phase::publishing) return {publish{s.key, s.says, s.since, s.renewed}};
    if (s.at == phase::withdrawing) return {withdraw{s.key}};
    return {};
}

} // namespace souk
