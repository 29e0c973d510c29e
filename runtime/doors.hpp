// The node's open door: which route leads to which role. Nothing gets past here that was not bounded (by the server), parsed and, where
// that needs no role, verified.
#pragma once
#include <functional>
#include <optional>
#include <set>

#include <souk/backends/http/server.hpp>
#include <souk/backends/keys/keyring.hpp>
#include <souk/backends/rails/ledger.hpp>
#include <souk/backends/records/network.hpp>
#include <souk/messages/actors.hpp>
#include <souk/runtime/facilitator_door.hpp>

namespace souk {

struct door_parts { // what this node has; the rest is absent, and its routes answer 404
    caf::actor_system* sys = nullptr;
    std::function<instant()> now;
    std::string public_url;
    std::string did;
    const keyring* keys = nullptr;
    repository* own = nullptr;
    std::optional<repository_door> records;
    identity_resolver* identities = nullptr;
    record_network* network = nullptr;
    bidder_actor bidder;
    requester_actor requester;
    bool registry = false; // whether bidders may register here
    offerings_actor offerings;
    policy_actor policy;
    std::set<std::string> may_ask; // that policy: DIDs
    issuer_actor issuer;
    broker_actor broker;
    embedded_ledger* ledger = nullptr;
    std::function<http::response(const http::request&)> crawl; // com.atproto.sync.requestCrawl; empty: nobody is followed for asking
    std::optional<facilitator_terms> facilitator; // settles for others; needs `payments`
    payments_actor payments;
    std::filesystem::path enrolment; // of the authority, on the node that has it; "": none
};

//   GET  /ccr/{at-uri}/{cid}, /receipt/...              the paid URL (x402)
//   those of market_door                                submitRfp, submitBid, submitAccept, submitEvent, registerBidder, listBidders, evaluatePolicy
//   those of machine_door                               workload tokens, and machines' records
//   GET  /ledger/{token,balance,authorization}, POST /ledger/settle   the development ledger
//   POST /xrpc/com.atproto.sync.requestCrawl            a host asks to be followed
//   those of facilitator_door                           others' payments: verify, settle, supported
//   POST /cluster/join                                  a one-time token for a certificate
//   GET  /health
//   and those of repository_door
http::handler make_doors(door_parts);

} // namespace souk
