// A lease: one bid of Bob's, from the room that is kept for it to the statement that ends it.
//
//   reserving -> bidding -> open -> taken -> collecting -> launching -> receipting -> active -> ending -> refunding -> stating -> closed
//   reserving -> closed                      no room: no bid
//   open -> lapsed (withdraws nothing: a bid says when it ends), or withdrawn by the operator
//   taken -> ending                          not paid in time, or the tenant's order
//   active -> ending                         paid from a channel: what was promised is used up. Then `refunding` is settling up: what it served is charged,
//                                            and the rest of the channel goes back
//   launching -> ending                      it never started: all of the payment goes back
//
// Nothing but expiry, the tenant, non-payment, confirmed loss or the operator ends a lease. A failed probe does not.
#pragma once
#include <souk/actors/entity/entity.hpp>
#include <souk/messages/actors.hpp>
#include <souk/messages/dialect.hpp>
#include <souk/messages/money.hpp>
#include <souk/messages/x402.hpp>

namespace souk {

// How a lease is paid while it runs: by vouchers, which its keeper of channels judges and has.
struct channel_payment {
    std::string channel;  // id
    octets first;         // DAG-CBOR of the evm::channel::deposit_payload or voucher_payload that it began with, until it is taken
    amount begun_with = 0;
    amount promised = 0;  // in all
    amount metering = 0;  // to be charged by now
    amount metered = 0;   // and charged
    bool over = false;    // charged for good
    instant told;         // when the receipt was out: before that its payer could promise nothing more
};
BOOST_DESCRIBE_STRUCT(channel_payment, (), (channel, first, begun_with, promised, metering, metered, over, told))

struct lease {
    static constexpr std::string_view kind = "lease";

    enum class phase : std::uint8_t { none, reserving, bidding, open, taken, collecting, launching, receipting, active, ending, refunding, stating, closed };

    struct terms {
        std::string key;    // rkey of the bid, derived from the request's CID
        strong_ref rfp;
        std::string tenant; // DID of the request's author
        octets bid;         // DAG-CBOR, unsigned ccb, whatever it is published as
        std::string user_data;
        std::string subject; // of the workload token that the machine boots with
        std::int64_t cpus = 0, mem_mib = 0, disk_mib = 0;
        std::optional<place> location;
        amount for_slice = 0;
        std::int64_t slice = 0; // seconds
        instant open_until;     // of the bid
        dialect by = dialect::g1; // the tenant's, in which she is answered
        std::string answer_to;  // the service that she wants the bid sent to; "": the stream alone
        std::int64_t step = 0;  // seconds: so often it is metered, and so much is promised at least, where it is paid from a channel; 0: it cannot be
        std::int64_t grace = 0; // seconds: for so long it goes on when nothing more is promised
        bool operator==(const terms&) const = default;
    };
    struct acceptance { // a verified ccba
        strong_ref ref;
        std::string author;
        strong_ref rfp, bid; // that it names
        std::string ssh_key, seal_to, payer;
        octets record; // where the receipt has to bind it (market.receipt)
        bool operator==(const acceptance&) const = default;
    };
    struct state {
        phase at = phase::none;
        terms what;
        std::string host, tier;  // where room is kept
        strong_ref bid;
        acceptance accept;
        instant pay_until;
        octets payment;          // DAG-CBOR of the x402::payment that was taken
        std::string identifier;  // that its payer gave it; it stands for that one payment
        std::string payment_key, transaction;
        std::string refused_payment; // the last one that moved nothing, and why
        instant launch_until;    // past this no backend starts it
        machine_view machine;    // once it runs
        instant started, ends, ended;
        strong_ref receipt;
        bool stop_wanted = false; // while money is under way: what came of it must be known first
        std::string why;         // it ends
        amount to_refund = 0, refunded = 0;
        std::string refund_transaction;
        strong_ref statement;
        instant due;
        std::uint32_t alarms = 0;
        bool told = false; // of the bid, by a call
        std::optional<channel_payment> from; // instead of `payment`
    };

