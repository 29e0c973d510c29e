// A route: one public name and the account that owns it. The first to claim it keeps it while it is used; a name that stood empty for
// long is let go.
//
//   (none) -> down <-> up ; down for 30 days -> released
//   up, down -> cutting -> withdrawn ; 30 days later -> released      the relay's operator takes it away: nobody has it meanwhile
#pragma once
#include <souk/actors/entity/entity.hpp>
#include <souk/messages/actors.hpp>

namespace souk {

struct route {
    static constexpr std::string_view kind = "route";

    enum class phase : std::uint8_t { none, up, down, cutting, released, withdrawn };

    struct state {
        phase at = phase::none;
        std::string label, did, handle, service;
        instant since, due;
        std::string why; // it was taken away
    };

    struct cut { // ends the tunnels that serve it
        std::string label, did;
        struct answer {};
        std::string id() const { return "cut/" + label; }
    };
    using effect = std::variant<cut>;

    struct claim { route_claim what; };
    struct restarted {}; // the broker started anew: no tunnel can be open
    struct revoke { std::string why; };
    using command = std::variant<claim, restarted, revoke, deadline_passed, outcome<cut>>;

    struct claimed { static constexpr auto type = "claimed"; std::string label, did, handle, service; instant at; };
    struct went_up { static constexpr auto type = "went_up"; instant at, due; };
    struct went_down { static constexpr auto type = "went_down"; instant at, due; };
    struct cutting { static constexpr auto type = "cutting"; std::string why; instant at, due; };
    struct withdrawn { static constexpr auto type = "withdrawn"; instant at, due; };
    struct released { static constexpr auto type = "released"; std::string why; };
    struct seen { static constexpr auto type = "seen"; instant due; };
    using event = std::variant<claimed, went_up, went_down, cutting, withdrawn, released, seen>;

    static decision<event> decide(const state&, const command&, instant now);
    static state evolve(state, const event&);
    static std::vector<effect> effects(const state& s) {
        if (s.at == phase::cutting) return {cut{s.label, s.did}};
        return {};
    }
    static std::optional<instant> deadline(const state& s) {
        if (s.at == phase::none || is_final(s)) return std::nullopt;
        return s.due;
    }
    static bool is_final(const state& s) { return s.at == phase::released; } // and yet it can be claimed again: its stream goes on
};

BOOST_DESCRIBE_ENUM(route::phase, none, up, down, cutting, released, withdrawn)
BOOST_DESCRIBE_STRUCT(route::state, (), (at, label, did, handle, service, since, due, why))
BOOST_DESCRIBE_STRUCT(route::claimed, (), (label, did, handle, service, at))
BOOST_DESCRIBE_STRUCT(route::went_up, (), (at, due))
BOOST_DESCRIBE_STRUCT(route::went_down, (), (at, due))
BOOST_DESCRIBE_STRUCT(route::cutting, (), (why, at, due))
BOOST_DESCRIBE_STRUCT(route::withdrawn, (), (at, due))
BOOST_DESCRIBE_STRUCT(route::released, (), (why))
BOOST_DESCRIBE_STRUCT(route::seen, (), (due))

} // namespace souk
