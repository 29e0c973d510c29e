#include <souk/backends/records/block_spool.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

namespace souk::internal {

namespace {

constexpr std::size_t head_bytes = cid::size + sizeof(std::uint32_t);

std::uint64_t key_of(const cid& c) {
    std::uint64_t key = 0;
    std::memcpy(&key, c.bytes().data() + cid::size - sizeof key, sizeof key);
    return key;
}
refusal failed(std::string what) {
    what.append(": ").append(std::strerror(errno));
    return {"disk_error", std::move(what)};
}

} // namespace

block_spool::block_spool(const std::filesystem::path& directory) {
    fd_ = ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd_ >= 0) return;
    auto name = (directory / "blocks-XXXXXX").string(); // a file system that has no files without a name
    fd_ = ::mkostemp(name.data(), O_CLOEXEC);
    if (fd_ < 0) throw std::runtime_error("no file for blocks can be made in " + directory.string() + ": " + std::strerror(errno));
    ::unlink(name.c_str());
}

block_spool::~block_spool() { ::close(fd_); }

result<void> block_spool::put(const cid& c, std::string_view bytes) {
    places_.push_back({key_of(c), end_});
    const auto size = static_cast<std::uint32_t>(bytes.size());
    ahead_ += c.bytes();
    ahead_.append(reinterpret_cast<const char*>(&size), sizeof size);
    ahead_ += bytes;
    end_ += head_bytes + bytes.size();
    return ahead_.size() < buffer_bytes ? result<void>() : flush();
}

result<void> block_spool::flush() {
    for (std::size_t at = 0; at < ahead_.size();) {
        const auto n = ::write(fd_, ahead_.data() + at, ahead_.size() - at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return failed("blocks cannot be kept");
        at += static_cast<std::size_t>(n);
    }
    ahead_.clear();
    return {};
}

result<void> block_spool::seal() {
    if (auto kept = flush(); !kept) return kept;
    ahead_ = {};
    std::sort(places_.begin(), places_.end(), [](const place& a, const place& b) { return a.key < b.key; });
    return {};
}

void block_spool::read(std::uint64_t at, char* into, std::size_t bytes) const {
    while (bytes > 0) {
        const auto n = ::pread(fd_, into, bytes, static_cast<off_t>(at));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) throw spool_failure("kept blocks cannot be read: " + std::string(n == 0 ? "the file is too short" : std::strerror(errno)));
        at += static_cast<std::uint64_t>(n), into += n, bytes -= static_cast<std::size_t>(n);
    }
}

std::optional<std::string> block_spool::get(const cid& c) const {
    if (c.empty()) return std::nullopt;
    const auto key = key_of(c);
    auto at = std::lower_bound(places_.begin(), places_.end(), key, [](const place& p, std::uint64_t k) { return p.key < k; });
    for (; at != places_.end() && at->key == key; ++at) {
        char head[head_bytes];
        read(at->at, head, sizeof head);
        if (std::string_view(head, cid::size) != c.bytes()) continue; // of the same part of a digest
        std::uint32_t size = 0;
        std::memcpy(&size, head + cid::size, sizeof size);
        std::string bytes(size, '\0');
        read(at->at + head_bytes, bytes.data(), size);
        return bytes;
    }
    return std::nullopt;
}

} // namespace souk::internal