    // -- effects -------------------------------------------------------------------------------------------------------
    struct reserve {
        room_request what;
        struct answer { room_answer room; };
        std::string id() const { return "reserve/" + what.tag; }
    };
    struct publish_bid {
        std::string key;
        octets bid;
        std::string tier;
        dialect by = dialect::g1;
        struct answer { strong_ref ref; };
        std::string id() const { return "bid/" + key; }
    };
    struct tell_bid { // submitBid at the service that she named: she may read no stream of ours
        std::string key;
        octets bid;
        dialect by = dialect::g1;
        std::string answer_to;
        struct answer {};
        static constexpr std::chrono::milliseconds answer_within{30'000}, again_at_most{10'000};
        std::string id() const { return "tell/" + key; }
    };
    struct settle {
        octets payment;
        std::string accept; // CID
        instant refundable_until;
        struct answer {
            std::string key, transaction;
            std::optional<refusal> refused; // it moved nothing, and never will
        };
        static constexpr std::chrono::milliseconds again_at_most{5'000};
        std::string id() const; // by what is in `payment`
    };
    struct draw { // the channel is filled, where a deposit came with it, and its voucher taken
        std::string key, channel;
        octets first;
        std::int64_t amount = 0, within = 0; // within: seconds, for which it may be served
        struct answer {
            std::int64_t promised = 0;
            std::optional<refusal> refused; // nothing was promised; what came into the channel went back
        };
        static constexpr std::chrono::milliseconds answer_within{90'000}, again_at_most{5'000};
        std::string id() const; // by what is in `first`
    };
    struct meter { // so much was served by now, in all
        std::string key, channel;
        std::int64_t amount = 0;
        struct answer {
            std::int64_t promised = 0;      // in all, as the keeper has it
            std::optional<refusal> refused; // it serves this no more
        };
        static constexpr std::chrono::milliseconds again_at_most{10'000};
        std::string id() const { return "meter/" + key + '/' + std::to_string(amount); }
    };
    struct settle_up { // so much in all, and it is over
        std::string key, channel;
        std::int64_t amount = 0;
        struct answer { std::int64_t charged = 0; }; // less where it was ended there before
        static constexpr std::chrono::milliseconds again_at_most{10'000};
        std::string id() const { return "settle_up/" + key; }
    };
    struct return_rest { // what is left of the channel goes back, when what was charged is claimed
        std::string key, channel;
        std::int64_t charged = 0;
        struct answer { std::int64_t charged = 0; }; // less where its payer had it before it was claimed
        static constexpr std::chrono::milliseconds answer_within{60'000}, again_at_most{10'000};
        std::string id() const { return "rest/" + key; }
    };
    struct launch { // done when it runs
        machine_start what;
        struct answer {
            machine_view machine;
            std::optional<refusal> refused; // it does not and will not run
        };
        static constexpr std::chrono::milliseconds answer_within{30'000}, again_at_most{1'000};
        std::string id() const { return "launch/" + what.tag; }
    };
    struct publish_receipt {
        std::string key;
        strong_ref rfp, bid;
        acceptance accept;
        machine_view machine;
        dialect by = dialect::g1;
        struct answer { strong_ref ref; };
        std::string id() const { return "receipt/" + key; }
    };
    struct watch { // is it still there? Only a confirmed loss counts
        std::string tag, host;
        struct answer { bool gone = false; std::string why; };
        static constexpr bool looks = true;
        static constexpr std::chrono::milliseconds again_at_most{15'000};
        std::string id() const { return "watch/" + tag; }
    };
    struct terminate { // done when it is confirmed gone, or was never there; room is let go too
        machine_end what;
        struct answer { instant as_of; };
        static constexpr std::chrono::milliseconds again_at_most{2'000};
        std::string id() const { return "terminate/" + what.tag; }
    };
    struct refund {
        std::string payment_key;
        std::int64_t amount = 0;
        std::string why;
        struct answer { std::string transaction; };
        static constexpr std::chrono::milliseconds again_at_most{10'000};
        std::string id() const { return "refund/" + payment_key; }
    };
    struct publish_statement {
        std::string key;
        ccf statement; // less createdAt and signatures
        std::string answer_to; // the tenant's service; "": the stream alone
        struct answer { strong_ref ref; };
        std::string id() const { return "statement/" + key; }
    };
    using effect = std::variant<reserve, publish_bid, tell_bid, settle, launch, publish_receipt, watch, terminate, refund, publish_statement, draw, meter, settle_up, return_rest>;

