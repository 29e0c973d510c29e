// The paid URL between HTTP and the bidder: the same for the node's door and for whoever else carries requests to it.
#pragma once
#include <souk/backends/http/message.hpp>
#include <souk/messages/actors.hpp>

namespace souk::paid_door {

// Whether a GET of this target asks for a contract: "/ccr/..." or, as older clients have it, "/receipt/...".
bool is_one(const http::request&);
// `public_url`: of the door, without a slash at its end. Codes of parse_paid_path.
result<paid_request> read(const http::request&, const std::string& public_url);
http::response write(paid_answer);

} // namespace souk::paid_door
