// Where a node's passphrase comes from: a file, the environment, a person at a terminal. Never an argument: those are everybody's to read.
#pragma once
#include <filesystem>
#include <memory>

#include <souk/backends/keys/locked_key.hpp>
#include <souk/runtime/config.hpp>

namespace souk {

// SOUK_PASSPHRASE, taken out of the environment with the bytes that stood there; empty: it was not set. Once, before there are other threads.
std::shared_ptr<const crypto::secret> take_passphrase_from_environment();

// The first line. Codes "bad_passphrase_file": it cannot be read, others may read it (but for root's, whose group may: so systemd shows its credentials), or it
// has no line of 1 to 1,024 bytes.
result<crypto::secret> read_passphrase(const std::filesystem::path&);

// What is typed, unseen, at the terminal that `fd` is; or a line that comes out of it. At most `most_passphrase` bytes. Codes "no_passphrase", "bad_passphrase".
result<crypto::secret> ask_passphrase(const std::string& prompt, int fd = 0);

// By the configuration's file, else the environment's, else whoever sits at the terminal; none of them: nothing is asked.
passphrase_source passphrase_of(const node_config&, std::shared_ptr<const crypto::secret> environment);

} // namespace souk