    // -- commands ------------------------------------------------------------------------------------------------------
    struct consider { terms what; };
    struct take { acceptance accept; };              // Alice accepts
    struct outbid { std::string author; strong_ref rfp; }; // the tenant accepted somebody else: room is not kept for nothing
    struct pay { octets payment; std::string identifier = {}; }; // DAG-CBOR, checked against what is offered
    // From a channel. `first`: an evm::channel::deposit_payload or voucher_payload, its signatures checked; `amount`: what its voucher adds to what was
    // promised in the channel before.
    struct pay_from { octets first; std::string channel, payer; std::int64_t amount = 0; };
    struct raise { std::string channel; std::int64_t promised = 0; }; // the keeper of channels has promises for so much in all
    struct stop { std::string by, accept_cid, why; }; // by: DID; "" is the operator
    using command = std::variant<consider, take, outbid, pay, pay_from, raise, stop, deadline_passed, outcome<reserve>, outcome<publish_bid>, outcome<tell_bid>, outcome<settle>, outcome<launch>,
                                 outcome<publish_receipt>, outcome<watch>, outcome<terminate>, outcome<refund>, outcome<publish_statement>, outcome<draw>, outcome<meter>, outcome<settle_up>, outcome<return_rest>>;

    // -- facts ---------------------------------------------------------------------------------------------------------
    struct considered { static constexpr auto type = "considered"; terms what; instant due; };
    struct reserved { static constexpr auto type = "reserved"; std::string host, tier; instant due; };
    struct bid { static constexpr auto type = "bid"; strong_ref ref; };
    struct taken { static constexpr auto type = "taken"; acceptance accept; instant pay_until; };
    struct payment_taken { static constexpr auto type = "payment_taken"; octets payment; instant due; std::string identifier; };
    struct payment_refused { static constexpr auto type = "payment_refused"; std::string code, why; };
    struct paid { static constexpr auto type = "paid"; std::string key, transaction; instant launch_until, due; };
    struct stop_noted { static constexpr auto type = "stop_noted"; std::string why; };
    struct started { static constexpr auto type = "started"; machine_view machine; instant at, ends; };
    struct receipted { static constexpr auto type = "receipted"; strong_ref ref; instant at; };
    struct ending { static constexpr auto type = "ending"; std::string why; instant at; std::int64_t to_refund = 0; instant due; };
    struct gone { static constexpr auto type = "gone"; instant as_of; bool last = false; instant due; }; // last: nothing is owed, nothing to state
    struct refunded { static constexpr auto type = "refunded"; std::string transaction; };
    struct stated { static constexpr auto type = "stated"; strong_ref ref; };
    struct overdue { static constexpr auto type = "overdue"; instant look_again; };
    struct told { static constexpr auto type = "told"; std::string why; }; // why: she will not take the bid by a call
    struct drawing { static constexpr auto type = "drawing"; channel_payment from; instant due; };
    struct raised { static constexpr auto type = "raised"; std::int64_t promised = 0; instant due; };
    struct metering { static constexpr auto type = "metering"; std::int64_t amount = 0; instant due; };
    struct metered { static constexpr auto type = "metered"; std::int64_t amount = 0, promised = 0; instant due; };
    struct charged { static constexpr auto type = "charged"; std::int64_t amount = 0; }; // the channel serves this no more
    struct settled_up { static constexpr auto type = "settled_up"; std::int64_t charged = 0; };
    using event = std::variant<considered, reserved, bid, taken, payment_taken, payment_refused, paid, stop_noted, started, receipted, ending, gone, refunded,
                               stated, overdue, told, drawing, raised, metering, metered, charged, settled_up>;

