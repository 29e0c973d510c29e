// A private key of secp256k1 at rest under a passphrase: one line of JSON. Argon2id stretches the passphrase, XChaCha20-Poly1305 seals the key by what comes of
// it, and everything else in the line, the address in clear among it, is authenticated with it.
#pragma once
#include <cstdint>
#include <functional>
#include <string>

#include <souk/messages/crypto.hpp>

namespace souk {

// Its bounds hold when a file is read, too: whoever may put a file there can make a start take four seconds and a gigabyte, not more.
struct stretching {
    static constexpr std::int64_t least_passes = 1, most_passes = 10, least_memory_kib = 8 * 1024, most_memory_kib = 1024 * 1024;
    std::int64_t memory_kib = 64 * 1024, passes = 3; // what RFC 9106 names for where memory is dear; one lane
    std::string salt;                                // 16 bytes, in hexadecimal
    bool operator==(const stretching&) const = default;
    static stretching fresh(); // as above, with a salt of its own
};
BOOST_DESCRIBE_STRUCT(stretching, (), (memory_kib, passes, salt))

struct locked_key {
    std::string kind;         // "souk-key"
    std::int64_t version = 0; // 1
    crypto::address address;  // of the key: who has the file knows whose money it is about
    stretching argon2id;
    std::string nonce, sealed; // in hexadecimal
};
BOOST_DESCRIBE_STRUCT(locked_key, (), (kind, version, address, argon2id, nonce, sealed))

inline bool is_locked(std::string_view file) { return file.starts_with('{'); } // a plain key is hexadecimal
result<locked_key> read_locked_key(std::string_view file); // code "bad_key_file"

// How a keyring comes by its passphrase; asked at most once. `ask` may ask a person. Empty: there is none, and what is encrypted cannot be read.
struct passphrase_source {
    std::function<result<crypto::secret>()> ask;
    bool configured = false; // it is at hand without a person: keys that are made from now on are encrypted
};
inline constexpr std::size_t least_passphrase = 8, most_passphrase = 1024; // bytes; the first for new ones alone

// A tenth of a second, by intent. Codes "bad_key_file" (out of bounds), "no_memory".
result<crypto::secret> stretch(const stretching&, const crypto::secret& passphrase);
result<std::string> lock_key(const crypto::secret& key32, const stretching&, const crypto::secret& stretched); // the file's text
result<crypto::secret> unlock_key(const locked_key&, const crypto::secret& stretched); // code "wrong_passphrase": it, or the file, is another

} // namespace souk
