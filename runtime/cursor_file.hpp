// How far a host's stream was read: one file a host.
#pragma once
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>

namespace souk {

// Where a watched host's stream was read to. Losing the last step only means reading it again.
class cursor_file {
public:
    explicit cursor_file(std::filesystem::path file) : file_(std::move(file)) {
        std::ifstream in(file_);
        in >> at_;
    }
    std::int64_t at() const {
        const std::lock_guard hold(guard_);
        return at_;
    }
    void move(std::int64_t to) { // from any thread
        const std::lock_guard hold(guard_);
        if (to <= at_) return;
        at_ = to;
        const auto next = std::filesystem::path(file_).concat(".next");
        std::ofstream(next) << to << '\n';
        std::error_code ignored;
        std::filesystem::rename(next, file_, ignored);
    }

    std::atomic<std::uint64_t> told{0}, taken{0}; // records that came with the stream, and those that were taken up

private:
    std::filesystem::path file_;
    mutable std::mutex guard_;
    std::int64_t at_ = 0;
};

inline std::string file_name_of(std::string url) {
    for (auto& c : url)
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))) c = '-';
    return url;
}

} // namespace souk
