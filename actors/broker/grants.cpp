#include <souk/actors/broker/grants.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include <souk/messages/described.hpp>
#include <souk/messages/json.hpp>

namespace souk {

namespace {

constexpr std::size_t largest_file = 128u << 20; // `most` grants of the longest token, with room

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

// The old file or the new one, whenever the power fails.
result<void> replace_file(const std::filesystem::path& file, std::string_view bytes) {
    auto fresh = file;
    fresh += ".new";
    {
        const descriptor out{::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)};
        if (out.fd < 0 || ::fchmod(out.fd, 0600) != 0) return disk(fresh, "cannot open");
        if (!write_all(out.fd, bytes) || ::fsync(out.fd) != 0) return disk(fresh, "cannot write");
    }
    if (::rename(fresh.c_str(), file.c_str()) != 0) return disk(file, "cannot replace");
    const auto folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
    const descriptor holder{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (holder.fd < 0 || ::fsync(holder.fd) != 0) return disk(folder, "cannot sync");
    return {};
}

} // namespace

grant_book::grant_book(std::filesystem::path file) : file_(std::move(file)) { read(); }

void grant_book::read() {
    if (!std::filesystem::exists(file_)) return;
    std::ifstream in(file_, std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    if (!in) throw std::runtime_error("cannot read the grants in " + file_.string());
    const json_limits own{.bytes = largest_file, .depth = 8, .items = 10 * most};
    const auto parsed = from_json(text.str(), json_form::plain, own);
    const auto grants = parsed ? from_value<std::vector<credential::grant>>(*parsed) : parsed.error();
    if (!grants) throw std::runtime_error("the grants in " + file_.string() + " cannot be read: " + grants.error().text);
    for (const auto& g : *grants) all_.insert_or_assign(key{g.account, g.collection}, g);
}

result<void> grant_book::keep(credential::grant g, instant now) {
    const key at{g.account, g.collection};
    if (const auto known = all_.find(at); known != all_.end() && known->second.until >= g.until) return {};
    auto next = all_;
    std::erase_if(next, [&](const auto& x) { return x.second.until <= now; });
    if (next.size() >= most && !next.contains(at)) return refusal{"too_many_grants", "this relay keeps no more grants than it has"};
    next.insert_or_assign(at, std::move(g));
    if (auto written = write(next); !written) return written;
    all_ = std::move(next);
    return {};
}

result<void> grant_book::write(const book& all) const {
    value::list grants;
    for (const auto& [_, g] : all) grants.push_back(to_value(g));
    return replace_file(file_, to_json(value(std::move(grants))));
}

const credential::grant* grant_book::find(const std::string& account, const std::string& collection, instant now) const {
    const auto found = all_.find(key{account, collection});
    return found == all_.end() || found->second.until <= now ? nullptr : &found->second;
}

} // namespace souk
