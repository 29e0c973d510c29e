// An account at a host of somebody else's (a PDS), as its owner's program uses it: https://atproto.com/specs/xrpc,
// com.atproto.server.{createSession,refreshSession} with a password, at best one that was made for this program alone.
#pragma once
#include <functional>
#include <optional>
#include <string>

#include <souk/backends/http/called_off.hpp>
#include <souk/backends/http/client.hpp>
#include <souk/backends/store/kept_file.hpp>
#include <souk/messages/crypto.hpp>
#include <souk/messages/time.hpp>
#include <souk/messages/value.hpp>

namespace souk::pds {

struct account {
    std::string host;       // https://host[:port], no slash at the end
    std::string identifier; // DID or handle
    std::string did;        // whose it must turn out to be; empty: whose it is
    std::function<result<crypto::secret>()> password; // asked for at each login, so that it is nowhere in between
};

struct request {
    std::string nsid;                // com.atproto.repo.createRecord
    std::string query;               // "repo=...&limit=100", encoded; or empty
    std::optional<souk::value> body; // a procedure's input, {} too; none: it is a query
    std::size_t largest_answer = 2 << 20;
};
struct reply {
    unsigned status = 0;
    std::string error, message; // as the host calls what is wrong: "InvalidSwap"; empty where nothing is
    souk::value body;
    bool well() const { return status == 200; }
};

// Used by one thread; `stop` from any.
class session {
public:
    // Tokens are kept in `tokens` (0600), so that a restart does not log in anew: hosts count logins. What is given outlives it.
    session(http::client&, account, kept_file& tokens, std::function<instant()> now);

    // Waits, at most some ten seconds a step (it may have to log in first). What the host said is a reply, refusals (4xx) too. Codes:
    //   "pds_unreachable", "pds_paused" (too many requests: not before `paused_until`), "pds_login" (the account is refused), "pds_stopped":
    //   nothing was done;  "pds_unknown": it may have been done, or may yet be.
    result<reply> call(const request&);
    result<void> log_in(); // unless it is; to try a password
    void try_again() { next_login_ = {}; } // something has changed since a login was refused
    const std::string& did() const { return did_; } // once logged in
    instant paused_until() const { return paused_until_; }
    void stop(); // calls under way and later ones end: "pds_stopped"

private:
    result<reply> ask(const request&, const std::string& token);
    result<http::response> fetch(http::call);
    result<void> refresh();
    result<void> take(const reply&);
    void heed(const http::response&, bool login);

    http::client& web_;
    const account who_;
    kept_file& tokens_;
    const std::function<instant()> now_;
    std::string did_;
    crypto::secret access_, renew_;
    instant paused_until_{}, next_login_{};
    unsigned refused_logins_ = 0;

    const std::shared_ptr<http::call_off> off_ = std::make_shared<http::call_off>();
};

} // namespace souk::pds
