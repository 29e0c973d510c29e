// How a host becomes a member: `souk cluster init` makes a private authority, `invite` a one-time token for one name, `join` trades it
// for a certificate. The new node's key never leaves it; the token pins the authority, so the exchange needs no other trust.
#pragma once
#include <filesystem>
#include <string>

#include <souk/messages/result.hpp>
#include <souk/messages/time.hpp>

namespace souk::enrolment {

// Files below a node's directory: authority.{crt,key} (only where `init` ran), node.{crt,key}, invitations (hashes, ends).
struct membership {
    std::filesystem::path authority, certificate, key;
};
membership files_of(const std::filesystem::path& directory);

// Makes the authority, and this node's own certificate. Refuses to overwrite: "already_a_member".
result<void> init(const std::filesystem::path& directory, const std::string& cluster, const std::string& node);

// "souk1." + base64url of {node, door, authority fingerprint, 16 random bytes}. Good once, until `ends`. Only its hash is kept.
result<std::string> invite(const std::filesystem::path& directory, const std::string& node, const std::string& door_url, instant ends);

struct application { // what `join` sends: POST door/cluster/join, JSON
    std::string node, token, request; // CSR, PEM
};
struct admission { // what it gets back
    std::string certificate, authority; // PEM
};
// The authority's side: checks and spends the token. Codes "bad_token", "token_spent", "token_expired", "wrong_name".
result<admission> admit(const std::filesystem::path& directory, const application&, instant now);

struct prepared {
    std::string door;       // where to send it
    std::string fingerprint; // the authority that must answer
    application body;
    std::string key;        // stays here
};
result<prepared> prepare(const std::string& token);
// Verifies that the authority is the one that the token named and that the certificate is ours and by it; writes the files.
result<void> accept(const std::filesystem::path& directory, const prepared&, const admission&);

} // namespace souk::enrolment
