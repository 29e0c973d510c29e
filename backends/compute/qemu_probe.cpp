// What this host can really do. An open /dev/kvm is no evidence: some hosts offer it for guests of a kind that nobody has.
#include <fstream>

#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <souk/backends/compute/process.hpp>
#include <souk/backends/compute/qemu.hpp>

namespace souk::compute {

using namespace std::chrono_literals;

namespace {

constexpr auto canary_within = 6s; // a kernel is at its first process in under a second where KVM works

std::string first_line_of(const std::string& path) {
    std::ifstream in(path);
    std::string line;
    std::getline(in, line);
    return line;
}

std::string last_line(const std::string& text) {
    auto end = text.find_last_not_of("\r\n ");
    if (end == text.npos) return {};
    const auto from = text.find_last_of('\n', end);
    return text.substr(from == text.npos ? 0 : from + 1, std::min<std::size_t>(end - (from == text.npos ? 0 : from + 1) + 1, 160));
}

// KVM without them runs only guests made for it (pvm). Not asking costs the deadline below in full CPU time, at each start of a node.
bool cpu_virtualises() {
    std::ifstream in("/proc/cpuinfo");
    for (std::string line; std::getline(in, line);)
        if (line.starts_with("flags")) return (line + ' ').find(" vmx ") != line.npos || (line + ' ').find(" svm ") != line.npos;
    return false;
}

// "" when a real kernel gets to its first process under KVM, else what happened instead.
std::string why_no_kvm(const qemu_options& o) {
    const int fd = ::open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (fd < 0) return "there is no /dev/kvm for this user";
    const int version = ::ioctl(fd, KVM_GET_API_VERSION, 0);
    ::close(fd);
    if (version != KVM_API_VERSION) return "/dev/kvm speaks another version";
    if (!cpu_virtualises()) return "/dev/kvm opens, but the CPU shows neither vmx nor svm, so that no ordinary guest runs on it";
    if (!std::filesystem::exists(o.image / "vmlinuz")) return "no guest image to try it with";
    const auto ran = run_tool({"qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-M", "q35", "-accel", "kvm", "-cpu", "host", "-smp", "1",
                               "-m", "128", "-kernel", (o.image / "vmlinuz").string(), "-append", "console=ttyS0 panic=-1 root=/dev/none", "-serial", "stdio"}, canary_within);
    if (!ran) return ran.error().text;
    // With no root file system a healthy kernel says so, panics and leaves.
    if (ran->output.find("Unable to mount root fs") != ran->output.npos) return {};
    if (ran->late) return "/dev/kvm opens, but a guest made no progress in " + std::to_string(canary_within.count()) + " s";
    return "/dev/kvm opens, but a guest does not run on it (" + last_line(ran->output) + ")";
}

// "" when a trust domain could be started: the module's parameter, the kernel's machine types, QEMU's object, the firmware.
std::string why_no_tdx(const qemu_options& o) {
    const auto parameter = first_line_of("/sys/module/kvm_intel/parameters/tdx");
    if (parameter != "Y" && parameter != "1") return "kvm_intel has no TDX";
    const int fd = ::open("/dev/kvm", O_RDWR | O_CLOEXEC);
    constexpr int vm_types = 235, tdx_type = 5; // KVM_CAP_VM_TYPES, KVM_X86_TDX_VM: newer than Debian 12's headers
    const int types = fd < 0 ? 0 : ::ioctl(fd, KVM_CHECK_EXTENSION, vm_types);
    if (fd >= 0) ::close(fd);
    if (types < 0 || !(types >> tdx_type & 1)) return "KVM offers no TDX machines";
    const auto objects = run_tool({"qemu-system-x86_64", "-object", "help"}, 5s);
    if (!objects || objects->output.find("tdx-guest") == std::string::npos) return "this QEMU is older than 10.1";
    if (!std::filesystem::exists(o.firmware)) return "no TDX firmware at " + o.firmware.string();
    return {};
}

} // namespace

ability probe_qemu(const qemu_options& o) {
    ability a{"qemu", "none", tier::none, {}};
    for (const auto* tool : {"qemu-system-x86_64", "qemu-img", "genisoimage", "socat"})
        if (!on_path(tool)) return a.note = std::string(tool) + " is not installed", a;
    for (const auto* part : {"base.qcow2", "vmlinuz", "initrd"})
        if (!std::filesystem::exists(o.image / part)) return a.note = "no guest image in " + o.image.string() + ": run deploy/guest-image " + o.image.string(), a;
    const auto tdx = why_no_tdx(o);
    if (tdx.empty()) {
        a.acceleration = "tdx";
        a.note = "TDX machines can be started; the tier is hardware only when a quote has been verified";
        return a;
    }
    const auto kvm = why_no_kvm(o);
    if (kvm.empty()) {
        a.acceleration = "kvm";
        a.note = "KVM runs guests; no attestation (" + tdx + ")";
    } else if (o.allow_emulation) {
        a.acceleration = "emulation";
        a.note = "KVM: " + kvm + "; emulating";
    } else {
        a.note = "KVM: " + kvm + "; emulation is switched off";
    }
    return a;
}

} // namespace souk::compute
