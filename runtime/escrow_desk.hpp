// What the operator of a node asks of its escrow, over the control socket: his own money there, requests that he signs as a payer, and those that he serves.
#pragma once
#include <souk/backends/http/server.hpp>
#include <souk/backends/rails/escrow_rail.hpp>
#include <souk/messages/actors.hpp>

namespace souk {

struct escrow_desk_parts {
    caf::actor_system* sys = nullptr;
    std::function<instant()> now;
    escrow_rail* rail = nullptr; // none: this node has no escrow
    payment_rail* outside = nullptr;
    std::shared_ptr<const crypto::secret> key; // whose money it is
    escrow_actor keeper;                       // empty: it serves nothing
};

//   GET  /v1/escrow?payer=&provider=&credit=    how it stands; payer and provider: this node's own, unless said
//   POST /v1/escrow          an escrow_order, and amounts as "2.50"
//   POST /v1/escrow/sign     {provider, price, hash, credit, lives}    as a payer: evm::escrow::signed_request
//   POST /v1/escrow/serve    {request, within}      POST /v1/escrow/end {tab, id, served}      POST /v1/escrow/present {tab}
//   GET  /v1/escrow/tabs?id=
// False: it is none of these.
bool answer_escrow(const escrow_desk_parts&, const http::request&, const value& body, const http::responder&);

} // namespace souk
