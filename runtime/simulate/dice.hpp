// Chance that a seed decides, the same on every machine.
#pragma once
#include <chrono>
#include <cstdint>

namespace souk::simulate {

class dice { // SplitMix64 (Steele, Lea, Flood 2014)
public:
    explicit dice(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next() {
        auto z = state_ += 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        return z ^ z >> 31;
    }
    // From `low` to `high`, both included.
    std::int64_t between(std::int64_t low, std::int64_t high) { return low + static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(high - low + 1)); }
    std::chrono::milliseconds between(std::chrono::milliseconds low, std::chrono::milliseconds high) { return std::chrono::milliseconds{between(low.count(), high.count())}; }
    bool one_in(std::uint64_t n) { return next() % n == 0; }
    bool happens(double probability) { return static_cast<double>(next() >> 11) * 0x1p-53 < probability; }

private:
    std::uint64_t state_;
};

} // namespace souk::simulate
