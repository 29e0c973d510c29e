// Internal. The actor that each node publishes: it exchanges offers when a link comes up, and runs the state of every link.
#pragma once
#include <memory>
#include <mutex>

#include <souk/actors/common/turn.hpp>
#include <souk/runtime/cluster/carrier.hpp>
#include <souk/runtime/cluster/roster.hpp>

namespace souk::carrier {

// How the links stand, for people: written by the directory, read by anyone.
class link_board {
public:
    void put(link_view);
    std::vector<link_view> all() const;

private:
    mutable std::mutex mutex_;
    std::map<std::string, link_view> views_;
};

struct directory_parts {
    cluster_options options;
    std::function<instant()> now;
    std::shared_ptr<roster> who;
    std::shared_ptr<link_board> shown;
};

struct begin { // dialling
    std::shared_ptr<carrier> by;
};
struct link_lost {
    link_ptr which;
};
struct roles_changed {};

using directory_handle = extended<directory_actor, caf::result<void>(begin), caf::result<void>(link_lost), caf::result<void>(roles_changed), caf::result<void>(turn)>;

directory_handle spawn_directory(caf::actor_system&, directory_parts);

} // namespace souk::carrier

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souk::carrier::begin)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souk::carrier::link_lost)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souk::carrier::roles_changed)
