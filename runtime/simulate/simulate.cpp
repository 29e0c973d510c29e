#include <souk/runtime/simulate/simulate.hpp>

#include <sodium.h>

#include <atomic>
#include <mutex>
#include <thread>

#include <souk/runtime/bench/scratch.hpp>

namespace souk::simulate {

namespace {

// What libsodium draws from while markets are simulated: keys, nonces and seals are then the same for the same seed.
thread_local dice drawn{0};

struct seeded_randomness {
    seeded_randomness() {
        static randombytes_implementation source{
            [] { return "seeded"; },
            [] { return static_cast<std::uint32_t>(drawn.next()); },
            nullptr,
            nullptr,
            [](void* into, std::size_t n) {
                auto* bytes = static_cast<unsigned char*>(into);
                for (std::size_t i = 0; i < n; ++i) bytes[i] = static_cast<unsigned char>(drawn.next());
            },
            nullptr};
        randombytes_set_implementation(&source);
    }
    ~seeded_randomness() { randombytes_set_implementation(&randombytes_sysrandom_implementation); }
};

} // namespace

tally run(const settings& s) {
    (void)crypto::generate(crypto::curve::k256); // what is drawn once in a process is drawn before the seed counts
    const seeded_randomness draws;
    drawn = dice(0);
    const bench::scratch files(std::filesystem::temp_directory_path());
    const cast_of_market cast(files.path());
    tally t;
    std::atomic<std::uint64_t> next = 0;
    std::mutex guard;
    const auto began = std::chrono::steady_clock::now();
    const auto work = [&] {
        for (std::uint64_t i; (i = next++) < s.markets;) {
            drawn = dice(s.seed + i);
            auto one = run_market(cast, s.seed + i, s.faults, s.log);
            const std::lock_guard hold(guard);
            ++t.markets;
            t.lifecycles += one.lifecycles, t.served += one.served, t.undone += one.undone, t.failed += one.failed, t.refunded += one.refunded;
            t.machines += one.machines, t.tunnels += one.tunnels, t.transfers += one.transfers, t.streamed += one.streamed, t.facts += one.facts, t.events += one.events, t.simulated += one.lasted;
            if (s.told) s.told(one);
            if (one.broken.empty()) continue;
            ++t.broken;
            if (t.first_broken.size() < 10) t.first_broken.push_back(std::move(one));
        }
    };
    std::vector<std::thread> others;
    for (unsigned j = 1; j < s.jobs; ++j) others.emplace_back(work);
    work();
    for (auto& o : others) o.join();
    t.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    return t;
}

} // namespace souk::simulate
