// A purchase: what Alice wants, from the request that she signs to the statement that ends it.
//
//   publishing -> gathering -> judging -> granting -> accepting -> paying -> awaiting -> active -> stopping -> closed
//   gathering, judging -> failed            nobody acceptable bid; nothing was promised, nothing paid
//   judging -> approving -> granting        what it costs is above what is spent without asking: a person has to say yes
//   granting -> granting | failed           the policy no longer allows him: the next best, or nobody. Accepting fails then, paying stops. Or it is over a limit
//   paying -> doubting -> awaiting | failed the authorisation's time ran out: only the rail knows
//   stopping -> emptying -> closed          it was paid from a channel of its own: it is over when the rail says that the channel is empty. What the
//                                           seller does not give back is withdrawn, which takes the channel's delay
//   any state with an accept -> stopping    the tenant's order, or a broken receipt; the seller's statement has the last word
#pragma once
#include <souk/actors/entity/entity.hpp>
#include <souk/messages/actors.hpp>
#include <souk/messages/dialect.hpp>
#include <souk/messages/evm/channel.hpp>
#include <souk/messages/money.hpp>

namespace souk {

// How a purchase is paid while it runs: from a channel that is filled for it alone. Agreed upon before anything is signed; every name in it, and so every
// signature, derives from the accept.
struct purchase_stream {
    evm::channel::config config;
    std::string channel;  // its id
    octets accepted;      // DAG-CBOR of the x402::requirements that were
    std::int64_t step = 0, grace = 0; // seconds, as the seller has them
    amount promised = 0;  // by the voucher that is, or is about to be, out
    amount heard = 0;     // by the one that the seller took
    bool operator==(const purchase_stream&) const = default;
};
BOOST_DESCRIBE_STRUCT(purchase_stream, (), (config, channel, accepted, step, grace, promised, heard))

struct purchase {
    static constexpr std::string_view kind = "purchase";
    static constexpr std::size_t most_bids = 64;

    enum class phase : std::uint8_t { none, publishing, gathering, judging, planned, granting, accepting, paying, doubting, awaiting, active, stopping, closed, failed, approving, emptying };

    struct terms {
        octets request; // DAG-CBOR, unsigned ccrfp
        amount ceiling = 0;
        std::int64_t window_ms = 0;
        std::vector<std::string> rules;
        std::string wanted_tier;
        bool plan = false;
        dialect by = dialect::g1; // in which the request is written; an accept is in its bid's
        bool seek = false;        // sellers who are known by their offerings are sent the request
        amount approve_above = 0; // a person has to say yes to more; 0: to nothing
        std::int64_t approve_ms = 0; // for so long it waits for that
        bool stream = false;         // paid while it runs, where the seller takes that
        bool operator==(const terms&) const = default;
    };
    static constexpr std::size_t most_told = 16; // sellers who are sent a request
    struct addressee {
        seller_service to;
        bool over = false; // he has it, or will not take it
        std::string why;   // he will not
    };
    struct offer { // a bid as it counts: verified, priced
        strong_ref ref, rfp; // the bid, and what it is on
        std::string bidder;
        octets record; // DAG-CBOR; of a later generation, what it says as a ccb
        amount for_slice = 0;
        std::int64_t slice = 0; // seconds
        std::string tier;
        instant expires;
        bool withdrawn = false;
        std::optional<policy_verdict> verdict;
        std::optional<place> location; // as offered
        instant judged_at;             // of the verdict
        dialect by = dialect::g1;
        std::string answer_to; // the service that its accept is sent to; "": the stream alone
    };
    struct state {
        phase at = phase::none;
        std::string key;
        terms what;
        strong_ref rfp;
        std::vector<offer> offers;
        std::optional<std::uint32_t> chosen;
        bool granted = false;       // rbac and credential are out
        strong_ref accept;
        instant pay_until;          // validBefore of the authorisation
        std::string transaction;    // of the payment, as the seller said
        amount authorised = 0;      // what was signed away; 0 before
        strong_ref receipt;
        octets sealed;              // access details, still sealed
        std::string tier;           // of attestation, from the receipt
        instant started, ends;
        bool stop_wanted = false;
        std::string why;            // what led to where it is
        strong_ref statement;
        amount paid = 0, refunded = 0;
        std::int64_t seconds = 0;
        instant due;
        std::uint32_t alarms = 0;
        std::vector<addressee> told; // whom the request was sent to, beside its publication
        amount approved = 0;         // most that a person said yes to
        bool way_agreed = false;     // of paying, where there is a choice
        std::optional<purchase_stream> stream; // by this; else by an authorisation
        instant paid_at;
    };

