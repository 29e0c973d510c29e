// Clocks and medians. What runs on one core is timed by its thread's CPU time, so that other work on the machine does not count.
#pragma once
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace souk::bench {

inline double seconds_of(clockid_t clock) {
    timespec t{};
    ::clock_gettime(clock, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}
inline double wall() { return seconds_of(CLOCK_MONOTONIC); }
inline double thread_cpu() { return seconds_of(CLOCK_THREAD_CPUTIME_ID); }
inline double process_cpu() { return seconds_of(CLOCK_PROCESS_CPUTIME_ID); }

// `part` of 0.5 is the median. Of nothing it is 0.
inline double quantile(std::vector<double> all, double part) {
    if (all.empty()) return 0;
    std::sort(all.begin(), all.end());
    return all[static_cast<std::size_t>(part * static_cast<double>(all.size() - 1) + 0.5)];
}
inline double median(std::vector<double> all) { return quantile(std::move(all), 0.5); }

// Keeps a result from being optimised away.
template <class T>
void used(const T& x) {
    asm volatile("" : : "g"(&x) : "memory");
}

// How often `f` runs in a second of this thread's CPU time: as many calls as take `about` seconds.
template <class F>
double rate(F&& f, double about = 0.05) {
    std::uint64_t calls = 0;
    const auto from = thread_cpu();
    double spent = 0;
    for (std::uint64_t step = 1; spent < about; step = step < 64 ? step * 2 : step) {
        for (std::uint64_t i = 0; i < step; ++i) f();
        calls += step;
        spent = thread_cpu() - from;
    }
    return static_cast<double>(calls) / spent;
}

// Several rates, taken in turns so that a change of the machine's mood meets them all; the median of each.
template <class... Fs>
std::vector<double> rates(unsigned repetitions, Fs&&... fs) {
    std::vector<std::vector<double>> found(sizeof...(Fs));
    for (unsigned i = 0; i < repetitions; ++i) {
        std::size_t at = 0;
        (found[at++].push_back(rate(fs)), ...);
    }
    std::vector<double> out;
    for (auto& each : found) out.push_back(median(std::move(each)));
    return out;
}

} // namespace souk::bench
