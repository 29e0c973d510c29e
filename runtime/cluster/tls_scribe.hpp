// Internal. An authenticated session as CAF's BASP broker wants it: a scribe. The only file besides carrier.cpp that knows libcaf_io.
#pragma once
#include <functional>
#include <memory>

#include <caf/io/scribe.hpp>

#include <souk/runtime/cluster/handshakes.hpp>

namespace souk::carrier {

// What all links of one carrier share. Outlives the carrier in the links' hands.
struct switchboard {
    switchboard(std::string own_name, std::string node_id, const cluster_limits& l)
        : limits(l), own_id(std::move(node_id)), table(std::move(own_name), l) {}
    const cluster_limits limits;
    const std::string own_id; // CAF's node id, as text
    link_table table;
    refusals refused;
    std::function<void(const link_ptr&)> lost; // once a link, from the event loop
};

// Takes the socket and the session. The link must have been admitted to the table; it leaves it when the scribe is destroyed.
caf::io::scribe_ptr make_scribe(caf::actor_system&, std::shared_ptr<switchboard>, link_ptr, authenticated);

} // namespace souk::carrier
