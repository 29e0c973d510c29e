// What an actor system needs before it is constructed so that a cluster can live in it.
#pragma once
#include <souk/runtime/cluster/cluster.hpp>

namespace souk {

// Loads the middleman and the message types, sets the heartbeat that `cluster` counts on, and switches off what a node must not do by
// itself: connecting to third nodes, writing logs.
void prepare(caf::actor_system_config&, const cluster_limits&);

} // namespace souk
