// Processes that outlive the node: started in one go, found again by a mark in their environment.
//
// A process identifier is reused, a file with identifiers may be a moment too old. A mark cannot be: SOUK_MACHINE=<directory> is in the
// environment that a process, and every child of it, was started with, and the kernel shows it in /proc.
#pragma once
#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include <souk/messages/result.hpp>

namespace souk::compute {

using argv_t = std::vector<std::string>;

// -- helpers that are over soon -----------------------------------------------------------------------------------
struct tool_result {
    int status = 0;     // as a shell has it: 128 + signal
    bool late = false;  // killed at the deadline
    std::string output; // both streams, at most 64 KiB
};
// Runs it with nothing on its input, and PATH and `mark` (a machine's directory, if it works there) as its environment: should this
// process be killed meanwhile, the tool is found and ended like the machine. Code "no_tool" when it does not start.
result<tool_result> run_tool(const argv_t&, std::chrono::milliseconds within, const std::filesystem::path& mark = {});
bool on_path(const std::string& program);
std::string path_entry(); // "PATH=..."


inline constexpr uid_t nobody = 65534;

// -- cells --------------------------------------------------------------------------------------------------------
// A machine's processes: the machine itself alone in an empty network namespace, with helpers on both sides of its wall.
struct cell {
    std::filesystem::path directory;      // everybody's working directory, and their mark
    argv_t machine;                       // its identifier goes to directory/pid
    std::string output;                   // its stdout and stderr go to directory/output
    std::vector<argv_t> inside, outside;  // helpers; silent
    std::vector<std::string> joins;       // cgroup.procs files
    bool unprivileged = false;            // the machine runs as nobody when the node is root
    std::chrono::milliseconds no_later{}; // from now: past it nothing is started
};
// When it returns all are running, or none. `held` is a descriptor that stays open until then, even if this process is killed in
// between: a lock on it covers the start. Codes "too_late", "cannot_start" (errno says why), "no_namespace".
result<void> start(const cell&, int held);

// Every living process with a mark below `state`: directory -> identifiers.
std::map<std::string, std::vector<pid_t>> marked_below(const std::filesystem::path& state);
std::vector<pid_t> marked(const std::filesystem::path& directory);
bool is_marked(pid_t, const std::filesystem::path& directory); // and alive
// SIGKILL until none is left. False: something is still there.
bool kill_marked(const std::filesystem::path& directory, std::chrono::milliseconds within);

} // namespace souk::compute
