// Something that happens at one exact point of one write.
#pragma once
#include <cstdint>
#include <functional>

namespace souk::simulate {

enum class point : std::uint8_t {
    before,  // the write is asked for: nothing of it is kept
    durable, // it is kept, and whoever asked does not know
    heard,   // whoever asked knows, and has asked the outside for what follows from it; nobody has answered
};

class trap {
public:
    // At the n-th write from now on, counted from 1.
    void set(std::uint64_t nth, point at, std::function<void()> what) { nth_ = count_ + nth, at_ = at, what_ = std::move(what); }
    std::uint64_t count() const { return count_; } // writes asked for so far

    std::uint64_t asked() { return ++count_; }
    // What is to be done at this point of the write with this number, once; empty: nothing.
    std::function<void()> sprung(std::uint64_t number, point at) {
        if (!what_ || number != nth_ || at != at_) return {};
        return std::exchange(what_, {});
    }

private:
    std::uint64_t count_ = 0, nth_ = 0;
    point at_{};
    std::function<void()> what_;
};

} // namespace souk::simulate
