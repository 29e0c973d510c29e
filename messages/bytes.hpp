// Bytes and their text forms. Bytes are std::string throughout: CAF range-checks a string's length before it allocates,
// which it does not do for a vector. Every decoder is strict: one text for one value, anything else is refused.
#pragma once
#include <string>
#include <string_view>

#include <souk/messages/result.hpp>

namespace souk {

std::string to_hex(std::string_view bytes);                   // lower case, no prefix
result<std::string> from_hex(std::string_view text);          // either case; code "bad_hex"

std::string to_base64(std::string_view bytes);                // RFC 4648 section 4, padded
result<std::string> from_base64(std::string_view text);       // padded or not, never base64url; code "bad_base64"
std::string to_base64url(std::string_view bytes);             // RFC 4648 section 5, not padded (JOSE)
result<std::string> from_base64url(std::string_view text);    // no padding; unused bits must be zero

std::string to_base32(std::string_view bytes);                // RFC 4648 lower case, not padded (multibase "b" less the letter)
result<std::string> from_base32(std::string_view text);

std::string to_base58(std::string_view bytes);                // Bitcoin's alphabet (multibase "z" less the letter)
result<std::string> from_base58(std::string_view text);       // at most 256 characters: the algorithm is quadratic

bool is_utf8(std::string_view);                               // no overlong forms, no surrogates, at most U+10FFFF
std::string to_utf8(std::string_view bytes);                  // what is not UTF-8 becomes U+FFFD: for texts from outside

} // namespace souk
