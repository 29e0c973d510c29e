// Who is behind a DID: did:plc (self-certifying log of operations), did:web, did:key; and which DID a handle means.
#pragma once
#include <functional>
#include <memory>
#include <set>

#include <souk/backends/http/client.hpp>
#include <souk/backends/records/dns.hpp>
#include <souk/backends/records/plc.hpp>

namespace souk {

// Shown to people, never acted upon: it may have been true only once.
struct shown_identity {
    did_document document;
    instant as_of; // when it was last verified
    bool stale = false; // it could not be verified again since
};

// Asynchronous, cached: at most 10,000 identities and 32 MiB, as many handles, and 2,000 misses of each apart from them, so that nonsense displaces
// nobody. What is known is told at once, on the caller's thread; the rest on the client's, or on that of the names. The client outlives the resolver.
// One question a DID is under way at a time, however many wait for it. An answer that does not verify displaces none that did, nor does a
// directory's log that lacks what it had before: then there are two words for one thing, and it is "did_unresolved".
class identity_resolver {
public:
    struct options {
        std::string plc_directory = "https://plc.directory";
        std::function<instant()> now;
        std::optional<did_document> own = {};  // this node's: nobody else is asked
        txt_lookup* names = nullptr;           // outlives the resolver, and goes before the client. None: handles by HTTPS alone
        std::set<std::string> local = {};      // names that the operator answers for: DNS is not asked, and any ending will do
        bool development = false;              // handles below .test; did:web of localhost without TLS
    };
    identity_resolver(http::client&, options);
    ~identity_resolver();
    // To act upon: verified within the last 5 minutes, or now. "did_unresolved" means wait, not pass (asked again after 5 s). Final: "bad_did",
    // "bad_did_document", "bad_plc_log", "did_given_up".
    void resolve(const std::string& did, std::function<void(result<did_document>)>);
    // To show: the same, but where that fails, what was verified within the last 24 hours, and when. Nothing that is paid or let in hangs on it.
    void show(const std::string& did, std::function<void(result<shown_identity>)>);
    // By DNS (TXT of _atproto.HANDLE), else by https://HANDLE/.well-known/atproto-did; the document must name the handle in turn
    // ("handle_not_claimed"). Also "bad_handle" (for the ending too: .local, .onion...), "handle_ambiguous" (DNS names several DIDs). Where it led is
    // remembered for 5 minutes, that it led nowhere for 5 s; whether the document still names it is asked each time.
    void resolve_handle(const std::string& handle, std::function<void(result<did_document>)>);
    // To show: the same, but where nobody can say, whose it was within the last 24 hours, if his document, as it is shown, still names it.
    void show_handle(const std::string& handle, std::function<void(result<shown_identity>)>);
    void forget(const std::string& did); // after a signature by an unknown key: look again, but not twice within 5 s

private:
    class impl;
    std::shared_ptr<impl> impl_;
};

} // namespace souk
