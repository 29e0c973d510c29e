#include <souk/actors/launcher/machine.hpp>

#include <souk/actors/common/planted.hpp>

namespace souk {

namespace {

using namespace std::chrono_literals;
using phase = machine::phase;
constexpr auto alarm_every = 10min;

struct rules {
    using verdicts = decision<machine::event>;
    const machine::state& s;
    instant now;

    verdicts stop_because(std::string why) const { return machine::stopping{std::move(why), now + alarm_every, now}; }

    verdicts operator()(const machine::reserve& c) const {
        if (s.at != phase::none) {
            if (c.what.tag == s.room.tag && c.what.mem_mib == s.room.mem_mib && c.what.cpus == s.room.cpus) return {};
            return refusal{"tag_conflict", "this tag already stands for another machine"};
        }
        if (c.what.until <= now) return refusal{"expired", "the reservation is already over"};
        return machine::reserved{c.what, now};
    }
    verdicts operator()(const machine::launch& c) const {
        if (s.at == phase::launching || s.at == phase::running) return {};
        if (s.at == phase::stopping || s.at == phase::gone) return refusal{"machine_over", s.why};
        if (s.at != phase::reserved) return refusal{"not_reserved", "there is no reservation to launch"};
        if (c.what.not_after <= now) return refusal{"expired", "the time to launch is over"};
        return machine::launching{c.what, c.what.not_after, now};
    }
    verdicts operator()(const machine::stop& c) const {
        switch (s.at) {
        case phase::none: return refusal{"unknown_machine", "no such machine"};
        case phase::reserved: return machine::gone{c.why, now};
        case phase::launching:
        case phase::running: return stop_because(c.why);
        default: return {};
        }
    }
    verdicts operator()(const deadline_passed&) const {
        switch (s.at) {
        case phase::reserved: return machine::gone{"reservation expired", now};
        case phase::launching: return stop_because("did not start in time");
        case phase::running: return stop_because("the lease ended"); // armed here too: a head that is lost must not leave it running for ever
        case phase::stopping: return machine::overdue{now + alarm_every};
        default: return {};
        }
    }
    verdicts operator()(const outcome<machine::create>& o) const {
        if (s.at != phase::launching || o.said == verdict::unknown) return {};
        if (o.said == verdict::done) return machine::running{o.found.where, now};
        return stop_because(o.why); // a backend can create and then err: absence is confirmed, never assumed
    }
    // A create still under way could arrive after an early look: absence counts once no create can succeed any more, by the clock or by
    // the word of whoever passes creates on, or when the machine had been seen running, since then its create is over.
    verdicts operator()(const outcome<machine::destroy>& o) const {
        if (planted(defect::end_unconfirmed) && s.at == phase::stopping) return machine::gone{s.why, now};
        if (s.at != phase::stopping || o.said != verdict::done) return {};
        if (s.where.host.empty() && !o.found.final && o.found.as_of <= s.create_until) return {};
        return machine::gone{s.why, now};
    }
    // Only what the backend has confirmed as absent is lost; a look that fails says nothing.
    verdicts operator()(const outcome<machine::observe>& o) const {
        if (s.at != phase::running || o.said != verdict::done || o.found.is != compute::presence::absent) return {};
        return stop_because("lost: the machine ended by itself");
    }
};

} // namespace

decision<machine::event> machine::decide(const state& s, const command& c, instant now) {
    return std::visit(rules{s, now}, c);
}

machine::state machine::evolve(state s, const event& e) {
    match(
        e,
        [&](const reserved& x) { s.at = phase::reserved, s.room = x.room, s.since = x.at, s.due = x.room.until; },
        [&](const launching& x) { s.at = phase::launching, s.what = x.what, s.since = x.at, s.create_until = s.due = x.not_after; },
        [&](const running& x) { s.at = phase::running, s.where = x.where, s.since = x.at, s.due = s.what.ends, let_go(s.what.user_data), let_go(s.what.ssh_key); },
        [&](const stopping& x) { s.at = phase::stopping, s.why = x.why, s.since = x.at, s.due = x.look_again, let_go(s.what.user_data), let_go(s.what.ssh_key); },
        [&](const gone& x) { s.at = phase::gone, s.why = x.why, s.since = x.at; },
        [&](const overdue& x) { s.due = x.look_again, ++s.alarms; });
    return s;
}

std::vector<machine::effect> machine::effects(const state& s) {
    if (s.at == phase::launching) return {create{s.room, s.what, s.create_until}};
    if (s.at == phase::running) return {observe{s.what.tag}};
    if (s.at == phase::stopping) return {destroy{s.what.tag}};
    return {};
}

std::optional<instant> machine::deadline(const state& s) {
    if (s.at == phase::none || is_final(s)) return std::nullopt;
    return s.due;
}

std::vector<std::string> orphans(const std::vector<std::string>& listed, const std::function<machine::state(const std::string& tag)>& durable) {
    std::vector<std::string> found;
    for (const auto& tag : listed)
        if (!machine::owns_instance(durable(tag))) found.push_back(tag);
    return found;
}

} // namespace souk
