// What can go wrong in a simulated market.
#pragma once
#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <boost/describe.hpp>

#include <souk/messages/result.hpp>

namespace souk::simulate {

enum class hazard : std::uint8_t {
    kill,        // a node's process ends between two instructions, and is started again
    drop,        // a request or its answer is lost on the way; a stream breaks
    delay,       // an answer takes as long as its asker will wait, or longer
    duplicate,   // a request or a note arrives twice
    partition,   // two hosts of a fleet, or a node and the record network, do not reach each other for a while
    torn_write,  // of what the disk was given when a node was killed, only a part is there
    failed_sync, // the disk says that it does not know, and keeps a part
    disk_full,   // for a while nothing can be written
    clock_jump,  // a node's clock goes wrong, and is set right again
    rail_error,  // the rail answers that it does not know, before or after it settled
    rail_lag,    // the rail's answers about the past are old
    backend_error, // a machine is created, and an error is reported
    backend_lie, // a machine is there, and is reported absent for a while
    machine_loss, // a machine ends by itself
    rewind,      // a stream of records goes back
    forgery,     // a stream carries records that their author did not sign
};
BOOST_DESCRIBE_ENUM(hazard, kill, drop, delay, duplicate, partition, torn_write, failed_sync, disk_full, clock_jump, rail_error, rail_lag, backend_error, backend_lie,
                    machine_loss, rewind, forgery)

using hazards = std::set<hazard>;
hazards all_hazards();
// "all", "none", or names with commas between. Code "unknown_fault".
result<hazards> parse_hazards(std::string_view);
std::string name_of(hazard);

} // namespace souk::simulate
