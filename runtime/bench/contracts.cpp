// Contracts from request to receipt on one node, and how long a paid one waits for its machine's launch.
#include <fcntl.h>
#include <unistd.h>

#include <stdexcept>
#include <thread>

#include <souk/messages/x402.hpp>
#include <souk/runtime/bench/bench.hpp>
#include <souk/runtime/bench/market.hpp>
#include <souk/runtime/bench/measure.hpp>
#include <souk/runtime/bench/samples.hpp>
#include <souk/runtime/bench/scratch.hpp>

namespace souk::bench {

namespace {

constexpr std::size_t at_once = 256, in_one_run = 512;

// What the disk does by itself: 4 KiB appended and made durable, over and over.
double syncs(const std::filesystem::path& directory, unsigned repetitions) {
    const auto file = directory / "raw";
    const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) throw std::runtime_error("cannot make " + file.string());
    const std::string page(4096, 'x');
    std::vector<double> found;
    for (unsigned i = 0; i < repetitions; ++i) {
        const auto from = wall();
        unsigned n = 0;
        for (; n < 200 && wall() - from < 0.2; ++n)
            if (::pwrite(fd, page.data(), page.size(), static_cast<off_t>(n) * 4096) != 4096 || ::fdatasync(fd) != 0) throw std::runtime_error("cannot write " + file.string());
        found.push_back(n / (wall() - from));
    }
    ::close(fd);
    return median(found);
}

// The signatures and seals that nobody can leave out, one after the other, as contracts a second of one core. The provider's: request
// and accept verified, bid and receipt signed, the payment's signer recovered, access sealed. The buyer's: request and accept signed,
// bid and receipt verified, the payment signed, access opened.
double signatures_alone(unsigned repetitions) {
    const auto key = crypto::generate(crypto::curve::k256);
    const auto known = crypto::verifier::of(crypto::public_of(crypto::curve::k256, key).value()).value();
    const std::string message(36, 'm'), digest(32, 'd');
    const auto signature = crypto::sign(crypto::curve::k256, key, message).value(), payment = crypto::sign_digest(key, digest).value();
    const auto seal = crypto::generate_seal_pair();
    return rates(repetitions, [&] {
        for (int i = 0; i < 4; ++i) used(known.check(message, signature)), used(crypto::sign(crypto::curve::k256, key, message));
        used(crypto::sign_digest(key, digest)), used(crypto::recover(digest, payment));
        used(crypto::unseal(seal.public32, seal.private32, crypto::seal(seal.public32, std::string(200, 's')).value()));
    })[0];
}

struct summary {
    double a_second = 0, cpu_ms = 0, p50_ms = 0, p99_ms = 0, facts = 0, transactions = 0;
};
summary run(const settings& s, bool workload_tokens) {
    std::vector<double> speeds, cpus, p50s, p99s, facts, transactions;
    const scratch files(s.directory);
    market m({files.path(), workload_tokens});
    m.trade(64, 64); // warm
    for (unsigned i = 0; i < s.repetitions; ++i) {
        const auto t = m.trade(in_one_run, at_once);
        const auto n = static_cast<double>(in_one_run);
        speeds.push_back(n / t.seconds), cpus.push_back(t.cpu / n * 1e3);
        p50s.push_back(quantile(t.latencies, 0.5) * 1e3), p99s.push_back(quantile(t.latencies, 0.99) * 1e3);
        facts.push_back(static_cast<double>(t.facts) / n), transactions.push_back(static_cast<double>(t.transactions) / n);
        s.progress("  " + std::to_string(static_cast<int>(speeds.back())) + "/s");
    }
    return {median(speeds), median(cpus), median(p50s), median(p99s), median(facts), median(transactions)};
}

row context(std::string what, double value, std::string unit) {
    row r{std::move(what), value, std::move(unit), 0, "", 0};
    r.context = true;
    return r;
}

} // namespace

std::vector<row> contracts(const settings& s) {
    const auto disk = syncs(s.directory, s.repetitions);
    const auto bare = signatures_alone(s.repetitions) * std::max(1u, std::thread::hardware_concurrency());
    const auto all = run(s, true), bearer = run(s, false);
    constexpr double target = 3750;
    return {{"contracts, RFP to receipt", all.a_second, "/s", bare, "their signatures alone", target},
            {"the same without workload tokens", bearer.a_second, "/s", bare, "their signatures alone", target},
            context("  256 at once: latency p50", bearer.p50_ms, "ms"),
            context("  latency p99", bearer.p99_ms, "ms"),
            context("  CPU a contract, both sides", bearer.cpu_ms, "ms"),
            context("  CPU with an RS256 token", all.cpu_ms, "ms"),
            context("  facts a contract", bearer.facts, ""),
            context("  journal commits a contract", bearer.transactions, ""),
            context("  bare 4 KiB write + fdatasync", disk, "/s")};
}

std::vector<row> launch(const settings& s) {
    const scratch files(s.directory);
    market m({files.path(), false});
    const auto disk = syncs(s.directory, s.repetitions);
    m.trade(16, 1);
    std::vector<double> p50, p99, busy50, busy99;
    for (unsigned i = 0; i < s.repetitions; ++i) {
        const auto alone = m.trade(100, 1);
        p50.push_back(quantile(alone.launch_delays, 0.5) * 1e3), p99.push_back(quantile(alone.launch_delays, 0.99) * 1e3);
        const auto busy = m.trade(256, 64);
        busy50.push_back(quantile(busy.launch_delays, 0.5) * 1e3), busy99.push_back(quantile(busy.launch_delays, 0.99) * 1e3);
    }
    constexpr double journal_commits = 3; // payment confirmed, lease paid, machine launching: each durable before the next
    const auto floor = journal_commits / disk * 1e3;
    row one{"verified payment to launch, p50", median(p50), "ms", floor, "3 bare syncs"};
    row two{"verified payment to launch, p99", median(p99), "ms", floor, "3 bare syncs", 5};
    one.less_is_better = two.less_is_better = true;
    return {one, two, context("  64 contracts at once, p50", median(busy50), "ms"), context("  64 contracts at once, p99", median(busy99), "ms")};
}

} // namespace souk::bench
