// Internal. The authority's list of invitations: hashes of tokens, never tokens. One file, changed under a lock and replaced whole, so
// that the command line and a running node can both use it.
#pragma once
#include <filesystem>
#include <functional>
#include <vector>

#include <souk/messages/described.hpp>
#include <souk/messages/result.hpp>

namespace souk::enrolment {

struct invitation {
    std::string node, hash; // SHA-256 of the token, hex
    instant ends;
    bool spent = false;
};
BOOST_DESCRIBE_STRUCT(invitation, (), (node, hash, ends, spent))

struct invitation_list {
    std::vector<invitation> all;
};
BOOST_DESCRIBE_STRUCT(invitation_list, (), (all))

std::string hash_of(const std::string& token);

// Runs `change` on the list; what it leaves is on disk before this returns, unless it refuses. Codes of its own: "storage".
result<void> change_invitations(const std::filesystem::path& directory, const std::function<result<void>(invitation_list&)>& change);

} // namespace souk::enrolment
