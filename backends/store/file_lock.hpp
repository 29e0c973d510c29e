// One at a time, of all processes and threads that go by the same file: what must not be done twice at once, though it is one file that says how it stands.
#pragma once
#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <utility>

namespace souk {

class file_lock {
public:
    // Waits for whoever holds it; none: not within that time, `give_up` said so, or the file cannot be opened. The file (0600, empty) stays.
    static std::optional<file_lock> take(const std::filesystem::path&, std::chrono::milliseconds within, const std::function<bool()>& give_up);
    file_lock(file_lock&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
    file_lock& operator=(file_lock&&) = delete;
    ~file_lock();

private:
    explicit file_lock(int fd) : fd_(fd) {}
    int fd_;
};

} // namespace souk
