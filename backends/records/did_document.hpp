// What a DID says of its subject: names, keys, hosts. As JSON: W3C DID core with Multikey verification methods, as AT Protocol has them.
#pragma once
#include <string>
#include <vector>

#include <souk/messages/crypto.hpp>
#include <souk/messages/value.hpp>

namespace souk {

struct did_service {
    std::string id, type, endpoint; // id without '#'
    bool operator==(const did_service&) const = default;
};

struct did_document {
    std::string did;
    std::vector<std::string> handles;           // from alsoKnownAs, without at://
    std::vector<crypto::public_key> signing;    // #atproto and #attestation
    std::string seal_key;                       // did:key of #seal; "" when there is none
    std::string pds; // https URL of #atproto_pds (http for localhost), no trailing slash; "" when there is none
    std::vector<did_service> services = {};     // the others that are reached by https
};

value to_json_document(const did_document&); // as served at /.well-known/did.json
result<did_document> read_document(const value&, std::string_view did); // code "bad_did_document"

} // namespace souk
