// An account at a host of somebody else's (a PDS), as its owner's program uses it: https://atproto.com/specs/xrpc. What is asked, and what is made of
// the answers, is the same however the program is let in: by password (password_session) or by OAuth (oauth_session).
#pragma once
#include <functional>
#include <optional>
#include <string>

#include <souk/backends/http/called_off.hpp>
#include <souk/backends/http/client.hpp>
#include <souk/messages/time.hpp>
#include <souk/messages/value.hpp>

namespace souk::pds {

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
    http::headers head = {};
    bool well() const { return status == 200; }
};

// Used by one thread; `stop` from any.
class session {
public:
    virtual ~session() = default;

    // Waits, at most some ten seconds a step (it may have to log in first). What the host said is a reply, refusals (4xx) too. Codes:
    //   "pds_unreachable", "pds_paused" (too many requests: not before `paused_until`), "pds_login" (the account is refused), "pds_login_needed"
    //   (a person has to log in again), "pds_stopped": nothing was done;  "pds_unknown": it may have been done, or may yet be.
    result<reply> call(const request&);
    virtual result<void> log_in() = 0; // unless it is
    virtual void try_again() = 0;      // something has changed since a login was refused
    const std::string& did() const { return did_; } // once logged in
    instant paused_until() const { return paused_until_; }
    void stop(); // calls under way and later ones end: "pds_stopped"

protected:
    // What is given outlives it. `host` is https://host[:port], no slash at the end.
    session(http::client&, std::string host, std::string did, std::function<instant()> now);

    virtual result<void> show(http::call&) = 0;         // who calls; all else of the call is there
    virtual void hear(const std::string& /*url*/, const http::response&) {}
    // Whether the answer was about who called, and that is better now: then it is called again, at most so often. `before`: how often it was.
    virtual result<bool> mend(const reply&, unsigned before) = 0;

    using shown = std::function<result<void>(http::call&)>;
    result<reply> ask(const request&, const shown&, instant& pause);
    result<http::response> fetch(http::call); // "pds_stopped", "pds_unknown", "pds_unreachable"
    void heed(const http::response&, instant& pause) const;

    const std::string host_;
    std::string did_;
    const std::function<instant()> now_;
    instant paused_until_{};
    const std::shared_ptr<http::call_off> off_ = std::make_shared<http::call_off>();

private:
    http::client& web_;
};

refusal not_answered(const std::string& host, const refusal&); // of the client's codes, the session's

} // namespace souk::pds
