#include <souk/messages/ssh_key.hpp>

#include <algorithm>
#include <array>
#include <optional>

#include <souk/messages/bytes.hpp>

namespace souk {

namespace {

constexpr std::size_t longest_line = 16 * 1024, longest_comment = 256;
constexpr std::size_t smallest_rsa = 2048 / 8;

// Fields that follow the type's name in the blob; a size of 0 is any.
struct shape {
    std::string_view type;
    std::array<std::size_t, 3> sizes;
    std::size_t fields;
    std::string_view curve; // of the first field, where it names one
};
constexpr shape shapes[] = {
    {"ssh-ed25519", {32}, 1, ""},
    {"ecdsa-sha2-nistp256", {8, 65}, 2, "nistp256"},
    {"ecdsa-sha2-nistp384", {8, 97}, 2, "nistp384"},
    {"ecdsa-sha2-nistp521", {8, 133}, 2, "nistp521"},
    {"ssh-rsa", {0, 0}, 2, ""},
    {"sk-ssh-ed25519@openssh.com", {32, 0}, 2, ""},
    {"sk-ecdsa-sha2-nistp256@openssh.com", {8, 65, 0}, 3, "nistp256"},
};

// A length of four bytes, and that many bytes.
std::optional<std::string_view> take_field(std::string_view& rest) {
    if (rest.size() < 4) return {};
    std::size_t n = 0;
    for (char c : rest.substr(0, 4)) n = n << 8 | static_cast<unsigned char>(c);
    if (n > rest.size() - 4) return {};
    const auto field = rest.substr(4, n);
    rest.remove_prefix(4 + n);
    return field;
}

bool well_formed(std::string_view blob, const shape& s) {
    if (take_field(blob) != s.type) return false;
    for (std::size_t i = 0; i < s.fields; ++i) {
        const auto field = take_field(blob);
        if (!field || field->empty() || (s.sizes[i] && field->size() != s.sizes[i])) return false;
        if (i == 0 && !s.curve.empty() && *field != s.curve) return false;
        if (s.type == "ssh-rsa" && i == 1 && field->size() < smallest_rsa) return false;
    }
    return blob.empty();
}

std::string_view take_word(std::string_view& rest) {
    const auto end = rest.find_first_of(" \t");
    const auto word = rest.substr(0, end);
    rest.remove_prefix(word.size());
    rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
    return word;
}

std::string_view trimmed(std::string_view line) {
    if (line.ends_with('\n')) line.remove_suffix(1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    while (!line.empty() && (line.back() == ' ' || line.back() == '\t')) line.remove_suffix(1);
    return line;
}

bool printable(std::string_view text) {
    if (!is_utf8(text)) return false;
    for (char c : text)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
    return true;
}

} // namespace

result<ssh_key_line> ssh_key_line::parse(std::string_view line) {
    if (line.size() > longest_line) return refusal{"bad_ssh_key", "a key is at most 16 KiB"};
    auto rest = trimmed(line);
    const auto type = take_word(rest);
    const shape* known = nullptr;
    for (const auto& s : shapes)
        if (s.type == type) known = &s;
    if (!known) return refusal{"bad_ssh_key", "expected a line like \"ssh-ed25519 AAAA... comment\", without options"};
    auto blob = from_base64(take_word(rest));
    if (!blob) return refusal{"bad_ssh_key", "the key is not base64: " + blob.error().text};
    if (!well_formed(*blob, *known))
        return refusal{"bad_ssh_key", "the key's bytes are not an " + std::string(type) + " key that is taken here"};
    if (rest.size() > longest_comment || !printable(rest))
        return refusal{"bad_ssh_key", "a comment is at most 256 printable characters on one line"};
    return ssh_key_line{std::string(type), std::move(*blob), std::string(rest)};
}

std::string ssh_key_line::text() const { return type + ' ' + to_base64(blob) + (comment.empty() ? "" : ' ' + comment); }

} // namespace souk