    // -- effects -----------------------------------------------------------------------------------------------------
    struct publish_request {
        std::string key;
        octets request;
        dialect by = dialect::g1;
        struct answer { strong_ref ref; };
        std::string id() const { return "rfp/" + key; }
    };
    struct find_sellers { // whose offerings fit; done when there are any
        strong_ref rfp;
        terms what;
        struct answer { std::vector<seller_service> all; };
        static constexpr bool looks = true;
        static constexpr std::chrono::milliseconds again_at_most{5'000};
        std::string id() const { return "sellers/" + rfp.cid; }
    };
    struct tell_seller { // submitRfp at his service: twice is once there
        strong_ref rfp;
        seller_service to;
        struct answer {};
        static constexpr std::chrono::milliseconds answer_within{15'000}, again_at_most{10'000};
        std::string id() const { return "tell/" + rfp.cid + '/' + to.did; }
    };
    struct judge {
        strong_ref rfp;
        std::string bid; // CID
        offer of;
        terms what;
        struct answer { policy_verdict verdict; };
        std::string id() const { return "judge/" + bid; }
    };
    // What commits to a seller is done when the policy, asked again at that moment, still allows him. `denied`: it does not, and nothing was done.
    struct grant { // the rbac record, and the relay's credential; both are gone again when it is denied
        std::string key;
        judge who;
        struct answer {
            std::optional<policy_verdict> denied = {};
            std::optional<refusal> over_limit = {}; // of spending; nothing was done
        };
        std::string id() const { return "grant/" + key + '/' + who.bid; }
    };
    struct publish_accept {
        std::string key;
        strong_ref rfp, bid;
        judge who;
        dialect by = dialect::g1;
        std::string answer_to;
        struct answer {
            strong_ref ref;
            std::optional<policy_verdict> denied = {};
        };
        std::string id() const { return "accept/" + key; }
    };
    struct pay { // GET the paid URL until it answers with a receipt; the same authorisation each time
        strong_ref accept;
        judge who;
        amount for_slice = 0;
        instant valid_before;
        bool paid = false; // then it only waits for the receipt
        bool choose = false; // nothing is signed: it is asked how the seller can be paid
        std::optional<purchase_stream> by = {}; // none: by an authorisation
        struct agreement { std::optional<purchase_stream> by; };
        struct answer {
            std::string transaction;     // "" while unpaid
            strong_ref receipt;          // empty while the machine starts
            std::optional<refusal> over; // the seller says that it will not be
            std::optional<policy_verdict> denied = {}; // no authorisation was signed this time
            std::optional<refusal> over_limit = {};    // nor this time
            std::optional<agreement> agreed = {};      // nor this time: so it can be
        };
        static constexpr std::chrono::milliseconds answer_within{60'000}, again_at_most{2'000};
        std::string id() const { return (paid ? "wait/" : choose ? "choose/" : by ? "stream/" : "pay/") + accept.cid; }
    };
    struct look_up { // was the authorisation used? Or: was the channel filled?
        strong_ref accept;
        octets bid_record;
        std::optional<purchase_stream> by;
        struct answer {
            std::string transaction; // "": unused
            instant as_of;
        };
        std::string id() const { return "look/" + accept.cid; }
    };
    struct fetch_receipt { // and verify it: author, signature, that it covers request, bid and accept, and that the seal opens
        strong_ref receipt, rfp, bid, accept;
        std::string bidder;
        struct answer {
            octets sealed;
            std::string tier;
            std::optional<refusal> broken;
        };
        std::string id() const { return "receipt/" + receipt.cid; }
    };
    struct publish_stop { // and take the workload's grant back
        std::string key, why;
        strong_ref accept;
        std::string answer_to; // the seller's service: he may read no stream of ours; "": the stream alone
        struct answer { strong_ref ref; };
        std::string id() const { return "stop/" + accept.cid; }
    };
    struct find_statement { // in the seller's repository: the note of it may have been missed
        std::string bidder;
        strong_ref accept;
        struct answer {
            strong_ref ref;
            amount paid = 0, refunded = 0;
            std::int64_t seconds = 0;
            std::string why;
        };
        static constexpr std::chrono::milliseconds again_at_most{10'000};
        std::string id() const { return "statement/" + accept.cid; }
    };
    struct promise { // so much in all, by a voucher at the paid URL
        strong_ref accept;
        octets bid_record;
        purchase_stream by;
        struct answer { std::optional<refusal> over; }; // he says that it has ended
        static constexpr std::chrono::milliseconds answer_within{30'000}, again_at_most{5'000};
        std::string id() const { return "promise/" + accept.cid + '/' + std::to_string(by.promised); }
    };
    struct take_out { // done when the channel is empty
        purchase_stream by;
        bool leave = false; // whatever the seller did not give back by now is withdrawn
        struct answer {
            bool filled = false; // at any time, as far as the rail remembers
            amount claimed = 0;  // by the seller, in all
            instant as_of;
        };
        std::string id() const { return (leave ? "withdraw/" : "emptied/") + by.channel; }
    };
    using effect = std::variant<publish_request, find_sellers, tell_seller, judge, grant, publish_accept, pay, look_up, fetch_receipt, publish_stop, find_statement, promise, take_out>;

