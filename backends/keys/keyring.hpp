// A node's keys, in files of mode 0600 under one directory, made at first use. Private bytes leave only as crypto::secret.
#pragma once
#include <filesystem>
#include <mutex>
#include <optional>
#include <vector>

#include <souk/messages/attest.hpp>
#include <souk/messages/jwt.hpp>

namespace souk {

class keyring {
public:
    explicit keyring(std::filesystem::path directory); // made 0700; throws std::runtime_error when others may read it

    const crypto::secret& signing() const;       // k256: records, service tokens
    crypto::public_key signing_public() const;
    const crypto::secret& rotation() const;      // k256: changes of the DID document
    crypto::public_key rotation_public() const;
    const crypto::seal_pair& seal() const;       // X25519: receipts to this node
    const crypto::secret& wallet() const;        // secp256k1: money
    crypto::address wallet_address() const;
    const jwt::rsa_key& issuer() const;          // RS256: workload tokens
    std::filesystem::path ssh_private() const;   // Ed25519, OpenSSH form: this person's key to machines
    std::string ssh_public() const;              // its authorized_keys line

    // -- another signing key: made ahead, named by the identity, then put in force; the one before it goes on counting for what it signed ------

    std::optional<crypto::public_key> next_signing() const; // made ahead, and not in force yet
    crypto::public_key prepare_next_signing() const;        // makes it, where there is none
    void put_next_in_force() const;                         // for who opens the keyring from now on; this one keeps what it has
    std::vector<crypto::public_key> retired() const;        // the newest first, at most 5
    void forget_retired() const;

private:
    struct made;
    std::filesystem::path directory_;
    std::shared_ptr<made> made_;
};

} // namespace souk
