#include <souk/backends/keys/keystore.hpp>
#include <souk/backends/keys/locked_key.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/described.hpp>
#include <souk/messages/json.hpp>

#include "fuzz.hpp"

using namespace souk;

FUZZ {
    if (const auto k = read_locked_key(bytes)) {
        const auto text = to_json(to_value(*k));
        const auto again = read_locked_key(text);
        must(again && to_json(to_value(*again)) == text, "a locked key comes back");
        must(k->argon2id.passes <= stretching::most_passes && k->argon2id.memory_kib <= stretching::most_memory_kib, "what it costs to try is bounded");
        // Without its key, whatever the bytes are, it does not open.
        const auto back = unlock_key(*k, crypto::secret(std::string(32, '\7')));
        must(!back && back.error().code == "wrong_passphrase", "it opens by its own key alone");
    }
    if (const auto k = read_keystore(bytes)) {
        must(k->ciphertext.size() == 32 && k->mac.size() == 32 && k->iv.size() == 16 && !k->salt.empty(), "a keystore has all of its parts");
        must(k->kdf == "scrypt" ? k->n * k->r * 128 <= (512u << 20) : k->rounds <= 10'000'000, "what it costs to try is bounded");
        // Cheap ones are tried: nobody knows the passphrase of random bytes.
        if (k->kdf == "scrypt" ? k->n * k->r * k->p <= 64 : k->rounds <= 8) must(!open_keystore(*k, crypto::secret(std::string("passphrase"))), "a MAC holds for its own passphrase alone");
    }
}
