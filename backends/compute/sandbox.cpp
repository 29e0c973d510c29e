// A light machine: the host's /usr read-only, everything else its own, dropbear as its SSH server.
#include <souk/backends/compute/sandbox.hpp>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <souk/backends/compute/limits.hpp>
#include <souk/backends/compute/local.hpp>
#include <souk/backends/compute/order.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/ssh_key.hpp>

namespace souk::compute {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

constexpr const char* user = "tenant";
constexpr std::int64_t most_processes = 512, largest_mib = 1 << 20;
constexpr std::size_t longest_document = 64 * 1024;

bool write_all(int fd, const std::string& text) {
    std::size_t done = 0;
    while (done < text.size()) {
        const auto n = ::write(fd, text.data() + done, text.size() - done);
        if (n <= 0) return false;
        done += static_cast<std::size_t>(n);
    }
    return true;
}

// A file for the machine: below its directory, owned by whom the machine runs as.
bool give(const fs::path& file, const std::string& text, unsigned mode) {
    const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    bool good = write_all(fd, text) && ::fchmod(fd, mode) == 0;
    if (::geteuid() == 0) good = ::fchown(fd, nobody, nobody) == 0 && good;
    return ::close(fd) == 0 && good;
}

std::string text_of(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

const char* const start_script =
    "if [ -x /run/souk/user-data ]; then cd; /run/souk/user-data & fi\n"
    "exec dropbear -F -E -s -m -r /run/souk/host_key -P /run/souk/work/pid -p 127.0.0.1:22022\n";

class sandbox_backend final : public local_backend {
public:
    explicit sandbox_backend(sandbox_options o) : local_backend(o.state, o.start_within, o.now) {
        for (const auto* tool : {"bwrap", "dropbear", "dropbearkey", "socat"})
            if (missing_.empty() && !on_path(tool)) missing_ = std::string(tool) + " is not installed";
    }
    ~sandbox_backend() override { closing(); }

    ability can() const override {
        if (!missing_.empty()) return {"sandbox", "none", tier::none, missing_ + ": no sandbox can be started"};
        const auto unlimited = limits_.note();
        return {"sandbox", "none", tier::none, "namespaces of this host's kernel, no attestation" + (unlimited.empty() ? "" : "; " + unlimited)};
    }

protected:
    std::string log_name() const override { return "output"; }

    result<void> acceptable(const order& o) const override {
        if (!missing_.empty()) return refusal{"no_backend", missing_};
        if (o.size.mem_mib < 16 || o.size.mem_mib > largest_mib || o.size.disk_mib < 1 || o.size.disk_mib > largest_mib || o.size.cpus < 1)
            return refusal{"bad_size", "a sandbox has 16 MiB to 1 TiB of memory, 1 MiB to 1 TiB of disk and a CPU"};
        if (o.user_data.size() > longest_document) return refusal{"user_data_too_large", "user_data has more than 65536 bytes"};
        if (!o.user_data.empty() && !o.user_data.starts_with("#!"))
            return refusal{"bad_user_data", "a sandbox runs a script that begins with #!; it has no cloud-init"};
        if (!o.ssh_key.empty())
            if (const auto key = ssh_key_line::parse(o.ssh_key); !key) return key.error();
        if (!o.ca_pem.empty())
            if (const auto ca = certificates(o.ca_pem); !ca) return ca.error();
        return check_files(o.files);
    }

    preparation prepare(const order& o, const fs::path& directory, started& s) override {
        s.user = user;
        if (!fill(o, directory)) return refused_launch{problem::not_now, {"no_space", "cannot write " + directory.string() + ": " + std::strerror(errno)}};
        const auto made = run_tool({"dropbearkey", "-t", "ed25519", "-f", (directory / "host_key").string()}, 30s, directory);
        const auto at = made ? made->output.find("ssh-ed25519 ") : std::string::npos;
        if (at == std::string::npos) return refused_launch{problem::not_now, {"no_key", "no host key for the machine: " + (made ? made->output : made.error().text)}};
        const auto key = ssh_key_line::parse(made->output.substr(at, made->output.find('\n', at) - at));
        if (!key) return refused_launch{problem::not_now, key.error()};
        s.host_key = key->type + ' ' + to_base64(key->blob);
        if (::geteuid() == 0 && ::chown((directory / "host_key").c_str(), nobody, nobody) != 0) return refused_launch{problem::not_now, {"no_key", "cannot hand over the host key"}};
        cell c;
        c.machine = command(o);
        c.output = "output";
        c.unprivileged = true;
        c.joins = limits_.make(group(o.tag), o.size.mem_mib, most_processes);
        return c;
    }

    void swept(const std::string& tag) override { limits_.remove(group(tag)); }

private:
    std::string group(const std::string& tag) const { return std::to_string(std::hash<std::string>{}(state_.string()) & 0xffffff) + '-' + tag; }

    // Its /etc, its tenant's key and files: on the host they lie in the machine's directory.
    bool fill(const order& o, const fs::path& directory) const {
        for (const auto* sub : {"etc", "etc/ssl", "etc/ssl/certs", "etc/alternatives", "ssh", "files"})
            if (::mkdir((directory / sub).c_str(), 0755) != 0) return false;
        const auto etc = directory / "etc";
        bool good = give(etc / "passwd", "root:x:0:0:root:/root:/usr/sbin/nologin\ntenant:x:1000:1000:tenant:/home/tenant:/bin/bash\n", 0644);
        good = good && give(etc / "group", "root:x:0:\ntenant:x:1000:\n", 0644) && give(etc / "shells", "/bin/sh\n/bin/bash\n", 0644);
        good = good && give(etc / "hosts", "127.0.0.1 localhost\n" + hosts_line(o.leads) + "\n", 0644);
        good = good && give(etc / "nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n", 0644) && give(etc / "resolv.conf", "", 0644);
        good = good && give(etc / "ld.so.cache", text_of("/etc/ld.so.cache"), 0644);
        good = good && give(etc / "profile", "PATH=/usr/local/bin:/usr/bin:/bin\nexport PATH\n", 0644);
        auto trusted = text_of("/etc/ssl/certs/ca-certificates.crt");
        if (!o.ca_pem.empty()) {
            const auto authorities = certificates(o.ca_pem);
            for (const auto& one : authorities.value()) {
                good = good && give(etc / "ssl/certs" / one.name, one.pem, 0644);
                trusted += one.pem;
            }
        }
        good = good && give(etc / "ssl/certs/ca-certificates.crt", trusted, 0644);
        if (::geteuid() == 0) good = good && ::chown((directory / "ssh").c_str(), nobody, nobody) == 0; // dropbear looks whose it is
        if (!o.ssh_key.empty()) good = good && give(directory / "ssh/authorized_keys", ssh_key_line::parse(o.ssh_key).value().text() + "\n", 0600);
        if (!o.user_data.empty()) good = good && give(directory / "user-data", o.user_data, 0755);
        good = good && give(directory / "start", start_script, 0755);
        std::size_t n = 0;
        for (const auto& f : o.files) good = good && give(directory / "files" / std::to_string(n++), f.content, f.mode);
        return good;
    }

    // Sources are relative: bubblewrap runs in the machine's directory.
    static argv_t command(const order& o) {
        const auto bytes = [](std::int64_t mib) { return std::to_string(mib * 1024 * 1024); };
        argv_t a{"bwrap", "--unshare-user", "--uid", "1000", "--gid", "1000", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try", "--hostname", o.tag, "--new-session"};
        const auto add = [&](std::initializer_list<std::string> more) { a.insert(a.end(), more); };
        add({"--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/sbin", "/sbin", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"});
        add({"--ro-bind", "etc", "/etc", "--ro-bind-try", "/etc/alternatives", "/etc/alternatives", "--proc", "/proc", "--dev", "/dev"});
        add({"--size", bytes(std::min<std::int64_t>(o.size.mem_mib, 64)), "--tmpfs", "/dev/shm", "--size", bytes(o.size.disk_mib), "--tmpfs", "/tmp"});
        add({"--dir", "/var", "--symlink", "/tmp", "/var/tmp", "--size", bytes(1), "--tmpfs", "/run/souk/work"});
        add({"--ro-bind", "host_key", "/run/souk/host_key", "--ro-bind", "start", "/run/souk/start"});
        if (!o.user_data.empty()) add({"--ro-bind", "user-data", "/run/souk/user-data"});
        add({"--size", bytes(o.size.disk_mib), "--tmpfs", "/home/tenant", "--ro-bind", "ssh", "/home/tenant/.ssh"});
        for (std::size_t n = 0; n < o.files.size(); ++n) add({"--ro-bind", "files/" + std::to_string(n), o.files[n].path});
        // What bubblewrap made for itself is memory without a limit: nothing more is written there.
        add({"--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/home/tenant", "--setenv", "HOME", "/home/tenant", "--", "/bin/sh", "/run/souk/start"});
        return a;
    }

    cgroup_limits limits_;
    std::string missing_;
};

} // namespace

std::unique_ptr<backend> make_sandbox(sandbox_options o) { return std::make_unique<sandbox_backend>(std::move(o)); }

} // namespace souk::compute
