#include <souk/runtime/cluster/invitations.hpp>

#include <cerrno>
#include <cstring>
#include <mutex>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <souk/backends/tls/authority.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/crypto.hpp>
#include <souk/messages/json.hpp>

namespace souk::enrolment {

namespace {

constexpr std::size_t largest_list = 4 << 20;

class file_lock { // among processes; threads of one process take the mutex besides
public:
    explicit file_lock(const std::filesystem::path& file) : guard_(mutex()), fd_(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
        while (fd_ >= 0 && ::flock(fd_, LOCK_EX) != 0)
            if (errno != EINTR) fail(file);
        if (fd_ < 0) fail(file);
    }
    ~file_lock() { ::close(fd_); }
    file_lock(const file_lock&) = delete;
    file_lock& operator=(const file_lock&) = delete;

private:
    static std::mutex& mutex() {
        static std::mutex m;
        return m;
    }
    [[noreturn]] static void fail(const std::filesystem::path& file) {
        throw std::runtime_error("cannot lock " + file.string() + ": " + std::strerror(errno));
    }
    std::lock_guard<std::mutex> guard_;
    int fd_;
};

} // namespace

std::string hash_of(const std::string& token) { return to_hex(crypto::sha256(token)); }

result<void> change_invitations(const std::filesystem::path& directory, const std::function<result<void>(invitation_list&)>& change) {
    const auto file = directory / "invitations";
    try {
        const file_lock lock(directory / "invitations.lock");
        invitation_list list;
        if (std::filesystem::exists(file)) {
            const auto read = from_json(tls::read_file(file, largest_list), json_form::plain, {largest_list, 8, 1'000'000});
            if (!read) return refusal{"storage", file.string() + " is damaged: " + read.error().text};
            auto parsed = from_value<invitation_list>(*read);
            if (!parsed) return refusal{"storage", file.string() + " is damaged: " + parsed.error().text};
            list = std::move(*parsed);
        }
        if (auto done = change(list); !done) return done;
        tls::write_secret(file, to_pretty_json(to_value(list)));
        return {};
    } catch (const std::exception& e) {
        return refusal{"storage", e.what()};
    }
}

} // namespace souk::enrolment
