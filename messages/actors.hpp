// The map of the system: every role's typed interface, and the messages that they speak.
// Refusals travel as values in `refused`; a caf::error means only that the other side could not be asked.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <souk/messages/caf.hpp>
#include <souk/messages/records.hpp>
#include <souk/messages/seal.hpp>

namespace souk {

// -- common ---------------------------------------------------------------------------------------------------------------

// A record of anybody's, its CID recomputed by the door that took it in. Signature and meaning are for the receiver to judge.
struct record_note {
    std::string uri, cid;
    octets record; // DAG-CBOR
    std::optional<std::string> brought_by = {}; // DID of whoever brought it by a call, and reads no stream of ours perhaps; none: a stream did
};
BOOST_DESCRIBE_STRUCT(record_note, (), (uri, cid, record, brought_by))

struct kept { // an order was taken, durably; or why not
    std::uint64_t seq = 0;
    std::optional<refusal> refused;
};
BOOST_DESCRIBE_STRUCT(kept, (), (seq, refused))

struct contract_query {
    std::string id;      // a prefix; "": all
    bool ended = false;  // those that are over too
};
BOOST_DESCRIBE_STRUCT(contract_query, (), (id, ended))

struct contract_view { // one purchase or lease, for people and programs
    std::string id, side, phase;
    std::string counterparty;          // DID
    std::string price, currency, size; // "0.060000 an hour"
    std::string machine, host, tier;
    std::string rfp, bid, accept, receipt, statement; // at-uris
    std::string why;                   // the last reason given
    instant since, ends;
    value detail;                      // the whole state, for `souk show`
};
BOOST_DESCRIBE_STRUCT(contract_view, (), (id, side, phase, counterparty, price, currency, size, machine, host, tier, rfp, bid, accept, receipt, statement, why, since, ends, detail))

struct contract_list {
    std::vector<contract_view> all;
};
BOOST_DESCRIBE_STRUCT(contract_list, (), (all))

struct contract_order { // by the operator of this node
    std::string id, verb, reason; // "stop"
};
BOOST_DESCRIBE_STRUCT(contract_order, (), (id, verb, reason))

// -- signer -----------------------------------------------------------------------------------------------------------------

struct sign_record { // attest and publish in this node's repository; the same key twice is the same record
    std::string collection, rkey;
    octets record; // DAG-CBOR, unsigned
    bool attest = true;
    bool chained = false; // a receipt: linked to the one before it
};
BOOST_DESCRIBE_STRUCT(sign_record, (), (collection, rkey, record, attest, chained))

struct signed_record {
    std::string uri, cid;
    octets record; // as published
    std::optional<refusal> refused;
};
BOOST_DESCRIBE_STRUCT(signed_record, (), (uri, cid, record, refused))

struct withdraw_record { // what was granted for a time: taken back
    std::string collection, rkey;
};
BOOST_DESCRIBE_STRUCT(withdraw_record, (), (collection, rkey))

using signer_actor = typed_actor<
    // Signs a record with this node's key, links it if it is a receipt, and publishes it: durable when it answers.
    caf::result<signed_record>(sign_record),
    // Removes a record of a kind that may be taken back (a grant); a contract's records never are.
    caf::result<kept>(withdraw_record)>;

// -- policy -----------------------------------------------------------------------------------------------------------------

struct dealings { // what somebody did with the contracts that he had with this node before
    std::int64_t honoured = 0; // paid, and delivered with a receipt
    std::int64_t broken = 0;   // paid, never delivered, and not all of it came back
    std::vector<strong_ref> evidence; // the newest receipts and accepts
};
BOOST_DESCRIBE_STRUCT(dealings, (), (honoured, broken, evidence))

struct policy_question {
    std::string perspective;       // "requester": may this bid win; "bidder": shall I bid on this
    std::string subject;           // DID of the other side
    std::string rfp_cid, bid_cid;  // what it is about
    std::int64_t price = 0, ceiling = 0; // atomic units a slice; ceiling 0: none
    std::int64_t slice = 0;        // seconds
    std::optional<place> wanted, offered;
    std::string tier, wanted_tier;
    instant expires;               // of the bid or the request
    std::vector<std::string> rules; // texts (docs/operations.md), in order; empty: the node's own
    std::string rfp_uri, bid_uri;
    std::optional<dealings> history; // none: whoever asks keeps none
    std::optional<instant> as_of;    // judged as if it were then, on what is known now; none: now
};
BOOST_DESCRIBE_STRUCT(policy_question, (), (perspective, subject, rfp_cid, bid_cid, price, ceiling, slice, wanted, offered, tier, wanted_tier, expires, rules, rfp_uri, bid_uri, history, as_of))

struct policy_step { // what one rule said
    std::string rule;
    std::string said;     // "pass", "reject", "amend", "wait"; "skipped": one before it decided
    std::string reason;
    std::vector<strong_ref> evidence;
};
BOOST_DESCRIBE_STRUCT(policy_step, (), (rule, said, reason, evidence))

struct policy_verdict {
    bool allowed = false;
    bool wait = false; // cannot be told yet (an unresolved identity): ask again, never pass
    std::string reason; // of the rule that decided
    std::vector<policy_step> steps;
};
BOOST_DESCRIBE_STRUCT(policy_verdict, (), (allowed, wait, reason, steps))

struct trust_query {
    std::string did;         // "": everyone known
    std::int64_t depth = 0;  // steps that are looked at, up to 8; 0: as far as the node's rules look
};
BOOST_DESCRIBE_STRUCT(trust_query, (), (did, depth))
struct trust_mark {
    std::string by, about, kind, reason;
    strong_ref record;
    std::int64_t weight = 100;      // of a vouch, percent
    std::optional<instant> expires; // says nothing from then on
};
BOOST_DESCRIBE_STRUCT(trust_mark, (), (by, about, kind, reason, record, weight, expires))
struct unread_marks { // somebody whose records could not be read, or not all
    std::string did, why;
};
BOOST_DESCRIBE_STRUCT(unread_marks, (), (did, why))
struct trust_view {
    std::vector<trust_mark> marks; // about one person: all on the ways to him, and what is said of and by him
    std::string self;              // from whose side
    std::vector<unread_marks> unread;
};
BOOST_DESCRIBE_STRUCT(trust_view, (), (marks, self, unread))

using policy_actor = typed_actor<
    // Runs the chain of rules over one candidate; every step explains itself.
    caf::result<policy_verdict>(policy_question),
    // Who vouches for or denounces whom, as far as this node has looked.
    caf::result<trust_view>(trust_query),
    // A vouch, denouncement or association was written or (no CID) removed: what was read of its author before is forgotten.
    caf::result<void>(record_note)>;

// -- requester --------------------------------------------------------------------------------------------------------------

struct buy {
    std::string id;            // made by the buyer before it is sent: saying it twice is buying once
    octets request;            // DAG-CBOR of an unsigned ccrfp
    std::int64_t ceiling = 0;  // most that one slice may cost, atomic units; 0: none
    std::int64_t window_ms = 10'000; // how long bids are gathered
    std::vector<std::string> rules;  // policy; empty: the node's own
    std::string wanted_tier;   // "", "none", "simulated", "hardware"
    bool plan = false;         // stop after the verdicts: nothing is accepted, nothing is paid
};
BOOST_DESCRIBE_STRUCT(buy, (), (id, request, ceiling, window_ms, rules, wanted_tier, plan))

struct bid_view {
    std::string bidder, uri, cid, price;
    std::int64_t amount = 0, slice = 0;
    std::string tier;
    bool judged = false, allowed = false, chosen = false;
    std::string reason;
    std::vector<policy_step> steps;
};
BOOST_DESCRIBE_STRUCT(bid_view, (), (bidder, uri, cid, price, amount, slice, tier, judged, allowed, chosen, reason, steps))

struct bids_query {
    std::string id;
    std::vector<std::string> rules; // judged by these instead, on what is known now, as of when they were judged; nothing is changed by it
};
BOOST_DESCRIBE_STRUCT(bids_query, (), (id, rules))
struct bids_view {
    std::string rfp_uri, rfp_cid;
    std::vector<bid_view> bids;
    std::optional<refusal> refused;
};
BOOST_DESCRIBE_STRUCT(bids_view, (), (rfp_uri, rfp_cid, bids, refused))

struct access_query { std::string id; };
BOOST_DESCRIBE_STRUCT(access_query, (), (id))
struct access_view {
    access_details details;
    std::optional<refusal> refused;
};
BOOST_DESCRIBE_STRUCT(access_view, (), (details, refused))

using requester_actor = typed_actor<
    // Opens a purchase: durable when it answers, and from then on it goes on by itself.
    caf::result<kept>(buy),
    // Stops one.
    caf::result<kept>(contract_order),
    // Purchases, newest first.
    caf::result<contract_list>(contract_query),
    // The bids on one, each with its verdict; or with what other rules would have said.
    caf::result<bids_view>(bids_query),
    // How to get into its machine; opened from the receipt's seal on request, kept nowhere in the clear.
    caf::result<access_view>(access_query),
    // Something was published that may concern a purchase: a bid, a receipt, a statement.
    caf::result<void>(record_note)>;

// -- bidder -----------------------------------------------------------------------------------------------------------------

struct paid_request { // GET /ccr/{accept}/{cid}, as the door took it
    strong_ref accept;
    std::string resource;                     // the absolute URL
    std::optional<std::string> payment, payment_v1; // headers PAYMENT-SIGNATURE and X-PAYMENT
    bool async = false; // "Prefer: respond-async" (RFC 7240): answer 202 as soon as it is settled
};
BOOST_DESCRIBE_STRUCT(paid_request, (), (accept, resource, payment, payment_v1, async))

struct paid_answer {
    std::uint32_t status = 500;
    std::map<std::string, std::string> head;
    std::string body;
};
BOOST_DESCRIBE_STRUCT(paid_answer, (), (status, head, body))

using bidder_actor = typed_actor<
    // Something was published that may concern this side: a request, an accept, an order.
    caf::result<void>(record_note),
    // The paid URL. Answers 402, 200 with the receipt, 202 while the machine starts, or the refusal. Fetched twice it says the same.
    caf::result<paid_answer>(paid_request),
    // Leases, newest first.
    caf::result<contract_list>(contract_query),
    // The operator ends a lease or withdraws a bid.
    caf::result<kept>(contract_order)>;

// -- offerings --------------------------------------------------------------------------------------------------------------

struct offering_view { // what somebody says that he sells, as his own repository has it
    std::string did, uri, cid;
    std::string service;                 // that a request is sent to: https://host, or DID#id
    std::vector<std::string> applies_to; // NSIDs of payloads
    std::int64_t cpus = 0, mem_mib = 0, disk_mib = 0;    // no machine is larger; 0: not said
    std::int64_t amount = 0, slice = 0;  // atomic units for so many seconds; slice 0: not said
    std::string tier;                    // "": not said
    std::optional<place> location;
    instant read, expires;               // when it was last proved; when it counts no more
};
BOOST_DESCRIBE_STRUCT(offering_view, (), (did, uri, cid, service, applies_to, cpus, mem_mib, disk_mib, amount, slice, tier, location, read, expires))

struct offerings_query {
    std::string payload;     // NSID that they apply to; "": any
    std::string after;       // DID
    std::int64_t most = 1'000;
};
BOOST_DESCRIBE_STRUCT(offerings_query, (), (payload, after, most))
struct offerings_view {
    std::vector<offering_view> all; // by DID
    std::int64_t known = 0, given_up = 0, passed_over = 0, unread = 0; // in all; let go and turned away for want of room; that could not be read
};
BOOST_DESCRIBE_STRUCT(offerings_view, (), (all, known, given_up, passed_over, unread))

struct sellers_query { // who says that he would sell this
    std::string payload;       // NSID that the request is written in
    octets request;            // DAG-CBOR of a ccrfp
    std::int64_t ceiling = 0;
    std::string wanted_tier;
};
BOOST_DESCRIBE_STRUCT(sellers_query, (), (payload, request, ceiling, wanted_tier))
struct seller_service {
    std::string did, service;
    bool operator==(const seller_service&) const = default;
};
BOOST_DESCRIBE_STRUCT(seller_service, (), (did, service))
struct sellers_view { // one a service, the cheapest first
    std::vector<seller_service> all;
};
BOOST_DESCRIBE_STRUCT(sellers_view, (), (all))

using offerings_actor = typed_actor<
    // Somebody's offering was written or removed: his repository is read. Nothing of the note is believed but whose it may be.
    caf::result<void>(record_note),
    // What is on offer, as far as this node knows.
    caf::result<offerings_view>(offerings_query),
    // Where a request is worth sending.
    caf::result<sellers_view>(sellers_query)>;

// -- payments ---------------------------------------------------------------------------------------------------------------

struct collect { // settle this, once; asked again it says what came of it
    octets payment;           // DAG-CBOR of x402::payment
    std::string accept;       // CID that it is for: the same authorisation never pays for another
    instant refundable_until;
};
BOOST_DESCRIBE_STRUCT(collect, (), (payment, accept, refundable_until))

struct give_back {
    std::string key;          // of the payment: from and nonce
    std::int64_t amount = 0;  // atomic units; never more than was paid
    std::string why;
};
BOOST_DESCRIBE_STRUCT(give_back, (), (key, amount, why))

enum class came : std::uint8_t { yes, no, unknown };
BOOST_DESCRIBE_ENUM(came, yes, no, unknown)

struct money_moved {
    came how = came::unknown;
    std::string key, transaction;   // unknown: the one that is to bring it, where there is one
    std::optional<refusal> refused; // when `no`
};
BOOST_DESCRIBE_STRUCT(money_moved, (), (how, key, transaction, refused))

struct rail_query {};
BOOST_DESCRIBE_STRUCT(rail_query, (), ())
struct rail_view { // what a 402 answer offers
    std::string network, asset, pay_to, token_name, token_version;
    std::vector<std::string> signers; // addresses that bring payments to the rail; none where it is no chain
};
BOOST_DESCRIBE_STRUCT(rail_view, (), (network, asset, pay_to, token_name, token_version, signers))

struct judge_payment {
    octets payment, offered; // DAG-CBOR of x402::payment and of x402::requirements
};
BOOST_DESCRIBE_STRUCT(judge_payment, (), (payment, offered))
struct payment_judged {
    std::string payer;              // checksummed
    std::optional<refusal> refused; // "rail_unknown": it cannot be told now
};
BOOST_DESCRIBE_STRUCT(payment_judged, (), (payer, refused))

using payments_actor = typed_actor<
    // Settles an authorisation. `no` only when it is certain that it moved nothing and never will.
    caf::result<money_moved>(collect),
    // Pays a part or all of it back to the payer, once.
    caf::result<money_moved>(give_back),
    // The rail that this node takes payment on.
    caf::result<rail_view>(rail_query),
    // Whether it would settle now, as far as anybody can tell without settling it.
    caf::result<payment_judged>(judge_payment)>;

// -- channels ---------------------------------------------------------------------------------------------------------------

// A payment channel as its receiver has it. Amounts are atomic units; what was charged and what was claimed are sums over all its life.
struct channel_view {
    std::string id, phase, payer;                        // id: 0x and 64 digits
    std::int64_t balance = 0, claimed = 0, charged = 0;  // what was claimed is still in the balance
    std::int64_t promised = 0;                           // by the newest voucher
    std::string signature;                               // its
    std::string serving;                                 // the request that is being served; "": none
    std::int64_t taken = 0, metered = 0;                 // for it: promised, and of that charged so far
    std::string last_id;                                 // the request before it,
    std::int64_t last = 0;                               // and what that was charged
    std::int64_t refund_nonce = 0, forfeited = 0;        // forfeited: charged, and gone before it was claimed
    instant leaves;                                      // a withdrawal that the payer began can end then; the epoch: none is under way
};
BOOST_DESCRIBE_STRUCT(channel_view, (), (id, phase, payer, balance, claimed, charged, promised, signature, serving, taken, metered, last_id, last, refund_nonce, forfeited, leaves))

struct channel_said {
    came how = came::unknown; // yes; no, and why; unknown: it is under way, and asked again it says what came of it
    channel_view now;         // as it is, whatever was asked: who said something older goes on from here
    std::optional<refusal> refused;
};
BOOST_DESCRIBE_STRUCT(channel_said, (), (how, now, refused))

struct fund_channel { // by the payer's signed deposit; the first one opens it
    octets deposit;   // DAG-CBOR of evm::channel::deposit_payload
};
BOOST_DESCRIBE_STRUCT(fund_channel, (), (deposit))
struct take_voucher { // before anything is served on it; for an id that is being served already, it adds to what may be charged for it
    std::string id;
    octets voucher;          // DAG-CBOR of evm::channel::voucher: for all that was promised before and `amount`, to the unit
    std::int64_t amount = 0;
    std::int64_t within = 0; // seconds: what was neither served nor dropped by then was not served; 0: ten minutes
};
BOOST_DESCRIBE_STRUCT(take_voucher, (), (id, voucher, amount, within))
struct charge_channel { // said again, or with less, it changes nothing
    std::string channel, id;
    std::int64_t amount = 0; // for this id, in all
    bool ends = true;        // it was served; else it goes on
};
BOOST_DESCRIBE_STRUCT(charge_channel, (), (channel, id, amount, ends))
struct drop_voucher { // it was not served any further: what was charged of it stays charged
    std::string channel, id;
};
BOOST_DESCRIBE_STRUCT(drop_voucher, (), (channel, id))
struct close_channel { // what was charged is claimed, then so much goes back
    std::string channel;
    std::int64_t amount = 0; // 0: all that is left
    octets voucher;          // the payer's wish: a voucher for what was charged, to the unit; empty: the receiver's own
};
BOOST_DESCRIBE_STRUCT(close_channel, (), (channel, amount, voucher))
struct channels_query {
    std::string id; // a prefix; "": all
};
BOOST_DESCRIBE_STRUCT(channels_query, (), (id))
struct channels_view {
    std::vector<channel_view> all;
    std::int64_t at_risk = 0, most_at_risk = 0; // served on promises that are not claimed yet, over all channels; and how much of that is allowed
};
BOOST_DESCRIBE_STRUCT(channels_view, (), (all, at_risk, most_at_risk))
struct channel_offer_query {};
BOOST_DESCRIBE_STRUCT(channel_offer_query, (), ())
struct channel_offer { // what a 402 answer says of the scheme batch-settlement
    std::string network, asset, pay_to;
    value extra;
    std::int64_t chain = 0;          // what vouchers and deposits are signed for:
    std::string contract, collector; // evm::channel::place
    std::int64_t most_unclaimed = 0; // of one channel
};
BOOST_DESCRIBE_STRUCT(channel_offer, (), (network, asset, pay_to, extra, chain, contract, collector, most_unclaimed))

using channels_actor = typed_actor<
    // Brings a payer's deposit into his channel with this node.
    caf::result<channel_said>(fund_channel),
    // Judges a voucher and journals it: `yes`, and what it is for may be served.
    caf::result<channel_said>(take_voucher),
    // What was served is charged, up to what was promised for it.
    caf::result<channel_said>(charge_channel),
    caf::result<channel_said>(drop_voucher),
    // Claims, then gives back.
    caf::result<channel_said>(close_channel),
    // How channels stand.
    caf::result<channels_view>(channels_query),
    // The terms on which this node has channels.
    caf::result<channel_offer>(channel_offer_query)>;

// -- escrow -----------------------------------------------------------------------------------------------------------------

// What one allowance of a payer's, or one trial credit, has had served: its provider's side. Atomic units; `consumed` and `lost` are sums over all its life.
struct tab_view {
    std::string id, payer, token, credit;           // id: 0x and 64 digits; credit: its number, "0" for an allowance
    std::int64_t budget = 0, price = 0;             // by the rail, when it was last seen: what is left of it, and what one request may cost
    std::int64_t held = 0, served = 0, requests = 0; // promised: for what is being served, and for what was; and how many these are
    std::int64_t consumed = 0, lost = 0;            // lost: served, and not paid for
    std::string why;                                // what was lost last
    instant leaves, expires;                        // what was announced can leave then; a credit's day. The epoch: neither
};
BOOST_DESCRIBE_STRUCT(tab_view, (), (id, payer, token, credit, budget, price, held, served, requests, consumed, lost, why, leaves, expires))

struct request_said {
    came how = came::unknown; // yes; no, and why; unknown: asked again it says what came of it
    std::string tab, id;      // id: the request's nonce
    std::string stage;        // held, served, consumed, unserved, lost
    std::optional<refusal> refused;
};
BOOST_DESCRIBE_STRUCT(request_said, (), (how, tab, id, stage, refused))

struct serve_request { // before anything is done for it
    octets request;          // DAG-CBOR of evm::escrow::signed_request
    std::int64_t within = 0; // seconds: what was not said to be served by then was not; 0: ten minutes
};
BOOST_DESCRIBE_STRUCT(serve_request, (), (request, within))
struct end_request { // it was served; or it was not, and is never paid
    std::string tab, id;
    bool served = true;
};
BOOST_DESCRIBE_STRUCT(end_request, (), (tab, id, served))
struct present_tab { // whatever was served, however little and lately
    std::string tab;
};
BOOST_DESCRIBE_STRUCT(present_tab, (), (tab))
struct tabs_query {
    std::string id; // a prefix; "": all
};
BOOST_DESCRIBE_STRUCT(tabs_query, (), (id))
struct tabs_view {
    std::vector<tab_view> all;
    std::int64_t at_risk = 0, most_at_risk = 0; // promised and not consumed yet, over all tabs; and how much of that is allowed
};
BOOST_DESCRIBE_STRUCT(tabs_view, (), (all, at_risk, most_at_risk))
struct escrow_offer_query {};
BOOST_DESCRIBE_STRUCT(escrow_offer_query, (), ())
struct escrow_offer { // what a payer has to know before he signs
    std::string network, asset, provider;
    std::int64_t chain = 0; // evm::escrow::place
    std::string contract;
    std::int64_t soonest = 0, latest = 0; // seconds from now within which a request may expire
    std::int64_t most_open = 0;           // of one tab
};
BOOST_DESCRIBE_STRUCT(escrow_offer, (), (network, asset, provider, chain, contract, soonest, latest, most_open))

using escrow_actor = typed_actor<
    // Judges a signed request and journals it: `yes` and "held", and it may be served. Asked again, it says what it is by now.
    caf::result<request_said>(serve_request),
    // Only what was said to be served is ever presented.
    caf::result<request_said>(end_request),
    // Presents what was served, without waiting for more of it.
    caf::result<request_said>(present_tab),
    // How tabs stand.
    caf::result<tabs_view>(tabs_query),
    // The terms on which this node is paid so.
    caf::result<escrow_offer>(escrow_offer_query)>;

// -- fleet and launchers ------------------------------------------------------------------------------------------------------

struct room_request { // a machine-sized hole on some host, until then
    std::string tag;  // of the machine that it is for
    std::int64_t cpus = 0, mem_mib = 0, disk_mib = 0;
    std::optional<place> location;
    instant until;
};
BOOST_DESCRIBE_STRUCT(room_request, (), (tag, cpus, mem_mib, disk_mib, location, until))

struct room_answer {
    std::string host, tier;
    std::optional<refusal> refused; // "no_room" (later, perhaps), "never_fits", "host_lost" (no answer: ask again)
};
BOOST_DESCRIBE_STRUCT(room_answer, (), (host, tier, refused))

struct machine_start {
    std::string tag, host;
    std::string user_data, ssh_key;
    std::string subject;       // of the workload token that it boots with
    instant ends;              // of the lease: past it the launcher stops the machine by itself
    instant not_after;         // past this no backend starts it any more
};
BOOST_DESCRIBE_STRUCT(machine_start, (), (tag, host, user_data, ssh_key, subject, ends, not_after))

struct machine_end {
    std::string tag, host, why;
};
BOOST_DESCRIBE_STRUCT(machine_end, (), (tag, host, why))

struct machine_query {
    std::string tag; // "": all
};
BOOST_DESCRIBE_STRUCT(machine_query, (), (tag))

struct machine_view {
    std::string tag, phase; // none, reserved, launching, running, stopping, gone
    std::string host;       // of the fleet
    std::string address;    // where its SSH answers
    std::uint16_t port = 0;
    std::string host_key, user, tier, why;
    std::int64_t cpus = 0, mem_mib = 0, disk_mib = 0;
    instant since;
    std::optional<refusal> refused;
};
BOOST_DESCRIBE_STRUCT(machine_view, (), (tag, phase, host, address, port, host_key, user, tier, why, cpus, mem_mib, disk_mib, since, refused))
struct machine_list {
    std::vector<machine_view> all;
};
BOOST_DESCRIBE_STRUCT(machine_list, (), (all))

struct host_query {};
BOOST_DESCRIBE_STRUCT(host_query, (), ())
struct host_view {
    std::string host;
    std::int64_t cpus = 0, mem_mib = 0, disk_mib = 0;                // all of it
    std::int64_t free_cpus = 0, free_mem_mib = 0, free_disk_mib = 0; // not reserved, not running
    std::optional<place> location;
    std::string backend, acceleration, tier, note;
    bool draining = false, lost = false;
    std::uint32_t machines = 0;
};
BOOST_DESCRIBE_STRUCT(host_view, (), (host, cpus, mem_mib, disk_mib, free_cpus, free_mem_mib, free_disk_mib, location, backend, acceleration, tier, note, draining, lost, machines))
struct fleet_view {
    std::vector<host_view> hosts;
};
BOOST_DESCRIBE_STRUCT(fleet_view, (), (hosts))
struct drain_host {
    std::string host;
    bool on = true;
};
BOOST_DESCRIBE_STRUCT(drain_host, (), (host, on))
struct console_query {
    std::string tag;
    std::uint64_t last_bytes = 16 * 1024;
};
BOOST_DESCRIBE_STRUCT(console_query, (), (tag, last_bytes))
struct console_view {
    std::string text;
    std::optional<refusal> refused;
};
BOOST_DESCRIBE_STRUCT(console_view, (), (text, refused))

using launcher_actor = typed_actor<
    // Keeps room for a machine that may come; durable, and let go by itself when its time is over.
    caf::result<machine_view>(room_request),
    // Launches into a room that was kept. Answers as soon as that is durable; the machine is watched with `machine_query`.
    caf::result<machine_view>(machine_start),
    // Ends it; it counts as gone only when its backend has confirmed that.
    caf::result<machine_view>(machine_end),
    // Machines of this host.
    caf::result<machine_list>(machine_query),
    // What this host is and has left.
    caf::result<host_view>(host_query),
    // Takes no new machines from now on, or does again.
    caf::result<host_view>(drain_host),
    // The end of a machine's serial console, secrets struck out.
    caf::result<console_view>(console_query)>;

using fleet_actor = typed_actor<
    // Finds room on the host that fits best and keeps it.
    caf::result<room_answer>(room_request),
    // The rest goes to the host named.
    caf::result<machine_view>(machine_start), caf::result<machine_view>(machine_end), caf::result<machine_list>(machine_query),
    caf::result<console_view>(console_query),
    // The live map of hosts.
    caf::result<fleet_view>(host_query), caf::result<host_view>(drain_host)>;

// -- identity issuer ----------------------------------------------------------------------------------------------------------

struct boot_token_request {
    std::string machine, subject;
};
BOOST_DESCRIBE_STRUCT(boot_token_request, (), (machine, subject))
struct token_exchange { // POST /v1/oidc/issue
    std::string boot_token, audience, subject;
    std::int64_t ttl = 3600;
};
BOOST_DESCRIBE_STRUCT(token_exchange, (), (boot_token, audience, subject, ttl))
struct token_answer {
    std::string token;
    std::string issuer_uri, actx;  // with a boot token: what the machine must know of us
    std::optional<refusal> refused;
};
BOOST_DESCRIBE_STRUCT(token_answer, (), (token, issuer_uri, actx, refused))
struct issuer_query {};
BOOST_DESCRIBE_STRUCT(issuer_query, (), ())
struct issuer_view {
    std::string issuer_uri, actx;
    std::string discovery, jwks; // JSON, as served
};
BOOST_DESCRIBE_STRUCT(issuer_view, (), (issuer_uri, actx, discovery, jwks))

using issuer_actor = typed_actor<
    // Mints the short-lived token that one machine boots with.
    caf::result<token_answer>(boot_token_request),
    // Exchanges it for a token that names another audience, never another subject.
    caf::result<token_answer>(token_exchange),
    // What anyone may read to verify them.
    caf::result<issuer_view>(issuer_query)>;

// -- tunnel broker --------------------------------------------------------------------------------------------------------------

struct route_claim {
    std::string label, did, handle, service;
    bool up = true;
};
BOOST_DESCRIBE_STRUCT(route_claim, (), (label, did, handle, service, up))
struct route_revocation {
    std::string label, why;
};
BOOST_DESCRIBE_STRUCT(route_revocation, (), (label, why))
struct route_query {
    std::string did; // "": all
};
BOOST_DESCRIBE_STRUCT(route_query, (), (did))
struct route_view {
    std::string label, did, handle, service, url;
    bool up = false;
    instant since;
    std::string withdrawn; // why the relay took it away; "": it did not
};
BOOST_DESCRIBE_STRUCT(route_view, (), (label, did, handle, service, url, up, since, withdrawn))
struct route_list {
    std::vector<route_view> all;
};
BOOST_DESCRIBE_STRUCT(route_list, (), (all))
struct login_question {
    std::string user, key_type;
    octets key_blob; // the key's wire form
};
BOOST_DESCRIBE_STRUCT(login_question, (), (user, key_type, key_blob))
struct login_answer {
    std::string did;
    std::vector<std::string> services;
    std::optional<refusal> refused;
};
BOOST_DESCRIBE_STRUCT(login_answer, (), (did, services, refused))
struct credential_grant { // an account lets this relay write one kind of record for its machines: a JWT signed by the account
    std::string token;
};
BOOST_DESCRIBE_STRUCT(credential_grant, (), (token))
struct proxied_write { // a machine's createRecord, with its workload token
    std::string token, path, body;
};
BOOST_DESCRIBE_STRUCT(proxied_write, (), (token, path, body))
struct proxied_answer {
    std::uint32_t status = 500;
    std::string body;
};
BOOST_DESCRIBE_STRUCT(proxied_answer, (), (status, body))

using broker_actor = typed_actor<
    // Who may log in, and what may they open?
    caf::result<login_answer>(login_question),
    // A machine opens or loses a public name. The first account to claim a label keeps it.
    caf::result<kept>(route_claim),
    // The relay takes a name away: its tunnels are closed, and for a month nobody has it.
    caf::result<kept>(route_revocation),
    // Public names, and where they stand.
    caf::result<route_list>(route_query),
    // Takes a credential, after verifying it; keeps it.
    caf::result<kept>(credential_grant),
    // The workload-identity reverse proxy: token, then the account's RBAC record, then its schema, then the account's credential.
    caf::result<proxied_answer>(proxied_write)>;

// -- the cluster ----------------------------------------------------------------------------------------------------------------

// What a node says of itself when a link comes up, and again when its roles change. Nodes of another `protocol` are refused.
inline constexpr std::uint32_t cluster_protocol = 1;
struct offers {
    std::uint32_t protocol = cluster_protocol;
    std::string node, owner; // its certificate's name; whose node it is
    std::vector<std::string> roles;
    std::vector<caf::strong_actor_ptr> handles; // one a role
};
template <class Inspector>
auto inspect(Inspector& f, offers& x) {
#if SOUK_CAF_1
    return f.object(x).fields(f.field("protocol", x.protocol), f.field("node", x.node), f.field("owner", x.owner), f.field("roles", x.roles),
                              f.field("handles", x.handles));
#else
    return f(x.protocol, x.node, x.owner, x.roles, x.handles);
#endif
}

using directory_actor = typed_actor<
    // Takes the caller's offers and answers with its own.
    caf::result<offers>(offers)>;

} // namespace souk

