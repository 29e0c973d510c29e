// Internal. BASP over mutual TLS 1.3: listens, dials, and hands authenticated, guarded connections to CAF's own BASP broker. It needs no
// doorman of CAF's: strangers are met on the handshakes' thread, and CAF's event loop sees only links that were admitted.
#pragma once
#include <caf/actor_control_block.hpp>

#include <souk/runtime/cluster/tls_scribe.hpp>

namespace souk::carrier {

struct introduction { // of a dialled node
    link_ptr by;
    caf::strong_actor_ptr directory; // theirs
};

class carrier {
public:
    // Listens from now on; whoever dials us meets `directory`. Throws std::runtime_error with a reason.
    carrier(caf::actor_system&, const cluster_options&, caf::strong_actor_ptr directory, std::set<std::string> interface,
            std::function<void(const link_ptr&)> lost);
    ~carrier(); // every link is cut

    // Answers once, from another thread or from this call: the scribe has to be given to the broker with `connect`, by an actor.
    using dialled = std::function<void(result<std::pair<link_ptr, caf::io::scribe_ptr>>)>;
    void dial(const cluster_options::peer&, dialled);
    caf::actor broker() const { return broker_; }

    std::uint16_t port() const { return handshakes_->port(); }
    switchboard& board() { return *board_; }

private:
    static std::string admit(caf::actor_system&, const std::shared_ptr<switchboard>&, bool by_us, authenticated, link_ptr&, caf::io::scribe_ptr&);

    caf::actor_system& sys_;
    std::shared_ptr<switchboard> board_;
    credentials credentials_;
    caf::actor broker_;
    std::unique_ptr<handshakes> handshakes_;
};

} // namespace souk::carrier
