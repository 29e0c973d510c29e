// Internal. Somebody's whole repository as a host exports it (com.atproto.sync.getRepo), verified in bounded memory however large it is: each block is
// checked as it comes and put on the disk, then the tree is walked there.
#pragma once
#include <souk/backends/records/block_spool.hpp>
#include <souk/messages/commit.hpp>

namespace souk::internal {

// What is in memory: 16 bytes a block (64 MB of as many as are taken, 21 MB of a million records), one block as it comes, the nodes on the way to one
// record, and that record. Keys are written short and may be long, so less is taken of a node than elsewhere: the way is at most 100 MB, however a
// liar made it. Nodes of honest trees have four keys; of more than two hundred, as many as fit where keys are longest, one in 10^25.
struct import_limits {
    car_limits car{.block = 1 << 20};
    mst_limits tree{.node = 128 * 1024};
};

class repo_import {
public:
    explicit repo_import(const std::filesystem::path& directory, const import_limits& = {});

    // Codes of car_reader, "disk_error".
    result<void> feed(std::string_view piece) { return reader_.feed(piece); }
    // All has come. Codes of verify_repo, "disk_error". Whoever is visited has been led to by a commit that the account signed; but where this
    // ends in a refusal, less than all that it signed has been shown.
    result<verified_repo> finish(std::string_view did, std::span<const crypto::verifier> keys, const record_visitor&);

private:
    const import_limits limits_;
    block_spool blocks_;
    car_reader reader_;
};

} // namespace souk::internal
