// Local virtual machines on QEMU: TDX where the host has it, KVM where a guest really runs on it, emulation where the offer allows.
#pragma once
#include <chrono>
#include <filesystem>

#include <souk/backends/compute/backend.hpp>

namespace souk::compute {

struct qemu_options {
    std::filesystem::path state;  // a directory per machine below it
    std::filesystem::path image;  // directory with base.qcow2, vmlinuz, initrd (deploy/guest-image)
    bool allow_emulation = true;
    std::chrono::seconds boot_within{180};
    std::function<instant()> now;
    std::filesystem::path firmware = "/usr/share/ovmf/OVMF.fd"; // for TDX: a TDVF build
};

// Looks for TDX (parameters, KVM_CAP_VM_TYPES), then runs a real kernel under KVM for a moment rather than believe /dev/kvm. Up to 6 s.
ability probe_qemu(const qemu_options&);

// Machines go on when the backend, or its whole process, ends; the next one on the same `state` finds them.
std::unique_ptr<backend> make_qemu(qemu_options); // probes

// The NoCloud seed: pure, so that it is tested without a machine.
struct seed {
    std::string user_data, vendor_data, meta_data, network_config;
};
result<seed> make_seed(const order&); // codes "user_data_too_large" (64 KiB), "bad_user_data", "bad_file", "bad_ca", "bad_ssh_key"

} // namespace souk::compute
