#include <souk/backends/keys/keystore.hpp>

#include <memory>

#include <openssl/evp.h>
#include <sodium.h>

#include <souk/messages/bytes.hpp>
#include <souk/messages/json.hpp>

namespace souk {

namespace {

constexpr std::uint64_t most_scrypt_bytes = 512u << 20, most_scrypt_work = 1u << 25, most_rounds = 10'000'000; // geth writes 256 MiB, work 2^21, 262,144 rounds
constexpr std::size_t derived_size = 32, key_size = 32, largest_salt = 128;

const unsigned char* raw(std::string_view s) { return reinterpret_cast<const unsigned char*>(s.data()); }
unsigned char* raw(std::string& s) { return reinterpret_cast<unsigned char*>(s.data()); }
refusal bad(const std::string& why) { return {"bad_keystore", "it is no keystore of version 3: " + why}; }

// Reads one field after another of a map; the first that is not as it must be is what is told.
struct fields {
    const value& of;
    std::string& trouble;

    std::string hex(const char* key, std::size_t least, std::size_t most) const {
        auto text = of.text(key);
        if (text.starts_with("0x")) text.remove_prefix(2);
        auto bytes = from_hex(text);
        if (bytes && bytes->size() >= least && bytes->size() <= most) return std::move(*bytes);
        if (trouble.empty()) trouble = std::string(key) + " is not so many hexadecimal digits";
        return {};
    }
    std::uint64_t number(const char* key) const {
        const auto* v = of.find(key);
        const auto* n = v ? v->as<std::int64_t>() : nullptr;
        if (n && *n > 0) return static_cast<std::uint64_t>(*n);
        if (trouble.empty()) trouble = std::string(key) + " is no number above 0";
        return 0;
    }
    void is(const char* key, std::string_view expected) const {
        if (of.text(key) != expected && trouble.empty()) trouble = std::string(key) + " is not \"" + std::string(expected) + '"';
    }
};

result<crypto::secret> derived(const keystore& k, const crypto::secret& passphrase) {
    std::string key(derived_size, '\0');
    const auto pass = passphrase.view();
    // libsodium's: OpenSSL's takes no n of 2^(16r) or more, and the definition's own example is such a one.
    const bool made = k.kdf == "scrypt"
        ? crypto_pwhash_scryptsalsa208sha256_ll(raw(pass), pass.size(), raw(k.salt), k.salt.size(), k.n, static_cast<std::uint32_t>(k.r), static_cast<std::uint32_t>(k.p), raw(key), key.size()) == 0
        : PKCS5_PBKDF2_HMAC(pass.data(), static_cast<int>(pass.size()), raw(k.salt), static_cast<int>(k.salt.size()), static_cast<int>(k.rounds), EVP_sha256(), static_cast<int>(key.size()), raw(key)) == 1;
    crypto::secret all(std::move(key));
    if (!made) return refusal{"no_memory", "the passphrase cannot be stretched here: there is not the memory for it"};
    return all;
}

} // namespace

result<keystore> read_keystore(std::string_view json) {
    const auto v = from_json(json, json_form::plain, {64 * 1024, 8, 1000});
    if (!v) return bad(v.error().text);
    const auto* version = v->find("version");
    if (!version || !version->as<std::int64_t>() || *version->as<std::int64_t>() != 3) return bad("its version is another");
    const auto* crypt = v->find("crypto");
    if (!crypt) crypt = v->find("Crypto"); // as geth once wrote it
    const auto* params = crypt ? crypt->find("kdfparams") : nullptr;
    const auto* cipher = crypt ? crypt->find("cipherparams") : nullptr;
    if (!params || !cipher) return bad("there is no crypto with kdfparams and cipherparams in it");
    keystore k;
    std::string trouble;
    const fields all{*crypt, trouble}, kdf{*params, trouble}, aes{*cipher, trouble};
    all.is("cipher", "aes-128-ctr");
    k.ciphertext = all.hex("ciphertext", key_size, key_size), k.mac = all.hex("mac", 32, 32), k.iv = aes.hex("iv", 16, 16);
    k.salt = kdf.hex("salt", 1, largest_salt), k.kdf = std::string(crypt->text("kdf"));
    if (kdf.number("dklen") != derived_size && trouble.empty()) trouble = "dklen is not 32";
    if (k.kdf == "scrypt") k.n = kdf.number("n"), k.r = kdf.number("r"), k.p = kdf.number("p");
    else if (k.kdf == "pbkdf2") k.rounds = kdf.number("c"), kdf.is("prf", "hmac-sha256");
    else if (trouble.empty()) trouble = "its kdf is neither scrypt nor pbkdf2";
    if (!trouble.empty()) return bad(trouble);
    if (k.kdf == "scrypt") {
        if (k.n < 2 || (k.n & (k.n - 1)) != 0) return bad("n is no power of two");
        // n*r*128 bytes, n*r*p work; each factor first, so that no product runs over
        if (k.n > most_scrypt_work || k.r > 1024 || k.p > 1024 || k.n * k.r * 128 > most_scrypt_bytes || k.n * k.r * k.p > most_scrypt_work)
            return refusal{"keystore_too_dear", "stretching its passphrase takes more memory or time than is spent here (scrypt n=" + std::to_string(k.n) + ")"};
    } else if (k.rounds > most_rounds) {
        return refusal{"keystore_too_dear", "stretching its passphrase takes more than " + std::to_string(most_rounds) + " rounds"};
    }
    if (const auto said = v->text("address"); !said.empty()) {
        auto address = crypto::checksummed(said.starts_with("0x") ? std::string(said) : "0x" + std::string(said));
        if (!address) return bad(address.error().text);
        k.address = std::move(*address);
    }
    return k;
}

result<crypto::secret> open_keystore(const keystore& k, const crypto::secret& passphrase) {
    const auto stretched = derived(k, passphrase);
    if (!stretched) return stretched.error();
    const auto from = stretched->view();
    std::string mac_over;
    mac_over.reserve(16 + k.ciphertext.size());
    mac_over.append(from.substr(16, 16)).append(k.ciphertext);
    const crypto::secret checked(std::move(mac_over));
    if (const auto mac = crypto::keccak256(checked.view()); mac.size() != k.mac.size() || sodium_memcmp(mac.data(), k.mac.data(), mac.size()) != 0)
        return refusal{"wrong_passphrase", "the passphrase is not the keystore's (or the file is damaged)"};
    const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> aes(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
    std::string key(k.ciphertext.size(), '\0');
    int n = 0;
    const bool open = aes && EVP_DecryptInit_ex(aes.get(), EVP_aes_128_ctr(), nullptr, raw(from.substr(0, 16)), raw(k.iv)) == 1 &&
                      EVP_DecryptUpdate(aes.get(), raw(key), &n, raw(k.ciphertext), static_cast<int>(k.ciphertext.size())) == 1 && n == static_cast<int>(key.size());
    crypto::secret found(std::move(key));
    if (!open) return bad("it cannot be decrypted");
    const auto address = crypto::address_of(found);
    if (!address) return bad("what is in it is no key: " + address.error().text);
    if (!k.address.empty() && *address != k.address) return bad("the key in it is " + *address + "'s, it says " + k.address);
    return found;
}

} // namespace souk
