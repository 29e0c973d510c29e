// The market's records, one described struct each. Written in the form of the deployed generation (nested references,
// com.publicdomainrelay.*), with Souk's additions marked; docs/protocol.md tables them, docs/lexicons has the schemas.
// A record is strict: a missing, mistyped or unknown field is refused with its path.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <boost/mp11/list.hpp>

#include <souk/messages/at.hpp>
#include <souk/messages/described.hpp>

namespace souk {

// -- shared parts --------------------------------------------------------------------------------------------------

// {"$type": nsid of what is meant, "record": {uri, cid}}. The flat strongRef {uri, cid} is read too, with or without its own
// "$type"; `type` is then that or empty, and it is written as it was read, so its record keeps its CID.
struct embed {
    std::string type; // on the wire "$type"
    strong_ref record;
    bool operator==(const embed&) const = default;
};

// Inline signature; "$type" is written and required. See attest.hpp for what is signed.
struct inline_signature {
    static constexpr std::string_view nsid = "network.attested.signature";
    std::string issuer; // DID
    std::string key;    // did:key
    std::string cid;    // of the record as it was signed
    octets signature;   // 64 bytes, low s
    std::optional<std::string> issuedAt;
    bool operator==(const inline_signature&) const = default;
};

struct place {
    std::optional<std::string> country, region;
    bool operator==(const place&) const = default;
};

// -- Alice ---------------------------------------------------------------------------------------------------------

// Compute contract request for proposals. `user_data` is a cloud-init document and public.
struct ccrfp {
    static constexpr std::string_view nsid = "com.publicdomainrelay.ccrfp";
    std::int64_t cpus = 0;
    std::string mem, disk, network; // "512M", "10G", "500G"
    std::optional<place> location;
    std::string role;
    std::string user_data;
    std::optional<std::string> createdAt, expiresAt;         // Souk's
    std::optional<std::vector<inline_signature>> signatures; // Souk's
    bool operator==(const ccrfp&) const = default;
};

// Upstream's reference to a payment: {"embed": embed}, or a flat strongRef.
struct payment_ref {
    embed embed_;
    bool operator==(const payment_ref&) const = default;
};

// Acceptance of one bid. The paid URL names it, so the payment is for this and nothing else.
struct ccba {
    static constexpr std::string_view nsid = "com.publicdomainrelay.ccba";
    embed embed_;                        // on the wire "embed": the ccrfp
    embed bid;                           // the ccb
    std::optional<payment_ref> payment;  // a ccbap, where payment came first (upstream's order; Souk pays the accept itself)
    std::optional<std::string> sshKey;   // Souk's: an authorized_keys line for the machine's root
    std::optional<std::string> sealTo;   // Souk's: did:key (X25519) that the receipt's access details are sealed to
    std::optional<std::string> payer;    // Souk's: the address whose authorisation pays; no other is taken
    std::optional<std::string> createdAt;
    std::optional<std::vector<inline_signature>> signatures;
    bool operator==(const ccba&) const = default;
};

// Payment of a bid (upstream's own step; read, never written).
struct ccbap {
    static constexpr std::string_view nsid = "com.publicdomainrelay.ccbap";
    embed embed_;
    std::string txid;
    bool operator==(const ccbap&) const = default;
};

// Souk's: an order about a running contract, by the author of its accept.
struct cce {
    static constexpr std::string_view nsid = "com.publicdomainrelay.cce";
    embed accept;
    std::string kind; // "stop"
    std::optional<std::string> reason;
    std::string createdAt;
    std::vector<inline_signature> signatures;
    bool operator==(const cce&) const = default;
};

struct vouch { // key: the DID of whom it is about
    static constexpr std::string_view nsid = "sh.tangled.graph.vouch";
    std::optional<std::string> kind; // "vouch" (default) or "denounce"
    std::optional<std::string> reason;
    std::string createdAt;
    std::optional<std::string> expiresAt = {}; // Souk's: it says nothing from then on
    std::optional<std::int64_t> weight = {};   // Souk's: of a vouch, 1 to 100 percent; absent: 100
    bool operator==(const vouch&) const = default;
};

// Who may do what in this repository, or at this issuer, on the word of which token. Maps of free shape: see rbac.hpp.
struct rbac {
    static constexpr std::string_view nsid = "com.fedproxy.rbac";
    std::map<std::string, value> roles, policies;
    std::optional<std::map<std::string, value>> protects;
    std::optional<value> custom_claims_roles_index;
    std::string createdAt;
    bool operator==(const rbac&) const = default;
};

// -- Bob -----------------------------------------------------------------------------------------------------------

// Price. No floats: `cost` is an integer or a decimal text of whole units, "0.06".
struct bid_terms {
    value cost;
    std::string currency;  // "USDC"
    std::string frequency; // "monthly" (30 days), "hourly", "one-time"
    bool prepay = false;
    struct pay {
        std::string base_url; // with {at} and {cid}
        bool operator==(const pay&) const = default;
    };
    pay x402;
    std::optional<std::int64_t> slice; // Souk's: seconds that one payment buys; absent: one period
    bool operator==(const bid_terms&) const = default;
};

// Workload identity federation: what Alice must trust, and what the machine will find inside.
struct wif {
    std::optional<std::string> issuer_uri, to_issue, token_path, url_path, url_route, subject;
    bool operator==(const wif&) const = default;
};

struct ccb {
    static constexpr std::string_view nsid = "com.publicdomainrelay.ccb";
    embed embed_;
    bid_terms bid;
    std::optional<souk::wif> wif;
    std::optional<place> location;          // Souk's
    std::optional<std::string> attestation; // Souk's: "hardware", "simulated", "none": the tier on offer
    std::optional<std::string> createdAt, expiresAt;
    std::optional<std::vector<inline_signature>> signatures;
    bool operator==(const ccb&) const = default;
};

// Souk's: the bid named is no longer on offer.
struct ccbw {
    static constexpr std::string_view nsid = "com.publicdomainrelay.ccbw";
    embed bid;
    std::string createdAt;
    std::vector<inline_signature> signatures;
    bool operator==(const ccbw&) const = default;
};

// Receipt: covers request, bid and accept; what Alice needs to get in is sealed to her (seal.hpp).
struct ccr {
    static constexpr std::string_view nsid = "com.publicdomainrelay.ccr";
    static constexpr bool type_may_be_missing = true; // the first live receipts had none
    embed rfp, bid;
    std::optional<embed> accept; // on the wire "ccba"
    std::optional<octets> sealed;           // Souk's
    std::optional<std::string> attestation; // Souk's: the tier that was verified
    std::optional<std::string> previous;    // Souk's: CID of this signer's receipt before this one; a hash-linked log
    std::string createdAt;
    std::optional<std::vector<inline_signature>> signatures;
    bool operator==(const ccr&) const = default;
};

// Souk's: the final statement of a contract. Amounts are atomic units, as text.
struct ccf {
    static constexpr std::string_view nsid = "com.publicdomainrelay.ccf";
    embed accept;
    std::optional<embed> receipt;
    std::string reason; // "stopped by the tenant", "the lease ended", ...
    std::string currency, paid, refunded;
    std::optional<std::string> payment, refund; // transactions
    std::int64_t seconds = 0;                   // that the machine was the tenant's
    std::optional<std::string> startedAt, endedAt;
    std::string createdAt;
    std::vector<inline_signature> signatures;
    bool operator==(const ccf&) const = default;
};

// -- the machine ---------------------------------------------------------------------------------------------------

struct ssh_public_key {
    static constexpr std::string_view nsid = "com.fedproxy.sshPublicKey";
    std::optional<std::string> key, publicKey; // an authorized_keys line; both spellings exist
    std::string service;                       // a name; "*": any of this account
    std::optional<std::string> name;
    std::string createdAt;
    const std::string& line() const { return key ? *key : *publicKey; }
    bool operator==(const ssh_public_key&) const = default;
};

// -- to and from the wire ------------------------------------------------------------------------------------------

// The value of a record, and back: to_value and from_value, which know "$type" (described.hpp). Another "$type" is refused as
// "wrong_type", a missing one only where `R::type_may_be_missing` does not say otherwise; the other codes are from_value's.
template <class R>
value to_record(const R& r) {
    static_assert(described::has_nsid<R>);
    return to_value(r);
}
template <class R>
result<R> from_record(const value& v) {
    static_assert(described::has_nsid<R>);
    return from_value<R>(v);
}

BOOST_DESCRIBE_STRUCT(inline_signature, (), (issuer, key, cid, signature, issuedAt))
BOOST_DESCRIBE_STRUCT(place, (), (country, region))
BOOST_DESCRIBE_STRUCT(ccrfp, (), (cpus, mem, disk, network, location, role, user_data, createdAt, expiresAt, signatures))
BOOST_DESCRIBE_STRUCT(ccba, (), (embed_, bid, payment, sshKey, sealTo, payer, createdAt, signatures))
BOOST_DESCRIBE_STRUCT(ccbap, (), (embed_, txid))
BOOST_DESCRIBE_STRUCT(cce, (), (accept, kind, reason, createdAt, signatures))
BOOST_DESCRIBE_STRUCT(vouch, (), (kind, reason, createdAt, expiresAt, weight))
BOOST_DESCRIBE_STRUCT(rbac, (), (roles, policies, protects, custom_claims_roles_index, createdAt))
BOOST_DESCRIBE_STRUCT(bid_terms::pay, (), (base_url))
BOOST_DESCRIBE_STRUCT(bid_terms, (), (cost, currency, frequency, prepay, x402, slice))
BOOST_DESCRIBE_STRUCT(wif, (), (issuer_uri, to_issue, token_path, url_path, url_route, subject))
BOOST_DESCRIBE_STRUCT(ccb, (), (embed_, bid, wif, location, attestation, createdAt, expiresAt, signatures))
BOOST_DESCRIBE_STRUCT(ccbw, (), (bid, createdAt, signatures))
BOOST_DESCRIBE_STRUCT(ccr, (), (rfp, bid, accept, sealed, attestation, previous, createdAt, signatures))
BOOST_DESCRIBE_STRUCT(ccf, (), (accept, receipt, reason, currency, paid, refunded, payment, refund, seconds, startedAt, endedAt,
                                createdAt, signatures))
BOOST_DESCRIBE_STRUCT(ssh_public_key, (), (key, publicKey, service, name, createdAt))

// Every kind of record, for code that takes any of them.
using all_records = boost::mp11::mp_list<ccrfp, ccb, ccbw, ccbap, ccba, cce, ccr, ccf, vouch, rbac, ssh_public_key>;

// "embed" would be its own type's name, and "ccba" says less than "accept".
template <>
struct wire_name<ccb> {
    static constexpr std::string_view of(std::string_view member) { return member == "embed_" ? "embed" : member; }
};
template <>
struct wire_name<ccba> : wire_name<ccb> {};
template <>
struct wire_name<ccbap> : wire_name<ccb> {};
template <>
struct wire_name<ccr> {
    static constexpr std::string_view of(std::string_view member) { return member == "accept" ? "ccba" : member; }
};

template <>
struct described_as<embed> {
    static value to(const embed&);
    static bool read(const value&, embed&, const described::reading&, described::fault&);
};
template <>
struct described_as<payment_ref> {
    static value to(const payment_ref&);
    static bool read(const value&, payment_ref&, const described::reading&, described::fault&);
};

} // namespace souk
