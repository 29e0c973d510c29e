// Files that hold secrets or are read whole.
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <souk/backends/tls/authority.hpp>

namespace souk::tls {

namespace {

[[noreturn]] void fail(const char* what, const std::filesystem::path& file) {
    const int why = errno;
    throw std::runtime_error(std::string("cannot ") + what + ' ' + file.string() + ": " + std::strerror(why));
}

struct descriptor {
    int fd;
    ~descriptor() {
        if (fd >= 0) ::close(fd);
    }
};

void write_all(int fd, std::string_view bytes, const std::filesystem::path& file) {
    while (!bytes.empty()) {
        const auto n = ::write(fd, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) fail("write", file);
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
}

} // namespace

void write_secret(const std::filesystem::path& file, std::string_view bytes) {
    const auto folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
    auto fresh = file.string() + ".XXXXXX";
    const descriptor out{::mkostemp(fresh.data(), O_CLOEXEC)}; // made 0600
    if (out.fd < 0) fail("make", file);
    try {
        write_all(out.fd, bytes, file);
        if (::fsync(out.fd) != 0) fail("write", file);
        if (::rename(fresh.c_str(), file.c_str()) != 0) fail("put in place", file);
    } catch (...) {
        ::unlink(fresh.c_str());
        throw;
    }
    const descriptor in{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (in.fd < 0 || ::fsync(in.fd) != 0) fail("sync", folder); // the name is as durable as the bytes
}

std::string read_file(const std::filesystem::path& file, std::size_t largest) {
    const descriptor in{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
    if (in.fd < 0) fail("read", file);
    std::string all;
    char part[16 * 1024];
    for (;;) {
        const auto n = ::read(in.fd, part, sizeof part);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) fail("read", file);
        if (n == 0) return all;
        all.append(part, static_cast<std::size_t>(n));
        if (all.size() > largest)
            throw std::runtime_error("cannot read " + file.string() + ": larger than " + std::to_string(largest) + " bytes");
    }
}

} // namespace souk::tls
