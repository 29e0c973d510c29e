#include <souk/backends/keys/ssh_key_file.hpp>

#include <sodium.h>

#include <souk/messages/bytes.hpp>

namespace souk::internal {

namespace {

constexpr std::string_view begin_line = "-----BEGIN OPENSSH PRIVATE KEY-----\n", end_line = "-----END OPENSSH PRIVATE KEY-----\n";
constexpr std::string_view magic{"openssh-key-v1\0", 15}, algorithm = "ssh-ed25519", comment = "souk";
constexpr std::size_t line_width = 70, cipher_block = 8;

std::string number(std::uint32_t n) {
    return {static_cast<char>(n >> 24), static_cast<char>(n >> 16), static_cast<char>(n >> 8), static_cast<char>(n)};
}
std::string text(std::string_view bytes) {
    auto out = number(static_cast<std::uint32_t>(bytes.size()));
    out += bytes;
    return out;
}

void wipe(std::string& s) { sodium_memzero(s.data(), s.size()); }

// The string at the front, which is taken off; false when there is no whole one.
bool take(std::string_view& from, std::string_view& into) {
    if (from.size() < 4) return false;
    std::uint32_t size = 0;
    for (int i = 0; i < 4; ++i) size = size << 8 | static_cast<unsigned char>(from[static_cast<std::size_t>(i)]);
    if (size > from.size() - 4) return false;
    into = from.substr(4, size);
    from.remove_prefix(4 + size);
    return true;
}

} // namespace

crypto::secret make_ssh_key_file() {
    if (sodium_init() < 0) throw std::runtime_error("libsodium does not start");
    std::string open(crypto_sign_PUBLICKEYBYTES, '\0'), closed(crypto_sign_SECRETKEYBYTES, '\0');
    crypto_sign_keypair(reinterpret_cast<unsigned char*>(open.data()), reinterpret_cast<unsigned char*>(closed.data()));
    const auto blob = text(algorithm) + text(open);
    const auto check = number(randombytes_random()); // twice: how a reader tells a wrong passphrase
    std::string inner;
    inner.reserve(256); // so that no copy of the key is left behind by growth
    inner.append(check)
        .append(check)
        .append(blob)
        .append(number(static_cast<std::uint32_t>(closed.size())))
        .append(closed)
        .append(text(comment));
    for (char pad = 1; inner.size() % cipher_block; ++pad) inner += pad;
    std::string whole;
    whole.reserve(512);
    whole.append(magic).append(text("none")).append(text("none")).append(text("")).append(number(1)).append(text(blob));
    whole.append(number(static_cast<std::uint32_t>(inner.size()))).append(inner);
    auto coded = to_base64(whole);
    std::string file;
    file.reserve(1024);
    file.append(begin_line);
    for (std::size_t at = 0; at < coded.size(); at += line_width) file.append(coded, at, line_width).append("\n");
    file.append(end_line);
    for (auto* s : {&closed, &inner, &whole, &coded}) wipe(*s);
    return crypto::secret(std::move(file));
}

result<std::string> ssh_public_line(std::string_view file) {
    const refusal bad{"bad_ssh_key", "not an OpenSSH private key file"};
    if (!file.starts_with(begin_line) || !file.ends_with(end_line)) return bad;
    std::string coded;
    coded.reserve(file.size());
    for (const char c : file.substr(begin_line.size(), file.size() - begin_line.size() - end_line.size()))
        if (c != '\n') coded += c;
    auto decoded = from_base64(coded);
    wipe(coded);
    if (!decoded) return bad;
    const crypto::secret whole(std::move(*decoded));
    auto rest = whole.view();
    std::string_view skipped, blob;
    if (!rest.starts_with(magic)) return bad;
    rest.remove_prefix(magic.size());
    for (int i = 0; i < 3; ++i)
        if (!take(rest, skipped)) return bad;
    if (!rest.starts_with(number(1))) return bad;
    rest.remove_prefix(4);
    std::string_view inside, name;
    if (!take(rest, blob) || (inside = blob, !take(inside, name)) || name != algorithm) return bad;
    auto line = std::string(algorithm);
    line.append(" ").append(to_base64(blob)).append(" ").append(comment);
    return line;
}

} // namespace souk::internal
