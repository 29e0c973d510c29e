#include <souk/messages/k256.hpp>

#include <secp256k1.h>
#include <secp256k1_recovery.h>
#include <sodium.h>

#include <array>
#include <cstring>
#include <memory>

namespace souk::crypto::k256 {

namespace {

const unsigned char* in(std::string_view s) { return reinterpret_cast<const unsigned char*>(s.data()); }
unsigned char* out(std::string& s) { return reinterpret_cast<unsigned char*>(s.data()); }

// One context for the process; after its randomisation it is only read, which the library allows from any thread.
const secp256k1_context* context() {
    static const secp256k1_context* one = [] {
        if (sodium_init() < 0) throw std::runtime_error("libsodium does not start");
        auto* made = secp256k1_context_create(SECP256K1_CONTEXT_SIGN | SECP256K1_CONTEXT_VERIFY);
        std::array<unsigned char, 32> seed{};
        randombytes_buf(seed.data(), seed.size());
        if (!made || !secp256k1_context_randomize(made, seed.data())) throw std::runtime_error("libsecp256k1 does not start");
        sodium_memzero(seed.data(), seed.size());
        return made;
    }();
    return one;
}

result<secp256k1_ecdsa_signature> read_signature(std::string_view signature64) {
    secp256k1_ecdsa_signature s;
    if (signature64.size() != 64) return refusal{"bad_signature", "a signature is 64 bytes"};
    if (!secp256k1_ecdsa_signature_parse_compact(context(), &s, in(signature64)))
        return refusal{"bad_signature", "r or s is not below the order of the curve"};
    if (secp256k1_ecdsa_signature_normalize(context(), nullptr, &s))
        return refusal{"high_s", "s is in the upper half: a second signature of one message"};
    return s;
}

const refusal bad_key{"bad_key", "not a private key of secp256k1"};

} // namespace

bool is_key(std::string_view key32) { return key32.size() == 32 && secp256k1_ec_seckey_verify(context(), in(key32)); }

result<std::string> parse(std::string_view compressed) {
    secp256k1_pubkey key;
    if (compressed.size() != 33 || !secp256k1_ec_pubkey_parse(context(), &key, in(compressed), compressed.size()))
        return refusal{"bad_key", "not a compressed point of secp256k1"};
    return std::string(reinterpret_cast<const char*>(key.data), sizeof key.data);
}

result<void> check(std::string_view parsed, std::string_view digest, std::string_view signature64) {
    const auto s = read_signature(signature64);
    if (!s) return s.error();
    secp256k1_pubkey key;
    if (parsed.size() != sizeof key.data) return refusal{"bad_key", "no key"};
    std::memcpy(key.data, parsed.data(), sizeof key.data);
    if (!secp256k1_ecdsa_verify(context(), &*s, in(digest), &key))
        return refusal{"bad_signature", "the signature is not by this key over these bytes"};
    return {};
}

result<std::string> sign(std::string_view key32, std::string_view digest) {
    secp256k1_ecdsa_signature s;
    if (!is_key(key32) || !secp256k1_ecdsa_sign(context(), &s, in(digest), in(key32), nullptr, nullptr)) return bad_key;
    std::string bytes(64, '\0');
    secp256k1_ecdsa_signature_serialize_compact(context(), out(bytes), &s); // the library signs with a low s
    return bytes;
}

result<std::string> public_of(std::string_view key32, bool compressed) {
    secp256k1_pubkey key;
    if (!is_key(key32) || !secp256k1_ec_pubkey_create(context(), &key, in(key32))) return bad_key;
    std::string bytes(compressed ? 33 : 65, '\0');
    std::size_t n = bytes.size();
    secp256k1_ec_pubkey_serialize(context(), out(bytes), &n, &key,
                                  compressed ? SECP256K1_EC_COMPRESSED : SECP256K1_EC_UNCOMPRESSED);
    return bytes;
}

result<std::string> sign_recoverable(std::string_view key32, std::string_view digest) {
    secp256k1_ecdsa_recoverable_signature s;
    if (!is_key(key32) || !secp256k1_ecdsa_sign_recoverable(context(), &s, in(digest), in(key32), nullptr, nullptr)) return bad_key;
    std::string bytes(65, '\0');
    int id = 0;
    secp256k1_ecdsa_recoverable_signature_serialize_compact(context(), out(bytes), &id, &s);
    bytes[64] = static_cast<char>(id);
    return bytes;
}

result<std::string> recover(std::string_view digest, std::string_view signature64, int id) {
    const auto plain = read_signature(signature64);
    if (!plain) return plain.error();
    secp256k1_ecdsa_recoverable_signature s;
    secp256k1_pubkey key;
    if (!secp256k1_ecdsa_recoverable_signature_parse_compact(context(), &s, in(signature64), id) ||
        !secp256k1_ecdsa_recover(context(), &key, &s, in(digest)))
        return refusal{"bad_signature", "no key could have made this signature"};
    std::string bytes(65, '\0');
    std::size_t n = bytes.size();
    secp256k1_ec_pubkey_serialize(context(), out(bytes), &n, &key, SECP256K1_EC_UNCOMPRESSED);
    return bytes;
}

} // namespace souk::crypto::k256
