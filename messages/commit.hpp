// Signed commits of AT Protocol repositories, version 3: {did, version, data, rev, prev, sig}, signed over its DAG-CBOR less `sig`.
// Format: https://atproto.com/specs/repository#commit-objects. And the check of a whole repository as it is exported.
#pragma once
#include <functional>
#include <optional>
#include <span>
#include <string>

#include <souk/messages/car.hpp>
#include <souk/messages/crypto.hpp>
#include <souk/messages/mst.hpp>
#include <souk/messages/value.hpp>

namespace souk {

struct repo_commit {
    std::string did, rev; // rev: a TID, later ones greater
    cid data;             // the tree's root
    cid prev;             // none since version 3, but the field is there
    std::string sig;      // 64 bytes; empty: not signed
    bool operator==(const repo_commit&) const = default;
};

std::string encode_commit(const repo_commit&); // less `sig` when that is empty: what is signed
// Signs what is there; the CID of the outcome is cid::of_dag_cbor(encode_commit(c)). Codes "bad_commit" (did or rev), "bad_key".
result<repo_commit> sign_commit(repo_commit, crypto::curve, const crypto::secret& key32);

// Codes "bad_commit", "commit_version" (2 and before: their signatures are over something else).
result<repo_commit> decode_commit(std::string_view bytes);

// By any of the account's keys. Codes "wrong_did", "bad_signature", "no_keys".
result<void> verify_commit(const repo_commit&, std::string_view did, std::span<const crypto::verifier> keys);

// -- a whole repository ---------------------------------------------------------------------------------------------

struct verified_repo {
    cid id; // of the commit
    repo_commit commit;
    std::size_t records = 0;
};

// One record at a time, in the order of the paths; the views and the value are good until it returns. What it refuses with ends it.
using record_visitor = std::function<result<void>(std::string_view path, const cid&, std::string_view bytes, value&)>;

// An export: the first root is the commit; its signature, its tree (see mst.hpp) and that each record is there and DAG-CBOR are checked.
// Blocks that nothing leads to are let be. Codes: those of car_view, decode_commit, verify_commit and mst, "bad_root",
// "bad_path" (not a collection's NSID and a record key), "missing_record", "bad_record".
result<verified_repo> verify_repo(std::string_view car, std::string_view did, std::span<const crypto::verifier> keys, const record_visitor&,
                                  const car_limits& = {}, const mst_limits& = {});
// The same, of blocks that were kept as they came: what is in memory is the way to one record, and that record.
result<verified_repo> verify_repo(const cid& commit, const block_source&, std::string_view did, std::span<const crypto::verifier> keys, const record_visitor&,
                                  const mst_limits& = {});

// -- one record -----------------------------------------------------------------------------------------------------

struct proven_record {
    repo_commit commit;
    cid id; // none: the tree has nothing there
    std::string bytes;
};
// What com.atproto.sync.getRecord answers: the commit, the nodes on the way to the path, and the record. Codes: those of verify_repo.
result<proven_record> verify_record(std::string_view car, std::string_view did, std::span<const crypto::verifier> keys, std::string_view path);

// The record of a block: DAG-CBOR of a map, of a CID that says so. Code "bad_record".
result<value> decode_record(const cid&, std::string_view bytes);
bool is_record_path(std::string_view path); // an NSID, a slash, a record key

} // namespace souk
