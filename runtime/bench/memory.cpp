// What a live lease costs in memory: the growth of the resident set, ten thousand leases later.
#include <malloc.h>
#include <unistd.h>

#include <fstream>

#include <souk/runtime/bench/bench.hpp>
#include <souk/runtime/bench/market.hpp>
#include <souk/runtime/bench/samples.hpp>
#include <souk/runtime/bench/scratch.hpp>

namespace souk::bench {

namespace {

double resident_kb() {
    ::malloc_trim(0);
    std::ifstream in("/proc/self/statm");
    double all = 0, resident = 0;
    in >> all >> resident;
    return resident * static_cast<double>(::sysconf(_SC_PAGESIZE)) / 1024;
}

} // namespace

std::vector<row> memory(const settings& s) {
    constexpr std::size_t warm = 500, leases = 10'000;
    const scratch files(s.directory);
    market m({files.path(), false});
    m.trade(warm, 256); // caches and thread stacks are there before the count begins
    const auto before = resident_kb();
    m.trade(leases, 256);
    const auto each = (resident_kb() - before) / static_cast<double>(leases);
    row r{"memory a live lease (10,000 of them)", each, "KB", static_cast<double>(document().size()) / 1024, "its user_data", 10};
    r.less_is_better = true;
    return {r};
}

} // namespace souk::bench
