// What happens to the head of a visitor's request on its way to a service, and to the answer's on its way back. Pure.
// RFC 9110 7.6.1 (fields of one connection only), RFC 9112 6 (where a body ends).
#pragma once
#include <string>
#include <string_view>

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/fields.hpp>

#include <souk/messages/result.hpp>

namespace souk::tunnel {

namespace http = boost::beast::http;

// "LABEL.domain" or "LABEL.domain:port", any case: the label in lower case. Codes "bad_host", "unknown_name".
result<std::string> label_of(std::string_view host, std::string_view domain);

enum class framing { none, length, chunked, until_close }; // how a body shows its end

struct request_plan {
    std::string host;     // as the visitor wrote it
    framing body = framing::none;
    std::uint64_t length = 0;
    bool upgrade = false; // asks for another protocol on this connection
    bool keep = false;    // the visitor would like to ask again on this connection
};
// Codes "bad_host", "bad_target", "bad_method", "bad_upgrade".
result<request_plan> plan_of(const http::request_header<>&, bool chunked, bool has_length, std::uint64_t length);
// What the service reads. It sees the visitor's address in X-Forwarded-For; what the visitor claims there is dropped.
std::string upstream_head(const http::request_header<>&, const request_plan&, std::string_view visitor_address);

// What the visitor reads. `length` is meant only with framing::length.
std::string downstream_head(const http::response_header<>&, framing, std::uint64_t length, bool keep);
std::string interim_head(const http::response_header<>&);  // 100 Continue, 103 Early Hints
std::string switching_head(const http::response_header<>&); // 101

// A whole answer of the broker's own: says what and why, as plain text.
std::string plain_answer(unsigned status, std::string_view text, bool with_body);

} // namespace souk::tunnel
