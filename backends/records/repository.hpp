// A node's own records. Kept narrow: a later one stores them as an AT Protocol repository, or at a remote PDS.
#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <souk/messages/at.hpp>
#include <souk/messages/value.hpp>

namespace souk {

struct stored_record {
    at_uri uri;
    souk::cid cid;
    souk::value value;
    std::int64_t time_us = 0; // when this repository took it: strictly increasing, the stream's cursor
    bool updated = false;     // took the place of another
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
    // In order of time_us, after `cursor`; at most `most`, and none after the one with which they come to `bytes`.
    virtual std::vector<stored_record> since(std::int64_t cursor, std::size_t most, std::size_t bytes = 64 << 20) const = 0;
    // Called after each create and put that changed something, on the writer's thread, in order of time_us. A listener is quick; a
    // blocking write in it is refused: "would_block". Dropping the token ends it: when the drop returns, no call is under way.
    virtual std::shared_ptr<void> listen(listener) = 0;
};

struct repository_limits {
    std::size_t record_bytes = 1 << 20;           // as AT Protocol hosts have it
    std::int64_t file_bytes = std::int64_t{8} << 30; // what workloads may fill; then "disk_full"
};
// SQLite. Throws std::runtime_error: it cannot be opened, another process has it open, or it is another DID's.
std::unique_ptr<repository> open_repository(const std::filesystem::path& file, std::string did, repository_limits = {});

} // namespace souk
