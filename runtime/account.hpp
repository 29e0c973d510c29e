// A node's account at somebody else's host: what of it is kept in the node's directory, for the node and for `souk account`.
#pragma once
#include <optional>

#include <souk/backends/keys/keyring.hpp>
#include <souk/backends/pds/join.hpp>
#include <souk/backends/pds/remote_repository.hpp>
#include <souk/runtime/config.hpp>

namespace souk {

struct hosted_account { // account.json
    std::string did, handle, host;
};
std::optional<hosted_account> account_of(const node_config&); // throws std::runtime_error where it is damaged, or another host's
void keep_account(const node_config&, const hosted_account&);

// keys/pds-password, or as [pds] password says; the session's tokens beside it, both 0600.
std::filesystem::path password_file(const node_config&);
std::unique_ptr<kept_file> session_file(const node_config&);
pds::account login_of(const node_config&, const std::string& did);
pds::joining joining_of(const node_config&, const keyring&, std::function<instant()> now);

// The collections of the market, of trust and of access: what of the account is copied here.
std::vector<std::string> copied_collections();

} // namespace souk
