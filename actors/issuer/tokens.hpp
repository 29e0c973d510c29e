// Workload tokens, pure: what a machine boots with, what it may exchange that for, and what anyone reads to verify them.
// Audiences: "api://DigitalOcean?actx=<provider>" for the boot token, "api://ATProto?actx=<DID of the account>" for the exchanged one.
#pragma once
#include <chrono>
#include <string>

#include <souk/messages/actors.hpp>
#include <souk/messages/jwt.hpp>

namespace souk::workload {

struct issuer {
    std::string uri;  // "https://...", no slash at the end
    std::string actx; // the provider's account, as in its audiences and subjects
    jwt::rs256_signer key;
    value jwks;       // {"keys": [...]} of `key`
    std::chrono::seconds boot_token_life{900}, longest_ttl{3600};
};

struct moment { // what makes two tokens differ
    instant now;
    std::string id; // "jti"
};

// Subjects are "actx:<actx>:plc:<key>:role:<role>": names and values by turns, no name twice, each value [A-Za-z0-9._-]. The value
// under a name; code "bad_subject".
result<std::string> subject_part(std::string_view subject, std::string_view name);

// Codes "bad_subject", "bad_machine". A subject of another actx is refused: it would speak for another provider's machine.
result<std::string> boot_token(const issuer&, const boot_token_request&, const moment&);

// Exchanges a boot token of this issuer for a token of the same subject and another audience: that of the account which the subject
// names, and no other. The life asked for is cut at `longest_ttl`; nothing else of the request becomes a claim.
// Codes "bad_ttl", "wrong_subject", "wrong_account", and those of jwt::verify_rs256 for the boot token.
result<std::string> exchanged_token(const issuer&, const token_exchange&, const moment&);

std::string discovery(const issuer&); // JSON of /.well-known/openid-configuration
std::string boot_audience(const std::string& actx);
std::string account_audience(const std::string& did);
// The DID in an audience of the second form; code "bad_audience".
result<std::string> account_of(std::string_view audience);

} // namespace souk::workload
