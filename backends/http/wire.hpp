// Internal. Between Beast's messages and ours, and an answer's head as text.
#pragma once
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

#include <souk/backends/http/message.hpp>

namespace souk::http::internal {

// Refused: no or several Host lines, a target that is neither a path nor an absolute URL, bad escapes, too many parameters.
result<request> to_request(boost::beast::http::request<boost::beast::http::string_body>&,
                           const std::string& peer); // takes the body

// False when a header line of the answer would not be one line.
bool write_head(std::string& out, const response&, std::string_view date, bool keep_alive, bool http_1_0);
inline bool bodiless(unsigned status) { return status < 200 || status == 204 || status == 304; }

} // namespace souk::http::internal
