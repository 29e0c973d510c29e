// The provider's side of one allowance, or of one trial credit: the requests that its payer signed, and what became of each. A request is journalled before
// anything is done for it; only what was said to be served is ever presented. Signatures are checked before they come here; amounts are the token's smallest
// units.
//
//   held -> served -> presented -> consumed       one request; its money is in escrow, and nobody else's to take
//        -> unserved                  -> lost     not served, or not in time: never presented; presented, and refused for good
//
// The rail is the truth for budget, price and notices, and is looked at often enough that an announced leaving is known in the first half of its notice. What
// is held then is served in the second, and presented before it ends.
#pragma once
#include <souk/actors/entity/entity.hpp>
#include <souk/backends/rails/escrow_rail.hpp>

namespace souk {

struct tab_terms {
    escrow_source of;
    std::int64_t most_open = 0;     // promised and not consumed: nothing is served beyond it
    std::int64_t present_at = 0;    // so much served is presented;
    std::int64_t present_after = 0; // however little, once it has waited so many seconds;
    std::int64_t before = 0;        // and so many seconds before it expires at the latest
    bool operator==(const tab_terms&) const = default;
};
BOOST_DESCRIBE_STRUCT(tab_terms, (), (of, most_open, present_at, present_after, before))

enum class tab_stage : std::uint8_t { held, served, presented, consumed, unserved, lost };
BOOST_DESCRIBE_ENUM(tab_stage, held, served, presented, consumed, unserved, lost)

struct tab_request {
    evm::escrow::signed_request what;
    std::int64_t price = 0;
    tab_stage at = tab_stage::held;
    instant due; // held: it was not served by then, if nobody said so; served: it is presented by then
};
BOOST_DESCRIBE_STRUCT(tab_request, (), (what, price, at, due))

struct tab_past { // what is known of a request until it expires: its nonce may come again for so long
    std::string digest; // 16 bytes
    tab_stage at = tab_stage::consumed;
    instant until;
};

struct tab {
    static constexpr std::string_view kind = "tab";
    static constexpr std::size_t most_requests = 1'000, most_past = 20'000;
    static constexpr std::int64_t longest_served = evm::escrow::notice / 2 - 3'600; // seconds; and the rest of the notice is for presenting it

    struct state {
        tab_terms what; // no payer: nothing was ever taken
        escrow_books chain;
        std::vector<tab_request> requests;
        std::vector<octets> past; // packed, 41 bytes each: there may be many, and a start reads all of them at once
        std::int64_t round = 0; // of presenting
        std::int64_t consumed = 0, lost = 0;
        std::string why; // of the last that was lost
        bool looking = false;
        instant look_at;
    };

    // -- effects ------------------------------------------------------------------------------------------------------------

    struct look {
        tab_terms what;
        struct answer { escrow_books chain; };
        static constexpr bool looks = true;
        static constexpr std::chrono::milliseconds again_at_most{10'000};
        std::string id() const { return "look"; }
    };
    struct consume { // each nonce lets it happen once
        tab_terms what;
        std::int64_t round = 0;
        std::vector<evm::escrow::signed_request> all;
        struct answer { escrow_books chain; std::vector<escrow_bad> bad; };
        static constexpr std::chrono::milliseconds again_at_most{10'000};
        std::string id() const { return "consume/" + std::to_string(round); }
    };
    using effect = std::variant<look, consume>;

    struct take { // what the rail said of it just now, if it was asked
        tab_terms what;
        evm::escrow::signed_request request;
        std::int64_t price = 0, within = 0; // seconds; 0: ten minutes
        std::optional<escrow_books> chain;
    };
    struct end { std::string nonce; bool served = true; };
    struct present_now {};
    using command = std::variant<take, end, present_now, deadline_passed, outcome<look>, outcome<consume>>;

    struct taken { static constexpr auto type = "taken"; tab_terms what; tab_request request; escrow_books chain; instant look_at; };
    struct served { static constexpr auto type = "served"; std::string nonce; instant due; };
    struct unserved { static constexpr auto type = "unserved"; std::string nonce; };
    struct presented { static constexpr auto type = "presented"; std::vector<std::string> nonces; };
    struct consumed { static constexpr auto type = "consumed"; escrow_books chain; };
    struct refused { static constexpr auto type = "refused"; std::vector<escrow_bad> bad; };
    struct look_due { static constexpr auto type = "look_due"; instant look_at; };
    struct seen { static constexpr auto type = "seen"; escrow_books chain; instant look_at; };
    struct forgotten { static constexpr auto type = "forgotten"; instant until; };
    using event = std::variant<taken, served, unserved, presented, consumed, refused, look_due, seen, forgotten>;

    static decision<event> decide(const state&, const command&, instant now);
    static state evolve(state, const event&);
    static std::vector<effect> effects(const state&);
    static bool is_final(const state&) { return false; } // its payer may sign again
    static bool rests(const state& s) { return s.requests.empty() && !s.looking; }
    static std::optional<instant> deadline(const state&);

    // Of everything, or of one stage.
    static std::int64_t open(const state&);
    static std::int64_t open(const state&, tab_stage);
    static std::optional<instant> leaves(const state&); // when what was announced can leave
    static std::optional<tab_stage> stage_of(const state&, const std::string& nonce);
    static std::optional<tab_past> past_of(const state&, const std::string& nonce);
    static bool is_known(const state&, const evm::escrow::request&); // the very same
    // Whether what is known of the rail is enough to say no. What it says may be too old for that.
    static std::optional<refusal> objection(const state&, const take&, const escrow_books&, instant now);
};

BOOST_DESCRIBE_STRUCT(tab::state, (), (what, chain, requests, past, round, consumed, lost, why, looking, look_at))
BOOST_DESCRIBE_STRUCT(tab::taken, (), (what, request, chain, look_at))
BOOST_DESCRIBE_STRUCT(tab::served, (), (nonce, due))
BOOST_DESCRIBE_STRUCT(tab::unserved, (), (nonce))
BOOST_DESCRIBE_STRUCT(tab::presented, (), (nonces))
BOOST_DESCRIBE_STRUCT(tab::consumed, (), (chain))
BOOST_DESCRIBE_STRUCT(tab::refused, (), (bad))
BOOST_DESCRIBE_STRUCT(tab::look_due, (), (look_at))
BOOST_DESCRIBE_STRUCT(tab::seen, (), (chain, look_at))
BOOST_DESCRIBE_STRUCT(tab::forgotten, (), (until))

// A tab's name: who pays whom in what, and out of what.
std::string tab_of(const evm::escrow::place&, const escrow_source&);
escrow_source source_of(const evm::escrow::request&);

} // namespace souk
