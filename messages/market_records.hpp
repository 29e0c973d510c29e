// The contract's records as the later generations have them, one described struct each; what they mean to each other is dialect.hpp's.
//   second    com.publicdomainrelay.temp.cc*: the first one's fields, references flat
//   third     com.publicdomainrelay.temp.market.* and temp.compute.*: envelope, terms and payload are records of their own
//   fourth    the third, signed, with services to send to
// Fields that deployed programs write beyond their lexicons are here, too; Souk's own additions are marked. A reference is written as it was read.
#pragma once
#include <souk/messages/records.hpp>

namespace souk {

// -- the second generation -------------------------------------------------------------------------------------------

namespace flat {

struct ccrfp : souk::ccrfp {
    static constexpr std::string_view nsid = "com.publicdomainrelay.temp.ccrfp";
    bool operator==(const ccrfp&) const = default;
};
struct ccb : souk::ccb {
    static constexpr std::string_view nsid = "com.publicdomainrelay.temp.ccb";
    bool operator==(const ccb&) const = default;
};
struct ccbap : souk::ccbap {
    static constexpr std::string_view nsid = "com.publicdomainrelay.temp.ccbap";
    bool operator==(const ccbap&) const = default;
};
struct ccba : souk::ccba { // `payment` is required upstream; Souk pays the accept itself and names none
    static constexpr std::string_view nsid = "com.publicdomainrelay.temp.ccba";
    bool operator==(const ccba&) const = default;
};
struct ccr : souk::ccr {
    static constexpr std::string_view nsid = "com.publicdomainrelay.temp.ccr";
    struct addresses {
        std::optional<std::string> ipv4, ipv6;
        bool operator==(const addresses&) const = default;
    };
    std::optional<addresses> compute;
    bool operator==(const ccr&) const = default;
};

BOOST_DESCRIBE_STRUCT(ccrfp, (souk::ccrfp), ())
BOOST_DESCRIBE_STRUCT(ccb, (souk::ccb), ())
BOOST_DESCRIBE_STRUCT(ccbap, (souk::ccbap), ())
BOOST_DESCRIBE_STRUCT(ccba, (souk::ccba), ())
BOOST_DESCRIBE_STRUCT(ccr::addresses, (), (ipv4, ipv6))
BOOST_DESCRIBE_STRUCT(ccr, (souk::ccr), (compute))

} // namespace flat

template <>
struct wire_name<flat::ccb> : wire_name<ccb> {};
template <>
struct wire_name<flat::ccba> : wire_name<ccba> {};
template <>
struct wire_name<flat::ccbap> : wire_name<ccbap> {};
template <>
struct wire_name<flat::ccr> : wire_name<ccr> {};

// -- the third and the fourth ----------------------------------------------------------------------------------------

namespace market {

// Inline signatures and references to proofs elsewhere, mixed: attest.hpp reads them.
using signature_list = std::optional<std::vector<value>>;
using text = std::optional<std::string>;

// What is wanted. The newest requester leaves the sizes out.
struct vm {
    static constexpr std::string_view nsid = "com.publicdomainrelay.temp.compute.vm";
    std::optional<std::int64_t> cpus;
    text mem, disk, network;
    std::optional<place> location;
    std::string role, user_data;
    text createdAt;
    bool operator==(const vm&) const = default;
};

// Alice's request: where bids are sent, and what is wanted.
struct rfp {
    static constexpr std::string_view nsid = "com.publicdomainrelay.temp.market.rfp";
    embed payload;
    text domain;    // "compute"
    text submitBid; // a service: "DID#id" or a URL
    std::optional<embed> policy;
    std::optional<std::vector<value>> policies; // announced upstream as what replaces `policy`
    text createdAt, expiresAt;                  // the second is Souk's
    signature_list signatures;
    bool operator==(const rfp&) const = default;
};

// Terms of a bid: money over x402. The paid URL is url/{at}/{cid}.
struct bids_x402 {
    static constexpr std::string_view nsid = "com.publicdomainrelay.temp.market.bids.x402";
    value cost;
    std::string currency, frequency;
    bool prepay = false;
    std::string url;
    std::optional<std::int64_t> slice; // Souk's
    text createdAt;
    signature_list signatures;
    bool operator==(const bids_x402&) const = default;
};
struct bids_free {
    static constexpr std::string_view nsid = "com.publicdomainrelay.temp.market.bids.free";
    std::optional<value> cost; // 0 in deployed ones
    text reason, createdAt;
    signature_list signatures;
    bool operator==(const bids_free&) const = default;
};
struct wif_simple {
    static constexpr std::string_view nsid = "com.publicdomainrelay.temp.compute.config.wif.simple";
    std::string accept_path, issuer_uri, to_issue, token_path, url_path, url_route, subject;
    text actx_path, actx, createdAt;
    bool operator==(const wif_simple&) const = default;
};
struct bid {
    static constexpr std::string_view nsid = "com.publicdomainrelay.temp.market.bid";
    embed rfp, payload;
    std::optional<embed> config, bidConfig; // two spellings of one
    text submitAccept;
    std::optional<place> location;     // Souk's, as in ccb
    text attestation, expiresAt;       // Souk's
    text createdAt;
    signature_list signatures;
    bool operator==(const bid&) const = default;
};

// A step of its own upstream: the terms are accepted and paid, then the bid. Souk pays the accept.
struct accepts_x402 {
    static constexpr std::string_view nsid = "com.publicdomainrelay.temp.market.accepts.x402";
    embed bid;
    std::optional<embed> payload;
    text createdAt;
    signature_list signatures;
    bool operator==(const accepts_x402&) const = default;
};
struct accepts_free : accepts_x402 {
    static constexpr std::string_view nsid = "com.publicdomainrelay.temp.market.accepts.free";
    bool operator==(const accepts_free&) const = default;
};
struct receipts_x402 {
    static constexpr std::string_view nsid = "com.publicdomainrelay.temp.market.receipts.x402";
    embed accept;
    std::string cid; // binds the accept: attest.hpp, remote_cid
    text createdAt;
    signature_list signatures;
    bool operator==(const receipts_x402&) const = default;
};
struct receipts_free : receipts_x402 {
    static constexpr std::string_view nsid = "com.publicdomainrelay.temp.market.receipts.free";
    bool operator==(const receipts_free&) const = default;
};

struct accept {
    static constexpr std::string_view nsid = "com.publicdomainrelay.temp.market.accept";
    embed rfp, bid;
    std::optional<embed> payload;   // receipts.*: that the terms were paid before
    text submitEvent;
    text sshKey, sealTo, payer;     // Souk's, as in ccba
    text createdAt;
    signature_list signatures;
    bool operator==(const accept&) const = default;
};

struct receipt_fields {
    embed rfp, bid, accept;
    std::optional<embed> payload;
    text submitEvent;
    std::string cid; // binds the accept: attest.hpp, remote_cid
    std::optional<octets> sealed;      // Souk's, as in ccr
    text attestation, previous;        // Souk's
    text createdAt;
    signature_list signatures;
    bool operator==(const receipt_fields&) const = default;
};
struct receipt : receipt_fields {
    static constexpr std::string_view nsid = "com.publicdomainrelay.temp.market.receipt";
    bool null_payload = false; // deployed ones write null where there is none
    bool operator==(const receipt&) const = default;
};

struct event { // about a running contract, by either side; `payload` says what
    static constexpr std::string_view nsid = "com.publicdomainrelay.temp.market.event";
    embed receipt, payload;
    text createdAt;
    signature_list signatures;
    bool operator==(const event&) const = default;
};
struct vm_started {
    static constexpr std::string_view nsid = "com.publicdomainrelay.temp.compute.events.vm.started";
    std::string createdAt;
    bool operator==(const vm_started&) const = default;
};
struct vm_on_network {
    static constexpr std::string_view nsid = "com.publicdomainrelay.temp.compute.events.vm.onNetwork";
    text address;
    std::string createdAt;
    bool operator==(const vm_on_network&) const = default;
};
struct vm_delete {
    static constexpr std::string_view nsid = "com.publicdomainrelay.temp.compute.events.vm.delete";
    std::string reason, createdAt;
    bool operator==(const vm_delete&) const = default;
};
struct vm_register_identity {
    static constexpr std::string_view nsid = "com.publicdomainrelay.temp.compute.events.vm.registerIdentity";
    std::string did, fqdn;
    text transport;
    std::string createdAt;
    bool operator==(const vm_register_identity&) const = default;
};

// -- who bids --------------------------------------------------------------------------------------------------------

struct machine_size {
    std::int64_t cpus = 0;
    std::string mem, disk; // as in a request: "512M", "10G"
    bool operator==(const machine_size&) const = default;
};
BOOST_DESCRIBE_STRUCT(machine_size, (), (cpus, mem, disk))

struct offering {
    static constexpr std::string_view nsid = "com.publicdomainrelay.temp.market.offering";
    std::string endpointUrl;
    std::vector<std::string> appliesTo; // NSIDs of payloads
    std::string createdAt;
    text refreshedAt;
    // Souk's: the largest machine, and what it costs; where, and when nobody need ask any more.
    using size = machine_size;
    std::optional<size> largest;
    text cost, currency, frequency;
    std::optional<std::int64_t> slice;
    text attestation, expiresAt;
    std::optional<place> location;
    bool operator==(const offering&) const = default;
};
struct bidder_discovery {
    static constexpr std::string_view nsid = "com.publicdomainrelay.temp.market.bidderDiscovery";
    std::string endpointUrl;
    std::vector<std::string> appliesTo;
    std::string updatedAt, createdAt;
    bool operator==(const bidder_discovery&) const = default;
};
struct bidder_registration { // by a registry
    static constexpr std::string_view nsid = "com.publicdomainrelay.temp.market.bidderRegistration";
    std::string bidderDid;
    std::vector<std::string> appliesTo;
    std::string indexedAt;
    bool operator==(const bidder_registration&) const = default;
};
struct bidder_association {
    static constexpr std::string_view nsid = "com.publicdomainrelay.temp.market.bidderAssociation";
    std::string operatorDid;
    embed associationProof;
    signature_list signatures;
    bool operator==(const bidder_association&) const = default;
};
struct relay_list {
    static constexpr std::string_view nsid = "com.publicdomainrelay.temp.market.relays";
    std::vector<std::string> relays;
    std::string createdAt;
    bool operator==(const relay_list&) const = default;
};
struct badge_blue_key { // key of the record: `key`
    static constexpr std::string_view nsid = "com.publicdomainrelay.temp.market.badgeBlueKey";
    std::string key;
    text issuer;
    std::string createdAt;
    bool operator==(const badge_blue_key&) const = default;
};

BOOST_DESCRIBE_STRUCT(vm, (), (cpus, mem, disk, network, location, role, user_data, createdAt))
BOOST_DESCRIBE_STRUCT(rfp, (), (payload, domain, submitBid, policy, policies, createdAt, expiresAt, signatures))
BOOST_DESCRIBE_STRUCT(bids_x402, (), (cost, currency, frequency, prepay, url, slice, createdAt, signatures))
BOOST_DESCRIBE_STRUCT(bids_free, (), (cost, reason, createdAt, signatures))
BOOST_DESCRIBE_STRUCT(wif_simple, (), (accept_path, issuer_uri, to_issue, token_path, url_path, url_route, subject, actx_path, actx, createdAt))
BOOST_DESCRIBE_STRUCT(bid, (), (rfp, payload, config, bidConfig, submitAccept, location, attestation, expiresAt, createdAt, signatures))
BOOST_DESCRIBE_STRUCT(accepts_x402, (), (bid, payload, createdAt, signatures))
BOOST_DESCRIBE_STRUCT(accepts_free, (accepts_x402), ())
BOOST_DESCRIBE_STRUCT(receipts_x402, (), (accept, cid, createdAt, signatures))
BOOST_DESCRIBE_STRUCT(receipts_free, (receipts_x402), ())
BOOST_DESCRIBE_STRUCT(accept, (), (rfp, bid, payload, submitEvent, sshKey, sealTo, payer, createdAt, signatures))
BOOST_DESCRIBE_STRUCT(receipt_fields, (), (rfp, bid, accept, payload, submitEvent, cid, sealed, attestation, previous, createdAt, signatures))
BOOST_DESCRIBE_STRUCT(event, (), (receipt, payload, createdAt, signatures))
BOOST_DESCRIBE_STRUCT(vm_started, (), (createdAt))
BOOST_DESCRIBE_STRUCT(vm_on_network, (), (address, createdAt))
BOOST_DESCRIBE_STRUCT(vm_delete, (), (reason, createdAt))
BOOST_DESCRIBE_STRUCT(vm_register_identity, (), (did, fqdn, transport, createdAt))
BOOST_DESCRIBE_STRUCT(offering, (), (endpointUrl, appliesTo, createdAt, refreshedAt, largest, cost, currency, frequency, slice, attestation, expiresAt, location))
BOOST_DESCRIBE_STRUCT(bidder_discovery, (), (endpointUrl, appliesTo, updatedAt, createdAt))
BOOST_DESCRIBE_STRUCT(bidder_registration, (), (bidderDid, appliesTo, indexedAt))
BOOST_DESCRIBE_STRUCT(bidder_association, (), (operatorDid, associationProof, signatures))
BOOST_DESCRIBE_STRUCT(relay_list, (), (relays, createdAt))
BOOST_DESCRIBE_STRUCT(badge_blue_key, (), (key, issuer, createdAt))

} // namespace market

template <>
struct described_as<market::receipt> {
    static value to(const market::receipt&);
    static bool read(const value&, market::receipt&, const described::reading&, described::fault&);
};

using flat_records = boost::mp11::mp_list<flat::ccrfp, flat::ccb, flat::ccbap, flat::ccba, flat::ccr>;
using market_records =
    boost::mp11::mp_list<market::vm, market::rfp, market::bids_x402, market::bids_free, market::wif_simple, market::bid, market::accepts_x402, market::accepts_free,
                         market::receipts_x402, market::receipts_free, market::accept, market::receipt, market::event, market::vm_started, market::vm_on_network,
                         market::vm_delete, market::vm_register_identity, market::offering, market::bidder_discovery, market::bidder_registration,
                         market::bidder_association, market::relay_list, market::badge_blue_key>;
using later_records = boost::mp11::mp_append<flat_records, market_records>;

} // namespace souk
