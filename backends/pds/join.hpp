// How a node comes by an account at somebody's host. Either it brings an identity of its own, whose rotation key stays here (the way that accounts
// move between hosts: createAccount with a `did`, then an operation that names the host's keys, then activateAccount), or there is an account already,
// and its identity is asked to name this node's key. Each step can be taken again: what was done is found done.
#pragma once
#include <filesystem>
#include <functional>

#include <souk/backends/pds/session.hpp>
#include <souk/backends/records/plc.hpp>

namespace souk::pds {

struct joining {
    std::string host, handle;         // https://host[:port]; the handle wanted there, or the account's
    std::string also;                 // another handle, that is the node's own to prove; may be empty
    std::string email, invite;        // as the host wants them; may be empty
    std::string plc_directory;        // https URL, no slash at the end
    std::filesystem::path plc_log;    // of the identity that is brought: made where it is not there yet
    crypto::public_key signing;       // what records are attested with: #attestation. No key to seal to: the directory takes none, and an accept names it
    std::function<instant()> now;
    std::function<void(const std::string&)> say; // what was done, for people
};

// All of them wait. The account's DID. Codes: the session's, "pds_refused", "plc_unreachable", "plc_refused", and those of plc.hpp.
result<std::string> make_account(http::client&, session&, const joining&, const crypto::secret& rotation_key, const crypto::secret& signing_key, const crypto::secret& password);

// Whether the DID names this key as one that attests. "did_unresolved", "bad_plc_log".
result<bool> names_key(http::client&, const std::string& plc_directory, const std::string& did, const crypto::public_key&);
// Asks the host to mail a code; then, with the code, to have the identity name this node's keys besides its own. Needs the account's own password.
result<void> ask_for_code(session&);
result<void> bind_key(http::client&, session&, const joining&, const std::string& code);

} // namespace souk::pds
