#include <souk/runtime/cluster/system.hpp>

#include <caf/io/middleman.hpp>

namespace souk {

void prepare(caf::actor_system_config& c, const cluster_limits& l) {
    c.load<caf::io::middleman>();
    add_message_types<caf::id_block::souk>(c);
    // CAF's own connection time-out is not used: it also ends dials that have not been answered yet, and never those that never spoke.
    c.set("middleman.heartbeat-interval", caf::timespan(l.heartbeat));
    c.set("middleman.enable-automatic-connections", false);
    c.set("logger.verbosity", caf::atom("quiet"));
    c.set("logger.file-verbosity", caf::atom("quiet"));
    c.set("logger.console-verbosity", caf::atom("quiet"));
}

} // namespace souk
