// A node's account at somebody else's host: what of it is kept in the node's directory, for the node and for `souk account`.
#pragma once
#include <optional>

#include <souk/backends/keys/keyring.hpp>
#include <souk/backends/pds/join.hpp>
#include <souk/backends/pds/password_session.hpp>
#include <souk/backends/pds/remote_repository.hpp>
#include <souk/runtime/config.hpp>

namespace souk {

enum class login_kind { password, oauth };
struct hosted_account { // account.json
    std::string did, handle, host;
    login_kind login = login_kind::password; // how the node is let in: the way that was taken last
};
std::optional<hosted_account> account_of(const node_config&); // throws std::runtime_error where it is damaged, or another host's
void keep_account(const node_config&, const hosted_account&);

// keys/pds-password, or as [pds] password says; the session's tokens beside it (keys/pds-session, keys/pds-oauth), all 0600.
std::filesystem::path password_file(const node_config&);
std::unique_ptr<kept_file> session_file(const node_config&, login_kind);
pds::account login_of(const node_config&, const std::string& did);
// As account.json says that it is let in. `tokens` is its session_file.
std::unique_ptr<pds::session> session_of(http::client&, const node_config&, const hosted_account&, kept_file& tokens, std::function<instant()> now);
pds::joining joining_of(const node_config&, const keyring&, std::function<instant()> now);

// The collections of the market, of trust and of access: what of the account is copied here.
std::vector<std::string> copied_collections();

} // namespace souk
