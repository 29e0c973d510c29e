// Verdicts over a graph of ten thousand vouches: drawn from what is known, and with somebody's records changed before each.
#include <random>

#include <souk/actors/policy/chain.hpp>
#include <souk/runtime/bench/bench.hpp>
#include <souk/runtime/bench/measure.hpp>

namespace souk::bench {

namespace {

constexpr unsigned people = 1'000, vouches = 10; // each of them for so many

std::string did(unsigned i) { return "did:plc:" + std::string(20, 'a') + std::to_string(1'000 + i); }

std::vector<trust_mark> said_by(unsigned who, std::mt19937& dice) {
    std::vector<trust_mark> all;
    for (unsigned k = 0; k < vouches; ++k) {
        trust_mark m;
        m.by = did(who), m.about = did(static_cast<unsigned>(dice() % people)), m.kind = policy::vouched_for, m.weight = 50 + static_cast<std::int64_t>(dice() % 51);
        m.record = {"at://" + m.by + "/sh.tangled.graph.vouch/" + m.about, cid::of_raw(m.by + m.about).text()};
        all.push_back(std::move(m));
    }
    return all;
}

} // namespace

std::vector<row> verdicts(const settings& s) {
    std::mt19937 dice(1);
    policy::facts known;
    known.self = did(0), known.now = instant{std::chrono::seconds{1'778'312'530}};
    for (unsigned who = 0; who < people; ++who) known.trust.replace(did(who), said_by(who, dice));
    const auto chain = policy::chain_of({"denounced reach=2", "vouched depth=3 decay=50 least=1", "price at-most 0.10 per hour", "expiry", "location", "tier"});
    known.reach = policy::needs_of(chain).reach;
    policy_question q;
    q.perspective = "requester", q.price = 60'000, q.slice = 3600;
    unsigned next = 0;
    std::size_t allowed = 0, asked = 0;
    const auto verdict = [&] {
        q.subject = did(++next % people);
        const auto v = policy::judge(q, known, chain);
        allowed += v.allowed, ++asked;
        used(v);
    };
    const auto changed = said_by(7, dice);
    const auto found = rates(s.repetitions, verdict, [&] { known.trust.replace(did(7), changed), verdict(); });
    if (allowed == 0 || allowed == asked) throw std::runtime_error("a graph in which all verdicts are the same measures nothing");
    const auto size = std::to_string(known.trust.marks());
    return {{"verdicts over " + size + " vouches, depth 3, reach 2", found[0], "/s", found[1], "records change before each", 5'000},
            {"the same, somebody's records changed before each", found[1], "/s", 0, "", 0, false, true}};
}

} // namespace souk::bench
