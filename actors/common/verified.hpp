// Records that were judged: the author's signature verified against the author's identity, the CID against the bytes.
#pragma once
#include <algorithm>
#include <chrono>
#include <functional>

#include <souk/backends/records/network.hpp>
#include <souk/messages/actors.hpp>
#include <souk/messages/attest.hpp>
#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/dialect.hpp>

namespace souk {

struct verified_record {
    strong_ref ref;
    at_uri uri;
    value content;
    did_document author;
    std::vector<value> parts; // that it consists of, once they were gathered
};

// Takes a note as the door delivered it; its CID is recomputed here all the same. `then` runs on any thread.
// This is where a record of another node is first believed, so it is here that it has to be what its lexicon says, where there is one.
// Codes: those of decoding, "cid_mismatch", "wrong_type", "invalid_record" with the path, "did_unresolved" (wait), and of check_attestation.
void verify_note(record_network&, const record_note&, std::function<void(result<verified_record>)> then);
// Fetches by reference first.
void verify_reference(record_network&, const strong_ref&, std::function<void(result<verified_record>)> then);

// What an envelope of a later generation consists of, fetched by URI and CID and added as `parts`. They need no signature of their own: the
// envelope's covers their CIDs. A part that is not there yet is "record_unreachable": its author wrote it before the envelope.
void gather_parts(record_network&, verified_record, std::function<void(result<verified_record>)> then);

// Whether that is no verdict yet: the identity or the record could not be looked up now. Wait, never pass, and never forget it either.
inline bool is_passing(const refusal& r) {
    return r.code == "did_unresolved" || r.code == "record_unreachable" || r.code == "request_timeout" || r.code.rfind("http_", 0) == 0;
}
// How long until the n-th look again, and how many there are: about four minutes in all.
inline constexpr unsigned most_looks = 12;
inline std::chrono::milliseconds look_again_in(unsigned n) { return std::min(std::chrono::milliseconds{500} * (1 << std::min(n, 6u)), std::chrono::milliseconds{30'000}); }

} // namespace souk
