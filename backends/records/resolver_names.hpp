// Internal. What names mean to the resolver: addresses of did:web, handles, the identity that a did:key is.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include <souk/backends/records/did_document.hpp>

namespace souk::internal {

// did:web:host[%3Aport][:path...] to https://host[:port]/path.../did.json or /.well-known/did.json. An address is no host, but a developer's own:
// localhost, there without TLS. Code "bad_did".
result<std::string> web_url(std::string_view did, bool development);
result<did_document> key_document(const std::string& did); // code "bad_did_document"

// In lower case. Refused ("bad_handle") below what nobody owns, by https://atproto.com/specs/handle; .test is for development.
result<std::string> handle_of(std::string_view text, bool development, bool local);
// The DID of a handle's TXT records: "" where none names one. Code "handle_ambiguous".
result<std::string> did_in(const std::vector<std::string>& texts, const std::string& handle);
std::string_view one_line(std::string_view text); // less the blanks around it

// Where a redirection leads, when it stays at the same scheme, host and port; "" else.
std::string same_host(const std::string& url, std::string_view location);

} // namespace souk::internal
