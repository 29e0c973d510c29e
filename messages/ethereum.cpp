// Ethereum's addresses and recoverable signatures (crypto.hpp).
#include <souk/messages/bytes.hpp>
#include <souk/messages/crypto.hpp>
#include <souk/messages/k256.hpp>

namespace souk::crypto {

namespace {

constexpr char first_v = 27;

// EIP-55: a hexadecimal letter is upper case where the hash of the lower-case text has a digit of 8 or more.
address with_checksum(const std::string& hex) {
    const auto hash = to_hex(keccak256(hex));
    address out = "0x" + hex;
    for (std::size_t i = 0; i < hex.size(); ++i)
        if (hex[i] >= 'a' && hash[i] >= '8') out[i + 2] = static_cast<char>(hex[i] - 'a' + 'A');
    return out;
}

address of_point(std::string_view uncompressed65) { return with_checksum(to_hex(keccak256(uncompressed65.substr(1)).substr(12))); }

} // namespace

result<address> checksummed(std::string_view any_case) {
    const refusal bad{"bad_address", "an address is 0x and 40 hexadecimal digits"};
    if (any_case.size() != 42 || !any_case.starts_with("0x")) return bad;
    const auto bytes = from_hex(any_case.substr(2));
    if (!bytes) return bad;
    return with_checksum(to_hex(*bytes));
}

bool same_address(std::string_view a, std::string_view b) {
    if (a.size() != 42 || b.size() != 42 || !a.starts_with("0x") || !b.starts_with("0x")) return false;
    const auto one = from_hex(a.substr(2)), two = from_hex(b.substr(2));
    return one && two && *one == *two;
}

result<address> address_of(const secret& key32) {
    const auto point = k256::public_of(key32.view(), false);
    if (!point) return point.error();
    return of_point(*point);
}

result<std::string> sign_digest(const secret& key32, std::string_view digest) {
    if (digest.size() != 32) return refusal{"bad_signature", "a digest is 32 bytes"};
    auto signature = k256::sign_recoverable(key32.view(), digest);
    if (!signature) return signature.error();
    const char id = (*signature)[64];
    if (id > 1) return refusal{"bad_signature", "r is above the field's order: Ethereum has no v for it"}; // once in 2^127
    (*signature)[64] = static_cast<char>(first_v + id);
    return signature;
}

result<address> recover(std::string_view digest, std::string_view signature65) {
    if (digest.size() != 32 || signature65.size() != 65) return refusal{"bad_signature", "a digest is 32 bytes and a signature 65"};
    const int id = signature65[64] - first_v;
    if (id != 0 && id != 1) return refusal{"bad_v", "v is neither 27 nor 28"};
    const auto point = k256::recover(digest, signature65.substr(0, 64), id);
    if (!point) return point.error();
    return of_point(*point);
}

} // namespace souk::crypto
