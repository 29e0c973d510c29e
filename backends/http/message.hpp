// HTTP requests and answers as values, the same for both directions.
#pragma once
#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <souk/messages/result.hpp>

namespace souk::http {

struct headers {
    std::vector<std::pair<std::string, std::string>> all;
    std::string_view get(std::string_view name) const; // case-insensitive; first one; "" when absent
    headers& set(std::string name, std::string text); // replaces
};

struct request {
    std::string method; // "GET"
    std::string target; // origin form as received: path and query, still encoded, "//" kept
    std::string path;   // of the target, still encoded
    std::vector<std::pair<std::string, std::string>> query; // decoded
    headers head;
    std::string body;
    std::string peer; // address of the other side; "unix" for a local socket
    std::string_view param(std::string_view name) const; // first query parameter of that name, "" when absent
};

struct response {
    unsigned status = 200;
    headers head;
    std::string body;
    // What follows on `body`, asked for on the door's thread when what came before is with the kernel: an empty piece is the end. Sent in chunks;
    // a refusal breaks the connection off, so that nobody takes the part for the whole. May be empty.
    std::function<result<std::string>()> more = {};
};

response json_response(unsigned status, std::string json);
// AT Protocol's error form: {"error": code, "message": text}
response error_response(unsigned status, const refusal&);

result<std::string> percent_decode(std::string_view);
std::string percent_encode(std::string_view); // all but unreserved

} // namespace souk::http
