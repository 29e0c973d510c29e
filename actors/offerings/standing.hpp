// What an account offers to everyone: one record, kept as it should be for as long as there is something to sell.
//
//   (none) -> publishing -> standing -> publishing -> ...      renewed, or changed: the same key, what it says now
//   publishing, standing -> withdrawing -> gone                nothing is sold here any more; and yet it can be offered again
//   publishing -> gone                                         the own repository refuses it: it is no record
#pragma once
#include <souk/actors/entity/entity.hpp>
#include <souk/messages/actors.hpp>

namespace souk {

struct standing_offer {
    static constexpr std::string_view kind = "offering";
    static constexpr std::chrono::hours life{24}, renewed_every{6}; // a seller who is gone is not asked for longer than a day

    enum class phase : std::uint8_t { none, publishing, standing, withdrawing, gone };

    struct state {
        phase at = phase::none;
        std::string key;
        octets says;            // DAG-CBOR of a market.offering less its dates
        instant since, renewed; // when it was first offered, and last said again
        strong_ref ref;         // as it is published
        std::string why;        // it was refused
        instant due;
    };

    struct publish {
        std::string key;
        octets says;
        instant since, renewed;
        struct answer { strong_ref ref; };
        std::string id() const;
    };
    struct withdraw {
        std::string key;
        struct answer {};
        std::string id() const { return "withdraw/" + key; }
    };
    using effect = std::variant<publish, withdraw>;

    struct offer { std::string key; octets says; };
    struct end {};
    using command = std::variant<offer, end, deadline_passed, outcome<publish>, outcome<withdraw>>;

    struct offered { static constexpr auto type = "offered"; std::string key; octets says; instant since, at, due; };
    struct renewing { static constexpr auto type = "renewing"; instant at, due; };
    struct published { static constexpr auto type = "published"; strong_ref ref; instant due; };
    struct withdrawing { static constexpr auto type = "withdrawing"; instant due; };
    struct withdrawn { static constexpr auto type = "withdrawn"; };
    struct refused { static constexpr auto type = "refused"; std::string why; };
    struct overdue { static constexpr auto type = "overdue"; instant due; };
    using event = std::variant<offered, renewing, published, withdrawing, withdrawn, refused, overdue>;

    static decision<event> decide(const state&, const command&, instant now);
    static state evolve(state, const event&);
    static std::vector<effect> effects(const state&);
    static std::optional<instant> deadline(const state& s) {
        if (s.at == phase::none || is_final(s)) return std::nullopt;
        return s.due;
    }
    static bool is_final(const state& s) { return s.at == phase::gone; } // and yet it can be offered again: its stream goes on
    static bool rests(const state& s) { return s.at == phase::standing; }
};

BOOST_DESCRIBE_ENUM(standing_offer::phase, none, publishing, standing, withdrawing, gone)
BOOST_DESCRIBE_STRUCT(standing_offer::state, (), (at, key, says, since, renewed, ref, why, due))
BOOST_DESCRIBE_STRUCT(standing_offer::offered, (), (key, says, since, at, due))
BOOST_DESCRIBE_STRUCT(standing_offer::renewing, (), (at, due))
BOOST_DESCRIBE_STRUCT(standing_offer::published, (), (ref, due))
BOOST_DESCRIBE_STRUCT(standing_offer::withdrawing, (), (due))
BOOST_DESCRIBE_STRUCT(standing_offer::withdrawn, (), ())
BOOST_DESCRIBE_STRUCT(standing_offer::refused, (), (why))
BOOST_DESCRIBE_STRUCT(standing_offer::overdue, (), (due))

} // namespace souk
