// A directory for one measurement, gone with it.
#pragma once
#include <stdlib.h>

#include <filesystem>
#include <stdexcept>

namespace souk::bench {

class scratch {
public:
    explicit scratch(const std::filesystem::path& below) {
        auto name = (below / "souk-bench-XXXXXX").string();
        if (!::mkdtemp(name.data())) throw std::runtime_error("cannot make a directory in " + below.string());
        path_ = name;
    }
    scratch(const scratch&) = delete;
    scratch& operator=(const scratch&) = delete;
    ~scratch() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

} // namespace souk::bench
