// A lane: one signing key's transactions on one chain, in the order of their nonces. Whatever has a nonce is journalled, signed and with its hash, before
// any node hears of it; it leaves the lane when it is in a block that lies deep enough, whoever asks meanwhile.
//
//   queued -> allotted -> signed -> mined -> confirmed -> buried      one job; replaced by the same job at a higher fee where it is not taken
//          -> refused                mined -> signed                  refused before it had a nonce; its block was dropped by the chain
//
// A job is known by its id: brought again, it is the same one. Only jobs that the chain itself lets happen once are given to a lane (an authorisation, a
// claim of so much in all), so that one that is brought back after it was thought lost costs gas and nothing else.
#pragma once
#include <souk/actors/entity/entity.hpp>
#include <souk/messages/time.hpp>

namespace souk {

struct lane_place { // where a transaction was mined. Outside of the lane: clang 14 takes no optional of a class that is still within an open one
    std::string hash, block_hash;
    std::int64_t block = 0, gas_used = 0, gas_price = 0;
    bool succeeded = false; // and said what was expected
    std::string why;
    bool operator==(const lane_place&) const = default;
};
BOOST_DESCRIBE_STRUCT(lane_place, (), (hash, block_hash, block, gas_used, gas_price, succeeded, why))

struct lane {
    static constexpr std::string_view kind = "lane";

    static constexpr std::size_t most_queued = 512, most_in_flight = 16, most_buried_later = 512, most_attempts = 8;
    static constexpr std::chrono::seconds patience{20}; // then the first in line is offered at a higher fee

    struct expected_log { // what a successful one must have said; no address: nothing in particular
        std::string address;
        std::vector<std::string> topics; // "0x" and 64 digits; those it begins with
        octets data;
        bool operator==(const expected_log&) const = default;
    };
    struct job {
        std::string id, to;
        octets data;
        std::int64_t most_gas = 0;
        expected_log expects;
        instant not_after; // by then it must have a nonce
        bool operator==(const job&) const = default;
    };
    struct attempt {
        std::string hash;
        octets raw;
        std::int64_t tip = 0, most = 0; // wei a unit of gas
        bool operator==(const attempt&) const = default;
    };
    using place = lane_place;
    struct slot {
        std::int64_t nonce = 0, gas = 0;
        job what;
        std::vector<attempt> attempts; // the newest last
        std::optional<place> mined;
        bool confirmed = false; // it was told that it came to pass
        std::int64_t rounds = 1; // of signing that were asked for
        instant since, due;
    };
    struct state {
        std::string signer;     // address, lower case
        std::int64_t next = -1; // not known yet
        std::vector<job> queue;
        std::vector<slot> slots; // by nonce
        std::int64_t reorganised = 0, lost = 0; // blocks dropped under us; confirmed ones that then never came back
    };

    // -- effects ------------------------------------------------------------------------------------------------------------

    struct estimate { // what it would cost, if the contract takes it at all; and the chain's idea of the next nonce
        std::string signer;
        job what;
        struct answer { std::int64_t gas = 0, next = 0; std::optional<refusal> refused; };
        static constexpr std::chrono::milliseconds again_at_most{5'000};
        std::string id() const { return "estimate/" + what.id; }
    };
    struct sign { // at the fees of now, and above the one that it replaces
        std::string signer;
        std::int64_t nonce = 0, gas = 0, round = 1;
        job what;
        std::int64_t above_tip = 0, above_most = 0;
        struct answer { attempt made; };
        static constexpr std::chrono::milliseconds again_at_most{5'000};
        std::string id() const { return "sign/" + std::to_string(nonce) + '/' + std::to_string(round); }
    };
    struct land { // the newest attempt is with the nodes, and one of all is in a block
        std::string signer;
        std::int64_t nonce = 0;
        octets raw;
        std::vector<std::string> hashes;
        std::vector<std::int64_t> prices;
        expected_log expects;
        instant since;
        struct answer { std::optional<place> at; bool displaced = false; }; // displaced: another transaction has this nonce
        static constexpr std::chrono::milliseconds again_after{100}, again_at_most{2'000}, answer_within{30'000}; // a block may come at once
        std::string id() const { return "land/" + std::to_string(nonce) + '/' + std::to_string(hashes.size()); }
    };
    struct bury { // it lies so deep; or it is gone
        std::int64_t nonce = 0;
        place at;
        bool for_good = false; // as deep as is ever watched
        struct answer { bool gone = false; };
        static constexpr std::chrono::milliseconds again_at_most{4'000}, answer_within{30'000};
        std::string id() const { return "bury/" + std::to_string(nonce) + '/' + at.block_hash + (for_good ? "/2" : "/1"); }
    };
    using effect = std::variant<estimate, sign, land, bury>;

