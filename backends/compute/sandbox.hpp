// A light machine: a process tree in namespaces (bubblewrap), no network but its leads, its own SSH server. Seconds become milliseconds.
#pragma once
#include <filesystem>

#include <souk/backends/compute/backend.hpp>

namespace souk::compute {

struct sandbox_options {
    std::filesystem::path state;
    std::chrono::seconds start_within{20};
    std::function<instant()> now;
};
// Runs the tenant's document as a shell script when it begins with "#!"; refuses a cloud-config ("never": it has no cloud-init).
std::unique_ptr<backend> make_sandbox(sandbox_options);

// Nothing but the bookkeeping: what the market itself costs (souk bench, simulations).
std::unique_ptr<backend> make_null(std::function<instant()> now);

} // namespace souk::compute
