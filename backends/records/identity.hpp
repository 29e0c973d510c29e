// Who is behind a DID: did:plc (self-certifying log of operations), did:web, did:key. And this node's own.
#pragma once
#include <functional>
#include <memory>

#include <souk/backends/http/client.hpp>
#include <souk/backends/records/plc.hpp>

namespace souk {

// Asynchronous, cached (5 minutes, 10,000 entries, misses 5 s). Never answers with a document that was not fetched or verified:
// "did_unresolved" means wait, not pass. Final: "bad_did", "bad_did_document", "bad_plc_log". What is known is told at once, on the
// caller's thread; the rest on the client's. The client outlives the resolver.
class identity_resolver {
public:
    struct options {
        std::string plc_directory = "https://plc.directory";
        std::function<instant()> now;
    };
    identity_resolver(http::client&, options);
    ~identity_resolver();
    void resolve(const std::string& did, std::function<void(result<did_document>)>);
    // By https://HANDLE/.well-known/atproto-did; the document must name the handle in turn ("handle_not_claimed").
    void resolve_handle(const std::string& handle, std::function<void(result<did_document>)>);
    void forget(const std::string& did); // after a signature by an unknown key: look again, but not twice within 5 s

private:
    class impl;
    std::shared_ptr<impl> impl_;
};

} // namespace souk
