// A child process with its log: started by argv, killed when it must be, never left behind.
#pragma once
#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace souk::demo {

class process {
public:
    process(std::string name, std::vector<std::string> argv, std::filesystem::path log);
    process(const process&) = delete;
    process& operator=(const process&) = delete;
    ~process(); // SIGTERM, then SIGKILL

    void start();
    void kill();               // SIGKILL, and waits for it
    void stop();               // SIGTERM, SIGKILL after 5 s
    bool running();            // reaps it when it has ended
    int status() const { return status_; }
    pid_t pid() const { return pid_; }
    const std::string& name() const { return name_; }
    const std::filesystem::path& log() const { return log_; }
    void release() { pid_ = -1; } // it lives on without us

private:
    std::string name_;
    std::vector<std::string> argv_;
    std::filesystem::path log_;
    pid_t pid_ = -1;
    int status_ = 0;
};

// Runs to its end and gives what it printed (both streams, at most 1 MiB) and its exit status; killed after `seconds`.
struct ended {
    int status = -1;
    std::string output;
};
ended run_to_end(const std::vector<std::string>& argv, unsigned seconds);

} // namespace souk::demo
