// Internal. A repository's file as the network reads it: blocks, proofs, frames, exports. Beside the writer, on connections of its own.
#pragma once
#include <filesystem>
#include <memory>
#include <mutex>

#include <souk/backends/records/commits.hpp>

namespace souk::internal {

class sync_reader {
public:
    explicit sync_reader(std::filesystem::path file);

    repository_head head() const;
    std::vector<std::pair<cid, std::string>> blocks(const std::vector<cid>&) const;
    result<std::string> prove(const std::string& path) const; // a CAR
    std::vector<sync_frame> frames(std::int64_t after, std::size_t most, std::size_t bytes) const;
    std::int64_t oldest_frame() const; // 0: there is none
    result<car_pieces> export_car(const std::string& since) const;

private:
    struct prepared {
        explicit prepared(sqlite::database& db)
            : head(db, "SELECT cid, rev, bytes FROM head"),
              frames(db, "SELECT seq, bytes FROM frame WHERE seq > ? ORDER BY seq LIMIT ?"),
              oldest(db, "SELECT min(seq) FROM frame"),
              blocks(db) {}
        sqlite::statement head, frames, oldest;
        stored_blocks blocks;
    };
    const std::filesystem::path file_;
    mutable std::mutex guard_;
    mutable sqlite::database db_;
    mutable prepared at_;
};

} // namespace souk::internal
