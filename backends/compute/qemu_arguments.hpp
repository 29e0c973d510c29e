// QEMU's command line: pure, so that it is tested where the hardware is missing.
#pragma once
#include <filesystem>
#include <string>

#include <souk/backends/compute/backend.hpp>
#include <souk/backends/compute/process.hpp>

namespace souk::compute {

struct qemu_plan {
    std::string acceleration; // "tdx", "kvm", "emulation"
    std::string tag;
    compute::size size;
    std::filesystem::path image;    // vmlinuz, initrd
    std::filesystem::path firmware; // TDX: a TDVF build of OVMF
    std::string launch_digest;      // TDX: 48 bytes that the quote will show as MRCONFIGID
};

// Files other than the image's are relative: QEMU runs in the machine's directory. Its SSH is forwarded to port 22022 of its namespace.
argv_t qemu_arguments(const qemu_plan&);

} // namespace souk::compute
