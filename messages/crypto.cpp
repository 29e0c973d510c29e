#include <souk/messages/crypto.hpp>

#include <memory>

#include <cryptopp/keccak.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <sodium.h>

#include <souk/messages/bytes.hpp>
#include <souk/messages/k256.hpp>
#include <souk/messages/p256.hpp>

namespace souk::crypto {

namespace {

constexpr std::string_view k256_codec = "\xe7\x01", p256_codec = "\x80\x24";

void start_sodium() {
    static const bool started = [] {
        if (sodium_init() < 0) throw std::runtime_error("libsodium does not start");
        return true;
    }();
    (void)started;
}

} // namespace

// What OpenSSL's one-shot call does, less the search for the algorithm, which takes longer than the hash of a small node or key.
std::string sha256(std::string_view bytes) {
    static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    thread_local const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    std::string out(SHA256_DIGEST_LENGTH, '\0');
    if (!algorithm || !context || EVP_DigestInit_ex2(context.get(), algorithm, nullptr) != 1 || EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) != 1 ||
        EVP_DigestFinal_ex(context.get(), reinterpret_cast<unsigned char*>(out.data()), nullptr) != 1)
        throw std::bad_alloc(); // nothing else can fail here
    return out;
}

std::string keccak256(std::string_view bytes) {
    std::string out(32, '\0');
    CryptoPP::Keccak_256().CalculateDigest(reinterpret_cast<CryptoPP::byte*>(out.data()),
                                           reinterpret_cast<const CryptoPP::byte*>(bytes.data()), bytes.size());
    return out;
}

void secret::wipe() noexcept {
    bytes_.resize(bytes_.capacity()); // a moved-from short string still holds its bytes
    OPENSSL_cleanse(bytes_.data(), bytes_.size());
    bytes_.clear();
}

// -- keys -----------------------------------------------------------------------------------------------------------

result<public_key> public_key::from_multikey(std::string_view text) {
    if (!text.starts_with('z')) return refusal{"bad_key", "a multikey begins with \"z\""};
    const auto bytes = from_base58(text.substr(1));
    if (!bytes) return refusal{"bad_key", bytes.error().text};
    const auto codec = std::string_view(*bytes).substr(0, 2);
    if (codec != k256_codec && codec != p256_codec) return refusal{"bad_key", "neither a secp256k1 nor a P-256 key"};
    if (bytes->size() != 35 || ((*bytes)[2] != 2 && (*bytes)[2] != 3)) return refusal{"bad_key", "not a compressed point"};
    return public_key{codec == k256_codec ? curve::k256 : curve::p256, bytes->substr(2)};
}

result<public_key> public_key::from_did_key(std::string_view text) {
    if (!text.starts_with("did:key:")) return refusal{"bad_key", "expected did:key:z..."};
    return from_multikey(text.substr(8));
}

std::string public_key::did_key() const {
    return "did:key:z" + to_base58(std::string(on == curve::k256 ? k256_codec : p256_codec) + compressed);
}

result<void> verify(const public_key& key, std::string_view message, std::string_view signature) {
    const auto v = verifier::of(key);
    if (!v) return v.error();
    return v->check(message, signature);
}

result<std::string> sign(curve on, const secret& key32, std::string_view message) {
    return on == curve::k256 ? k256::sign(key32.view(), sha256(message)) : p256::sign(key32.view(), message);
}

result<public_key> public_of(curve on, const secret& key32) {
    auto point = on == curve::k256 ? k256::public_of(key32.view(), true) : p256::public_of(key32.view());
    if (!point) return point.error();
    return public_key{on, std::move(*point)};
}

secret generate(curve on) {
    start_sodium();
    for (;;) { // all but one draw in 2^32 (P-256) or 2^127 (secp256k1) is a key
        std::string bytes(32, '\0');
        randombytes_buf(bytes.data(), bytes.size());
        secret key(std::move(bytes));
        if (public_of(on, key)) return key;
    }
}

result<verifier> verifier::of(const public_key& key) {
    verifier v;
    v.on_ = key.on;
    if (key.on == curve::p256) {
        v.parsed_ = key.compressed;
        return v;
    }
    auto parsed = k256::parse(key.compressed);
    if (!parsed) return parsed.error();
    v.parsed_ = std::move(*parsed);
    return v;
}

result<void> verifier::check(std::string_view message, std::string_view signature) const {
    return on_ == curve::k256 ? k256::check(parsed_, sha256(message), signature) : p256::verify(parsed_, message, signature);
}

// -- sealing --------------------------------------------------------------------------------------------------------

namespace {

constexpr std::string_view x25519_codec = "\xec\x01";

const unsigned char* in(std::string_view s) { return reinterpret_cast<const unsigned char*>(s.data()); }
unsigned char* out(std::string& s) { return reinterpret_cast<unsigned char*>(s.data()); }

} // namespace

seal_pair generate_seal_pair() {
    start_sodium();
    std::string open(crypto_box_PUBLICKEYBYTES, '\0'), closed(crypto_box_SECRETKEYBYTES, '\0');
    crypto_box_keypair(out(open), out(closed));
    return {std::move(open), secret(std::move(closed))};
}

std::string seal_did_key(std::string_view public32) {
    return "did:key:z" + to_base58(std::string(x25519_codec) + std::string(public32));
}

result<std::string> seal_key_of(std::string_view did_key) {
    if (!did_key.starts_with("did:key:z")) return refusal{"bad_key", "expected did:key:z6LS..."};
    const auto bytes = from_base58(did_key.substr(9));
    if (!bytes) return refusal{"bad_key", bytes.error().text};
    if (bytes->size() != 34 || !bytes->starts_with(x25519_codec)) return refusal{"bad_key", "not an X25519 key"};
    return bytes->substr(2);
}

result<std::string> seal(std::string_view public32, std::string_view clear) {
    start_sodium();
    if (public32.size() != crypto_box_PUBLICKEYBYTES) return refusal{"bad_key", "an X25519 key is 32 bytes"};
    std::string sealed(clear.size() + crypto_box_SEALBYTES, '\0');
    if (crypto_box_seal(out(sealed), in(clear), clear.size(), in(public32)) != 0)
        return refusal{"bad_key", "nothing can be sealed to this key: it is a point of small order"};
    return sealed;
}

result<std::string> unseal(std::string_view public32, const secret& private32, std::string_view sealed) {
    start_sodium();
    const refusal closed{"cannot_open", "this was not sealed to this key, or it was changed"};
    if (public32.size() != crypto_box_PUBLICKEYBYTES || private32.view().size() != crypto_box_SECRETKEYBYTES ||
        sealed.size() < crypto_box_SEALBYTES)
        return closed;
    std::string clear(sealed.size() - crypto_box_SEALBYTES, '\0');
    if (crypto_box_seal_open(out(clear), in(sealed), sealed.size(), in(public32), in(private32.view())) != 0) return closed;
    return clear;
}

} // namespace souk::crypto
