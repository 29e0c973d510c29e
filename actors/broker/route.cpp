#include <souk/actors/broker/route.hpp>

#include <souk/actors/common/planted.hpp>

namespace souk {

namespace {

using namespace std::chrono_literals;
using phase = route::phase;
constexpr auto kept_down = std::chrono::hours{24 * 30}; // a name that nobody serves is let go
constexpr auto look_again = std::chrono::hours{24};     // an open one is nobody's deadline, but somebody looks
constexpr auto cut_within = 1min;
constexpr auto withheld = std::chrono::hours{24 * 30}; // one that was taken away

struct rules {
    using verdicts = decision<route::event>;
    const route::state& s;
    instant now;

    verdicts operator()(const route::claim& c) const {
        const auto& w = c.what;
        verdicts said;
        if (s.at == phase::none || s.at == phase::released) {
            if (!w.up) return {};
            said.events.push_back(route::claimed{w.label, w.did, w.handle, w.service, now});
            said.events.push_back(route::went_up{now, now + look_again});
            return said;
        }
        if (s.at == phase::cutting || s.at == phase::withdrawn) {
            if (!w.up) return {};
            return refusal{"label_revoked", "this relay has withdrawn the name " + s.label + ": " + s.why};
        }
        if ((w.did != s.did || w.handle != s.handle || w.service != s.service) && !planted(defect::name_not_owned)) {
            if (!w.up) return {};
            return refusal{"label_taken", "the name " + s.label + " belongs to another account or service"};
        }
        if (w.up && s.at == phase::down) return route::went_up{now, now + look_again};
        if (!w.up && s.at == phase::up && !planted(defect::route_stays_up)) return route::went_down{now, now + kept_down};
        return {};
    }
    verdicts operator()(const route::restarted&) const {
        if (s.at == phase::up) return route::went_down{now, now + kept_down};
        return {};
    }
    verdicts operator()(const route::revoke& c) const {
        if (s.at == phase::none || s.at == phase::released) return refusal{"unknown_name", "nobody has that name"};
        if (s.at == phase::cutting || s.at == phase::withdrawn) return {};
        return route::cutting{c.why, now, now + cut_within};
    }
    verdicts operator()(const deadline_passed&) const {
        switch (s.at) {
        case phase::up: return route::seen{now + look_again};
        case phase::down: return route::released{"nobody served it"};
        case phase::cutting: return route::seen{now + cut_within};
        case phase::withdrawn: return route::released{"withheld for long enough"};
        default: return {};
        }
    }
    verdicts operator()(const outcome<route::cut>& o) const {
        if (s.at == phase::cutting && o.said == verdict::done) return route::withdrawn{now, now + withheld};
        return {};
    }
};

} // namespace

decision<route::event> route::decide(const state& s, const command& c, instant now) { return std::visit(rules{s, now}, c); }

route::state route::evolve(state s, const event& e) {
    match(
        e,
        [&](const claimed& x) { s = {phase::down, x.label, x.did, x.handle, x.service, x.at, x.at, {}}; },
        [&](const went_up& x) { s.at = phase::up, s.since = x.at, s.due = x.due; },
        [&](const went_down& x) { s.at = phase::down, s.since = x.at, s.due = x.due; },
        [&](const cutting& x) { s.at = phase::cutting, s.why = x.why, s.since = x.at, s.due = x.due; },
        [&](const withdrawn& x) { s.at = phase::withdrawn, s.since = x.at, s.due = x.due; },
        [&](const released&) { s.at = phase::released; },
        [&](const seen& x) { s.due = x.due; });
    return s;
}

} // namespace souk
