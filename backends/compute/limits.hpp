// Limits on a process tree by cgroups, where this host lets us set any: version 1 with its hierarchies apart (also beside an empty
// version 2), or version 2.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace souk::compute {

class cgroup_limits {
public:
    explicit cgroup_limits(std::filesystem::path root = "/sys/fs/cgroup"); // looks and tries
    bool memory() const { return !memory_.empty(); }
    bool pids() const { return !pids_.empty(); }
    std::string note() const; // what cannot be limited, and why; "" when all can
    // Makes the groups; returns the files through which a process joins them.
    std::vector<std::string> make(const std::string& name, std::int64_t mem_mib, std::int64_t processes) const;
    void remove(const std::string& name) const; // when no process is left in them

private:
    std::filesystem::path memory_, pids_; // where groups are made; the same for version 2; empty when not possible
    bool unified_ = false;
};

} // namespace souk::compute
