// What a buyer writes: a ccrfp record as JSON (bare, or as {"record": ...}), or the same as TOML with `user_data_file` as an option.
#pragma once
#include <filesystem>

#include <souk/messages/result.hpp>
#include <souk/messages/value.hpp>

namespace souk::cli {

// An unsigned ccrfp. Code "bad_manifest"; the text begins "FILE:LINE: key: " (TOML) or "FILE: path: " (JSON).
result<value> read_manifest(const std::filesystem::path&);

} // namespace souk::cli
