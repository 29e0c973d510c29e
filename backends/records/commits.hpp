// Internal. The AT Protocol side of a repository's file: its tree, its signed commits, and the frames that announce them. The writer's own: one
// thread, within its transactions. Whoever only reads has sync_reader.hpp.
#pragma once
#include <souk/backends/records/repository.hpp>
#include <souk/backends/sqlite/database.hpp>
#include <souk/messages/commit.hpp>
#include <souk/messages/firehose.hpp>

namespace souk::internal {

// Blocks out of the file: nodes of the tree, records, the commit. Throws sqlite::failure.
class stored_blocks final : public block_source {
public:
    explicit stored_blocks(sqlite::database& db) : node_(db, "SELECT bytes FROM node WHERE cid = ?"), record_(db, "SELECT bytes FROM record WHERE cid = ? LIMIT 1"), head_(db, "SELECT bytes FROM head WHERE cid = ?") {}
    std::optional<std::string> get(const cid&) const override;

private:
    mutable sqlite::statement node_, record_, head_;
};

// The same, and what was written or read lately: a commit reads the tree's nodes that the commits before it wrote.
class recent_blocks final : public block_source {
public:
    explicit recent_blocks(sqlite::database& db) : stored_(db) {}
    std::optional<std::string> get(const cid&) const override;
    void put(const cid&, std::string bytes) const;

private:
    static constexpr std::size_t most_bytes = 2 << 20, small = 4'096; // nearly all nodes are small, and those on the way to where one writes are few
    stored_blocks stored_;
    mutable block_map recent_;
    mutable std::size_t bytes_ = 0;
};

class commit_log {
public:
    // Makes its tables where they are missing, and the first commit of a file that has records and none. Throws sqlite::failure, and
    // std::runtime_error where the file's tree is damaged.
    commit_log(sqlite::database&, const std::string& did, crypto::secret signing_key, unsigned clock_id, std::int64_t most_frame_bytes, std::int64_t now_us);

    // -- one transaction of the writer: begin, any number of changes, seal ------------------------------------------------------

    void begin(std::int64_t now_us);
    const std::string& rev() const { return rev_; } // of the commit in the making
    // `before` and `after` are none where the record was not, or is no more. Its row is written or gone by then. More than one commit
    // carries is sealed meanwhile: ask for `rev` again before the next row.
    void change(const std::string& path, const cid& before, const cid& after, std::string_view bytes);
    void room_for(const std::string& path, std::size_t bytes); // before its row is written: seals first what it does not fit beside
    void seal();
    void kept();   // the disk has it
    void undone(); // or not: all since `begin` is forgotten

    std::int64_t last_seq() const { return last_seq_; }

private:
    struct state { // of the tree, as of one commit
        mst tree;
        repo_commit commit;
        std::int64_t last_us = 0;
        std::int64_t frame_bytes = 0, oldest_frame = 0; // kept; the one before the oldest of them
    };
    void set_up();
    void load(const std::string& did, std::int64_t now_us);
    void adopt_records(std::int64_t now_us);
    void sign_anew(std::int64_t now_us);
    void sign_state();
    void next_rev();
    void put_frame(const std::string& bytes);
    void drop_old_frames();

    sqlite::database& db_;
    const crypto::secret key_;
    const unsigned clock_id_;
    const std::int64_t most_frame_bytes_; // frames are kept for who comes back after a while; then the whole repository has to be read
    std::optional<recent_blocks> blocks_;
    std::optional<sqlite::statement> put_node_, drop_node_, put_head_, put_frame_, old_frames_, drop_frames_;
    state now_, durable_;
    std::string rev_;
    std::int64_t now_us_ = 0, last_seq_ = 0, seq_ = 0;
    std::vector<firehose::op> ops_;
    std::set<std::string> paths_;
    std::size_t op_bytes_ = 0;
    std::uint64_t sealed_ = 0;
};

} // namespace souk::internal
