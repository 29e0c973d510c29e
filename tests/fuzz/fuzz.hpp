// A target is FUZZ { ... } over `bytes`; `must` states what holds for every input.
#pragma once
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#define FUZZ                                                                         \
    static void one(std::string_view bytes);                                         \
    extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t n) { \
        one({reinterpret_cast<const char*>(data), n});                               \
        return 0;                                                                    \
    }                                                                                \
    static void one(std::string_view bytes)

inline void must(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "does not hold: %s\n", what);
    std::abort();
}
