// Several records that name each other, published one after the other by the signer.
#pragma once
#include <souk/messages/actors.hpp>
#include <souk/messages/dialect.hpp>

namespace souk {

// Each under `key` in its own collection: done again, it is what was done. `then` has the last one, or what refused, or why somebody could not be
// asked; it runs once.
void publish_drafts(caf::actor_system&, const signer_actor&, std::string key, std::vector<draft>, bool chained, std::chrono::milliseconds within_each,
                    std::function<void(result<signed_record>)> then);

} // namespace souk
