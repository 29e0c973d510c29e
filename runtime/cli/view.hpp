// Reading answers of a node: absent is empty, never an error.
#pragma once
#include <string>

#include <souk/messages/time.hpp>
#include <souk/messages/value.hpp>

namespace souk::cli {

inline const value::list& list_of(const value& v, std::string_view key) {
    static const value::list none;
    const auto* at = v.find(key);
    const auto* l = at ? at->as<value::list>() : nullptr;
    return l ? *l : none;
}
inline std::string text_of(const value& v, std::string_view key) {
    const auto* at = v.find(key);
    if (!at) return {};
    if (const auto* s = at->as<std::string>()) return *s;
    if (const auto* n = at->as<std::int64_t>()) return std::to_string(*n);
    if (const auto* b = at->as<bool>()) return *b ? "yes" : "no";
    return {};
}
// Milliseconds since 1970 as "2026-05-09T07:42:10Z"; "-" for none.
inline std::string when(const value& v, std::string_view key) {
    const auto* at = v.find(key);
    const auto* n = at ? at->as<std::int64_t>() : nullptr;
    return n && *n > 0 ? to_datetime(instant{std::chrono::milliseconds{*n}}).substr(0, 19) + 'Z' : "-";
}

} // namespace souk::cli
