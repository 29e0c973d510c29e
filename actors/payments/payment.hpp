// A payment: one signed authorisation or permit, keyed by (from, nonce), that moves money once or not at all; and what goes back of it. What is moved
// of a permit of at most so much is fixed by who first asks for it.
//
//   intended -> confirmed -> settled               the usual way; `settled` when nothing can be asked back any more
//   intended -> asking -> confirmed | failed       its time ran out: only the rail knows
//   confirmed -> refunding -> refunded             once, a part or all
#pragma once
#include <souk/actors/entity/entity.hpp>
#include <souk/messages/actors.hpp>
#include <souk/messages/x402.hpp>

namespace souk {

struct payment {
    static constexpr std::string_view kind = "payment";

    enum class phase : std::uint8_t { none, intended, asking, confirmed, refunding, failed, refunded, settled };

    struct terms {
        x402::exact_payload authorised;
        std::string network, asset;
        std::string accept; // CID of what it pays for: the same authorisation never pays for another
        std::int64_t value = 0;   // 0: a permit of at most so much, of which nothing is asked for
        instant valid_before;     // the rail refuses the authorisation after this
        instant refundable_until;
        bool operator==(const terms&) const = default;
    };
    struct state {
        phase at = phase::none;
        terms what;
        std::string transaction;
        std::int64_t back = 0;
        std::string back_why, back_transaction;
        refusal why;              // it failed
        instant due;              // when someone must look again; meaningless once final
        std::uint32_t alarms = 0; // how often that came and went while the outside kept silent
    };

    // -- effects: their ids derive from the nonce, so asking twice is asking once --
    struct move {
        terms what;
        struct answer { std::string transaction; };
        static constexpr std::chrono::milliseconds again_at_most{5'000};
        std::string id() const { return "pay/" + what.authorised.authorization.from + '/' + what.authorised.authorization.nonce; }
    };
    struct look_up { // was this very transfer made, and how far has the rail's own clock come?
        terms what;
        struct answer { std::optional<std::string> transaction; instant as_of; bool spent = false; }; // spent: its nonce went with another transfer
        std::string id() const { return "look/" + what.authorised.authorization.from + '/' + what.authorised.authorization.nonce; }
    };
    struct give_back {
        terms what;
        std::int64_t amount = 0;
        struct answer { std::string transaction; };
        std::string id() const { return "refund/" + what.authorised.authorization.from + '/' + what.authorised.authorization.nonce; }
    };
    using effect = std::variant<move, look_up, give_back>;

    struct pay { terms what; };
    struct refund { std::int64_t amount = 0; std::string why; };
    using command = std::variant<pay, refund, deadline_passed, outcome<move>, outcome<look_up>, outcome<give_back>>;

    struct intended { static constexpr auto type = "intended"; terms what; };
    struct doubted { static constexpr auto type = "doubted"; refusal why; instant look_again; };
    struct confirmed { static constexpr auto type = "confirmed"; std::string transaction; };
    struct failed { static constexpr auto type = "failed"; refusal why; };
    struct refund_intended { static constexpr auto type = "refund_intended"; std::int64_t amount = 0; std::string why; instant look_again; };
    struct refunded { static constexpr auto type = "refunded"; std::string transaction; };
    struct settled { static constexpr auto type = "settled"; };
    struct overdue { static constexpr auto type = "overdue"; instant look_again; };
    using event = std::variant<intended, doubted, confirmed, failed, refund_intended, refunded, settled, overdue>;

    static decision<event> decide(const state&, const command&, instant now);
    static state evolve(state, const event&);
    static std::vector<effect> effects(const state&);
    static bool is_final(const state& s) { return s.at >= phase::failed; }
    static bool rests(const state& s) { return s.at == phase::confirmed; }
    static std::optional<instant> deadline(const state& s);

    static std::string key_of(const x402::authorization&); // from (lower case) '/' nonce (lower case)
    static bool is_same(const terms& a, const terms& b) { return a.authorised == b.authorised && a.accept == b.accept; } // said again
};

BOOST_DESCRIBE_ENUM(payment::phase, none, intended, asking, confirmed, refunding, failed, refunded, settled)
BOOST_DESCRIBE_STRUCT(payment::terms, (), (authorised, network, asset, accept, value, valid_before, refundable_until))
BOOST_DESCRIBE_STRUCT(payment::state, (), (at, what, transaction, back, back_why, back_transaction, why, due, alarms))
BOOST_DESCRIBE_STRUCT(payment::intended, (), (what))
BOOST_DESCRIBE_STRUCT(payment::doubted, (), (why, look_again))
BOOST_DESCRIBE_STRUCT(payment::confirmed, (), (transaction))
BOOST_DESCRIBE_STRUCT(payment::failed, (), (why))
BOOST_DESCRIBE_STRUCT(payment::refund_intended, (), (amount, why, look_again))
BOOST_DESCRIBE_STRUCT(payment::refunded, (), (transaction))
BOOST_DESCRIBE_STRUCT(payment::settled, (), ())
BOOST_DESCRIBE_STRUCT(payment::overdue, (), (look_again))

} // namespace souk
