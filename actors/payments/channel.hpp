// The receiver's side of one payment channel: what its payer put in, what he promised, what of that was charged, and what the chain has written
// down. A voucher is journalled before anything is served on it. Signatures are checked before they come here; amounts are the token's smallest units.
//
//   opening -> open -> closing -> closed -> open (filled again)       a channel goes on: its name stays, and its totals only grow
//
// A request that is served for long is charged slice by slice (`meter`) and promised more by newer vouchers (`take` under the same id), so that whatever
// was served is promised at every instant, and is claimed as it goes.
//
// The chain is the truth for balance, claims and withdrawals, and is looked at often enough that a withdrawal is known in the first half of its
// delay. From then on nothing more is taken, and what was charged is claimed.
#pragma once
#include <souk/actors/entity/entity.hpp>
#include <souk/backends/rails/channel_rail.hpp>

namespace souk {

struct channel_terms {
    evm::channel::config config;
    std::int64_t most_unclaimed = 0; // nothing is served beyond this on promises alone
    std::int64_t claim_at = 0;       // so much unclaimed is claimed
    bool operator==(const channel_terms&) const = default;
};
struct channel_filling {
    evm::channel::deposit what;
    std::int64_t amount = 0;
    instant valid_before; // the token refuses it after this
    bool operator==(const channel_filling&) const = default;
};
struct channel_held { // a request that is being served
    std::string id;
    std::int64_t amount = 0; // promised for it, in all
    std::int64_t used = 0;   // and of that charged
    instant due;
    bool operator==(const channel_held&) const = default;
};

BOOST_DESCRIBE_STRUCT(channel_terms, (), (config, most_unclaimed, claim_at))
BOOST_DESCRIBE_STRUCT(channel_filling, (), (what, amount, valid_before))
BOOST_DESCRIBE_STRUCT(channel_held, (), (id, amount, used, due))

struct channel {
    static constexpr std::string_view kind = "channel";

    enum class phase : std::uint8_t { none, opening, open, closing, closed };

    using terms = channel_terms;
    using books = channel_books; // the chain's, in a block that is not dropped any more
    using filling = channel_filling;
    using held = channel_held;
    struct state {
        phase at = phase::none;
        terms what;
        std::optional<filling> in;
        std::string filled_by; // the salt of the last deposit that came in
        books chain;
        std::int64_t promised = 0; // by the newest voucher, in all
        evm::channel::voucher newest;
        std::int64_t charged = 0; // in all
        std::string last_id;      // that was charged
        std::int64_t last = 0;
        std::optional<held> serving;
        std::int64_t claiming = 0;  // a claim of so much in all is wanted
        std::int64_t forfeited = 0; // charged, and gone before it was claimed
        std::int64_t back = 0;      // to be refunded; what is left where it is more
        bool looking = false;
        instant look_at;
    };

    // -- effects ------------------------------------------------------------------------------------------------------------

    struct fill {
        terms what;
        evm::channel::deposit deposit;
        struct answer { books chain; };
        std::string id() const { return "fill/" + deposit.authorization.erc3009Authorization.salt; }
    };
    struct look {
        terms what;
        struct answer { books chain; };
        static constexpr bool looks = true;
        static constexpr std::chrono::milliseconds again_at_most{10'000};
        std::string id() const { return "look"; }
    };
    struct claim { // the chain lets each happen once: it is "so much in all"
        terms what;
        evm::channel::voucher voucher;
        std::int64_t total = 0;
        instant before; // a withdrawal ends then; the epoch: none is under way
        struct answer { books chain; };
        static constexpr std::chrono::milliseconds again_at_most{10'000};
        std::string id() const { return "claim/" + std::to_string(total); }
    };
    struct give_back { // its nonce lets it happen once
        terms what;
        std::int64_t amount = 0, nonce = 0;
        struct answer { books chain; };
        std::string id() const { return "back/" + std::to_string(nonce); }
    };
    using effect = std::variant<fill, look, claim, give_back>;

