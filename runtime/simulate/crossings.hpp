// Every message between two parties of a market, and between a party and its rail, has a number; what becomes of it may be laid down
// beforehand. The dice of the hazards are a market's weather; this is for whoever wants each order of things once.
#pragma once
#include <map>
#include <string>
#include <vector>

#include <souk/runtime/simulate/universe.hpp>

namespace souk::simulate {

struct fate {
    enum class kind : std::uint8_t {
        usual,
        lost,      // it never arrives, and whoever waits for it hears what he hears then
        twice,     // it arrives, and again right behind
        again,     // it arrives, and again `by` later
        overtaken, // it arrives after the next `past` messages have; when nothing moves any more, it arrives all the same
        late,      // it arrives `by` later
    };
    kind what = kind::usual;
    std::size_t past = 0;
    milliseconds by{0};
};

class crossings {
public:
    explicit crossings(universe& u) : u_(u) {}

    // From now on messages are counted from 1, and the n-th has this fate. `repeats`: whether it can arrive twice at all (an answer cannot).
    using plan = std::function<fate(std::uint64_t number, const std::string& what, bool repeats)>;
    void lay_down(plan p) { plan_ = std::move(p), count_ = 0; }
    std::uint64_t count() const { return count_; }

    // Brings it there in `takes`, while `by` lives; `lost` runs at once when it is lost.
    void carry(const life& by, milliseconds takes, const char* what, bool repeats, std::function<void()> arrive, std::function<void()> lost);
    // The same for what outlives its sender.
    void carry(milliseconds takes, const char* what, bool repeats, std::function<void()> arrive, std::function<void()> lost) {
        carry(always_, takes, what, repeats, std::move(arrive), std::move(lost));
    }

private:
    void arrived();

    universe& u_;
    plan plan_;
    std::uint64_t count_ = 0, arrived_ = 0;
    std::multimap<std::uint64_t, std::function<void()>> held_; // until so many have arrived
    life always_ = std::make_shared<bool>(true);
};

} // namespace souk::simulate
