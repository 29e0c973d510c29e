// A node's own records: an AT Protocol repository, with its tree, its signed commits and the stream of them.
#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <souk/messages/at.hpp>
#include <souk/messages/crypto.hpp>
#include <souk/messages/value.hpp>

namespace souk {

struct stored_record {
    at_uri uri;
    souk::cid cid;
    souk::value value;
    std::int64_t time_us = 0; // when this repository took it: strictly increasing, the stream's cursor
    bool updated = false;     // took the place of another
    bool removed = false;     // was here, and is no more: only its name and time are told
    strong_ref ref() const { return {uri.text(), cid.text()}; }
};

struct record_write {
    enum class kind { create, put, remove } how = kind::create;
    std::string collection, rkey;
    souk::value what;
};

class repository {
public:
    using written = std::function<void(std::vector<result<stored_record>>)>;
    using listener = std::function<void(const stored_record&)>;
    virtual ~repository() = default;

    virtual const std::string& did() const = 0;
    // Durable when it returns. The same key with the same record is the same record (a repeated effect); with another it is
    // refused: "record_exists". An empty rkey makes a TID. "disk_full", "disk_error", "record_too_large", "bad_record".
    virtual result<stored_record> create(const std::string& collection, const std::string& rkey, const value&) = 0;
    virtual result<stored_record> put(const std::string& collection, const std::string& rkey, const value&) = 0;
    virtual result<void> remove(const std::string& collection, const std::string& rkey) = 0;
    // The same without waiting, for several at once and in their order: one answer each, once they are durable, on the writer's
    // thread. The disk takes all of them or none; a refusal of one leaves the others. `then` must not block.
    virtual void apply(std::vector<record_write>, written then) = 0;
    virtual std::optional<stored_record> get(const std::string& collection, const std::string& rkey) const = 0;
    // By rkey, which for TIDs is by time: newest first, or oldest first. `cursor` is the rkey that the page before ended with.
    virtual std::vector<stored_record> list(const std::string& collection, std::size_t most, const std::string& cursor = {},
                                            bool oldest_first = false) const = 0;
    virtual std::optional<stored_record> newest(const std::string& collection) const = 0; // by time, not by rkey
    virtual std::vector<std::string> collections() const = 0;
    // What changed, removals too, in order of time_us, after `cursor`; at most `most`, and none after the one with which they come to `bytes`.
    virtual std::vector<stored_record> since(std::int64_t cursor, std::size_t most, std::size_t bytes = 64 << 20) const = 0;
    // Called after each write that changed something, removals too, on the writer's thread, in order of time_us. A listener is quick; a
    // blocking write in it is refused: "would_block". Dropping the token ends it: when the drop returns, no call is under way.
    virtual std::shared_ptr<void> listen(listener) = 0;
    // Whether what is read here is all that there is. Where others may write it too (the account is at a host), and that was not reachable for a
    // while, it is not: whoever decides about money waits.
    virtual bool current() const { return true; }
};

// What can be said of a write before it is done.
struct checked_write {
    std::string bytes; // none for a removal
    souk::cid cid;
};
result<checked_write> check_write(const record_write&, std::size_t record_bytes); // "bad_record", "record_too_large"

// -- as the network reads it ---------------------------------------------------------------------------------------------

struct repository_head {
    souk::cid commit; // none: there is nothing yet
    std::string rev;
};
struct sync_frame { // of com.atproto.sync.subscribeRepos, as it goes out
    std::int64_t seq = 0;
    std::shared_ptr<const std::string> bytes;
};
// A CAR, piece by piece; an empty one is the end.
using car_pieces = std::function<result<std::string>()>;

class synced_repository : public repository {
public:
    virtual repository_head head() const = 0;
    // The whole, or what is newer than the revision `since`: as it is when this is called, however long it takes to read. "not_now": so many
    // are reading already.
    virtual result<car_pieces> export_car(const std::string& since) const = 0;
    // The commit, and the nodes that show whether the record is there, and it: a CAR.
    virtual result<std::string> prove(const std::string& collection, const std::string& rkey) const = 0;
    virtual std::vector<std::pair<souk::cid, std::string>> blocks(const std::vector<souk::cid>&) const = 0; // those that are there
    // Frames after `seq`, as in `since`. At most 200,000 and 256 MiB are kept.
    virtual std::vector<sync_frame> frames(std::int64_t seq, std::size_t most, std::size_t bytes) const = 0;
    virtual std::int64_t oldest_frame() const = 0; // 0: none
    virtual std::int64_t last_frame() const = 0;   // 0: none yet
    // Called when there are new frames, as `listen` calls.
    virtual std::shared_ptr<void> listen_frames(std::function<void()>) = 0;
};

struct repository_limits {
    std::size_t record_bytes = 1 << 20;           // as AT Protocol hosts have it
    std::int64_t file_bytes = std::int64_t{8} << 30; // what workloads may fill; then "disk_full"
};
// SQLite; commits are signed by the key (k256), as the DID document names it. Throws std::runtime_error: it cannot be opened, another process
// has it open, or it is another DID's.
std::unique_ptr<synced_repository> open_repository(const std::filesystem::path& file, std::string did, crypto::secret signing_key, repository_limits = {});

} // namespace souk
