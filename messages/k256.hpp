// ECDSA on secp256k1 with libsecp256k1, behind crypto.hpp.
#pragma once
#include <souk/messages/crypto.hpp>

namespace souk::crypto::k256 {

result<std::string> parse(std::string_view compressed); // the library's own form, for `check`
result<void> check(std::string_view parsed, std::string_view digest, std::string_view signature64);
result<std::string> sign(std::string_view key32, std::string_view digest);
result<std::string> public_of(std::string_view key32, bool compressed);
bool is_key(std::string_view key32);

result<std::string> sign_recoverable(std::string_view key32, std::string_view digest);      // 64 bytes and the recovery id
result<std::string> recover(std::string_view digest, std::string_view signature64, int id); // 65 bytes, uncompressed

} // namespace souk::crypto::k256
