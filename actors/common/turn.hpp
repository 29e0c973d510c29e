// A closure to be run in an actor's own turn: how answers of callback interfaces come home from other threads. It is dropped when the
// actor has ended meanwhile, so it may use the actor's state.
#pragma once
#include <functional>

#include <souk/actors/common/local_messages.hpp>

namespace souk {

struct turn {
    std::function<void()> run;
};

// From any thread into the actor's own. What is handed to it never runs on the spot.
using post_to_self = std::function<void(std::function<void()>)>;

template <class Handle>
post_to_self turns_of(Handle self) {
    return [self = std::move(self)](std::function<void()> run) { tell(self, turn{std::move(run)}); };
}

} // namespace souk

SOUK_LOCAL_MESSAGE(souk::turn)
