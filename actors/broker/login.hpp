// Who may log in, and what they may open: an account's com.fedproxy.sshPublicKey records against the key that was offered. Pure.
#pragma once
#include <string>
#include <vector>

#include <souk/backends/records/repository.hpp>

namespace souk::login {

// Services whose key is this one, in order, each once; "*" means any. `key_blob` is the key's wire form. A record that cannot be read
// is passed over: one bad record never locks an account out.
std::vector<std::string> services_for(const std::vector<stored_record>&, std::string_view key_type, std::string_view key_blob);

} // namespace souk::login