    struct submit { std::string signer; job what; };
    using command = std::variant<submit, deadline_passed, outcome<estimate>, outcome<sign>, outcome<land>, outcome<bury>>;

    struct queued { static constexpr auto type = "queued"; std::string signer; job what; };
    struct refused { static constexpr auto type = "refused"; std::string id; refusal why; };
    struct allotted { static constexpr auto type = "allotted"; std::string id; std::int64_t nonce = 0, gas = 0; instant at, due; };
    struct signed_one { static constexpr auto type = "signed"; std::int64_t nonce = 0; attempt made; };
    struct mined { static constexpr auto type = "mined"; std::int64_t nonce = 0; std::string id; place at; };
    struct confirmed { static constexpr auto type = "confirmed"; std::int64_t nonce = 0; std::string id; place at; };
    struct reorganised { static constexpr auto type = "reorganised"; std::int64_t nonce = 0; instant due; };
    struct buried { static constexpr auto type = "buried"; std::int64_t nonce = 0; std::string id; bool lost = false; };
    struct displaced { static constexpr auto type = "displaced"; std::int64_t nonce = 0; };
    struct stalled { static constexpr auto type = "stalled"; std::int64_t nonce = 0; bool another_round = false; instant due; };
    using event = std::variant<queued, refused, allotted, signed_one, mined, confirmed, reorganised, buried, displaced, stalled>;

    static decision<event> decide(const state&, const command&, instant now);
    static state evolve(state, const event&);
    static std::vector<effect> effects(const state&);
    static bool is_final(const state&) { return false; } // a key goes on
    static bool rests(const state& s) { return s.queue.empty() && s.slots.empty(); }
    static std::optional<instant> deadline(const state&);

    static bool knows(const state&, const std::string& job_id);
};

BOOST_DESCRIBE_STRUCT(lane::expected_log, (), (address, topics, data))
BOOST_DESCRIBE_STRUCT(lane::job, (), (id, to, data, most_gas, expects, not_after))
BOOST_DESCRIBE_STRUCT(lane::attempt, (), (hash, raw, tip, most))
BOOST_DESCRIBE_STRUCT(lane::slot, (), (nonce, gas, what, attempts, mined, confirmed, rounds, since, due))
BOOST_DESCRIBE_STRUCT(lane::state, (), (signer, next, queue, slots, reorganised, lost))
BOOST_DESCRIBE_STRUCT(lane::queued, (), (signer, what))
BOOST_DESCRIBE_STRUCT(lane::refused, (), (id, why))
BOOST_DESCRIBE_STRUCT(lane::allotted, (), (id, nonce, gas, at, due))
BOOST_DESCRIBE_STRUCT(lane::signed_one, (), (nonce, made))
BOOST_DESCRIBE_STRUCT(lane::mined, (), (nonce, id, at))
BOOST_DESCRIBE_STRUCT(lane::confirmed, (), (nonce, id, at))
BOOST_DESCRIBE_STRUCT(lane::reorganised, (), (nonce, due))
BOOST_DESCRIBE_STRUCT(lane::buried, (), (nonce, id, lost))
BOOST_DESCRIBE_STRUCT(lane::displaced, (), (nonce))
BOOST_DESCRIBE_STRUCT(lane::stalled, (), (nonce, another_round, due))

} // namespace souk
