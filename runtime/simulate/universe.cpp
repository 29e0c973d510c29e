#include <souk/runtime/simulate/universe.hpp>

#include <ostream>

#include <fmt/format.h>

#include <souk/messages/time.hpp>

namespace souk::simulate {

namespace {

constexpr instant beginning{std::chrono::seconds{1'778'312'530}};

// The clock keeps what it will do next to itself.
struct looked_into : caf::detail::test_actor_clock {
    static std::optional<time_point> next_of(const caf::detail::test_actor_clock& clock) {
        const auto& plan = clock.*&looked_into::schedule_;
        if (plan.empty()) return std::nullopt;
        return plan.begin()->first;
    }
};

} // namespace

struct universe::config : caf::actor_system_config {
    config() {
        souk::add_message_types<caf::id_block::souk>(*this);
        set("scheduler.policy", caf::atom("testing"));
        set("logger.verbosity", caf::atom("quiet"));
    }
};

universe::universe(std::uint64_t seed, hazards on, std::ostream* log)
    : config_(std::make_unique<config>()), sys_(std::make_unique<caf::actor_system>(*config_)), sched_(&dynamic_cast<caf::scheduler::test_coordinator&>(sys_->scheduler())),
      dice_(seed), log_(log) {
    began_ = sched_->clock().now();
    for (const auto h : on) {
        static constexpr std::array<double, 4> days{0, 0.3, 1, 4};
        severity_[h] = days[dice_.next() % days.size()];
    }
}

universe::~universe() {
    outside_.clear();
    sched_->run();
    sched_->trigger_timeouts();
    sched_->run();
}

instant universe::now() const { return beginning + std::chrono::duration_cast<instant::duration>(sched_->clock().now() - began_); }

void universe::later(milliseconds after, std::function<void()> what) { outside_.emplace((now() - beginning + after).count(), std::move(what)); }

void universe::later(const life& of, milliseconds after, std::function<void()> what) {
    later(after, [of, what = std::move(what)] {
        if (*of) what();
    });
}

bool universe::strikes(hazard h, double odds) {
    const auto found = severity_.find(h);
    if (found == severity_.end() || calm_) return false;
    return dice_.happens(found->second * odds / 1000);
}

void universe::run(instant end, const std::function<bool()>& done) {
    for (;;) {
        events_ += sched_->run();
        while (!outside_.empty() && beginning + milliseconds{outside_.begin()->first} <= now()) {
            const auto next = outside_.extract(outside_.begin());
            next.mapped()();
            ++events_;
            events_ += sched_->run();
        }
        if (done()) return;
        auto next = end;
        if (!outside_.empty()) next = std::min(next, beginning + milliseconds{outside_.begin()->first});
        if (const auto timer = looked_into::next_of(dynamic_cast<caf::detail::test_actor_clock&>(sched_->clock())))
            next = std::min(next, beginning + std::chrono::ceil<instant::duration>(*timer - began_));
        if (next >= end) {
            if (end > now()) sched_->advance_time(end - now());
            return;
        }
        if (next > now()) sched_->advance_time(next - now());
        else sched_->advance_time(caf::timespan{0});
    }
}

void universe::tell(const std::string& who, const std::string& what) {
    if (!log_) return;
    *log_ << fmt::format("{:>12.3f}  {:<8} {}\n", static_cast<double>((now() - beginning).count()) / 1000, who, what);
}

} // namespace souk::simulate
