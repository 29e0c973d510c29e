// A node: the roles that its configuration lists, on the backends that they need, behind its doors.
#pragma once
#include <memory>

#include <souk/runtime/config.hpp>

namespace souk {

class keyring;
struct did_document;

// Who this node is on the open network; makes the keys (and a did:plc's first operation) on first use.
struct node_identity {
    std::string did;      // "" where identity is "none"
    std::string wallet;   // address
    std::string handle;
};
node_identity identity_of(const node_config&); // throws std::runtime_error

class node {
public:
    explicit node(node_config); // starts everything; throws std::runtime_error or `refused` with the reason
    ~node();                    // stops everything, in order; what is under way goes on at the next start
    // Waits until `stop` is called (from a signal handler's thread) or something that cannot be gone on without is lost.
    int run();
    void stop();

private:
    class impl;
    std::unique_ptr<impl> impl_;
};

} // namespace souk
