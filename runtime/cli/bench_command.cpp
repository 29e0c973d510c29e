#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include <souk/runtime/bench/bench.hpp>
#include <souk/runtime/bench/measure.hpp>
#include <souk/runtime/cli/commands.hpp>
#include <souk/runtime/cli/table.hpp>

namespace souk::cli {

namespace {

std::string number(double x) {
    const auto size = std::abs(x);
    if (size >= 100) {
        auto digits = fmt::format("{:.0f}", x);
        for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3) digits.insert(static_cast<std::size_t>(at), ",");
        return digits;
    }
    return size >= 10 ? fmt::format("{:.1f}", x) : fmt::format("{:.2f}", x);
}
std::string with_unit(double x, const std::string& unit) { return unit.empty() || unit[0] == '/' ? number(x) + unit : number(x) + ' ' + unit; }

std::string ratio(const bench::row& r) {
    if (r.beside == 0) return "";
    return number(r.ratio());
}
std::string verdict(const bench::row& r) {
    if (r.target == 0) return "";
    return fmt::format("{} {}", r.misses() ? "missed" : "met", with_unit(r.target, r.unit));
}
// 80 columns: the two names give way.
std::string lines(const std::vector<bench::row>& rows) {
    std::string out = fmt::format("{:<36} {:>11} {:>12} {:>6}  {}\n", "what", "ours", "beside", "ratio", "target");
    for (const auto& r : rows) {
        out += fmt::format("{:<36} {:>11} {:>12} {:>6}  {}", shortened(r.what, 36), with_unit(r.ours, r.unit), r.beside == 0 ? "" : with_unit(r.beside, r.unit), ratio(r), verdict(r));
        while (out.back() == ' ') out.pop_back();
        out += '\n';
        if (!r.beside_what.empty()) out += fmt::format("{:<36} {:>24}\n", "", shortened(r.beside_what, 24));
    }
    return out;
}
value as_value(const bench::row& r, const std::string& benchmark) {
    // No floats in our JSON: what a program reads is text.
    value::map m{{"benchmark", benchmark}, {"what", r.what}, {"ours", fmt::format("{:.4g}", r.ours)}, {"unit", r.unit}};
    if (r.beside != 0) m["beside"] = fmt::format("{:.4g}", r.beside), m["beside_what"] = r.beside_what, m["ratio"] = fmt::format("{:.4g}", r.ratio());
    if (r.target != 0) m["target"] = fmt::format("{:.4g}", r.target), m["met"] = !r.misses();
    return value(std::move(m));
}

void run_bench(context& c, const std::string& name, bench::settings s) {
    value::list found;
    bool known = false;
    for (const auto& b : bench::all()) {
        if (!name.empty() && b.name != name) continue;
        known = true;
        if (!c.json) fmt::print("-- {}: {}\n", b.name, b.about), std::fflush(stdout);
        const auto from = bench::wall();
        try {
            const auto rows = b.run(s);
            for (const auto& r : rows) found.push_back(as_value(r, b.name));
            if (!c.json) fmt::print("{}({:.1f} s)\n\n", lines(rows), bench::wall() - from), std::fflush(stdout);
        } catch (const std::exception& e) {
            c.fail(refusal{"bench_failed", b.name + ": " + e.what()});
        }
    }
    if (!known) {
        std::string names;
        for (const auto& b : bench::all()) names += (names.empty() ? "" : ", ") + b.name;
        c.fail(refusal{"unknown_benchmark", "there is no benchmark \"" + name + "\". There are: " + names});
        c.status = usage_status;
    } else if (c.json) {
        c.print(value(std::move(found)), {});
    }
}

} // namespace

void add_bench(CLI::App& app, context& c) {
    static bench::settings s;
    static std::string name;
    auto* command = app.add_subcommand("bench", "the published benchmarks, with the raw limits beside them");
    const char* temporary = std::getenv("TMPDIR");
    s.directory = temporary ? temporary : "/var/tmp"; // /tmp may be memory, where nothing is ever durable
    command->add_option("name", name, "one of them: records, signatures, contracts, launch, memory, restart, links, tunnels");
    command->add_option("--dir", s.directory, "where its files go: on the disk that is to be measured");
    command->add_option("--repetitions", s.repetitions, "medians are over these")->check(CLI::Range(1, 100));
    static bool verbose = false;
    command->add_flag("--progress", verbose, "each repetition as it ends");
    command->callback([&c] {
        if (verbose) s.progress = [](const std::string& text) { fmt::print(stderr, "{}\n", text); };
        run_bench(c, name, s);
    });
}

} // namespace souk::cli
