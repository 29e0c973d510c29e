#include "virtual_time.hpp"

#include <algorithm>
#include <random>
#include <set>

#include <souk/actors/policy/graph.hpp>

using namespace souk;
using policy::trust_graph;
using policy::vouching;

namespace {

const instant noon{std::chrono::seconds{1'778'312'530}};

trust_mark mark(const std::string& by, const std::string& about, const std::string& kind = "vouch", std::int64_t weight = 100, std::optional<instant> expires = {}) {
    trust_mark m;
    m.by = by, m.about = about, m.kind = kind, m.weight = weight, m.expires = expires;
    m.record = {"at://" + by + "/sh.tangled.graph.vouch/" + about, "c-" + by + '-' + about};
    return m;
}
std::string name(unsigned i) { return "did:plc:p" + std::to_string(i); }
std::string names(const trust_graph::chain& c) {
    std::string all;
    for (const auto* m : c.marks) all += (all.empty() ? m->by + '>' : ">") + m->about;
    return all;
}

// The same questions answered in the plainest way, straight from the words of graph.hpp: sets, and all simple paths.
struct naive {
    std::vector<trust_mark> marks;
    std::string self;
    instant now;

    bool says(const std::string& by, const std::string& about, bool veto) const {
        return std::any_of(marks.begin(), marks.end(), [&](const trust_mark& m) {
            return m.by == by && m.about == about && by != about && (m.kind == "vouch") != veto && (!m.expires || *m.expires > now);
        });
    }
    std::set<std::string> everybody() const {
        std::set<std::string> all{self};
        for (const auto& m : marks) all.insert(m.by), all.insert(m.about);
        return all;
    }
    std::map<std::string, unsigned> circle(unsigned steps, unsigned reach) const { // who, and how many steps away
        std::map<std::string, unsigned> in{{self, 0}};
        for (unsigned at = 0; at < steps; ++at) {
            const auto is_out = [&](const std::string& who) {
                return std::any_of(in.begin(), in.end(), [&](const auto& x) { return x.second <= std::min(at, reach) && says(x.first, who, true); });
            };
            std::set<std::string> next;
            for (const auto& who : everybody())
                for (const auto& [by, away] : in)
                    if (away == at && !in.count(who) && !is_out(who) && (by == self || !is_out(by)) && says(by, who, false)) next.insert(who);
            for (const auto& who : next) in.emplace(who, at + 1);
        }
        return in;
    }
    std::set<std::string> vetoed(unsigned reach) const {
        std::set<std::string> out;
        for (const auto& [by, away] : circle(reach, reach))
            for (const auto& who : everybody())
                if (who != self && says(by, who, true)) out.insert(who);
        return out;
    }
    std::int64_t best(const std::string& about, const vouching& how, unsigned reach) const {
        const auto out = vetoed(reach);
        std::int64_t found = 0;
        std::set<std::string> way{self};
        const std::function<void(const std::string&, unsigned, std::int64_t)> walk = [&](const std::string& from, unsigned steps, std::int64_t score) {
            if (from == about) return void(found = std::max(found, score));
            if (steps == how.depth || (steps > 0 && out.count(from))) return;
            for (const auto& m : marks) {
                if (m.by != from || m.kind != "vouch" || (m.expires && *m.expires <= now) || way.count(m.about)) continue;
                auto left = score * m.weight / 100;
                if (steps > 0) left = left * how.decay / 100;
                if (left <= 0) continue;
                way.insert(m.about);
                walk(m.about, steps + 1, left);
                way.erase(m.about);
            }
        };
        walk(self, 0, trust_graph::whole);
        return about == self ? 0 : found;
    }
};

void agrees(const trust_graph& g, const naive& n, const vouching& how, unsigned reach) {
    const auto levels = g.circle(n.self, how.depth, reach, n.now);
    std::map<std::string, unsigned> flat;
    for (unsigned at = 0; at < levels.size(); ++at)
        for (const auto& who : levels[at]) CHECK(flat.emplace(who, at).second);
    REQUIRE(flat == n.circle(how.depth, reach));
    const auto out = n.vetoed(reach);
    for (const auto& who : n.everybody()) {
        CAPTURE(who);
        REQUIRE(!g.vetoes(n.self, who, reach, n.now).empty() == (out.count(who) > 0));
        const auto best = g.best(n.self, who, how, reach, n.now);
        REQUIRE(best.score == n.best(who, how, reach));
        // The chain is one: it begins here, ends there, hangs together, is short enough, and brings what is said of it.
        REQUIRE(best.marks.empty() == (best.score == 0));
        if (best.marks.empty()) continue;
        REQUIRE(best.marks.size() <= how.depth);
        auto score = trust_graph::whole;
        auto at = n.self;
        for (const auto* m : best.marks) {
            REQUIRE(m->by == at);
            REQUIRE((m->kind == "vouch" && policy::holds(*m, n.now)));
            if (at != n.self) REQUIRE(!out.count(at));
            score = score * m->weight / 100;
            if (at != n.self) score = score * how.decay / 100;
            at = m->about;
        }
        REQUIRE(at == who);
        REQUIRE(score == best.score);
    }
}

} // namespace

TEST_CASE("every graph of three people is judged as its definition says") {
    // Six directed pairs, each silent, a vouch, a denouncement, or a weak vouch: 4096 graphs, every depth and reach that makes a difference.
    for (unsigned graph = 0; graph < 4096; ++graph) {
        std::vector<trust_mark> marks;
        auto bits = graph;
        for (unsigned a = 0; a < 3; ++a)
            for (unsigned b = 0; b < 3; ++b) {
                if (a == b) continue;
                const auto what = bits & 3u;
                bits >>= 2;
                if (what) marks.push_back(mark(name(a), name(b), what == 2 ? "denounce" : "vouch", what == 3 ? 50 : 100));
            }
        const trust_graph g(marks);
        const naive n{marks, name(0), noon};
        for (unsigned depth = 1; depth <= 3; ++depth)
            for (unsigned reach = 0; reach <= 2; ++reach) {
                CAPTURE(graph);
                agrees(g, n, {depth, 50, 1}, reach);
            }
    }
}

TEST_CASE("graphs thrown together are judged as their definition says, with weights, ends, cycles, self-vouches, and people who change their minds") {
    std::mt19937 dice(20261121);
    const auto roll = [&](unsigned n) { return static_cast<unsigned>(dice() % n); };
    for (int round = 0; round < 150; ++round) {
        const unsigned people = 3 + roll(6);
        const auto said_by = [&](unsigned who) {
            std::vector<trust_mark> all;
            for (unsigned about = 0; about < people; ++about) { // about oneself, too
                if (roll(3) == 0) continue;
                static const char* const kinds[] = {"vouch", "vouch", "vouch", "denounce", "unreadable"};
                std::optional<instant> end;
                if (roll(3) == 0) end = noon + std::chrono::hours{static_cast<int>(roll(5)) - 2};
                all.push_back(mark(name(who), name(about), kinds[roll(5)], 1 + roll(100), end));
            }
            return all;
        };
        trust_graph g;
        std::map<std::string, std::vector<trust_mark>> all;
        for (unsigned who = 0; who < people; ++who) REQUIRE(g.replace(name(who), all[name(who)] = said_by(who)));
        for (int change = 0; change < 4; ++change) {
            naive n{{}, name(0), noon + std::chrono::hours{static_cast<int>(roll(5)) - 2}};
            for (const auto& [by, marks] : all) n.marks.insert(n.marks.end(), marks.begin(), marks.end());
            agrees(g, n, {1 + roll(5), 1 + roll(100), 1}, roll(4));
            const auto who = roll(people);
            if (roll(4) == 0) g.forget(name(who)), all.erase(name(who));
            else REQUIRE(g.replace(name(who), all[name(who)] = said_by(who)));
        }
    }
}

TEST_CASE("what is said in another's name, or of oneself, is nothing") {
    trust_graph g;
    CHECK(g.replace("did:plc:eve", {mark("did:plc:alice", "did:plc:eve"), mark("did:plc:eve", "did:plc:eve"), mark("did:plc:alice", "did:plc:bob", "denounce")}));
    CHECK(g.marks() == 0);
    CHECK(g.best("did:plc:alice", "did:plc:eve", {8, 100, 1}, 8, noon).score == 0);
    CHECK(g.vetoes("did:plc:alice", "did:plc:bob", 8, noon).empty());
}

TEST_CASE("the best chain counts, not the first and not the sum; fewer steps win a tie") {
    const trust_graph g({mark("a", "b", "vouch", 10), mark("a", "c"), mark("c", "b"), mark("a", "d", "vouch", 50), mark("c", "d")});
    CHECK(names(g.best("a", "b", {2, 50, 1}, 0, noon)) == "a>c>b");
    CHECK(g.best("a", "b", {2, 50, 1}, 0, noon).score == trust_graph::whole / 2);
    CHECK(names(g.best("a", "d", {2, 50, 1}, 0, noon)) == "a>d");
}

TEST_CASE("a longer chain that is better up to a friend does not make the friend's friend too far away") {
    // To c: a>c brings 10, a>b>c brings 90. To d in two steps there is only a>c>d; in three, the better one.
    const trust_graph g({mark("a", "c", "vouch", 10), mark("a", "b"), mark("b", "c", "vouch", 90), mark("c", "d")});
    CHECK(names(g.best("a", "d", {2, 100, 1}, 0, noon)) == "a>c>d");
    CHECK(names(g.best("a", "d", {3, 100, 1}, 0, noon)) == "a>b>c>d");
}

TEST_CASE("what was concluded falls when a vouch is withdrawn, and when one expires") {
    trust_graph g({mark("a", "b"), mark("b", "c", "vouch", 100, noon + 1h)});
    const vouching how{2, 50, 1};
    CHECK(g.best("a", "c", how, 0, noon).score > 0);
    CHECK(g.best("a", "c", how, 0, noon + 1h).score == 0);
    CHECK(g.best("a", "c", how, 0, noon).score > 0); // and asked about an earlier time, it is as it was
    g.replace("b", {});
    CHECK(g.best("a", "c", how, 0, noon).score == 0);
    g.replace("b", {mark("b", "c")});
    CHECK(g.best("a", "c", how, 0, noon).score > 0);
    g.forget("a");
    CHECK(g.best("a", "c", how, 0, noon).score == 0);
}

TEST_CASE("a graph holds so much and no more, and what does not fit is nobody's word") {
    trust_graph g;
    std::vector<trust_mark> many;
    for (unsigned i = 0; i <= trust_graph::most_marks; ++i) many.push_back(mark("a", name(i)));
    CHECK(!g.replace("a", many));
    CHECK(g.marks() == 0);
    many.pop_back();
    CHECK(g.replace("a", std::move(many)));
    CHECK(!g.replace("b", {mark("b", "c")}));
    CHECK(g.of("b").empty());
    g.forget("a");
    CHECK(g.replace("b", {mark("b", "c")}));
}

TEST_CASE("around somebody: the ways to him, what is said of him and what he says; nothing besides") {
    const trust_graph g({mark("a", "b"), mark("b", "c"), mark("c", "x"), mark("a", "z"), mark("z", "y"), mark("q", "x", "denounce"), mark("x", "b"), mark("q", "r")});
    std::set<std::string> got;
    for (const auto& m : g.around("a", "x", 3, noon)) got.insert(m.by + '>' + m.about);
    CHECK(got == std::set<std::string>{"a>b", "b>c", "c>x", "q>x", "x>b"});
    got.clear();
    for (const auto& m : g.around("a", "x", 2, noon)) got.insert(m.by + '>' + m.about);
    CHECK(got == std::set<std::string>{"c>x", "q>x", "x>b"}); // too far for a way
}
