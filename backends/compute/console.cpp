#include <souk/backends/compute/console.hpp>

#include <algorithm>
#include <fstream>

#include <souk/messages/bytes.hpp>
#include <souk/messages/ssh_key.hpp>

namespace souk::compute {

namespace {

constexpr std::string_view struck_out = "[struck out]";
constexpr std::size_t longest_token = 16 * 1024;

bool token_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '=' || c == '+' || c == '/' || c == '~';
}

std::size_t token_end(std::string_view text, std::size_t at) {
    while (at < text.size() && token_char(text[at])) ++at;
    return at;
}

} // namespace

std::string without_tokens(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        const auto rest = text.substr(at);
        const bool starts = at == 0 || !token_char(text[at - 1]);
        if (starts && (rest.starts_with("Bearer ") || rest.starts_with("bearer "))) {
            out.append(rest.substr(0, 7)).append(struck_out);
            at = token_end(text, at + 7);
        } else if (rest.starts_with("eyJ") && token_end(text, at) - at >= 20) { // base64 of {"
            out.append(struck_out);
            at = token_end(text, at);
        } else {
            out.push_back(text[at++]);
        }
    }
    return out;
}

std::string console_tail(const std::filesystem::path& log, std::size_t last_bytes) {
    std::ifstream in(log, std::ios::binary | std::ios::ate);
    if (!in) return {};
    const auto size = static_cast<std::size_t>(std::max<std::streamoff>(in.tellg(), 0));
    last_bytes = std::min<std::size_t>(last_bytes, 1 << 20);
    // From further back than asked, so that a token that begins before is seen as one.
    const auto from = size > last_bytes + longest_token ? size - last_bytes - longest_token : 0;
    std::string text(size - from, '\0');
    in.seekg(static_cast<std::streamoff>(from));
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
    if (from != 0) text.erase(0, token_end(text, 0));
    auto clean = without_tokens(text);
    if (clean.size() > last_bytes) clean.erase(0, clean.size() - last_bytes);
    return clean;
}

std::optional<std::string> host_key_on(std::string_view console) {
    constexpr std::string_view prefix = "hostkey: ";
    for (std::size_t at = 0; (at = console.find(prefix, at)) != console.npos; at += prefix.size()) {
        auto line = console.substr(at + prefix.size());
        const auto end = line.find_first_of("\r\n");
        if (end == line.npos) return std::nullopt; // still being written
        const auto key = ssh_key_line::parse(line.substr(0, end));
        if (key && key->type == "ssh-ed25519") return key->type + ' ' + to_base64(key->blob);
    }
    return std::nullopt;
}

} // namespace souk::compute
