// Instants and their text. Nobody in this room reads a clock.
#pragma once
#include <chrono>
#include <string>
#include <string_view>

#include <souk/messages/result.hpp>

namespace souk {

// Wall time: a deadline must mean the same after a reboot, which a steady clock does not promise.
using instant = std::chrono::sys_time<std::chrono::milliseconds>;

std::string to_datetime(instant);                      // "2026-05-09T07:42:10.123Z" (RFC 3339, AT Protocol's preferred form)
result<instant> from_datetime(std::string_view text);  // any RFC 3339 with an offset; code "bad_datetime"

// Timestamp identifiers, AT Protocol's record keys: 13 characters, 53 bits of microseconds and 10 of a clock id.
std::string to_tid(std::uint64_t microseconds, unsigned clock_id);
bool is_tid(std::string_view text);

} // namespace souk
