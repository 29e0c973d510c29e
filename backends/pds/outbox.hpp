// What is to be written at the account's host and is not known to be there: on the disk, in its order, until the host has confirmed it.
#pragma once
#include <mutex>
#include <vector>

#include <souk/backends/records/repository.hpp>
#include <souk/backends/sqlite/database.hpp>

namespace souk::pds {

struct waiting_write {
    std::int64_t id = 0; // increasing
    record_write what;   // with its key: the same one however often it is sent
    souk::cid cid;       // none for a removal
};

// From any thread.
class outbox {
public:
    static constexpr std::size_t most = 100'000;

    explicit outbox(const std::filesystem::path& file, std::int64_t file_bytes = std::int64_t{1} << 30);
    // All or none, durable: their ids. "outbox_full", "disk_full", "disk_error".
    result<std::vector<std::int64_t>> add(const std::vector<record_write>&);
    std::vector<waiting_write> first(std::size_t count, std::size_t bytes);
    void done(const std::vector<std::int64_t>& ids);
    std::size_t size() const;
    std::int64_t last_id() const;

private:
    mutable std::mutex guard_;
    sqlite::database db_;
    std::size_t size_ = 0;
    std::int64_t last_ = 0;
};

} // namespace souk::pds
