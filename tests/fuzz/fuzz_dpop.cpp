#include <algorithm>
#include <string>

#include <souk/messages/dpop.hpp>

#include "fuzz.hpp"

using namespace souk;

FUZZ {
    const auto error = dpop::challenge_error(bytes);
    must(error.size() <= 100, "what a challenge says is short");
    if (error.empty()) return;
    std::string low(bytes);
    std::transform(low.begin(), low.end(), low.begin(), [](char c) { return static_cast<char>(c | 0x20); });
    must(low.find("dpop") != low.npos && low.find("error") != low.npos, "only a challenge of that name says it");
    must(dpop::challenge_error("DPoP error=" + std::string("plain, ") + std::string(bytes)) == "plain", "the first one counts");
}
