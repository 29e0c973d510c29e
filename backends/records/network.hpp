// Everyone's records: fetched from their authors' hosts, and watched. What comes out of here has had its CID recomputed.
#pragma once
#include <souk/backends/records/identity.hpp>
#include <souk/backends/http/server.hpp>
#include <souk/backends/records/repository.hpp>

namespace souk {

class record_network {
public:
    virtual ~record_network() = default;
    // The record that the reference means: fetched with its CID, and refused when the bytes have another ("cid_mismatch").
    // "record_not_found", "record_unreachable", "did_unresolved", "bad_record"; a reference that is none: "bad_at_uri", "bad_cid".
    virtual void fetch(const strong_ref&, std::function<void(result<stored_record>)>) = 0;
    // All of a collection (pages of 100, at most the 1,000 newest): vouches, rbac, keys. One record whose CID lies refuses them
    // all: a list that silently lacks a denouncement is worse than none.
    virtual void list(const std::string& did, const std::string& collection,
                      std::function<void(result<std::vector<stored_record>>)>) = 0;
    virtual void keys(const std::string& did, std::function<void(result<did_document>)>) = 0;
    // The same of records that carry no signature of their own, as vouches: each is believed for a proof that the account's signed commit leads to
    // it, not for its host's word. Also "record_not_proven", "record_list_too_large", "not_now". A network without hosts has nothing to prove.
    virtual void list_proven(const std::string& did, const std::string& collection, std::function<void(result<std::vector<stored_record>>)> tell) {
        list(did, collection, std::move(tell));
    }
};

// The own repository for the own DID, the network by HTTP for others. What is given outlives it. Whole repositories are kept in `directory` while they
// are verified: none is found there afterwards.
std::unique_ptr<record_network> make_record_network(repository& own, identity_resolver&, http::client&,
                                                    const std::filesystem::path& directory = std::filesystem::temp_directory_path());

// A stream of new records from one host, in Jetstream's frames:
//   {"did","time_us","kind":"commit","commit":{"operation":"create|update|delete","collection","rkey","cid","record"}}
// The CID of each is recomputed; a frame that lies is dropped and counted. Resumes at the last time_us less 1 s.
class record_watch {
public:
    struct options {
        std::string host; // https://host[:port]
        std::vector<std::string> collections;
        std::int64_t cursor = 0; // 0: from now
    };
    record_watch(http::client_options, options, std::function<void(const stored_record&)>,
                 std::function<void(bool up, std::string why)> state = {});
    ~record_watch();
    std::uint64_t refused() const;

private:
    class impl;
    std::unique_ptr<impl> impl_;
};

namespace internal {
class frame_shelf; // frames.hpp: what readers wait for, held once
std::shared_ptr<frame_shelf> make_frame_shelf();
} // namespace internal

// The same from a host's or a relay's own stream, com.atproto.sync.subscribeRepos: many accounts, each commit verified by its signature, its blocks
// and its proofs before anything of it is told. A commit in none of the collections is let go before its blocks are looked at. Commits of one
// account are told in order; what an account said before (by its revision) is not told again. An account whose keys cannot be found holds up
// nobody else: its commits are let go and counted, and it is said whose repository is to be read when they can be.
class sync_watch {
public:
    struct options {
        std::string host; // https://host[:port]
        std::vector<std::string> collections;
        std::int64_t cursor = 0; // sequence number; 0: from now
    };
    struct counters {
        std::uint64_t frames = 0, commits = 0, refused = 0, unresolved = 0, repeated = 0;
    };
    struct events {
        std::function<void(const stored_record&)> record; // on one thread of its own; it may wait. `time_us` is the sequence number
        std::function<void(std::int64_t seq)> passed;      // all up to there has been told, or was nothing to tell. May be empty
        std::function<void()> gap;                         // the host has forgotten what came before: read the repositories. May be empty
        // What this account said was let go for want of room or because it could not be resolved, or its state was declared anew (#sync): read its
        // repository. Told before the cursor is past what was let go. On the stream's thread or that of `record`. May be empty.
        std::function<void(const std::string& did)> missed;
        std::function<void(bool up, std::string why)> state;
    };
    sync_watch(http::client_options, options, identity_resolver&, events);
    ~sync_watch();
    counters so_far() const;

private:
    class impl;
    std::shared_ptr<impl> impl_;
};

// The other side of both: the routes that serve a repository. Answers what it knows, std::nullopt else (another door's route).
//   GET  /xrpc/com.atproto.repo.{getRecord,listRecords,describeRepo}
//   GET  /.well-known/{did.json,atproto-did}
//   GET  /<did:plc:...>, /<did:plc:...>/log, /log/last, /log/audit (own DID's document and operations, where it is a did:plc)
//   WS   /subscribe?wantedCollections=NSID&cursor=TIME_US
//   GET  /xrpc/com.atproto.sync.*, WS /xrpc/com.atproto.sync.subscribeRepos (sync_door.hpp), where its commits are the account's
// Writing (createRecord) needs an authority that the runtime decides on, so it is not here.
// A stream with a cursor replays what follows it and goes on live, without gap or duplicate, at the reader's own pace.
struct repository_door {
    synced_repository& own;
    std::function<did_document()> document;
    value plc_log; // as a directory's audit log, or a bare one; null for others
    std::shared_ptr<internal::frame_shelf> frames = internal::make_frame_shelf();
    bool commits = true; // false: a copy of what is at the account's host, which signs the commits
    std::optional<http::response> answer(const http::request&) const;
    std::optional<std::variant<http::stream_handler, http::response>> upgrade(const http::request&,
                                                                              std::shared_ptr<http::stream>) const;
};

} // namespace souk
