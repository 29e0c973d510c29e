// What a machine prints: read with its secrets struck out, since a document with `set -x` puts its tokens there.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace souk::compute {

// JWTs and whatever follows "Bearer " become "[struck out]".
std::string without_tokens(std::string_view text);
std::string console_tail(const std::filesystem::path& log, std::size_t last_bytes);

// The first "hostkey: ssh-ed25519 AAAA..." line that is whole and parses, as "ssh-ed25519 AAAA...".
std::optional<std::string> host_key_on(std::string_view console);

} // namespace souk::compute
