// A key as Ethereum's programs keep it: the Web3 Secret Storage Definition, version 3 (AES-128-CTR under scrypt or PBKDF2, a MAC by Keccak-256).
#pragma once
#include <cstdint>
#include <string>

#include <souk/messages/crypto.hpp>

namespace souk {

struct keystore {
    std::string kdf; // scrypt, pbkdf2
    std::string salt, iv, ciphertext, mac; // bytes
    std::uint64_t n = 0, r = 0, p = 0;     // of scrypt
    std::uint64_t rounds = 0;              // of pbkdf2
    crypto::address address;               // "": it does not say
};

// Codes "bad_keystore"; "keystore_too_dear": stretching its passphrase would take more than 512 MiB, or minutes.
result<keystore> read_keystore(std::string_view json);
// The key. Codes "wrong_passphrase", "bad_keystore" (the key in it is none, or another address's), "no_memory".
result<crypto::secret> open_keystore(const keystore&, const crypto::secret& passphrase);

} // namespace souk
