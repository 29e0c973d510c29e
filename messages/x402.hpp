// x402 as it goes over HTTP (version 2, and version 1 in the same 402 answer), and the EIP-3009 authorisation or the Permit2 permit that it carries.
// Wire facts: PAYMENT-REQUIRED / PAYMENT-SIGNATURE / PAYMENT-RESPONSE headers are base64 of JSON.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include <souk/messages/bytes.hpp>
#include <souk/messages/crypto.hpp>
#include <souk/messages/described.hpp>
#include <souk/messages/json.hpp>
#include <souk/messages/money.hpp>

namespace souk::x402 {

inline constexpr std::size_t largest_header = 16 * 1024;

// EIP-712 domain of a token, as `extra` of the requirements gives it plus network and asset.
struct domain {
    std::string name, version;
    std::uint64_t chain_id = 0;
    std::string contract; // 0x address
    bool operator==(const domain&) const = default;
};

// EIP-3009 TransferWithAuthorization. Numbers are decimal text on the wire.
struct authorization {
    std::string from, to;
    std::string value;
    std::string validAfter, validBefore; // seconds
    std::string nonce;                   // 0x + 64 hex
    bool operator==(const authorization&) const = default;
};
BOOST_DESCRIBE_STRUCT(authorization, (), (from, to, value, validAfter, validBefore, nonce))

result<std::string> digest_of(const domain&, const authorization&);   // 32 bytes; code "bad_authorization"
result<std::string> struct_hash(const authorization&);                // 32 bytes; code "bad_authorization"
result<std::string> domain_separator(const domain&);                  // 32 bytes; code "bad_authorization" (of the contract)
std::string authorization_type_hash();                                // 32 bytes
result<std::vector<std::string>> words_of(const authorization&);      // its six members as words; code "bad_authorization"
// Derived, so that one purchase cannot pay twice: "0x" + hex(SHA-256("souk payment" || accept CID bytes || slice as 8 bytes)).
std::string nonce_for(const cid& accept, std::uint64_t slice);

struct requirements {
    std::string scheme;            // "exact", "upto"
    std::string network;           // CAIP-2
    std::string amount;
    std::string asset;
    std::string payTo;
    std::int64_t maxTimeoutSeconds = 0;
    std::optional<value> extra;    // {name, version, paymentFlow?, ...}
    bool operator==(const requirements&) const = default;
};
BOOST_DESCRIBE_STRUCT(requirements, (), (scheme, network, amount, asset, payTo, maxTimeoutSeconds, extra))

struct resource_info {
    std::string url;
    std::optional<std::string> description, mimeType;
    bool operator==(const resource_info&) const = default;
};
BOOST_DESCRIBE_STRUCT(resource_info, (), (url, description, mimeType))

struct payment_required {
    std::int64_t x402Version = 2;
    std::optional<std::string> error;
    resource_info resource;
    std::vector<requirements> accepts;
    std::optional<value> extensions;
};
BOOST_DESCRIBE_STRUCT(payment_required, (), (x402Version, error, resource, accepts, extensions))

// Permit2's PermitWitnessTransferFrom, as the schemes exact and upto have it (messages/evm/permit2). Numbers are decimal text.
struct token_permissions {
    std::string token, amount;
    bool operator==(const token_permissions&) const = default;
};
BOOST_DESCRIBE_STRUCT(token_permissions, (), (token, amount))
struct permit_witness {
    std::string to;
    std::optional<std::string> facilitator; // upto: who alone may bring it
    std::string validAfter;                 // seconds
    bool operator==(const permit_witness&) const = default;
};
BOOST_DESCRIBE_STRUCT(permit_witness, (), (to, facilitator, validAfter))
struct permit2_authorization {
    std::string from;
    token_permissions permitted;
    std::string spender, nonce, deadline; // of 256 bits; seconds
    permit_witness witness;
    bool operator==(const permit2_authorization&) const = default;
};
BOOST_DESCRIBE_STRUCT(permit2_authorization, (), (from, permitted, spender, nonce, deadline, witness))

// On the wire there is one of the two. In here a permit has both: `authorization` says in its own words what is to be moved by it, under a nonce that
// no token takes, so that whoever keeps, counts or asks after payments need not know of permits.
inline constexpr std::string_view permit_nonce = "permit2:"; // then 0x + 64 hex
struct exact_payload {
    std::string signature; // 0x + 130 hex
    x402::authorization authorization;
    std::optional<permit2_authorization> permit2Authorization = std::nullopt;
    bool operator==(const exact_payload&) const = default;
};
BOOST_DESCRIBE_STRUCT(exact_payload, (), (signature, authorization, permit2Authorization))

struct payment {
    std::int64_t x402Version = 2;
    std::optional<resource_info> resource;
    requirements accepted;
    exact_payload payload;
    std::optional<value> extensions;
};
BOOST_DESCRIBE_STRUCT(payment, (), (x402Version, resource, accepted, payload, extensions))

struct settlement {
    bool success = false;
    std::string transaction; // "" if none
    std::string network;
    std::optional<std::string> payer, errorReason, errorMessage;
    std::optional<std::string> amount = std::nullopt; // that moved, where it is said
};
BOOST_DESCRIBE_STRUCT(settlement, (), (success, transaction, network, payer, errorReason, errorMessage, amount))

// Headers. Unknown members are ignored (a peer may know more). Codes "bad_payment_header" and those of from_value.
template <class T>
std::string to_header(const T& x) {
    return to_base64(to_json(to_value(x)));
}
result<value> header_json(std::string_view);
template <class T>
result<T> from_header(std::string_view header) {
    const auto v = header_json(header);
    if (!v) return v.error();
    return from_value<T>(*v, unknown_fields::ignore);
}
// A payment as it is on the wire: of an authorisation or of a permit, never both. Headers are read and written by these.
result<payment> payment_of(const value&); // also code "invalid_payload"
value wire_of(const payment&);
template <>
std::string to_header(const payment&);
template <>
result<payment> from_header(std::string_view);
// A version-1 PAYMENT header ("X-PAYMENT"), lifted to the version-2 form against the one requirement offered.
result<payment> from_v1_header(std::string_view, const requirements& offered);
result<payment_required> from_v1_body(const value&); // what a version-1 server demands, in version 2's words; networks unknown here are left out
std::string to_v1_header(const payment&);            // "X-PAYMENT"; of a network that has a version-1 name
value v1_body(const payment_required&); // the JSON body of the 402 answer; accepts only where the network has a v1 name

// The name of a network in version 1, and back; none for most, and none for the development ledger.
std::optional<std::string_view> v1_name(std::string_view network);
std::optional<std::string_view> network_of_v1(std::string_view name);

// -- rules --------------------------------------------------------------------------------------------------------
// The chain number of a network: "eip155:84532" -> 84532; the development ledger "soukdev:ledger" -> development_chain.
inline constexpr std::string_view development_network = "soukdev:ledger"; // not a chain, not money
inline constexpr std::uint64_t development_chain = 0x536f756b;            // "Souk"
result<std::uint64_t> chain_of(std::string_view network); // code "invalid_network"
result<domain> domain_of(const requirements&); // codes "invalid_exact_evm_missing_eip712_domain", "invalid_network"

// Everything that can be said of an exact payment without asking a rail, in the official facilitator's order and with its codes.
// Returns the payer. Refuses high s and v outside {27,28}, which the official one lets through to the chain. Codes beside those of
// protocol version 2: "invalid_x402_version", "invalid_network" (of what we offered), "invalid_payload" (fields of no such shape).
result<crypto::address> check_exact(const payment&, const requirements& offered, instant now);

// Its parts, for whoever asks a chain between them: what the two are about; the signature of a payer who has a key; the authorisation's terms.
result<domain> check_subject(const payment&, const requirements& offered);
result<crypto::address> check_signature(const exact_payload&, const domain&);
result<void> check_terms(const authorization&, const requirements& offered, instant now);

// The door's rule: `accepted` repeats what was offered, member by member and to the letter, and its `extra` holds ours.
bool matches(const requirements& accepted, const requirements& offered);

// The extension "payment-identifier": what a payer calls the one payment that he means, so that asked again he is answered, and charged once.
value identifier_offered();                         // how a server says that it knows it
result<std::string> identifier_of(const payment&);  // "" where there is none; code "bad_payment_identifier" (16 to 128 of A-Z a-z 0-9 _ -)

// The cheapest of what is demanded that is paid on this network with this token, by a flow that settles once; by a permit only where no authorisation
// will do, and the cheapest maximum only where nothing exact will. Codes "no_way_to_pay", "price_too_high".
result<requirements> choose(const payment_required&, std::string_view network, const domain& token, amount most);

// Alice's side: authorises `offered` for the purchase; by a permit where it asks for one. "0x" + 64 hex is the nonce of either.
result<payment> authorise(const payment_required&, const requirements& offered, const crypto::secret& key, const std::string& nonce,
                          instant valid_before);

} // namespace souk::x402
