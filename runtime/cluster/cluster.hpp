// Hosts whose operators trust each other, joined into one actor system of many processes: CAF's BASP over our own mutual-TLS carrier.
// A role is found by name. The handle that a caller holds is stable: it leads to whoever hosts the role now, survives reconnection, and
// fails at once, not by time-out, while nobody does.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <souk/backends/limits.hpp>
#include <souk/messages/actors.hpp>

namespace souk {

struct link_view {
    std::string node, owner, address, state;   // "up", "down", "dialling"
    std::vector<std::string> roles;
    instant since;
    std::string why;
};

struct cluster_options {
    std::string node, owner;                   // this node's name (its certificate's), and whose it is
    std::filesystem::path certificate, key, authority; // PEM
    std::string address = "127.0.0.1";
    std::uint16_t port = 0;                    // 0: any
    struct peer {
        std::string node, host;
        std::uint16_t port = 0;
    };
    std::vector<peer> peers;                   // dialled, and dialled again when lost
    std::vector<std::string> allowed;          // names that may dial us, besides the peers
    std::function<void(const link_view&)> on_link; // told of every change, in an actor's turn: for logs; must not block
    cluster_limits limits;
};

struct cluster_counters {
    std::uint64_t refused_handshakes = 0, refused_names = 0, refused_frames = 0, refused_offers = 0, lost_links = 0, failed_requests = 0;
    std::uint64_t handshake_turns = 0; // how often the thread of all handshakes woke
};

class cluster {
public:
    // Loads the credentials and listens: throws std::runtime_error with a reason, never later.
    cluster(caf::actor_system&, cluster_options, std::function<instant()> now);
    ~cluster();

    // Makes a local actor findable. Tells linked nodes.
    void offer(const std::string& role, caf::strong_actor_ptr who);
    // A stable handle to a role of an owner ("": anyone's). A local one is preferred and returned as it is.
    template <class Handle>
    Handle find(const std::string& role, const std::string& owner = {}) {
        return caf::actor_cast<Handle>(find_any(role, owner));
    }
    // Every node of that owner that hosts the role now, by node name; stable handles again.
    template <class Handle>
    std::map<std::string, Handle> all(const std::string& role, const std::string& owner = {}) {
        std::map<std::string, Handle> out;
        for (auto& [node, who] : all_of(role, owner)) out.emplace(node, caf::actor_cast<Handle>(who));
        return out;
    }
    std::vector<link_view> links() const;
    cluster_counters so_far() const;
    std::uint16_t port() const;

private:
    caf::strong_actor_ptr find_any(const std::string& role, const std::string& owner);
    std::map<std::string, caf::strong_actor_ptr> all_of(const std::string& role, const std::string& owner);

    class impl;
    std::shared_ptr<impl> impl_;
};

} // namespace souk
