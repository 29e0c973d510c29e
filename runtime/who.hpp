// Who this node is on the open network: the first thing that a start finds out, and what everything else is said in the name of.
#pragma once
#include <memory>
#include <string>

#include <souk/backends/keys/keyring.hpp>
#include <souk/backends/records/plc_account.hpp>
#include <souk/runtime/config.hpp>

namespace souk {

struct who {
    did_document document;
    std::unique_ptr<plc_account> account; // of a did:plc
};

// Makes a did:plc's first operation at first use. Throws std::runtime_error: a file is damaged, or there is no account yet.
who identify(const node_config&, const keyring&);
// What is the matter with this identity, if anything; "" if not.
std::string trouble_of(const who&, const keyring&);

} // namespace souk
