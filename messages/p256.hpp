// ECDSA on P-256 with OpenSSL, behind crypto.hpp.
#pragma once
#include <souk/messages/crypto.hpp>

namespace souk::crypto::p256 {

result<void> verify(std::string_view compressed, std::string_view message, std::string_view signature64);
result<std::string> sign(std::string_view key32, std::string_view message);
result<std::string> public_of(std::string_view key32); // compressed
result<std::string> coordinates(std::string_view compressed); // x and y, 64 bytes

} // namespace souk::crypto::p256
