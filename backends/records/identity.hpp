// Who is behind a DID: did:plc (self-certifying log of operations), did:web, did:key. And this node's own.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <souk/backends/http/client.hpp>
#include <souk/messages/crypto.hpp>
#include <souk/messages/time.hpp>
#include <souk/messages/value.hpp>

namespace souk {

struct did_document {
    std::string did;
    std::vector<std::string> handles;           // from alsoKnownAs, without at://
    std::vector<crypto::public_key> signing;    // #atproto and #attestation
    std::string seal_key;                       // did:key of #seal; "" when there is none
    std::string pds; // https URL of #atproto_pds (http for localhost), no trailing slash; "" when there is none
};

value to_json_document(const did_document&); // as served at /.well-known/did.json (W3C DID core with Multikey)
result<did_document> read_document(const value&, std::string_view did); // code "bad_did_document"

// did:plc: the genesis operation's hash is the DID, each later one names the CID before it and is signed by one of that one's
// rotation keys. https://web.plc.directory/spec/v0.1/did-plc
namespace plc {
struct genesis_of {
    crypto::public_key rotation, signing;
    std::string seal_key, handle, pds;
};
value genesis(const genesis_of&, const crypto::secret& rotation_key); // signed operation
std::string did_of(const value& genesis_operation);
result<did_document> verify_log(const std::string& did,
                                const value& log); // array of signed operations, oldest first; code "bad_plc_log"
} // namespace plc

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
