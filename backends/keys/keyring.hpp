// A node's keys, in files of mode 0600 under one directory, made at first use. Private bytes leave only as crypto::secret. Those of secp256k1 may be kept
// under a passphrase (locked_key.hpp), each in the same file as without; what cannot be used throws, where it has a code as `refused`.
#pragma once
#include <filesystem>
#include <mutex>
#include <optional>
#include <vector>

#include <souk/backends/keys/locked_key.hpp>
#include <souk/messages/attest.hpp>
#include <souk/messages/jwt.hpp>

namespace souk {

class keyring {
public:
    // Made 0700; throws std::runtime_error when others may read it. Where a key is encrypted and there is no passphrase: "key_locked".
    explicit keyring(std::filesystem::path directory, passphrase_source = {});

    const crypto::secret& signing() const;       // k256: records, service tokens
    crypto::public_key signing_public() const;
    const crypto::secret& rotation() const;      // k256: changes of the DID document
    crypto::public_key rotation_public() const;
    const crypto::seal_pair& seal() const;       // X25519: receipts to this node
    const crypto::secret& wallet() const;        // secp256k1: money
    crypto::address wallet_address() const;      // asks for no passphrase
    crypto::secret settling(std::size_t which) const; // secp256k1: pays a chain's gas for others' payments, and holds no other money
    const jwt::rsa_key& issuer() const;          // RS256: workload tokens
    std::filesystem::path ssh_private() const;   // Ed25519, OpenSSH form: this person's key to machines
    std::string ssh_public() const;              // its authorized_keys line

    // -- another signing key: made ahead, named by the identity, then put in force; the one before it goes on counting for what it signed ------

    std::optional<crypto::public_key> next_signing() const; // made ahead, and not in force yet
    crypto::public_key prepare_next_signing() const;        // makes it, where there is none
    void put_next_in_force() const;                         // for who opens the keyring from now on; this one keeps what it has
    std::vector<crypto::public_key> retired() const;        // the newest first, at most 5
    void forget_retired() const;

    // -- at rest ---------------------------------------------------------------------------------------------------------------------------

    struct kept_key {
        std::string file; // its name in the directory
        bool encrypted = false;
    };
    std::vector<kept_key> kept() const; // those of secp256k1 that are there and may be read; none is made, none opened
    bool has_wallet() const;
    // A wallet's key, where there is none yet. Codes "wallet_exists", "bad_key".
    result<crypto::address> put_wallet(crypto::secret key32) const;
    // Encrypts all of them under this passphrase from now on, whatever they were under: how many were written. Each file is replaced whole, and is good at any moment;
    // where it was interrupted, some are under the one and some under the other, and the same call again finishes it. Nothing is written before all are open.
    // Codes "wrong_passphrase", "key_locked", "bad_passphrase" (too short, too long), "no_memory", and those of the disk by exception.
    result<std::size_t> encrypt(const crypto::secret& passphrase, stretching how = stretching::fresh()) const;

private:
    struct made;
    std::filesystem::path directory_;
    std::shared_ptr<made> made_;
};

} // namespace souk