CAF_BEGIN_TYPE_ID_BLOCK(souk, caf::first_custom_type_id)
    CAF_ADD_TYPE_ID(souk, (souk::record_note))
    CAF_ADD_TYPE_ID(souk, (souk::kept))
    CAF_ADD_TYPE_ID(souk, (souk::contract_query))
    CAF_ADD_TYPE_ID(souk, (souk::contract_list))
    CAF_ADD_TYPE_ID(souk, (souk::contract_order))
    CAF_ADD_TYPE_ID(souk, (souk::sign_record))
    CAF_ADD_TYPE_ID(souk, (souk::signed_record))
    CAF_ADD_TYPE_ID(souk, (souk::withdraw_record))
    CAF_ADD_TYPE_ID(souk, (souk::policy_question))
    CAF_ADD_TYPE_ID(souk, (souk::policy_verdict))
    CAF_ADD_TYPE_ID(souk, (souk::trust_query))
    CAF_ADD_TYPE_ID(souk, (souk::trust_view))
    CAF_ADD_TYPE_ID(souk, (souk::buy))
    CAF_ADD_TYPE_ID(souk, (souk::bids_query))
    CAF_ADD_TYPE_ID(souk, (souk::bids_view))
    CAF_ADD_TYPE_ID(souk, (souk::access_query))
    CAF_ADD_TYPE_ID(souk, (souk::access_view))
    CAF_ADD_TYPE_ID(souk, (souk::paid_request))
    CAF_ADD_TYPE_ID(souk, (souk::paid_answer))
    CAF_ADD_TYPE_ID(souk, (souk::collect))
    CAF_ADD_TYPE_ID(souk, (souk::give_back))
    CAF_ADD_TYPE_ID(souk, (souk::money_moved))
    CAF_ADD_TYPE_ID(souk, (souk::rail_query))
    CAF_ADD_TYPE_ID(souk, (souk::rail_view))
    CAF_ADD_TYPE_ID(souk, (souk::judge_payment))
    CAF_ADD_TYPE_ID(souk, (souk::payment_judged))
    CAF_ADD_TYPE_ID(souk, (souk::channel_said))
    CAF_ADD_TYPE_ID(souk, (souk::fund_channel))
    CAF_ADD_TYPE_ID(souk, (souk::take_voucher))
    CAF_ADD_TYPE_ID(souk, (souk::charge_channel))
    CAF_ADD_TYPE_ID(souk, (souk::drop_voucher))
    CAF_ADD_TYPE_ID(souk, (souk::close_channel))
    CAF_ADD_TYPE_ID(souk, (souk::channels_query))
    CAF_ADD_TYPE_ID(souk, (souk::channels_view))
    CAF_ADD_TYPE_ID(souk, (souk::channel_offer_query))
    CAF_ADD_TYPE_ID(souk, (souk::channel_offer))
    CAF_ADD_TYPE_ID(souk, (souk::room_request))
    CAF_ADD_TYPE_ID(souk, (souk::room_answer))
    CAF_ADD_TYPE_ID(souk, (souk::machine_start))
    CAF_ADD_TYPE_ID(souk, (souk::machine_end))
    CAF_ADD_TYPE_ID(souk, (souk::machine_query))
    CAF_ADD_TYPE_ID(souk, (souk::machine_view))
    CAF_ADD_TYPE_ID(souk, (souk::machine_list))
    CAF_ADD_TYPE_ID(souk, (souk::host_query))
    CAF_ADD_TYPE_ID(souk, (souk::host_view))
    CAF_ADD_TYPE_ID(souk, (souk::fleet_view))
    CAF_ADD_TYPE_ID(souk, (souk::drain_host))
    CAF_ADD_TYPE_ID(souk, (souk::console_query))
    CAF_ADD_TYPE_ID(souk, (souk::console_view))
    CAF_ADD_TYPE_ID(souk, (souk::boot_token_request))
    CAF_ADD_TYPE_ID(souk, (souk::token_exchange))
    CAF_ADD_TYPE_ID(souk, (souk::token_answer))
    CAF_ADD_TYPE_ID(souk, (souk::issuer_query))
    CAF_ADD_TYPE_ID(souk, (souk::issuer_view))
    CAF_ADD_TYPE_ID(souk, (souk::route_claim))
    CAF_ADD_TYPE_ID(souk, (souk::route_query))
    CAF_ADD_TYPE_ID(souk, (souk::route_list))
    CAF_ADD_TYPE_ID(souk, (souk::login_question))
    CAF_ADD_TYPE_ID(souk, (souk::login_answer))
    CAF_ADD_TYPE_ID(souk, (souk::credential_grant))
    CAF_ADD_TYPE_ID(souk, (souk::proxied_write))
    CAF_ADD_TYPE_ID(souk, (souk::proxied_answer))
    CAF_ADD_TYPE_ID(souk, (souk::offers))
    CAF_ADD_TYPE_ID(souk, (souk::route_revocation))
    CAF_ADD_TYPE_ID(souk, (souk::offerings_query))
    CAF_ADD_TYPE_ID(souk, (souk::offerings_view))
    CAF_ADD_TYPE_ID(souk, (souk::sellers_query))
    CAF_ADD_TYPE_ID(souk, (souk::sellers_view))
    CAF_ADD_TYPE_ID(souk, (souk::request_said))
    CAF_ADD_TYPE_ID(souk, (souk::serve_request))
    CAF_ADD_TYPE_ID(souk, (souk::end_request))
    CAF_ADD_TYPE_ID(souk, (souk::present_tab))
    CAF_ADD_TYPE_ID(souk, (souk::tabs_query))
    CAF_ADD_TYPE_ID(souk, (souk::tabs_view))
    CAF_ADD_TYPE_ID(souk, (souk::escrow_offer_query))
    CAF_ADD_TYPE_ID(souk, (souk::escrow_offer))
CAF_END_TYPE_ID_BLOCK(souk)

namespace souk {

// Numbers of Souk's own: the messages above, then those that stay inside a process (actors/common/local_messages.hpp). A program with
// messages of its own numbers them from `first_free_type_id` on.
inline constexpr caf::type_id_t first_local_type_id = caf::first_custom_type_id + 100;
inline constexpr caf::type_id_t first_free_type_id = caf::first_custom_type_id + 200;
static_assert(caf::id_block::souk::end <= first_local_type_id);

} // namespace souk
