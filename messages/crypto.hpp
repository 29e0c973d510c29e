// The few algorithms that the protocols name, as pure functions over bytes. Keys at rest are backends/keys' subject.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include <souk/messages/result.hpp>

namespace souk::crypto {

std::string sha256(std::string_view);    // 32 bytes
std::string keccak256(std::string_view); // 32 bytes; Ethereum's, not SHA3-256

// Bytes that wipe themselves. Moves only.
class secret {
public:
    secret() = default;
    explicit secret(std::string bytes) : bytes_(std::move(bytes)) {}
    secret(secret&& o) noexcept : bytes_(std::move(o.bytes_)) { o.wipe(); }
    secret& operator=(secret&& o) noexcept {
        if (this != &o) wipe(), bytes_ = std::move(o.bytes_), o.wipe();
        return *this;
    }
    ~secret() { wipe(); }
    std::string_view view() const { return bytes_; }
    bool empty() const { return bytes_.empty(); }
    secret copy() const { return secret(std::string(bytes_)); } // on purpose, and visible

private:
    void wipe() noexcept;
    std::string bytes_;
};

enum class curve { k256, p256 };

// An ECDSA key as AT Protocol has them; or an X25519 key to seal to.
struct public_key {
    curve on = curve::k256;
    std::string compressed; // 33 bytes
    static result<public_key> from_did_key(std::string_view);  // "did:key:zQ3s..." (k256), "did:key:zDn..." (p256); code "bad_key"
    static result<public_key> from_multikey(std::string_view); // the same without "did:key:"
    std::string did_key() const;
    bool operator==(const public_key&) const = default;
};

// ECDSA over SHA-256(message), 64 bytes r||s. A high s is refused. Keys are parsed each time; see `verifier` for many.
// Codes "bad_signature", "high_s", "bad_key".
result<void> verify(const public_key&, std::string_view message, std::string_view signature);
result<std::string> sign(curve, const secret& key32, std::string_view message); // RFC 6979 for k256, low s for both
result<public_key> public_of(curve, const secret& key32);
secret generate(curve); // 32 random bytes that are a valid key

// A parsed k256 key with its context: what a market verifies many signatures with.
class verifier {
public:
    static result<verifier> of(const public_key&);
    result<void> check(std::string_view message, std::string_view signature) const;

private:
    curve on_ = curve::k256;
    std::string parsed_; // secp256k1_pubkey, or the compressed point for p256
};

// -- Ethereum -----------------------------------------------------------------------------------------------------
using address = std::string; // "0x" + 40 hex, EIP-55 checksummed by `checksummed`; compared with `same_address`

result<address> checksummed(std::string_view any_case); // code "bad_address"
bool same_address(std::string_view, std::string_view);
result<address> address_of(const secret& key32);
// 65 bytes r||s||v over a 32-byte digest, v in {27,28}. Recover refuses all others: "high_s", "bad_v", "bad_signature".
result<std::string> sign_digest(const secret& key32, std::string_view digest);
result<address> recover(std::string_view digest, std::string_view signature65);

// -- sealing (libsodium crypto_box_seal: X25519, XSalsa20-Poly1305) ------------------------------------------------
struct seal_pair {
    std::string public32;
    secret private32;
};
seal_pair generate_seal_pair();
std::string seal_did_key(std::string_view public32);                       // "did:key:z6LS..." (multicodec 0xec)
result<std::string> seal_key_of(std::string_view did_key);                 // 32 bytes; code "bad_key"
result<std::string> seal(std::string_view public32, std::string_view clear);
result<std::string> unseal(std::string_view public32, const secret& private32, std::string_view sealed); // code "cannot_open"

} // namespace souk::crypto
