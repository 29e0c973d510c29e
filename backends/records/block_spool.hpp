// Internal. Blocks on the disk, for as long as it takes to walk a tree of them: a file without a name, gone with its last handle whatever happens.
#pragma once
#include <cstdint>
#include <deque>
#include <filesystem>
#include <stdexcept>

#include <souk/messages/blocks.hpp>

namespace souk::internal {

struct spool_failure : std::runtime_error { // a kept block cannot be read any more
    using std::runtime_error::runtime_error;
};

// First `put` any number in any order, then `seal`, then `get`. One thread at a time. In memory are 16 bytes a block, and `buffer_bytes`.
// Code "disk_error"; `get` throws spool_failure.
class block_spool final : public block_source {
public:
    explicit block_spool(const std::filesystem::path& directory); // which is no tmpfs, or it would be memory after all
    block_spool(const block_spool&) = delete;
    ~block_spool();

    result<void> put(const cid&, std::string_view bytes); // of that CID, which the caller has checked
    result<void> seal();
    std::optional<std::string> get(const cid&) const override;

private:
    static constexpr std::size_t buffer_bytes = 256 * 1024;
    struct place {
        std::uint64_t key, at; // part of the digest; where the CID, the length and the bytes begin
    };
    result<void> flush();
    void read(std::uint64_t at, char* into, std::size_t bytes) const;

    int fd_ = -1;
    std::string ahead_; // not in the file yet
    std::uint64_t end_ = 0;
    std::deque<place> places_; // grows without being copied; in order once it is sealed
};

} // namespace souk::internal
