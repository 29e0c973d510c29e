// Waiting for one answer, which somebody else may call off: whoever shuts down does not wait for a host that says nothing.
#pragma once
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

namespace souk::http {

struct call_off { // shared with answers that nobody waits for any more
    std::mutex guard;
    std::condition_variable moved;
    bool called = false;
    void now() {
        const std::lock_guard hold(guard);
        called = true;
        moved.notify_all();
    }
    bool was_called() {
        const std::lock_guard hold(guard);
        return called;
    }
};

// What `ask` is answered with, from any thread; none: it was called off.
template <class T>
std::optional<T> answer_of(const std::shared_ptr<call_off>& off, const std::function<void(std::function<void(T)>)>& ask) {
    const auto slot = std::make_shared<std::optional<T>>();
    ask([slot, off](T said) {
        const std::lock_guard hold(off->guard);
        *slot = std::move(said);
        off->moved.notify_all();
    });
    std::unique_lock hold(off->guard);
    off->moved.wait(hold, [&] { return slot->has_value() || off->called; });
    return std::move(*slot);
}

} // namespace souk::http
