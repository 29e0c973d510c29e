// What an OpenID provider publishes about its keys, judged before it is believed. Pure.
#pragma once
#include <string>
#include <string_view>

#include <souk/messages/value.hpp>

namespace souk::oidc {

inline constexpr std::size_t largest_document = 64 * 1024; // of either kind

// "scheme://host:port" of an http or https URL, in lower case with its port always given. No user, query or fragment, no blanks.
// Code "bad_url".
result<std::string> origin_of(std::string_view url, bool allow_http);

// Where an issuer's discovery document is. Code "bad_issuer".
result<std::string> discovery_url(std::string_view issuer, bool allow_http);

// The document must be by this very issuer, and its keys must lie at the issuer's own origin. Code "bad_discovery".
result<std::string> jwks_uri_in(std::string_view document, std::string_view issuer, bool allow_http);

// A key set: {"keys": [...]}. Code "bad_jwks".
result<value> jwks_in(std::string_view document);

} // namespace souk::oidc
