// Frames of com.atproto.sync.subscribeRepos, both ways: DAG-CBOR of {op, t} and right behind it that of the body.
// Formats: https://atproto.com/specs/event-stream and https://atproto.com/specs/sync (1.1, with prevData).
//
// A reader of the network's stream wants one frame in thousands: `glance` looks at the paths of a commit and at no block; `decode` what
// passed; `verify` what is to be believed, from a frame alone and the account's keys.
#pragma once
#include <variant>

#include <souk/messages/commit.hpp>

namespace souk::firehose {

// As the protocol states them.
constexpr std::size_t largest_frame = 5'000'000, most_ops = 200, largest_blocks = 2'000'000, largest_sync_blocks = 10'000;
constexpr std::size_t most_blobs = 4'000; // of one commit: 200 records of 20 each

enum class op_action { create, update, remove };

struct op {
    op_action action = op_action::create;
    std::string path;
    cid id;   // none: deleted
    cid prev; // of what was updated or deleted; none from hosts before sync 1.1
    bool operator==(const op&) const = default;
};

struct commit_event {
    std::int64_t seq = 0;
    bool rebase = false, too_big = false; // of the past, and always written as false
    std::string repo, rev;
    std::optional<std::string> since; // the revision before; none: the first
    cid commit;
    std::string blocks; // a CAR: the commit, the nodes that prove the operations, the new records
    std::vector<op> ops;
    std::vector<cid> blobs;
    std::string time;
    cid prev_data; // the tree's root before; none from hosts before sync 1.1
    bool operator==(const commit_event&) const = default;
};
struct sync_event { // the state of a repository, whatever was said before; `blocks` is a CAR with the commit
    std::int64_t seq = 0;
    std::string did, rev, blocks, time;
    bool operator==(const sync_event&) const = default;
};
struct identity_event { // something about the identity may have changed: look again
    std::int64_t seq = 0;
    std::string did, time;
    std::optional<std::string> handle;
    bool operator==(const identity_event&) const = default;
};
struct account_event {
    std::int64_t seq = 0;
    std::string did, time;
    bool active = true;
    std::optional<std::string> status; // why not: "takendown", "suspended", "deleted", "deactivated", "desynchronized", "throttled", ...
    bool operator==(const account_event&) const = default;
};
struct info_event { // "OutdatedCursor"
    std::string name;
    std::optional<std::string> message;
    bool operator==(const info_event&) const = default;
};
struct error_event { // the last frame of its stream: "FutureCursor", "ConsumerTooSlow"
    std::string error;
    std::optional<std::string> message;
    bool operator==(const error_event&) const = default;
};
struct unknown_event { // of a later protocol: to be passed over
    std::int64_t op = 0;
    std::string type;
    std::int64_t seq = 0; // 0 when it has none
    bool operator==(const unknown_event&) const = default;
};
using event = std::variant<commit_event, sync_event, identity_event, account_event, info_event, error_event, unknown_event>;

// -- writing --------------------------------------------------------------------------------------------------------

// Codes "too_many_ops", "blocks_too_large", "frame_too_large": the host says #sync then.
result<std::string> encode(const event&);

// The event of a commit whose nodes and records are in `blocks`: what it carries proves and undoes its operations. `seq` is the caller's.
// Codes of mst_covering_proof, "missing_record", "too_many_ops", "blocks_too_large".
result<commit_event> announce(const repo_commit&, const std::optional<std::string>& since, const cid& prev_data, std::vector<op>,
                              const block_source& blocks, std::string time);
sync_event announce_state(const repo_commit&, std::string time);

// -- reading --------------------------------------------------------------------------------------------------------

// The collections that are asked for: "com.example.name", or "com.example.*" for all that begin so. None: every one.
class wanted {
public:
    wanted() = default;
    explicit wanted(std::vector<std::string> collections);
    bool has(std::string_view collection) const;
    bool has_path(std::string_view path) const { return has(path.substr(0, path.find('/'))); }

private:
    std::vector<std::string> names_, beginnings_;
};

struct seen {
    std::string_view type; // "#commit", ...; "" for an error frame; a view of the frame, as the others
    std::int64_t seq = 0;  // 0 when it has none
    std::string_view repo, rev;
    bool worth = true; // to be decoded: false for a commit whose operations touch no collection that is wanted
};
// Reads no further than it must. Codes as `decode`'s.
result<seen> glance(std::string_view frame, const wanted&);

// Codes "bad_frame", "frame_too_large", "too_many_ops", "blocks_too_large". Fields of a later protocol are passed over.
result<event> decode(std::string_view frame);

// -- believing ------------------------------------------------------------------------------------------------------

struct repo_state { // what was verified last of a repository
    std::string rev;
    cid data;
};
struct verify_options {
    std::optional<repo_state> known = {}; // the commit must follow on it
    std::string not_after = {};           // the latest revision that is not from the future; "": not checked
    bool need_prev_data = true;           // false: hosts before sync 1.1 are believed for their signature and the tree's proofs
    const wanted* only = nullptr;         // decode the records of these
};
struct verified_op {
    op what;
    std::string bytes; // of the record that is there now
    value record;
};
struct verified_commit {
    repo_commit commit;
    std::vector<verified_op> ops;
    bool inductive = false; // undone, the operations lead to prev_data
};
// Codes of car_view, decode_commit, verify_commit, mst_invert, decode_record; "too_big", "bad_root", "commit_mismatch" (the frame says
// another revision), "rev_not_newer", "rev_in_future", "commit_gap" (it follows on another state: fetch the repository), "no_prev_data",
// "prev_data_mismatch", "bad_path", "missing_record".
result<verified_commit> verify(const commit_event&, std::span<const crypto::verifier> keys, const verify_options& = {});
result<repo_commit> verify(const sync_event&, std::span<const crypto::verifier> keys, const std::string& not_after = {});

} // namespace souk::firehose
