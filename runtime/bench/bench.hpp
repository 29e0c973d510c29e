// The published benchmarks: each measures one thing of ours with its raw limit or its rival beside it, in the same run.
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace souk::bench {

struct settings {
    std::filesystem::path directory; // for files: a new one, on a real disk
    unsigned repetitions = 5;        // medians are over these
    std::function<void(const std::string&)> progress = [](const std::string&) {};
};

// One line of the table. Zero stands for "none" in `beside` and `target`.
struct row {
    std::string what;
    double ours = 0;
    std::string unit;         // "/s", "ms", "KB", ""
    double beside = 0;
    std::string beside_what;  // the raw limit or the rival, in a few words
    double target = 0;
    bool less_is_better = false;
    bool context = false;     // explains another row: no ratio, no target

    double ratio() const { return beside == 0 ? 0 : ours / beside; }
    bool misses() const { return target != 0 && (less_is_better ? ours > target : ours < target); }
};

struct benchmark {
    std::string name, about;
    std::vector<row> (*run)(const settings&);
};
const std::vector<benchmark>& all();

std::vector<row> records(const settings&);
std::vector<row> repositories(const settings&);
std::vector<row> signatures(const settings&);
std::vector<row> payments(const settings&);
std::vector<row> verdicts(const settings&);
std::vector<row> contracts(const settings&);
std::vector<row> launch(const settings&);
std::vector<row> memory(const settings&);
std::vector<row> restart(const settings&);
std::vector<row> links(const settings&);
std::vector<row> tunnels(const settings&);

} // namespace souk::bench
