// The operator's way in: HTTP over a unix socket in the node's directory, 0600. The command line and the console speak it; so can programs.
#pragma once
#include <functional>
#include <map>

#include <souk/backends/http/server.hpp>
#include <souk/backends/keys/keyring.hpp>
#include <souk/backends/rails/rail.hpp>
#include <souk/backends/records/identity.hpp>
#include <souk/backends/records/repository.hpp>
#include <souk/backends/store/journal.hpp>
#include <souk/messages/actors.hpp>
#include <souk/runtime/cluster/cluster.hpp>

namespace souk {

struct control_parts {
    caf::actor_system* sys = nullptr;
    std::function<instant()> now;
    std::string name, did, owner, public_url;
    std::vector<std::string> roles;
    const keyring* keys = nullptr;
    repository* own = nullptr;
    journal* log = nullptr;
    payment_rail* rail = nullptr;
    identity_resolver* identities = nullptr;
    cluster* peers = nullptr;
    requester_actor requester;
    bidder_actor bidder;
    policy_actor policy;
    fleet_actor fleet;
    launcher_actor launcher;
    broker_actor broker;
    signer_actor signer;
    std::function<value()> status; // doors, watches, tunnels
    std::function<value()> plc;    // the log of a did:plc, and what its directory says
    std::function<void()> stop;
};

//   GET  /v1/status                              POST /v1/buy    {id, request, ceiling, window_ms, rules, wanted_tier, plan}
//   GET  /v1/contracts?id=&ended=                POST /v1/stop   {id, reason}
//   GET  /v1/bids?id=&rules=   /v1/access?id=    POST /v1/vouch  {did, kind, reason, weight, expires}
//   GET  /v1/events?id=                          POST /v1/drain  {host, on}
//   GET  /v1/fleet  /v1/machines  /v1/console?tag=
//   GET  /v1/routes /v1/links /v1/trust?did=&depth= /v1/wallet /v1/identity /v1/resolve?did= /v1/who?name=
// Errors are {"error","message"}.
http::handler make_control(control_parts);

} // namespace souk
