// What this node may spend, and what it has signed away: the limits of [spending], kept over restarts and by purchases that run at once.
//
// What is held counts until a day after it can last be moved by its signature, whatever is said to have come back: that a seller refused it, or paid some back, is
// his word. Released is only what is known never to have been signed, or never to be moved.
#pragma once
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

#include <souk/actors/entity/entity.hpp>
#include <souk/backends/store/journal.hpp>
#include <souk/messages/money.hpp>

namespace souk {

struct spending_limits { // atomic units; 0: no limit
    amount per_contract = 0, per_counterparty = 0, per_day = 0; // the last two of any 24 hours
    amount approve_above = 0;                                  // a person has to say yes to a contract that costs more
    std::chrono::seconds approve_within{3600};
    bool any() const { return per_contract > 0 || per_counterparty > 0 || per_day > 0; }
};

struct spending {
    static constexpr std::string_view kind = "spending";
    static constexpr std::size_t most_entries = 10'000; // that count at once
    static constexpr std::chrono::hours day{24};

    struct entry {
        std::string id; // of a purchase; "pay/..." of `souk pay`
        std::string to; // DID of a seller; address of whoever `souk pay` pays
        amount sum = 0;
        instant until;  // when what is signed for it can last be moved, as far as is known
        bool operator==(const entry&) const = default;
    };
    struct state {
        std::vector<entry> all;
    };

    // Says yes again to what it has; with another sum or seller the entry is replaced: what it was for was not signed. Codes "spending_limit", "bad_amount", "not_now".
    struct hold {
        entry what;
        spending_limits by;
    };
    struct release { std::string id; };
    using command = std::variant<hold, release>;

    struct held { static constexpr auto type = "held"; entry what; };
    struct released { static constexpr auto type = "released"; std::string id; };
    struct forgotten { static constexpr auto type = "forgotten"; instant by; }; // whose day was over then
    using event = std::variant<held, released, forgotten>;

    static decision<event> decide(const state&, const command&, instant now);
    static state evolve(state, const event&);

    // Each limit that is set: how much of it is used, by others than `id`.
    struct use {
        std::string limit; // per_contract, per_counterparty, per_day
        amount most = 0, used = 0;
        amount left() const { return used < most ? most - used : 0; }
    };
    static std::vector<use> used(const state&, const spending_limits&, const std::string& to, const std::string& id, instant now);
    static bool counts(const entry& e, instant now) { return e.until + day > now; }
};

BOOST_DESCRIBE_STRUCT(spending::entry, (), (id, to, sum, until))
BOOST_DESCRIBE_STRUCT(spending::state, (), (all))
BOOST_DESCRIBE_STRUCT(spending::held, (), (what))
BOOST_DESCRIBE_STRUCT(spending::released, (), (id))
BOOST_DESCRIBE_STRUCT(spending::forgotten, (), (by))

} // namespace souk
