// Letters of names that are compared without their case: addresses, hashes, hosts. Nothing of a locale, nothing beyond ASCII.
#pragma once
#include <string>
#include <string_view>

namespace souk {

inline std::string lower(std::string_view text) {
    std::string out(text);
    for (auto& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    return out;
}

} // namespace souk
