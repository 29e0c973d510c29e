// Who looks at a relay from outside while the market goes on: at each name that a visitor would reach, at each grant that was acknowledged, and
// at what machines have written.
#pragma once
#include <souk/runtime/simulate/relay.hpp>

namespace souk::simulate {

class witness {
public:
    // `slack`: what clocks may differ by, each from the true one and from another.
    witness(universe& u, relay& r, milliseconds slack);

    // Within this, what a relay says of a name is what is so: a silent tunnel is given up, and its end is kept. Of a relay that runs.
    static constexpr milliseconds reaction{60'000};

    void written(const stored_record&); // by a machine, in the repository of an account
    void taken_away(const std::string& label) { taken_away_.insert(label); }
    void look(); // at all names, and at the grants
    void broke(std::string what);
    const std::vector<std::string>& broken() const { return broken_; }
    std::uint64_t served() const { return served_; } // tunnels that stood

private:
    struct right { // that an account gave
        std::string account, collection;
        instant until;
    };
    static std::optional<right> right_in(const std::string& token);
    void granted(const std::string& token);
    void acknowledged(const std::string& token);
    void changed(const relay::tunnel&, bool stands);
    void look_at_names();
    void look_at_grants();

    universe& u_;
    relay& relay_;
    milliseconds slack_;
    std::map<std::string, std::string> owners_;  // by label: never two in a month
    std::map<std::string, instant> last_change_; // by label: of what truly led there
    std::map<std::string, instant> doubts_;      // by label: since when what is said of it is not so
    std::set<std::string> taken_away_;
    std::vector<right> given_;
    std::map<std::pair<std::string, std::string>, instant> acknowledged_; // by account and collection: until when
    std::vector<std::string> broken_;
    std::uint64_t served_ = 0;
};

} // namespace souk::simulate
