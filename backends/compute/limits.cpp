#include <souk/backends/compute/limits.hpp>

#include <cerrno>
#include <chrono>
#include <fstream>
#include <set>
#include <thread>

#include <sys/stat.h>
#include <unistd.h>

namespace souk::compute {

namespace fs = std::filesystem;

namespace {

bool put(const fs::path& file, const std::string& text) {
    std::ofstream out(file);
    out << text << std::flush;
    return static_cast<bool>(out);
}

// A place of our own below a hierarchy, if we may make one and it has the wanted file.
fs::path try_below(const fs::path& hierarchy, const char* wanted) {
    std::error_code e;
    const auto ours = hierarchy / "souk", canary = ours / ("try-" + std::to_string(::getpid()));
    if (!fs::is_directory(hierarchy, e)) return {};
    ::mkdir(ours.c_str(), 0755);
    if (::mkdir(canary.c_str(), 0755) != 0) return {};
    const bool good = ::access((canary / wanted).c_str(), W_OK) == 0;
    ::rmdir(canary.c_str());
    return good ? ours : fs::path();
}

} // namespace

cgroup_limits::cgroup_limits(fs::path root) {
    std::error_code e;
    unified_ = fs::exists(root / "cgroup.controllers", e);
    if (unified_) {
        ::mkdir((root / "souk").c_str(), 0755);
        put(root / "cgroup.subtree_control", "+memory +pids");
        put(root / "souk/cgroup.subtree_control", "+memory +pids");
        memory_ = try_below(root, "memory.max");
        pids_ = try_below(root, "pids.max");
    } else {
        memory_ = try_below(root / "memory", "memory.limit_in_bytes");
        pids_ = try_below(root / "pids", "pids.max");
    }
}

std::string cgroup_limits::note() const {
    if (memory() && pids()) return {};
    return std::string(memory() ? "" : "memory ") + (memory() || pids() ? "" : "and ") + (pids() ? "" : "number of processes ") + "not limited: no writable cgroup";
}

std::vector<std::string> cgroup_limits::make(const std::string& name, std::int64_t mem_mib, std::int64_t processes) const {
    std::vector<std::string> joins;
    const auto bytes = std::to_string(mem_mib * 1024 * 1024);
    std::set<fs::path> places;
    for (const auto& place : {memory_, pids_})
        if (!place.empty()) places.insert(place / name);
    for (const auto& place : places) ::mkdir(place.c_str(), 0755);
    const bool memory_set = memory() && put(memory_ / name / (unified_ ? "memory.max" : "memory.limit_in_bytes"), bytes);
    if (memory_set) put(memory_ / name / (unified_ ? "memory.swap.max" : "memory.memsw.limit_in_bytes"), unified_ ? "0" : bytes); // where swap is accounted
    if (pids()) put(pids_ / name / "pids.max", std::to_string(processes));
    for (const auto& place : places) joins.push_back((place / "cgroup.procs").string());
    return joins;
}

void cgroup_limits::remove(const std::string& name) const {
    for (const auto& place : {memory_, pids_})
        // Killed processes stay in their group until the kernel has taken them apart.
        for (int i = 0; !place.empty() && i < 200 && ::rmdir((place / name).c_str()) != 0 && errno == EBUSY; ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

} // namespace souk::compute
