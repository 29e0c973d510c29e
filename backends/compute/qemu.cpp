#include <souk/backends/compute/qemu.hpp>

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <souk/backends/compute/local.hpp>
#include <souk/backends/compute/qemu_arguments.hpp>

namespace souk::compute {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t smallest_disk = 2048; // the image's own size
constexpr std::int64_t smallest_memory = 192, largest_memory = 1 << 20, largest_disk = 64 << 20, most_cpus = 255;

bool write_secret(const fs::path& file, const std::string& text) {
    const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return false;
    std::size_t done = 0;
    while (done < text.size()) {
        const auto n = ::write(fd, text.data() + done, text.size() - done);
        if (n <= 0) break;
        done += static_cast<std::size_t>(n);
    }
    return ::close(fd) == 0 && done == text.size();
}

// What the tenant published, as 48 bytes that a quote can show.
std::string digest_of(const std::string& document) {
    std::string out(48, '\0');
    unsigned n = 0;
    EVP_Digest(document.data(), document.size(), reinterpret_cast<unsigned char*>(out.data()), &n, EVP_sha384(), nullptr);
    return out;
}

class qemu_backend final : public local_backend {
public:
    explicit qemu_backend(qemu_options o) : local_backend(o.state, o.boot_within, o.now), options_(std::move(o)) {
        options_.image = fs::absolute(options_.image);
        can_ = probe_qemu(options_);
    }
    ~qemu_backend() override { closing(); }

    ability can() const override { return can_; }

protected:
    std::string log_name() const override { return "serial.log"; }

    result<void> acceptable(const order& o) const override {
        if (can_.acceleration == "none") return refusal{"no_backend", can_.note};
        const auto& s = o.size;
        if (s.cpus < 1 || s.cpus > most_cpus) return refusal{"bad_size", "a machine has 1 to 255 CPUs"};
        if (s.mem_mib < smallest_memory || s.mem_mib > largest_memory) return refusal{"bad_size", "a machine has 192 MiB to 1 TiB of memory"};
        if (s.disk_mib < smallest_disk || s.disk_mib > largest_disk) return refusal{"bad_size", "a machine has 2 GiB to 64 TiB of disk"};
        const auto made = make_seed(o);
        if (!made) return made.error();
        return {};
    }

    preparation prepare(const order& o, const fs::path& directory, started&) override {
        const auto made = make_seed(o);
        if (!made) return refused_launch{problem::never, made.error()};
        const auto wrong = [](std::string code, std::string text) { return refused_launch{problem::not_now, {std::move(code), std::move(text)}}; };
        const auto in = directory / "seed";
        std::error_code e;
        fs::create_directory(in, e);
        fs::permissions(in, fs::perms::owner_all, e);
        const std::pair<const char*, const std::string*> parts[] = {{"user-data", &made->user_data}, {"vendor-data", &made->vendor_data},
                                                                     {"meta-data", &made->meta_data}, {"network-config", &made->network_config}};
        for (const auto& [name, text] : parts)
            if (!write_secret(in / name, *text)) return wrong("no_space", "cannot write the machine's seed: " + std::string(std::strerror(errno)));
        // The files exist with their modes before the tools fill them.
        for (const auto* name : {"seed.iso", "serial.log"})
            if (!write_secret(directory / name, "")) return wrong("no_space", "cannot write " + directory.string() + ": " + std::strerror(errno));
        const auto iso = run_tool({"genisoimage", "-quiet", "-V", "cidata", "-r", "-J", "-o", (directory / "seed.iso").string(), in.string()}, 30s, directory);
        if (!iso || iso->status != 0) return wrong("no_seed", "the machine's seed cannot be made: " + (iso ? iso->output : iso.error().text));
        fs::remove_all(in, e);
        const auto disk = run_tool({"qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", (options_.image / "base.qcow2").string(),
                                    (directory / "disk.qcow2").string(), std::to_string(o.size.disk_mib) + "M"}, 30s, directory);
        if (!disk || disk->status != 0) return wrong("no_disk", "the machine's disk cannot be made: " + (disk ? disk->output : disk.error().text));
        fs::permissions(directory / "disk.qcow2", fs::perms::owner_read | fs::perms::owner_write, e);
        cell c;
        c.machine = qemu_arguments({can_.acceleration, o.tag, o.size, options_.image, options_.firmware, digest_of(o.user_data)});
        c.output = "output";
        return c;
    }

    // QEMU holds it open; nobody else needs the secrets in it any more.
    void settled(const fs::path& directory) override {
        std::error_code e;
        fs::remove(directory / "seed.iso", e);
    }

private:
    qemu_options options_;
    ability can_;
};

} // namespace

std::unique_ptr<backend> make_qemu(qemu_options o) { return std::make_unique<qemu_backend>(std::move(o)); }

} // namespace souk::compute
