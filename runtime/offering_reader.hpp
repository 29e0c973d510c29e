// Reads an author's offerings where his identity says that his records are, and has the one that counts proved.
#pragma once
#include <souk/actors/offerings/finder.hpp>
#include <souk/backends/http/client.hpp>
#include <souk/backends/records/identity.hpp>

namespace souk {

// com.atproto.repo.listRecords says which is the newest, com.atproto.sync.getRecord proves it: a commit signed by the author's keys, and the way from it
// to the record. A page of 25, 256 KiB; no more is looked at, whatever there is. What is given outlives it. Codes: of the look-up of identities,
// "record_unreachable", "bad_record", and of verify_record_proof.
offering_reader make_offering_reader(identity_resolver&, http::client&, std::function<instant()> now);

} // namespace souk
