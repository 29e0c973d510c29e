// Inline attestation signatures, in the form that real records use:
//   take the record less "signatures"; add "$sig" = the entry less "cid" and "signature", plus "repository" = DID of the
//   repository that the record lives in; the CID of that (DAG-CBOR) is entry.cid; the signature is ECDSA over those 36 bytes.
// A record copied into another repository, or changed in any byte, no longer verifies.
#pragma once
#include <functional>
#include <vector>

#include <souk/messages/crypto.hpp>
#include <souk/messages/records.hpp>

namespace souk {

// Appends an entry to record.signatures. Codes "bad_key", "wrong_type" (no map, or it has a "$sig", or "signatures" is no list).
result<void> attest(value& record, std::string_view repository, std::string_view issuer, crypto::curve, const crypto::secret& key,
                    std::string_view issued_at = {});

// Keys that a DID's document lists; asked once per entry.
using keys_of_did = std::function<result<std::vector<crypto::public_key>>(std::string_view did)>;

// At least one entry must be by `author` with a key of the author's document, and every inline entry must verify.
// Codes: "unsigned", "signature_cid_mismatch", "bad_signature", "high_s", "key_not_of_issuer", "issuer_not_author", "bad_key",
// "wrong_type" (an entry of another shape), "too_many_signatures" (over 8), and what the look-up says. Entries that only refer
// to a proof elsewhere (strongRefs) count for nothing.
result<void> check_attestation(const value& record, std::string_view repository, std::string_view author, const keys_of_did&);

// What a record says in its `cid` about another one, its subject: the CID of the subject less "signatures", with "$sig" = the record less
// "cid", "signature" and "signatures", plus "repository" = DID of the subject's repository. So a receipt binds one accept, as it was written.
// Code "wrong_type".
result<cid> remote_cid(const value& record, const value& subject, std::string_view repository);

} // namespace souk
