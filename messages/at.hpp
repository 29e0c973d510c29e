// Names of the AT Protocol: DIDs, handles, collections (NSIDs), record keys, at-uris, strongRefs.
// Syntax: https://atproto.com/specs/{did,handle,nsid,record-key,at-uri-scheme}. All are bounded, all checks are by hand.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include <boost/describe.hpp>

#include <souk/messages/cid.hpp>

namespace souk {

bool is_did(std::string_view);        // did:method:identifier, at most 2 KiB
bool is_handle(std::string_view);     // a.domain.name, at most 253
bool is_nsid(std::string_view);       // com.example.name, at most 317
bool is_record_key(std::string_view); // [A-Za-z0-9.:~_-]{1,512}, neither . nor ..

struct at_uri { // at://did/collection/rkey ; always the full form, always by DID
    std::string did, collection, rkey;
    static result<at_uri> parse(std::string_view text); // code "bad_at_uri"
    std::string text() const { return "at://" + did + '/' + collection + '/' + rkey; }
    bool operator==(const at_uri&) const = default;
};

// com.atproto.repo.strongRef: a record, and what it said.
struct strong_ref {
    std::string uri, cid;
    bool operator==(const strong_ref&) const = default;
};
BOOST_DESCRIBE_STRUCT(strong_ref, (), (uri, cid))

// The pair out of the paid URL "/ccr/{at-uri}/{cid}": raw, percent-encoded, or with "at://" collapsed to "at:/" on the way.
// `path` is what follows the prefix. Codes "missing_cid", "bad_cid", "bad_at_uri".
result<strong_ref> parse_paid_path(std::string_view path);

// The host label of a public name: flatten(service) + "--" + flatten(handle), both "." and ":" become "-". Refused when it is
// over 63 characters, or when either part has "--", or begins or ends with "-" (else two accounts could own one label).
result<std::string> host_label(std::string_view service, std::string_view handle); // code "bad_label"

} // namespace souk
