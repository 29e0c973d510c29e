// Finds who sells: told by streams and by lists of hosts whose repositories may say so, it reads those, and keeps what is proved.
#pragma once
#include <souk/actors/offerings/directory.hpp>

namespace souk {

// An author's offerings as his own host has them: each proved by a commit that his keys signed.
struct proved_offering {
    std::string host;                   // of his records
    std::string rev;                    // of the commit
    std::optional<stored_record> newest; // none: he has none
};
// `then` is called once, on any thread. Codes as record_network's, and of the proof.
using offering_reader = std::function<void(const std::string& did, std::function<void(result<proved_offering>)> then)>;

struct finder_options {
    std::string self; // this node's DID: it does not send itself requests
    std::function<instant()> now;
    std::size_t most = 4'096;                          // offerings that are kept
    std::size_t at_once = 8;                           // repositories that are read
    std::size_t most_waiting = 10'000;                 // authors; more are passed over, and counted
    std::chrono::milliseconds rest{5'000};             // between two looks at one author, however much his stream has to tell
    static constexpr std::size_t most_sellers = 16;    // that one request is sent to
};

offerings_actor spawn_finder(caf::actor_system&, finder_options, offering_reader);

} // namespace souk
