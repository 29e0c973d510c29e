// A node's records in an account at somebody else's host (a PDS): written there, and read from a copy that is kept here. To the roles it is a
// repository like the embedded one. What is to be written waits on the disk while the host is away, is sent again with the same key, and is never
// there twice; what others write to the account (its owner's other programs) is found and told.
//   com.atproto.repo.{applyWrites,createRecord,putRecord,deleteRecord,getRecord,listRecords}, com.atproto.sync.getLatestCommit
#pragma once
#include <chrono>

#include <souk/backends/pds/outbox.hpp>
#include <souk/backends/pds/session.hpp>

namespace souk::pds {

struct remote_options {
    std::vector<std::string> collections;  // what is copied of the account; it may hold much else
    std::chrono::milliseconds look_every{15'000}; // for others' writes
    std::chrono::milliseconds current_for{60'000}; // since the host was heard of last
    std::chrono::milliseconds patience{10'000};   // of create, put and remove; then "record_pending": kept, and published when the host answers
    std::chrono::milliseconds first_pause{500}; // after a failure; doubled to a minute
    std::size_t record_bytes = 1 << 20;
    std::function<instant()> now;
    std::function<void(bool up, std::string why)> state; // of the host, where it changes; on a thread of its own
};

struct remote_state {
    bool up = false;
    std::string why;         // it is not
    std::size_t waiting = 0; // writes that the host has not confirmed
    std::uint64_t written = 0, adopted = 0, conflicts = 0; // by us; found, written by others; writes that others' came before
};

class remote_repository : public repository {
public:
    virtual remote_state state() const = 0;
    virtual bool wait_until_current(std::chrono::milliseconds) = 0; // for a start
    virtual void close() = 0; // what is under way is answered ("pds_stopped") and goes on in the next run; nothing is taken any more
    virtual synced_repository& copy() = 0; // to show; its commits are nobody's
};

// `copy` is a repository of the same DID on this node's disk. A write is answered when the host has it; besides the repository's codes:
//   "pds_refused" (with the host's words: final), "record_changed" (somebody else keeps writing it), "pds_answered_otherwise".
// The copy is empty before the host was reached for the first time, and not `current`.
std::unique_ptr<remote_repository> open_remote_repository(std::unique_ptr<synced_repository> copy, std::unique_ptr<outbox>, std::unique_ptr<session>, remote_options);

} // namespace souk::pds
