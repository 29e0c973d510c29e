#include <souk/messages/cid.hpp>

#include <souk/messages/bytes.hpp>
#include <souk/messages/crypto.hpp>

namespace souk {

namespace {

constexpr char dag_cbor_codec = 0x71, raw_codec = 0x55;
constexpr std::size_t text_size = 1 + 58; // "b" and 36 bytes in base32

std::string bytes_of(char codec, std::string_view block) {
    std::string out{0x01, codec, 0x12, 0x20};
    return out += crypto::sha256(block);
}

} // namespace

cid cid::of_dag_cbor(std::string_view block) { return cid(bytes_of(dag_cbor_codec, block)); }
cid cid::of_raw(std::string_view block) { return cid(bytes_of(raw_codec, block)); }

result<cid> cid::parse(std::string_view text) {
    if (text.size() != text_size || text[0] != 'b') return refusal{"bad_cid", "a CID here is \"b\" and 58 characters of base32"};
    auto bytes = from_base32(text.substr(1));
    if (!bytes) return refusal{"bad_cid", "not base32: " + bytes.error().text};
    return from_bytes(*bytes);
}

result<cid> cid::from_bytes(std::string_view b) {
    const bool known =
        b.size() == size && b[0] == 0x01 && (b[1] == dag_cbor_codec || b[1] == raw_codec) && b[2] == 0x12 && b[3] == 0x20;
    if (!known) return refusal{"bad_cid", "not a version 1 CID of dag-cbor or raw with SHA-256"};
    return cid(std::string(b));
}

std::string cid::text() const { return empty() ? std::string() : "b" + to_base32(bytes_); }

} // namespace souk
