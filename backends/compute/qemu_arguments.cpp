#include <souk/backends/compute/qemu_arguments.hpp>

#include <algorithm>

#include <souk/messages/bytes.hpp>

namespace souk::compute {

namespace {

void add(argv_t& to, std::initializer_list<std::string> more) { to.insert(to.end(), more); }

// The translation cache: 256 MiB is worth it for a guest of 512 MiB or more, a small guest should not cost more than it brings.
std::string tb_size(std::int64_t mem_mib) { return std::to_string(std::clamp<std::int64_t>(mem_mib / 2, 64, 256)); }

void accelerate(argv_t& a, const qemu_plan& p) {
    if (p.acceleration == "tdx") {
        // MRCONFIGID is measured at launch and shown in every quote: base64 of exactly 48 bytes.
        add(a, {"-object", R"({"qom-type":"tdx-guest","id":"tdx","sept-ve-disable":true,"mrconfigid":")" + to_base64(p.launch_digest) +
                               R"(","quote-generation-socket":{"type":"vsock","cid":"2","port":"4050"}})",
                "-machine", "q35,kernel-irqchip=split,confidential-guest-support=tdx,hpet=off", "-accel", "kvm", "-cpu", "host",
                "-bios", p.firmware.string()}); // not pflash: a TD has no read-only memory slots
    } else if (p.acceleration == "kvm") {
        add(a, {"-machine", "q35,hpet=off", "-accel", "kvm", "-cpu", "host"});
    } else {
        // Without svm the guest does not load kvm_amd; that drops CPUID leaf 0x80000008, so la57 must go, or addresses look non-canonical.
        add(a, {"-machine", "q35,hpet=off", "-accel", "tcg,thread=multi,tb-size=" + tb_size(p.size.mem_mib), "-cpu", "max,-svm,-la57,xlevel=0x80000008"});
    }
}

} // namespace

argv_t qemu_arguments(const qemu_plan& p) {
    argv_t a{"qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-name", p.tag};
    accelerate(a, p);
    add(a, {"-smp", std::to_string(p.size.cpus), "-m", std::to_string(p.size.mem_mib)});
    const bool emulated = p.acceleration == "emulation";
    add(a, {"-kernel", (p.image / "vmlinuz").string(), "-initrd", (p.image / "initrd").string(), "-append",
            std::string("console=ttyS0 quiet panic=1 net.ifnames=0 audit=0 random.trust_cpu=on cloud-init=enabled") +
                (emulated ? " mitigations=off nokaslr selinux=0 apparmor=0 tsc=reliable no_timer_check" : "")});
    add(a, {"-chardev", "file,id=console,path=serial.log,append=on", "-serial", "chardev:console"});
    add(a, {"-object", "rng-random,id=entropy,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=entropy"});
    add(a, {"-drive", "file=disk.qcow2,if=none,id=disk,format=qcow2,cache=unsafe,aio=threads,discard=unmap", "-device", "virtio-blk-pci,drive=disk"});
    add(a, {"-drive", "file=seed.iso,if=none,id=seed,format=raw,readonly=on", "-device", "virtio-blk-pci,drive=seed"});
    add(a, {"-netdev", "user,id=net,ipv6=off,net=10.0.2.0/24,host=" + std::string(outside_address) + ",hostfwd=tcp:127.0.0.1:22022-10.0.2.15:22",
            "-device", "virtio-net-pci,netdev=net,romfile="});
    add(a, {"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"});
    return a;
}

} // namespace souk::compute
