// The identity issuer: workload tokens for this provider's machines, and the documents that verify them. Tokens are in answers only.
#pragma once
#include <souk/messages/actors.hpp>
#include <souk/messages/jwt.hpp>

namespace souk {

struct issuer_options {
    std::string issuer_uri, actx;
    std::chrono::seconds boot_token_life{900}, longest_ttl{3600};
    std::function<instant()> now;
};

// Throws std::invalid_argument where the URI or the actx could not stand in a token.
issuer_actor spawn_issuer(caf::actor_system&, issuer_options, jwt::rs256_signer);
inline issuer_actor spawn_issuer(caf::actor_system& sys, issuer_options o, const jwt::rsa_key& key) { return spawn_issuer(sys, std::move(o), jwt::rs256_signer(key)); }

} // namespace souk
