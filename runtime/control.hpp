// The operator's way in: HTTP over a unix socket in the node's directory, 0600. The command line and the console speak it; so can programs.
#pragma once
#include <functional>
#include <map>

#include <souk/actors/requester/spending_book.hpp>
#include <souk/backends/http/client.hpp>
#include <souk/backends/http/server.hpp>
#include <souk/backends/keys/keyring.hpp>
#include <souk/backends/rails/rail.hpp>
#include <souk/backends/records/identity.hpp>
#include <souk/backends/records/repository.hpp>
#include <souk/backends/store/journal.hpp>
#include <souk/messages/actors.hpp>
#include <souk/runtime/cluster/cluster.hpp>
#include <souk/runtime/escrow_desk.hpp>

namespace souk {

class bookkeeper;

// How this node's wallet comes by money, and what it costs to move some.
struct wallet_terms {
    std::function<result<void>(const std::string& to, amount, const std::string& reason)> issue; // play money, where the development ledger is kept here
    std::string ledger_at;         // https://host of the node that keeps it; "": it is kept here, or the rail is a chain
    std::int64_t gwei_for_one = 0; // most that bringing one payment to the chain may cost
    std::function<void(amount, std::function<void(result<value>)>)> allow; // what Permit2 may move, where the rail is a chain
};

struct control_parts {
    caf::actor_system* sys = nullptr;
    std::function<instant()> now;
    std::string name, did, owner, public_url;
    std::vector<std::string> roles;
    const keyring* keys = nullptr;
    repository* own = nullptr;
    journal* log = nullptr;
    payment_rail* rail = nullptr;
    std::function<void(std::function<void(value)>)> lanes; // of the rail's keys, where it is a chain
    wallet_terms money;
    std::shared_ptr<spending_book> spending; // empty: no limits
    std::shared_ptr<bookkeeper> books; // of a node with a wallet
    http::fetcher web; // to pay at others' doors
    identity_resolver* identities = nullptr;
    cluster* peers = nullptr;
    requester_actor requester;
    bidder_actor bidder;
    policy_actor policy;
    fleet_actor fleet;
    launcher_actor launcher;
    broker_actor broker;
    offerings_actor offerings;
    signer_actor signer;
    escrow_desk_parts escrow;
    std::function<value()> status; // doors, watches, tunnels
    std::function<value()> plc;    // the log of a did:plc, and what its directory says
    std::function<void()> stop;
};

//   GET  /v1/status                              POST /v1/buy    {id, request, ceiling, window_ms, rules, wanted_tier, plan}
//   GET  /v1/contracts?id=&ended=                POST /v1/stop   {id, reason}
//   GET  /v1/bids?id=&rules=   /v1/access?id=    POST /v1/vouch  {did, kind, reason, weight, expires}
//   GET  /v1/events?id=                          POST /v1/drain  {host, on}      POST /v1/pay {url, most, id, approved}
//   GET  /v1/spending?to=                        POST /v1/approve {id}
//                                                POST /v1/fund    {to, amount, reason}: where the development ledger is kept
//                                                POST /v1/allow   {amount}: to Permit2, where the rail is a chain
//   GET  /v1/fleet  /v1/machines  /v1/console?tag=
//   GET  /v1/statement?from=&to=&party=&contract=&most=
//   GET  /v1/routes /v1/links /v1/trust?did=&depth= /v1/wallet /v1/identity /v1/resolve?did= /v1/who?name=
//   /v1/escrow...: runtime/escrow_desk.hpp
// Errors are {"error","message"}.
http::handler make_control(control_parts);

} // namespace souk