    // -- commands ----------------------------------------------------------------------------------------------------
    struct open { std::string key; terms what; };
    struct bid_seen { offer of; };
    struct bid_withdrawn { std::string by, bid_uri; };
    struct receipt_seen { std::string by; strong_ref receipt; };
    struct statement_seen { // signature verified; whether its author is our seller is for `decide`
        std::string by;
        strong_ref ref;
        amount paid = 0, refunded = 0;
        std::int64_t seconds = 0;
        std::string why;
    };
    struct stop { std::string why; };
    struct approve {}; // of what waits for it; before there is a price: of any
    using command = std::variant<open, bid_seen, bid_withdrawn, receipt_seen, statement_seen, stop, approve, deadline_passed, outcome<publish_request>, outcome<find_sellers>,
                                 outcome<tell_seller>, outcome<judge>, outcome<grant>, outcome<publish_accept>, outcome<pay>, outcome<look_up>, outcome<fetch_receipt>, outcome<publish_stop>,
                                 outcome<find_statement>, outcome<promise>, outcome<take_out>>;

    // -- facts -------------------------------------------------------------------------------------------------------
    struct opened { static constexpr auto type = "opened"; terms what; std::string key; instant due; };
    struct requested { static constexpr auto type = "requested"; strong_ref rfp; instant gather_until; };
    struct offered { static constexpr auto type = "offered"; offer of; };
    struct withdrawn { static constexpr auto type = "withdrawn"; std::string bid_uri; };
    struct judging { static constexpr auto type = "judging"; instant judge_until; };
    struct judged { static constexpr auto type = "judged"; std::string bid_uri; policy_verdict verdict; instant at; };
    struct chosen { static constexpr auto type = "chosen"; std::uint32_t which = 0; std::string why; instant due; };
    struct planned { static constexpr auto type = "planned"; std::uint32_t which = 0; std::string why; };
    struct granted { static constexpr auto type = "granted"; instant due; };
    struct accepted { static constexpr auto type = "accepted"; strong_ref accept; amount for_slice = 0; instant pay_until; };
    struct doubted { static constexpr auto type = "doubted"; std::string why; instant look_again; };
    struct agreed { static constexpr auto type = "agreed"; std::optional<purchase_stream> by; }; // how it is paid
    struct paid { static constexpr auto type = "paid"; std::string transaction; instant receipt_by, at; };
    struct receipt_found { static constexpr auto type = "receipt_found"; strong_ref receipt; };
    struct delivered { static constexpr auto type = "delivered"; octets sealed; std::string tier; instant at, ends; };
    struct stopping { static constexpr auto type = "stopping"; std::string why; instant look_again; };
    struct stop_noted { static constexpr auto type = "stop_noted"; std::string why; }; // an accept may be on its way: stop once it is known
    struct stated { static constexpr auto type = "stated"; strong_ref ref; amount paid = 0, refunded = 0; std::int64_t seconds = 0; std::string why; instant due; };
    struct promising { static constexpr auto type = "promising"; amount promised = 0; instant due; };
    struct heard { static constexpr auto type = "heard"; amount promised = 0; };
    struct gave_up { static constexpr auto type = "gave_up"; std::string why; instant due; }; // on the seller's last word
    struct emptied { static constexpr auto type = "emptied"; amount claimed = 0; };
    struct failed { static constexpr auto type = "failed"; std::string why; };
    struct noted { static constexpr auto type = "noted"; std::string why; }; // what the seller says; it changes nothing
    struct overdue { static constexpr auto type = "overdue"; instant look_again; };
    struct addressed { static constexpr auto type = "addressed"; std::vector<seller_service> to; };
    struct told { static constexpr auto type = "told"; std::string did, why; }; // why: he will not take it
    struct approving { static constexpr auto type = "approving"; std::uint32_t which = 0; std::string why; instant due; };
    struct approved { static constexpr auto type = "approved"; amount most = 0; };
    using event = std::variant<opened, requested, offered, withdrawn, judging, judged, chosen, planned, granted, accepted, doubted, paid, receipt_found,
                               delivered, stopping, stop_noted, stated, failed, noted, overdue, addressed, told, approving, approved, agreed, promising,
                               heard, gave_up, emptied>;

