// A running node, asked through the control socket in its directory.
#pragma once
#include <filesystem>

#include <souk/backends/http/client.hpp>
#include <souk/messages/value.hpp>

namespace souk::cli {

class remote {
public:
    explicit remote(std::filesystem::path directory) : directory_(std::move(directory)) {}
    // The answer, or the node's refusal. "no_node": nobody listens there.
    result<value> get(const std::string& path, const std::vector<std::pair<std::string, std::string>>& query = {}) const;
    result<value> post(const std::string& path, value::map body) const;
    const std::filesystem::path& directory() const { return directory_; }

private:
    result<value> call(http::call) const;
    std::filesystem::path directory_;
    mutable http::client web_;
};

} // namespace souk::cli
