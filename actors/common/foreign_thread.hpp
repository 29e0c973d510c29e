// Spawning, and so asking, from a thread that is none of CAF's leaves a reference to CAF's logger with that thread (0.17), and an actor system waits at
// its end until nobody has one: for ever, where the thread outlives the system, as those of HTTP and of the disk do. Whoever asks actors from such a
// thread's callback has one of these around it.
#pragma once
#include <caf/config.hpp>
#include <caf/logger.hpp>

namespace souk {

class [[maybe_unused]] foreign_thread {
public:
    foreign_thread() = default;
    foreign_thread(const foreign_thread&) = delete;
#if CAF_VERSION < 1800
    ~foreign_thread() {
        if (!was_at_home_) caf::logger::set_current_actor_system(nullptr);
    }

private:
    const bool was_at_home_ = caf::logger::current_logger() != nullptr; // one of CAF's own, after all
#endif
};

} // namespace souk
