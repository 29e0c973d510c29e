// Internal. The parts of a URL that we are ready to call.
#pragma once
#include <cstdint>
#include <string>

#include <souk/messages/result.hpp>

namespace souk::http::internal {

struct url_parts {
    std::string scheme, host; // lower case; an IPv6 host without its brackets
    std::uint16_t port = 0;   // the scheme's own when none is given
    std::string target;       // path and query, never empty
    bool usual_port = true;
    std::string authority() const; // as in a Host line
};
// http, https, ws or wss with a host, without user and password, at most 8 KiB. Code "bad_url".
result<url_parts> parse_url(const std::string& url);

} // namespace souk::http::internal
