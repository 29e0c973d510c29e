// Internal. An Ed25519 key in OpenSSH's own file form, without a passphrase.
// Format: PROTOCOL.key of OpenSSH ("openssh-key-v1").
#pragma once
#include <string>

#include <souk/messages/crypto.hpp>

namespace souk::internal {

crypto::secret make_ssh_key_file();                               // the whole text
result<std::string> ssh_public_line(std::string_view file_text); // its authorized_keys line; code "bad_ssh_key"

} // namespace souk::internal
