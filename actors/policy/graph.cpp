#include <souk/actors/policy/graph.hpp>

#include <algorithm>
#include <set>
#include <string_view>
#include <unordered_set>

namespace souk::policy {

namespace {

bool is_veto(const trust_mark& m) { return m.kind == denounced || m.kind == unreadable; }

} // namespace

struct trust_graph::sweep {
    std::string self;
    unsigned depth = 0, decay = 0, reach = 0;
    instant from, until; // holds in between

    std::vector<std::vector<std::string>> levels; // of the circle, as far as the reach
    std::unordered_map<std::string_view, std::vector<const trust_mark*>> vetoes;
    struct step { // the best that arrives in exactly so many steps, where fewer bring less
        unsigned at = 0;
        std::int64_t score = 0;
        const trust_mark* by = nullptr;
    };
    std::unordered_map<std::string_view, std::vector<step>> best;
};

trust_graph::trust_graph(const std::vector<trust_mark>& all) {
    std::map<std::string, std::vector<trust_mark>> each;
    for (const auto& m : all) each[m.by].push_back(m);
    for (auto& [by, marks] : each) replace(by, std::move(marks));
}

bool trust_graph::replace(const std::string& by, std::vector<trust_mark> marks) {
    forget(by);
    std::erase_if(marks, [&](const trust_mark& m) { return m.by != by || m.about == by; });
    if (by_.size() >= most_people || marks_ + marks.size() > most_marks) return false;
    marks_ += marks.size();
    by_[by] = std::move(marks);
    return true;
}

void trust_graph::forget(const std::string& by) {
    known_.clear();
    const auto found = by_.find(by);
    if (found == by_.end()) return;
    marks_ -= found->second.size();
    by_.erase(found);
}

const std::vector<trust_mark>& trust_graph::of(const std::string& by) const {
    static const std::vector<trust_mark> nothing;
    const auto found = by_.find(by);
    return found == by_.end() ? nothing : found->second;
}

std::vector<std::vector<std::string>> trust_graph::circle(const std::string& self, unsigned steps, unsigned reach, instant now) const {
    std::vector<std::vector<std::string>> levels{{self}};
    std::unordered_set<std::string> inside{self};
    std::unordered_set<std::string_view> out;
    for (unsigned at = 0; at < std::min(steps, deepest); ++at) {
        if (at <= reach)
            for (const auto& who : levels[at])
                for (const auto& m : of(who))
                    if (is_veto(m) && holds(m, now)) out.insert(m.about);
        std::vector<std::string> next;
        for (const auto& who : levels[at]) {
            if (who != self && out.count(who)) continue;
            for (const auto& m : of(who))
                if (m.kind == vouched_for && holds(m, now) && !out.count(m.about) && inside.insert(m.about).second) next.push_back(m.about);
        }
        if (next.empty()) break;
        levels.push_back(std::move(next));
    }
    return levels;
}

const trust_graph::sweep& trust_graph::swept(const std::string& self, unsigned depth, unsigned decay, unsigned reach, instant now) const {
    depth = std::min(depth, deepest), reach = std::min(reach, deepest);
    const auto same = [&](const auto& s) { return s->self == self && s->depth == depth && s->decay == decay && s->reach == reach; };
    if (const auto found = std::find_if(known_.begin(), known_.end(), same); found != known_.end()) {
        if ((*found)->from <= now && now < (*found)->until) return **found;
        known_.erase(found);
    }
    auto s = std::make_shared<sweep>();
    s->self = self, s->depth = depth, s->decay = decay, s->reach = reach, s->from = now, s->until = instant::max();
    const auto looked_at = [&](const trust_mark& m) { // an end that lies ahead ends what is concluded here, too
        if (m.expires && *m.expires > now) s->until = std::min(s->until, *m.expires);
        return holds(m, now);
    };
    s->levels = circle(self, reach, reach, now);
    for (const auto& level : s->levels)
        for (const auto& who : level)
            for (const auto& m : of(who))
                if (looked_at(m) && is_veto(m) && m.about != self) s->vetoes[m.about].push_back(&m);

    std::vector<std::pair<std::string_view, std::int64_t>> arrived{{s->self, whole}};
    for (unsigned at = 1; at <= depth && !arrived.empty(); ++at) {
        std::vector<std::string_view> improved;
        for (const auto& [who, score] : arrived) {
            if (at > 1 && s->vetoes.count(who)) continue;
            for (const auto& m : of(std::string(who))) {
                if (!looked_at(m) || m.kind != vouched_for || m.about == self) continue;
                auto left = score * std::clamp<std::int64_t>(m.weight, 0, 100) / 100;
                if (at > 1) left = left * decay / 100;
                if (left <= 0) continue;
                auto& steps = s->best[m.about];
                if (!steps.empty() && steps.back().score >= left) continue;
                if (!steps.empty() && steps.back().at == at) {
                    steps.back() = {at, left, &m};
                } else {
                    steps.push_back({at, left, &m});
                    improved.push_back(m.about);
                }
            }
        }
        arrived.clear();
        for (const auto who : improved) arrived.emplace_back(who, s->best[who].back().score);
    }
    if (known_.size() >= most_sweeps) known_.erase(known_.begin());
    return *known_.emplace_back(std::move(s));
}

std::vector<const trust_mark*> trust_graph::vetoes(const std::string& self, const std::string& about, unsigned reach, instant now) const {
    const auto& s = swept(self, 0, 0, reach, now);
    const auto found = s.vetoes.find(about);
    return found == s.vetoes.end() ? std::vector<const trust_mark*>{} : found->second;
}

trust_graph::chain trust_graph::best(const std::string& self, const std::string& about, const vouching& how, unsigned reach, instant now) const {
    chain out;
    const auto& s = swept(self, how.depth, how.decay, reach, now);
    const auto found = s.best.find(about);
    if (found == s.best.end()) return out;
    out.score = found->second.back().score;
    const auto* step = &found->second.back();
    for (;;) {
        out.marks.push_back(step->by);
        if (step->at == 1) break;
        const auto& before = s.best.at(step->by->by);
        step = &*std::find_if(before.begin(), before.end(), [at = step->at - 1](const sweep::step& x) { return x.at == at; });
    }
    std::reverse(out.marks.begin(), out.marks.end());
    return out;
}

std::vector<trust_mark> trust_graph::around(const std::string& self, const std::string& about, unsigned steps, instant now) const {
    // Those who lead to him, by the fewest steps that are left to him.
    const auto levels = circle(self, steps, 0, now);
    std::unordered_map<std::string, unsigned> from; // steps from self
    for (unsigned at = 0; at < levels.size(); ++at)
        for (const auto& who : levels[at]) from.emplace(who, at);
    std::unordered_map<std::string, unsigned> left{{about, 0}};
    for (unsigned more = 1; more <= steps; ++more)
        for (const auto& [who, at] : from) {
            if (left.count(who)) continue;
            for (const auto& m : of(who)) {
                const auto next = left.find(m.about);
                if (m.kind != vouched_for || !holds(m, now) || next == left.end() || next->second + 1 != more) continue;
                left.emplace(who, more);
                break;
            }
        }
    std::vector<trust_mark> out;
    const auto on_the_way = [&](const trust_mark& m) {
        const auto a = from.find(m.by), b = left.find(m.about);
        return m.kind == vouched_for && a != from.end() && b != left.end() && a->second + 1 + b->second <= steps;
    };
    for (const auto& level : levels)
        for (const auto& who : level)
            for (const auto& m : of(who))
                if (m.about != about && on_the_way(m)) out.push_back(m);
    for (const auto& [by, marks] : by_)
        for (const auto& m : marks)
            if (m.about == about) out.push_back(m);
    for (const auto& m : of(about)) out.push_back(m);
    return out;
}

} // namespace souk::policy
