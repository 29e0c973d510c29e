// Proofs that whoever shows a token holds the key that it is bound to: DPoP, https://www.rfc-editor.org/rfc/rfc9449, with ES256 alone, which is what
// the AT Protocol asks for.
#pragma once
#include <string>

#include <souk/messages/crypto.hpp>
#include <souk/messages/time.hpp>
#include <souk/messages/value.hpp>

namespace souk::dpop {

struct proof {
    std::string method, url; // of the request; the proof leaves out the URL's query
    std::string id;          // another one each time
    std::string nonce;       // the server's; empty: it has given none
    std::string token;       // that is shown with it; empty: none is
    instant now;
};
result<std::string> prove(const crypto::secret& p256_key, const proof&); // code "bad_key"

result<value> jwk_of(const crypto::public_key&);              // {kty, crv, x, y}; code "bad_key"
result<std::string> thumbprint_of(const crypto::public_key&); // RFC 7638

// What a 401 says is wrong: `error` of the DPoP challenge in WWW-Authenticate (RFC 9110, section 11.6.1); "" where there is none.
std::string challenge_error(std::string_view www_authenticate);

} // namespace souk::dpop