    static decision<event> decide(const state&, const command&, instant now);
    static state evolve(state, const event&);
    static std::vector<effect> effects(const state&);
    static std::optional<instant> deadline(const state&);
    static bool is_final(const state& s) { return s.at == phase::closed || s.at == phase::failed || s.at == phase::planned; }
    static bool rests(const state& s) { return s.at == phase::active && !s.stream; }
    static amount first_promise(const offer&, std::int64_t step); // two steps' price

    // Where the winner is told of things: his bid says, else where the request was sent.
    static std::string service_of_winner(const state&);
    static const offer* winner(const state& s) { return s.chosen ? &s.offers[*s.chosen] : nullptr; }
    // The cheapest a second that is allowed, not withdrawn, not over the ceiling; ties go to the one seen first.
    static std::optional<std::uint32_t> best(const state&, instant now);
};

// What the journal may hold. (Effects and commands never do.)
BOOST_DESCRIBE_ENUM(purchase::phase, none, publishing, gathering, judging, planned, granting, accepting, paying, doubting, awaiting, active, stopping, closed, failed, approving, emptying)
BOOST_DESCRIBE_STRUCT(purchase::terms, (), (request, ceiling, window_ms, rules, wanted_tier, plan, by, seek, approve_above, approve_ms, stream))
BOOST_DESCRIBE_STRUCT(purchase::addressee, (), (to, over, why))
BOOST_DESCRIBE_STRUCT(purchase::offer, (), (ref, rfp, bidder, record, for_slice, slice, tier, expires, withdrawn, verdict, location, judged_at, by, answer_to))
BOOST_DESCRIBE_STRUCT(purchase::state, (), (at, key, what, rfp, offers, chosen, granted, accept, pay_until, transaction, authorised, receipt, sealed, tier, started, ends, stop_wanted, why, statement, paid, refunded, seconds, due, alarms, told, approved, way_agreed, stream, paid_at))
BOOST_DESCRIBE_STRUCT(purchase::opened, (), (what, key, due))
BOOST_DESCRIBE_STRUCT(purchase::requested, (), (rfp, gather_until))
BOOST_DESCRIBE_STRUCT(purchase::offered, (), (of))
BOOST_DESCRIBE_STRUCT(purchase::withdrawn, (), (bid_uri))
BOOST_DESCRIBE_STRUCT(purchase::judging, (), (judge_until))
BOOST_DESCRIBE_STRUCT(purchase::judged, (), (bid_uri, verdict, at))
BOOST_DESCRIBE_STRUCT(purchase::chosen, (), (which, why, due))
BOOST_DESCRIBE_STRUCT(purchase::planned, (), (which, why))
BOOST_DESCRIBE_STRUCT(purchase::granted, (), (due))
BOOST_DESCRIBE_STRUCT(purchase::accepted, (), (accept, for_slice, pay_until))
BOOST_DESCRIBE_STRUCT(purchase::doubted, (), (why, look_again))
BOOST_DESCRIBE_STRUCT(purchase::agreed, (), (by))
BOOST_DESCRIBE_STRUCT(purchase::paid, (), (transaction, receipt_by, at))
BOOST_DESCRIBE_STRUCT(purchase::receipt_found, (), (receipt))
BOOST_DESCRIBE_STRUCT(purchase::delivered, (), (sealed, tier, at, ends))
BOOST_DESCRIBE_STRUCT(purchase::stopping, (), (why, look_again))
BOOST_DESCRIBE_STRUCT(purchase::stop_noted, (), (why))
BOOST_DESCRIBE_STRUCT(purchase::stated, (), (ref, paid, refunded, seconds, why, due))
BOOST_DESCRIBE_STRUCT(purchase::promising, (), (promised, due))
BOOST_DESCRIBE_STRUCT(purchase::heard, (), (promised))
BOOST_DESCRIBE_STRUCT(purchase::gave_up, (), (why, due))
BOOST_DESCRIBE_STRUCT(purchase::emptied, (), (claimed))
BOOST_DESCRIBE_STRUCT(purchase::failed, (), (why))
BOOST_DESCRIBE_STRUCT(purchase::noted, (), (why))
BOOST_DESCRIBE_STRUCT(purchase::overdue, (), (look_again))
BOOST_DESCRIBE_STRUCT(purchase::addressed, (), (to))
BOOST_DESCRIBE_STRUCT(purchase::told, (), (did, why))
BOOST_DESCRIBE_STRUCT(purchase::approving, (), (which, why, due))
BOOST_DESCRIBE_STRUCT(purchase::approved, (), (most))

} // namespace souk
