// What makes two tokens or two calls differ. No secret.
#pragma once
#include <random>
#include <string>

#include <souk/messages/bytes.hpp>

namespace souk {

inline std::string random_id() { // 22 characters, 128 bits from the system
    std::random_device dice;
    std::string bytes;
    for (int i = 0; i < 4; ++i) {
        const auto word = dice();
        for (unsigned shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<char>((word >> shift) & 0xffu));
    }
    return to_base64url(bytes);
}

} // namespace souk
