// JSON text to values and back. Boost.JSON is the tokenizer; what it lets through silently (double keys, floats) is refused.
#pragma once
#include <souk/messages/value.hpp>

namespace souk {

struct json_limits {
    std::size_t bytes = 1 << 20;
    unsigned depth = 64;
    std::size_t items = 100'000;
};

enum class json_form {
    plain,   // nothing is special; octets are written as base64 text, links as text
    atproto, // {"$bytes": base64} is octets, {"$link": text} is a link
};

// Codes: "json_syntax" (with line and column), "json_float", "json_duplicate_key", "json_number_range", "json_too_deep",
// "json_too_large", "json_bad_utf8", and in the atproto form "json_bad_bytes", "json_bad_link". A number written as 1.0 or 1e3
// is a float.
result<value> from_json(std::string_view text, json_form = json_form::plain, const json_limits& = {});

std::string to_json(const value&, json_form = json_form::plain);          // one line, keys in canonical order
std::string to_pretty_json(const value&, json_form = json_form::plain);   // two spaces a level

} // namespace souk
