// The credential by which an account lets a relay write one kind of record for its machines, and both ends of its use. Pure.
//   grant:         JWT ES256K by the account: iss account, aud relay, scope "repo:NSID?action=create", exp, at (optional: where)
//   service token: JWT ES256K by the relay:   iss relay, aud account, lxm com.atproto.repo.createRecord, 60 s
// A write is allowed by both together: the relay proves who it is, the grant proves that it may.
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <souk/messages/at.hpp>
#include <souk/messages/jwt.hpp>

namespace souk::credential {

inline constexpr const char* create_record = "com.atproto.repo.createRecord";
inline constexpr const char* grant_header = "Souk-Grant";
inline constexpr std::chrono::seconds longest_grant{31 * 24 * 3600}; // a lease's longest slice, and a day
inline constexpr std::chrono::seconds service_life{60};

struct grant { // verified
    std::string account; // DID
    std::string collection;
    instant until;
    std::string token;
    std::optional<std::string> at; // where to write: the account's own node, where its records live at somebody else's host. None: at its host
};
BOOST_DESCRIBE_STRUCT(grant, (), (account, collection, until, token, at))

// -- the account's side: gives -------------------------------------------------------------------------------------------

struct grant_terms {
    std::string account, relay, collection;
    instant now;
    std::chrono::seconds life;
    std::string at = {}; // https://host[:port] of the account's node; "": what the account's document says
};
result<std::string> sign_grant(const grant_terms&, const crypto::secret& account_key); // "bad_grant"

// -- the relay's side: takes, and uses -------------------------------------------------------------------------------------

// Whose grant a token claims to be, so that their keys can be looked up. Nothing is believed yet.
result<std::string> grantor_of(std::string_view token); // "bad_token", "bad_grant"
// Codes "bad_scope", "token_expired", "wrong_issuer", "wrong_audience", "bad_signature", ...
result<grant> read_grant(const std::string& token, const std::string& account, const std::string& relay, const std::vector<crypto::public_key>& account_keys,
                         instant now);
result<std::string> service_token(const std::string& relay, const std::string& account, instant now, std::string id, const crypto::secret& relay_key);

// -- the account's side: its own door --------------------------------------------------------------------------------------

// Who sent a service token, so that their document can be resolved. Nothing is believed yet.
result<std::string> sender_of(std::string_view service_token); // "bad_token"

struct granted_write {
    std::string service_token, grant_token;   // Authorization: Bearer ..., Souk-Grant: ...
    std::string account;                      // own DID
    crypto::public_key account_key;           // own signing key
    std::string relay;                        // whom `relay_keys` were resolved for: sender_of(service_token)
    std::vector<crypto::public_key> relay_keys;
    std::string method;                       // NSID that was called
    const value& body;                        // of createRecord
    instant now;
};
// Allowed, or why not: "wrong_method", "wrong_repository", "wrong_collection", "bad_scope", and what jwt::verify_es256k says.
result<void> check_granted_write(const granted_write&);

} // namespace souk::credential