    struct fund { terms what; filling in; };
    // The voucher allows what was charged and `amount` more, to the unit. The same id is the same request; while it is being served, a newer voucher
    // adds to what was promised for it.
    struct take { std::string id; evm::channel::voucher voucher; std::int64_t total = 0, amount = 0, within = 0; }; // within: seconds; 0: ten minutes
    struct meter { std::string id; std::int64_t amount = 0; };  // of what was taken for it, so much was served by now, in all; it goes on
    struct charge { std::string id; std::int64_t amount = 0; }; // it was served, for so much in all; no more than was taken for it
    struct drop { std::string id; };                            // it was not, beyond what was metered
    struct claim_now {};                                        // whatever is unclaimed, however little
    struct close { std::int64_t amount = 0; };                  // the payer asks for this much back; no amount: for all
    using command = std::variant<fund, take, meter, charge, drop, claim_now, close, deadline_passed, outcome<fill>, outcome<look>, outcome<claim>, outcome<give_back>>;

    struct fill_intended { static constexpr auto type = "fill_intended"; terms what; filling in; };
    struct filled { static constexpr auto type = "filled"; books chain; instant look_at; };
    struct not_filled { static constexpr auto type = "not_filled"; };
    struct taken { static constexpr auto type = "taken"; held what; evm::channel::voucher voucher; std::int64_t total = 0; };
    struct metered { static constexpr auto type = "metered"; std::string id; std::int64_t amount = 0; instant due; };
    struct charged { static constexpr auto type = "charged"; std::string id; std::int64_t amount = 0; }; // in all
    struct dropped { static constexpr auto type = "dropped"; std::string id; };
    struct look_due { static constexpr auto type = "look_due"; instant look_at; };
    struct seen { static constexpr auto type = "seen"; books chain; instant look_at; };
    struct claim_intended { static constexpr auto type = "claim_intended"; std::int64_t total = 0; };
    struct close_intended { static constexpr auto type = "close_intended"; std::int64_t amount = 0; };
    struct given_back { static constexpr auto type = "given_back"; books chain; instant look_at; };
    using event =
        std::variant<fill_intended, filled, not_filled, taken, metered, charged, dropped, look_due, seen, claim_intended, close_intended, given_back>;

    static decision<event> decide(const state&, const command&, instant now);
    static state evolve(state, const event&);
    static std::vector<effect> effects(const state&);
    static bool is_final(const state&) { return false; } // it may be filled again
    static bool rests(const state& s) { return s.at == phase::closed && !s.in && !s.looking; }
    static std::optional<instant> deadline(const state&);

    static std::int64_t unclaimed(const state& s) { return s.charged - s.chain.claimed; }
    static std::int64_t open_promise(const state& s) { return s.serving ? s.serving->amount - s.serving->used : 0; } // that may still be charged
    static std::int64_t at_risk(const state& s) { return unclaimed(s) + open_promise(s); } // served, or about to be, on promises alone
    static std::optional<instant> leaves(const state&); // when a withdrawal that was begun can end
};

BOOST_DESCRIBE_ENUM(channel::phase, none, opening, open, closing, closed)
BOOST_DESCRIBE_STRUCT(channel::state, (),
                      (at, what, in, filled_by, chain, promised, newest, charged, last_id, last, serving, claiming, forfeited, back, looking, look_at))
BOOST_DESCRIBE_STRUCT(channel::fill_intended, (), (what, in))
BOOST_DESCRIBE_STRUCT(channel::filled, (), (chain, look_at))
BOOST_DESCRIBE_STRUCT(channel::not_filled, (), ())
BOOST_DESCRIBE_STRUCT(channel::taken, (), (what, voucher, total))
BOOST_DESCRIBE_STRUCT(channel::metered, (), (id, amount, due))
BOOST_DESCRIBE_STRUCT(channel::charged, (), (id, amount))
BOOST_DESCRIBE_STRUCT(channel::dropped, (), (id))
BOOST_DESCRIBE_STRUCT(channel::look_due, (), (look_at))
BOOST_DESCRIBE_STRUCT(channel::seen, (), (chain, look_at))
BOOST_DESCRIBE_STRUCT(channel::claim_intended, (), (total))
BOOST_DESCRIBE_STRUCT(channel::close_intended, (), (amount))
BOOST_DESCRIBE_STRUCT(channel::given_back, (), (chain, look_at))

} // namespace souk
