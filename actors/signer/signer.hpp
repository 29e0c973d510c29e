// The receipt signer: the only actor that writes into this node's repository under its key. One record at a time, so the receipts form
// one hash-linked log.
#pragma once
#include <souk/backends/keys/keyring.hpp>
#include <souk/backends/records/repository.hpp>
#include <souk/messages/actors.hpp>

namespace souk {

struct signer_options {
    std::string did; // whose repository and key these are
    std::function<instant()> now;
};

// `own` and the key must outlive the actor. Throws std::invalid_argument where the repository is another's.
signer_actor spawn_signer(caf::actor_system&, signer_options, repository& own, const crypto::secret& signing_key);
signer_actor spawn_signer(caf::actor_system&, signer_options, repository& own, const keyring& keys);

} // namespace souk
