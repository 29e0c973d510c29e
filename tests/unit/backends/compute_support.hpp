// Waiting for a backend's answers, and logging in as a tenant does.
#pragma once
#include "tunnel_support.hpp"

#include <future>

#include <souk/backends/compute/backend.hpp>
#include <souk/backends/compute/process.hpp>

namespace souk::testing {

// A test that fails half-way leaves no machine behind.
struct machines_end {
    fs::path state;
    ~machines_end() {
        for (const auto& [directory, pids] : compute::marked_below(state)) compute::kill_marked(directory, 10s);
    }
};

inline instant wall_clock() { return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now()); }

template <class T, class Ask>
T answer_of(Ask ask, std::chrono::seconds within = 240s) {
    auto promise = std::make_shared<std::promise<T>>();
    auto future = promise->get_future();
    ask([promise](T t) { promise->set_value(std::move(t)); });
    REQUIRE(future.wait_for(within) == std::future_status::ready);
    return future.get();
}
inline compute::launched launch(compute::backend& b, compute::order o) {
    return answer_of<compute::launched>([&](auto f) { b.launch(std::move(o), std::move(f)); });
}
inline compute::report look(compute::backend& b, const std::string& tag) {
    return answer_of<compute::report>([&](auto f) { b.look(tag, std::move(f)); });
}
inline compute::report terminate(compute::backend& b, const std::string& tag) {
    return answer_of<compute::report>([&](auto f) { b.terminate(tag, std::move(f)); });
}
inline std::vector<std::string> tags(compute::backend& b) {
    return answer_of<result<std::vector<std::string>>>([&](auto f) { b.list(std::move(f)); }).value();
}

// The stock client with the receipt's host key pinned. The command's output; its status is in `status`.
inline std::string in_machine(const compute::running& m, const fs::path& identity, const std::string& command, int& status) {
    const auto known = identity.string() + ".known", out = identity.string() + ".out";
    std::ofstream(known) << '[' << m.host << "]:" << m.port << ' ' << m.host_key << '\n';
    std::ofstream(out).close();
    status = run({"ssh", "-F", "/dev/null", "-i", identity, "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes",
                  "-o", "UserKnownHostsFile=" + known, "-o", "LogLevel=ERROR", "-p", std::to_string(m.port), m.user + '@' + m.host, command}, out);
    return read_file(out);
}

} // namespace souk::testing
