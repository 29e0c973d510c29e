// How long a node that was killed takes to own its leases again.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <souk/backends/store/journal.hpp>
#include <souk/runtime/bench/bench.hpp>
#include <souk/runtime/bench/market.hpp>
#include <souk/runtime/bench/measure.hpp>
#include <souk/runtime/bench/scratch.hpp>

namespace souk::bench {

namespace {

constexpr std::size_t leases = 10'000;

// Another process makes them and is killed while they live.
void make_and_kill(const std::filesystem::path& directory) {
    int ready[2];
    if (::pipe(ready) != 0) throw std::runtime_error("no pipe");
    const auto child = ::fork();
    if (child < 0) throw std::runtime_error("cannot fork");
    if (child == 0) {
        try {
            market m({directory, false});
            m.trade(leases, 256);
            if (::write(ready[1], "!", 1) == 1)
                for (;;) ::pause();
        } catch (...) {
        }
        ::_exit(1);
    }
    ::close(ready[1]);
    char told = 0;
    const auto n = ::read(ready[0], &told, 1);
    ::close(ready[0]);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    if (n != 1) throw std::runtime_error("the market that was to be killed failed by itself");
}

// The journal alone: every open stream read, nothing done with it.
double reading(const std::filesystem::path& directory) {
    const auto from = wall();
    sqlite_journal log(directory / "journal.db");
    std::size_t facts = 0;
    for (const auto* kind : {"lease", "machine", "payment"}) log.open_streams(kind, [&](const std::string&, const history& h) { facts += h.facts.size(); });
    used(facts);
    return wall() - from;
}

} // namespace

std::vector<row> restart(const settings& s) {
    const scratch files(s.directory);
    make_and_kill(files.path());
    const auto raw = reading(files.path());
    const auto from = wall();
    market m({files.path(), false, true});
    const auto machines = m.machines();
    m.settle_in();
    const auto owned = wall() - from;
    const auto found = m.leases();
    if (machines != leases || found != leases)
        throw std::runtime_error("of " + std::to_string(leases) + " leases " + std::to_string(found) + " were there again, with " + std::to_string(machines) + " machines");
    row r{"SIGKILL to 10,000 leases owned again", owned * 1e3, "ms", raw * 1e3, "reading their snapshots", 500};
    r.less_is_better = true;
    return {r};
}

} // namespace souk::bench
