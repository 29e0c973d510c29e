// An authorization server, as a public native client of the AT Protocol's profile of OAuth talks to it: https://atproto.com/specs/oauth
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <souk/backends/http/client.hpp>
#include <souk/messages/crypto.hpp>
#include <souk/messages/time.hpp>
#include <souk/messages/value.hpp>

namespace souk::pds::oauth {

// Who this program is to every server: a client on loopback, which has no page of its own that says so. A port is the login's, and not compared.
extern const std::string client_id, scope;

using asker = std::function<result<http::response>(http::call)>; // waits

struct server { // what it says of itself, as far as it is used
    std::string issuer, authorize, token, push, revoke; // the last may be empty
};
// The one that `host` (a PDS) names, once it has shown that it speaks the whole profile. "pds_no_oauth" with what is missing, "pds_unreachable".
result<server> discover(const asker&, const std::string& host);

std::string random_text(); // 256 bits, base64url

// One session's key, and the last nonce that each server gave, so that its proofs are what they want to see. Used by one thread.
class prover {
public:
    prover(crypto::secret p256_key, std::function<instant()> now); // throws std::invalid_argument: no key of P-256
    result<void> show(http::call&, const crypto::secret* token = nullptr); // sets DPoP, and Authorization where there is a token
    void hear(const std::string& url, const http::response&);
    bool has_better(const std::string& url) const; // another nonce than the last proof for this server had
    const crypto::secret& key() const { return key_; }

private:
    struct nonces {
        std::string next, shown;
    };
    crypto::secret key_;
    std::function<instant()> now_;
    std::map<std::string, nonces> by_origin_; // of at most `most_origins`: a server's metadata names a few
};

struct answer {
    unsigned status = 0;
    std::string error, text; // as the server says what is wrong; empty where nothing is
    value body;
    http::response raw;      // less its body
    bool well() const { return status == 200 || status == 201; }
};
using form = std::vector<std::pair<std::string, std::string>>;
// With a proof, and again, a few times, where the server wants another nonce in it. "pds_unreachable" (nothing was done), "pds_unknown",
// "pds_stopped".
result<answer> post(const asker&, prover&, const std::string& url, const form&);

} // namespace souk::pds::oauth
