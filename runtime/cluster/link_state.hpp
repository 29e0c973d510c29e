// Internal. One other node, as this one sees it: when to dial, how long to wait, whether it is there. Pure: no clock, no socket.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace souk::carrier {

using link_id = std::uint64_t;

class link_state {
public:
    enum class phase { waiting, dialling, up };
    struct step { // what to do now
        bool dial = false;
        std::optional<std::chrono::milliseconds> wait; // then call timer(which)
        std::uint64_t which = 0;
    };

    // `ours`: we dial that node; otherwise it dials us. The seed spreads the waits of many nodes.
    link_state(std::chrono::milliseconds first, std::chrono::milliseconds longest, bool ours, std::uint64_t seed);

    step start();
    step timer(std::uint64_t which);
    step failed(std::string why);             // the dial under way came to nothing
    // One of us will not have the other, and soon will be no better. `by_dial`: it came of the dial under way.
    step refused(std::string why, bool by_dial);
    step up(link_id, bool by_dial);           // offers taken: over a link that we dialled, or one that we accepted
    step lost(link_id, std::string why);

    phase now() const { return phase_; }
    std::optional<link_id> link() const { return phase_ == phase::up ? std::optional(link_) : std::nullopt; }
    const std::string& why() const { return why_; } // of the last failure; empty while up

private:
    step dial_later(std::chrono::milliseconds);
    std::chrono::milliseconds backed_off();
    std::chrono::milliseconds jittered(std::chrono::milliseconds);

    std::chrono::milliseconds first_, longest_;
    bool ours_;
    std::uint64_t random_;
    phase phase_ = phase::waiting;
    bool under_way_ = false; // a dial; also while an accepted link is up
    link_id link_ = 0;
    unsigned failures_ = 0;
    std::uint64_t timer_ = 0; // the one that counts
    std::string why_;
};

} // namespace souk::carrier