    static decision<event> decide(const state&, const command&, instant now);
    static state evolve(state, const event&);
    static std::vector<effect> effects(const state&);
    static std::optional<instant> deadline(const state&);
    static bool is_final(const state& s) { return s.at == phase::closed; }
    static bool rests(const state& s) { return s.at == phase::active && !s.from; }

    static std::string tag_of(const terms& t) { return "souk-" + t.key + "-1"; } // of the machine: the contract and the attempt
    static bool accepted(const state& s) { return !s.accept.ref.cid.empty(); }
    // What is owed back if the machine were given up at `when`: everything but the time that it was the tenant's.
    // Of what is paid from a channel: what was promised and is not charged.
    static amount owed_back(const state&, instant when);
    static amount least_promise(const terms&); // a step's price
    static instant paid_until(const state&);   // of one that is paid from a channel, and runs: by what is promised
};

BOOST_DESCRIBE_ENUM(lease::phase, none, reserving, bidding, open, taken, collecting, launching, receipting, active, ending, refunding, stating, closed)
BOOST_DESCRIBE_STRUCT(lease::terms, (), (key, rfp, tenant, bid, user_data, subject, cpus, mem_mib, disk_mib, location, for_slice, slice, open_until, by, answer_to, step, grace))
BOOST_DESCRIBE_STRUCT(lease::acceptance, (), (ref, author, rfp, bid, ssh_key, seal_to, payer, record))
BOOST_DESCRIBE_STRUCT(lease::state, (), (at, what, host, tier, bid, accept, pay_until, payment, identifier, payment_key, transaction, refused_payment, launch_until, machine, started, ends, ended, receipt, stop_wanted, why, to_refund, refunded, refund_transaction, statement, due, alarms, told, from))
BOOST_DESCRIBE_STRUCT(lease::considered, (), (what, due))
BOOST_DESCRIBE_STRUCT(lease::reserved, (), (host, tier, due))
BOOST_DESCRIBE_STRUCT(lease::bid, (), (ref))
BOOST_DESCRIBE_STRUCT(lease::taken, (), (accept, pay_until))
BOOST_DESCRIBE_STRUCT(lease::payment_taken, (), (payment, due, identifier))
BOOST_DESCRIBE_STRUCT(lease::payment_refused, (), (code, why))
BOOST_DESCRIBE_STRUCT(lease::paid, (), (key, transaction, launch_until, due))
BOOST_DESCRIBE_STRUCT(lease::stop_noted, (), (why))
BOOST_DESCRIBE_STRUCT(lease::started, (), (machine, at, ends))
BOOST_DESCRIBE_STRUCT(lease::receipted, (), (ref, at))
BOOST_DESCRIBE_STRUCT(lease::ending, (), (why, at, to_refund, due))
BOOST_DESCRIBE_STRUCT(lease::gone, (), (as_of, last, due))
BOOST_DESCRIBE_STRUCT(lease::refunded, (), (transaction))
BOOST_DESCRIBE_STRUCT(lease::stated, (), (ref))
BOOST_DESCRIBE_STRUCT(lease::overdue, (), (look_again))
BOOST_DESCRIBE_STRUCT(lease::told, (), (why))
BOOST_DESCRIBE_STRUCT(lease::drawing, (), (from, due))
BOOST_DESCRIBE_STRUCT(lease::raised, (), (promised, due))
BOOST_DESCRIBE_STRUCT(lease::metering, (), (amount, due))
BOOST_DESCRIBE_STRUCT(lease::metered, (), (amount, promised, due))
BOOST_DESCRIBE_STRUCT(lease::charged, (), (amount))
BOOST_DESCRIBE_STRUCT(lease::settled_up, (), (charged))

} // namespace souk
