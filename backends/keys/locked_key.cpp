#include <souk/backends/keys/locked_key.hpp>

#include <sodium.h>

#include <souk/messages/bytes.hpp>
#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/described.hpp>
#include <souk/messages/json.hpp>

namespace souk {

namespace {

constexpr std::string_view kind_of_file = "souk-key";
constexpr std::size_t largest_file = 4096, key_size = 32;

const unsigned char* raw(std::string_view s) { return reinterpret_cast<const unsigned char*>(s.data()); }
unsigned char* raw(std::string& s) { return reinterpret_cast<unsigned char*>(s.data()); }

refusal bad(const std::string& why) { return {"bad_key_file", "it is no key under a passphrase: " + why}; }

bool is_hex_of(std::size_t bytes, const std::string& text) {
    const auto b = from_hex(text);
    return b && b->size() == bytes && to_hex(*b) == text; // one text for one value
}
std::string authenticated(locked_key k) {
    k.sealed.clear();
    return encode_dag_cbor(to_value(k));
}
result<void> within_bounds(const stretching& s) {
    if (s.passes < s.least_passes || s.passes > s.most_passes) return bad("it takes " + std::to_string(s.passes) + " passes");
    if (s.memory_kib < s.least_memory_kib || s.memory_kib > s.most_memory_kib) return bad("it takes " + std::to_string(s.memory_kib) + " KiB");
    if (!is_hex_of(crypto_pwhash_SALTBYTES, s.salt)) return bad("its salt is not 16 bytes");
    return {};
}

} // namespace

stretching stretching::fresh() {
    stretching s;
    std::string salt(crypto_pwhash_SALTBYTES, '\0');
    randombytes_buf(salt.data(), salt.size());
    s.salt = to_hex(salt);
    return s;
}

result<locked_key> read_locked_key(std::string_view file) {
    if (file.size() > largest_file) return bad("it is too large");
    const auto v = from_json(file);
    if (!v) return bad(v.error().text);
    auto k = from_value<locked_key>(*v);
    if (!k) return bad(k.error().text);
    if (k->kind != kind_of_file || k->version != 1) return bad("expected \"souk-key\" of version 1");
    if (const auto address = crypto::checksummed(k->address); !address || *address != k->address) return bad("its address is none");
    if (const auto fine = within_bounds(k->argon2id); !fine) return fine.error();
    if (!is_hex_of(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, k->nonce)) return bad("its nonce is not 24 bytes");
    if (!is_hex_of(key_size + crypto_aead_xchacha20poly1305_ietf_ABYTES, k->sealed)) return bad("what is sealed is not 48 bytes");
    return k;
}

result<crypto::secret> stretch(const stretching& how, const crypto::secret& passphrase) {
    if (const auto fine = within_bounds(how); !fine) return fine.error();
    std::string key(key_size, '\0');
    const auto salt = from_hex(how.salt).value();
    if (crypto_pwhash(raw(key), key.size(), passphrase.view().data(), passphrase.view().size(), raw(salt), static_cast<unsigned long long>(how.passes),
                      static_cast<std::size_t>(how.memory_kib) * 1024, crypto_pwhash_ALG_ARGON2ID13) != 0)
        return refusal{"no_memory", "the passphrase needs " + std::to_string(how.memory_kib / 1024) + " MiB for a moment, and they cannot be had"};
    return crypto::secret(std::move(key));
}

result<std::string> lock_key(const crypto::secret& key, const stretching& how, const crypto::secret& stretched) {
    auto address = crypto::address_of(key);
    if (!address) return address.error();
    std::string nonce(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, '\0');
    randombytes_buf(nonce.data(), nonce.size());
    locked_key k{std::string(kind_of_file), 1, std::move(*address), how, to_hex(nonce), {}};
    const auto with = authenticated(k);
    std::string sealed(key.view().size() + crypto_aead_xchacha20poly1305_ietf_ABYTES, '\0');
    crypto_aead_xchacha20poly1305_ietf_encrypt(raw(sealed), nullptr, raw(key.view()), key.view().size(), raw(with), with.size(), nullptr, raw(nonce), raw(stretched.view()));
    k.sealed = to_hex(sealed);
    return to_json(to_value(k)) + '\n';
}

result<crypto::secret> unlock_key(const locked_key& k, const crypto::secret& stretched) {
    const auto sealed = from_hex(k.sealed), nonce = from_hex(k.nonce);
    if (!sealed || sealed->size() != key_size + crypto_aead_xchacha20poly1305_ietf_ABYTES || !nonce || nonce->size() != crypto_aead_xchacha20poly1305_ietf_NPUBBYTES)
        return bad("what is sealed has another size");
    const auto with = authenticated(k);
    std::string key(key_size, '\0');
    const bool open = crypto_aead_xchacha20poly1305_ietf_decrypt(raw(key), nullptr, nullptr, raw(*sealed), sealed->size(), raw(with), with.size(), raw(*nonce), raw(stretched.view())) == 0;
    crypto::secret found(std::move(key));
    if (!open) return refusal{"wrong_passphrase", "the passphrase does not open it (or the file is damaged): nothing was changed"};
    if (const auto address = crypto::address_of(found); !address || *address != k.address) return bad("the key in it is another address's");
    return found;
}

} // namespace souk
