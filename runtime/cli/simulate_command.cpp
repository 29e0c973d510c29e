#include <fmt/format.h>

#include <iostream>
#include <thread>

#include <souk/runtime/cli/commands.hpp>
#include <souk/runtime/simulate/simulate.hpp>

namespace souk::cli {

namespace {

std::string grouped(std::uint64_t n) {
    auto digits = std::to_string(n);
    for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3) digits.insert(static_cast<std::size_t>(at), ",");
    return digits;
}

value as_value(const simulate::tally& t) {
    value::list broken;
    for (const auto& s : t.first_broken) {
        value::list promises;
        for (const auto& b : s.broken) promises.push_back(b);
        broken.push_back(value::map{{"seed", static_cast<std::int64_t>(s.seed)}, {"promises", std::move(promises)}});
    }
    const auto n = [](std::uint64_t x) { return static_cast<std::int64_t>(x); };
    return value::map{{"markets", n(t.markets)}, {"lifecycles", n(t.lifecycles)}, {"served", n(t.served)}, {"undone", n(t.undone)}, {"failed", n(t.failed)}, {"refunded", n(t.refunded)},
                      {"machines", n(t.machines)}, {"tunnels", n(t.tunnels)}, {"transfers", n(t.transfers)}, {"streamed", n(t.streamed)}, {"facts", n(t.facts)}, {"events", n(t.events)}, {"simulated_s", n(static_cast<std::uint64_t>(t.simulated.count() / 1000))},
                      {"real_ms", n(static_cast<std::uint64_t>(t.seconds * 1000))}, {"broken", n(t.broken)}, {"first_broken", std::move(broken)}};
}

std::string lines(const simulate::tally& t, const std::string& faults) {
    const auto hours = static_cast<double>(t.simulated.count()) / 3.6e6;
    auto out = fmt::format("{} markets, {} contracts ordered, {} facts, {} events\n", grouped(t.markets), grouped(t.lifecycles), grouped(t.facts), grouped(t.events));
    out += fmt::format("{} delivered a machine, {} ended before that, {} bought nothing; {} got money back\n", grouped(t.served), grouped(t.undone), grouped(t.failed), grouped(t.refunded));
    out += fmt::format("{} machines ran, {} tunnels stood, {} transfers moved money, {} channels were filled\n", grouped(t.machines), grouped(t.tunnels), grouped(t.transfers), grouped(t.streamed));
    out += fmt::format("{} hours of market in {:.1f} s: {} simulated seconds a second\n", grouped(static_cast<std::uint64_t>(hours)), t.seconds, grouped(static_cast<std::uint64_t>(hours * 3600 / t.seconds)));
    for (const auto& s : t.first_broken)
        for (const auto& b : s.broken) out += fmt::format("BROKEN  seed {}: {}\n", s.seed, b);
    if (t.broken == 0) out += "every promise was kept\n";
    else out += fmt::format("{} markets broke a promise; to replay one: souk simulate --seed N --faults {} --story\n", t.broken, faults);
    return out;
}

} // namespace

void add_simulate(CLI::App& app, context& c) {
    static simulate::settings s;
    static std::string faults = "all";
    static bool story = false;
    s.jobs = std::max(1u, std::thread::hardware_concurrency());
    auto* command = app.add_subcommand("simulate", "whole markets in virtual time, with everything going wrong");
    command->add_option("--seed", s.seed, "of the first market: the same seed is the same market");
    command->add_option("--markets", s.markets, "how many, each from the next seed")->check(CLI::Range(1u, 1'000'000'000u));
    command->add_option("--jobs", s.jobs, "at once")->check(CLI::Range(1u, 256u));
    command->add_option("--faults", faults, "all, none, or names with commas between");
    command->add_flag("--story", story, "every event of it, a line each");
    command->callback([&c] {
        const auto chosen = simulate::parse_hazards(faults);
        if (!chosen) {
            c.fail(chosen.error());
            c.status = usage_status;
            return;
        }
        s.faults = *chosen;
        if (story) s.log = &std::cout, s.jobs = 1;
        const auto t = simulate::run(s);
        c.print(as_value(t), [&](const value&) { return lines(t, faults); });
        if (t.broken > 0) c.status = refused_status;
    });
}

} // namespace souk::cli
