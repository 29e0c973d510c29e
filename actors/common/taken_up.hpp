// Whoever hands something over by a call is told that it is taken up when that is so for good, not when it was read: he will not say it again.
#pragma once
#include <memory>

#include <souk/actors/common/turn.hpp>

namespace souk {

// Held by whatever still works on it; where the last one lets go, on any thread, the answer goes out. Empty: nobody waits.
using taken_up = std::shared_ptr<void>;

template <class Promise, class Handle>
taken_up answer_when_dropped(Promise promise, Handle self) {
    struct waiting {
        Promise promise;
        Handle self;
        waiting(Promise p, Handle h) : promise(std::move(p)), self(std::move(h)) {}
        waiting(const waiting&) = delete;
        waiting& operator=(const waiting&) = delete;
        ~waiting() {
            tell(self, turn{[promise = std::move(promise)]() mutable {
                     if constexpr (requires { promise.deliver(); }) promise.deliver();
                     else static_cast<caf::response_promise&>(promise).deliver(caf::unit);
                 }});
        }
    };
    return std::make_shared<waiting>(std::move(promise), std::move(self));
}

} // namespace souk
