// Virtual time. Actors run on CAF's test coordinator, one turn at a time; everything outside of them is an event in a queue. Time goes
// from one moment at which something happens to the next, and nothing here takes any.
#pragma once
#include <functional>
#include <iosfwd>
#include <map>
#include <memory>

#include <caf/scheduler/test_coordinator.hpp>

#include <souk/messages/actors.hpp>
#include <souk/runtime/simulate/dice.hpp>
#include <souk/runtime/simulate/hazards.hpp>

namespace souk::simulate {

using std::chrono::milliseconds;

// One run of a node's process. What is asked in its name after its end is not done; what is answered to it then is not heard.
using life = std::shared_ptr<bool>;

class universe {
public:
    universe(std::uint64_t seed, hazards on, std::ostream* log = nullptr);
    ~universe();

    caf::actor_system& system() { return *sys_; }
    instant now() const;
    dice& chance() { return dice_; }

    void later(milliseconds after, std::function<void()>);
    // The same, unless the process has ended meanwhile.
    void later(const life& of, milliseconds after, std::function<void()>);

    // Whether it strikes this time: `odds` are those of a usual day, in a thousand.
    bool strikes(hazard, double odds);
    void calm() { calm_ = true; } // no more of them from now on

    // Everything that happens until `end`, or until `done` holds between two moments.
    void run(instant end, const std::function<bool()>& done);
    std::uint64_t events() const { return events_; }

    // A line of the story, for whoever replays it.
    void tell(const std::string& who, const std::string& what);
    bool is_told() const { return log_ != nullptr; }

private:
    struct config;
    std::unique_ptr<config> config_;
    std::unique_ptr<caf::actor_system> sys_;
    caf::scheduler::test_coordinator* sched_ = nullptr;
    caf::actor_clock::time_point began_;
    dice dice_;
    std::map<hazard, double> severity_; // of this universe: some days are worse than others
    bool calm_ = false;
    std::multimap<std::int64_t, std::function<void()>> outside_; // by milliseconds since it began; equal ones in the order of their making
    std::uint64_t events_ = 0;
    std::ostream* log_;
};

} // namespace souk::simulate
