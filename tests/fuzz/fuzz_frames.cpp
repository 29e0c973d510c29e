#include <souk/runtime/cluster/frame_guard.hpp>

#include <algorithm>
#include <string>

#include "fuzz.hpp"

using namespace souk::carrier;

namespace {

constexpr std::uint32_t largest = 4096;

struct outcome {
    std::string cleared;
    bool refused;
    bool operator==(const outcome&) const = default;
};

// As the carrier does it: what is not cleared comes again with more behind it.
outcome pass(std::string_view bytes, std::size_t piece, bool dialled) {
    frame_guard guard(largest, dialled, std::string(40, 'a') + "#1", [](const std::string& id) { return id.empty() ? "no name" : ""; });
    outcome o{{}, false};
    std::string held;
    for (std::size_t at = 0; at < bytes.size() && !guard.refused(); at += piece) {
        held += bytes.substr(at, piece);
        for (;;) {
            const auto n = guard.clear(held.data(), held.size());
            must(n <= held.size(), "no more is cleared than came");
            o.cleared += held.substr(0, n);
            held.erase(0, n);
            if (n == 0 || held.empty()) break;
        }
        must(guard.refused() || held.size() < std::max<std::size_t>(frame_guard::longest_beginning, piece) + largest, "what waits is bounded");
    }
    o.refused = guard.refused();
    return o;
}

} // namespace

FUZZ {
    if (bytes.empty()) return;
    const bool dialled = bytes.front() & 1;
    const auto piece = std::max<std::size_t>(1, static_cast<unsigned char>(bytes.front()) >> 1);
    bytes.remove_prefix(1);
    const auto whole = pass(bytes, std::max<std::size_t>(1, bytes.size()), dialled), pieces = pass(bytes, piece, dialled);
    must(whole.refused == pieces.refused, "how the bytes are cut does not decide");
    must(whole.refused || whole.cleared == pieces.cleared, "nor what is cleared");
}
