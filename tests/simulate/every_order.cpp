// Each message between the two sides of one contract, and between them and the rail, is lost, repeated, overtaken or late: every single one
// in every such way on every path that a contract can take, and every two of them together. A contract may come to nothing then; money and
// machines are right all the same.
#include <atomic>
#include <thread>

#include "turns.hpp"

namespace {

struct sum {
    std::atomic<std::uint64_t> runs = 0, delivered = 0;
};

// On both cores. Where a machine is usually delivered, it is in most of them: nothing is right because nothing happens.
void each(const path& way, bool delivers, const std::vector<std::vector<turn_of_events>>& all, sum& total) {
    std::atomic<std::size_t> next = 0, delivered = 0;
    const auto work = [&] {
        for (std::size_t i; (i = next++) < all.size();) {
            const auto e = live(way, all[i]);
            ++total.runs, total.delivered += e.delivered, delivered += e.delivered;
            if (e.broken.empty()) continue;
            std::string name = way.name;
            for (const auto& t : all[i]) name += "; " + text_of(t);
            for (const auto& b : e.broken) FAIL_CHECK(name << ": " << b);
        }
    };
    std::thread other(work);
    work();
    other.join();
    if (delivers) CHECK_MESSAGE(delivered * 2 > all.size(), way.name << ": delivered in " << delivered.load() << " of " << all.size());
}

} // namespace

TEST_CASE("each message lost, repeated, overtaken or late: money and machines are right") {
    sum total;
    std::size_t messages = 0;
    for (const auto& way : paths()) {
        const auto usual = live(way, {});
        CHECK(usual.broken.empty());
        std::vector<std::vector<turn_of_events>> all;
        for (std::size_t i = 0; i < usual.messages.size(); ++i)
            for (const auto& f : fates(usual.messages[i].second)) all.push_back({{i + 1, f}});
        messages += usual.messages.size();
        each(way, usual.delivered, all, total);
    }
    MESSAGE(paths().size() << " paths, " << messages << " messages, " << total.runs.load() << " orders of things, " << total.delivered.load() << " of them with a machine delivered");
}

namespace {

// What `deep` more of them can become, after those that `so_far` has.
void deeper(const path& way, const std::vector<turn_of_events>& so_far, unsigned deep, std::vector<std::vector<turn_of_events>>& into) {
    const auto run = live(way, so_far); // what is sent afterwards depends on it
    for (std::size_t i = so_far.empty() ? 0 : so_far.back().message; i < run.messages.size(); ++i)
        for (const auto& f : few_fates(run.messages[i].first, run.messages[i].second)) {
            auto more = so_far;
            more.push_back({i + 1, f});
            if (deep > 1) deeper(way, more, deep - 1, into);
            else into.push_back(std::move(more));
        }
}

} // namespace

// Where a path has more pairs than can be walked in CI's time, every so-and-so-many-th of them, evenly over the path.
//   SOUK_PAIRS=N    at most N a path; 0: all of them
//   SOUK_DEPTH=3    any three, however many they are
TEST_CASE("any two messages lost, repeated, overtaken or late: money and machines are right") {
    sum total;
    const auto *deep = std::getenv("SOUK_DEPTH"), *pairs = std::getenv("SOUK_PAIRS");
    const auto asked = pairs ? std::strtoull(pairs, nullptr, 10) : deep ? 0 : 60;
    const std::size_t at_most = asked ? asked : std::numeric_limits<std::size_t>::max();
    std::size_t there = 0;
    for (const auto& way : paths()) {
        std::vector<std::vector<turn_of_events>> all;
        deeper(way, {}, deep ? static_cast<unsigned>(std::atoi(deep)) : 2, all);
        there += all.size();
        if (const auto step = (all.size() + at_most - 1) / at_most; step > 1) {
            std::vector<std::vector<turn_of_events>> some;
            for (std::size_t i = 0; i < all.size(); i += step) some.push_back(std::move(all[i]));
            all = std::move(some);
        }
        each(way, live(way, {}).delivered, all, total);
    }
    MESSAGE(paths().size() << " paths, " << total.runs.load() << " of " << there << " orders of things, " << total.delivered.load() << " of them with a machine delivered");
}
