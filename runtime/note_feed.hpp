// Hands the notes of record streams to the roles that follow them, at the pace at which those take them up: a stream that never ends
// waits in its own connection, not in somebody's mailbox.
#pragma once
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>

#include <souk/messages/actors.hpp>

namespace souk {

class note_feed {
public:
    static constexpr std::size_t most = 1'024; // notes under way

    // Any may be empty. All must outlive it. The policy engine hears of trust alone, and of that nobody else does; so it is with offerings.
    note_feed(caf::actor_system&, requester_actor, bidder_actor, policy_actor = {}, offerings_actor = {});
    ~note_feed();

    // From a stream's own thread: waits while so many are under way. `taken` runs, in the order of the notes of one thread, when
    // every role has taken the note up, or is gone; it does not run after `close`.
    void push(record_note, std::function<void()> taken);
    // Nobody waits any more, and nothing is pushed.
    void close();

private:
    struct gate {
        std::mutex guard;
        std::condition_variable moved;
        std::size_t under_way = 0;
        bool closed = false;
    };
    std::shared_ptr<gate> gate_;
    caf::actor pump_;
};

} // namespace souk
