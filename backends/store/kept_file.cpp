#include <souk/backends/store/kept_file.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>

namespace souk {

namespace {

struct descriptor {
    int fd = -1;
    ~descriptor() {
        if (fd >= 0) ::close(fd);
    }
};

refusal disk(const std::filesystem::path& file, const char* what) {
    return {"not_kept", std::string(what) + ' ' + file.string() + ": " + std::strerror(errno)};
}

bool write_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const auto n = ::write(fd, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

class file_on_disk final : public kept_file {
public:
    explicit file_on_disk(std::filesystem::path file) : file_(std::move(file)) {}

    std::string name() const override { return file_.string(); }
    std::optional<std::string> read(std::size_t most) const override {
        if (!std::filesystem::exists(file_)) return std::nullopt;
        std::ifstream in(file_, std::ios::binary | std::ios::ate);
        const auto size = in ? static_cast<std::streamoff>(in.tellg()) : -1;
        if (size < 0 || static_cast<std::uintmax_t>(size) > most) throw std::runtime_error("cannot read " + file_.string());
        std::string bytes(static_cast<std::size_t>(size), '\0');
        in.seekg(0);
        if (!in.read(bytes.data(), size)) throw std::runtime_error("cannot read " + file_.string());
        return bytes;
    }
    void replace(std::string bytes, done then) override { then(replaced(bytes)); }

private:
    result<void> replaced(std::string_view bytes) const {
        auto fresh = file_;
        fresh += ".new";
        {
            const descriptor out{::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)};
            if (out.fd < 0 || ::fchmod(out.fd, 0600) != 0) return disk(fresh, "cannot open");
            if (!write_all(out.fd, bytes) || ::fsync(out.fd) != 0) return disk(fresh, "cannot write");
        }
        if (::rename(fresh.c_str(), file_.c_str()) != 0) return disk(file_, "cannot replace");
        const auto folder = file_.has_parent_path() ? file_.parent_path() : std::filesystem::path(".");
        const descriptor holder{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
        if (holder.fd < 0 || ::fsync(holder.fd) != 0) return disk(folder, "cannot sync");
        return {};
    }

    std::filesystem::path file_;
};

} // namespace

std::unique_ptr<kept_file> make_kept_file(std::filesystem::path file) { return std::make_unique<file_on_disk>(std::move(file)); }

} // namespace souk
