#include <souk/messages/x402.hpp>

#include <charconv>

#include <souk/messages/evm/permit2.hpp>
#include <souk/messages/evm/word.hpp>

namespace souk::x402 {

namespace {

using std::chrono::seconds;

constexpr seconds settlement_time{6}; // the official facilitator's: what is left must cover the transaction

struct named {
    std::string_view name, network;
};
// The EVM networks of version 1's closed list that are known here.
constexpr named v1_networks[] = {{"base", "eip155:8453"},
                                 {"base-sepolia", "eip155:84532"},
                                 {"avalanche", "eip155:43114"},
                                 {"avalanche-fuji", "eip155:43113"},
                                 {"polygon", "eip155:137"},
                                 {"polygon-amoy", "eip155:80002"},
                                 {"sei", "eip155:1329"},
                                 {"sei-testnet", "eip155:1328"},
                                 {"iotex", "eip155:4689"},
                                 {"abstract", "eip155:2741"},
                                 {"abstract-testnet", "eip155:11124"}};

std::int64_t seconds_of(instant at) { return std::chrono::floor<seconds>(at.time_since_epoch()).count(); }

// Every member of `ours` is in `theirs`, and so within it.
bool holds(const value& theirs, const value& ours) {
    const auto *a = theirs.as<value::map>(), *b = ours.as<value::map>();
    if (!a || !b) return theirs == ours;
    for (const auto& [key, x] : *b) {
        const auto at = a->find(key);
        if (at == a->end() || !holds(at->second, x)) return false;
    }
    return true;
}

struct v1_payment {
    std::int64_t x402Version = 1;
    std::string scheme, network;
    exact_payload payload;
};
BOOST_DESCRIBE_STRUCT(v1_payment, (), (x402Version, scheme, network, payload))

} // namespace

// -- headers --------------------------------------------------------------------------------------------------------

result<value> header_json(std::string_view header) {
    if (header.size() > largest_header) return refusal{"bad_payment_header", "a payment header is at most 16 KiB"};
    const auto text = from_base64(header);
    if (!text) return refusal{"bad_payment_header", "the header is not base64: " + text.error().text};
    auto v = from_json(*text, json_form::plain, {.bytes = largest_header, .depth = 16, .items = 1000});
    if (!v) return refusal{"bad_payment_header", "the header's JSON: " + v.error().text};
    return v;
}

result<payment> payment_of(const value& v) {
    const auto* payload = v.find("payload");
    const auto* permit = payload ? payload->find("permit2Authorization") : nullptr;
    if (!permit || permit->is_null()) return from_value<payment>(v, unknown_fields::ignore);
    auto signed_for = from_value<permit2_authorization>(*permit, unknown_fields::ignore);
    if (!signed_for) return signed_for.error();
    auto as_moved = evm::permit2::as_authorization(*signed_for, signed_for->permitted.amount);
    if (!as_moved) return refusal{"invalid_payload", as_moved.error().text};
    auto whole = v; // what a stranger says beside a permit is not looked at
    auto& inner = whole.as<value::map>()->at("payload");
    inner = value::map{{"signature", payload->text("signature")}, {"authorization", to_value(*as_moved)}};
    auto p = from_value<payment>(whole, unknown_fields::ignore);
    if (p) p->payload.permit2Authorization = std::move(*signed_for);
    return p;
}

value wire_of(const payment& p) {
    auto v = to_value(p);
    if (p.payload.permit2Authorization)
        v.as<value::map>()->insert_or_assign("payload", value::map{{"signature", p.payload.signature}, {"permit2Authorization", to_value(*p.payload.permit2Authorization)}});
    return v;
}

template <>
std::string to_header(const payment& p) {
    return to_base64(to_json(wire_of(p)));
}
template <>
result<payment> from_header(std::string_view header) {
    const auto v = header_json(header);
    if (!v) return v.error();
    return payment_of(*v);
}

std::optional<std::string_view> v1_name(std::string_view network) {
    for (const auto& n : v1_networks)
        if (n.network == network) return n.name;
    return {};
}

std::optional<std::string_view> network_of_v1(std::string_view name) {
    for (const auto& n : v1_networks)
        if (n.name == name) return n.network;
    return {};
}

result<payment> from_v1_header(std::string_view header, const requirements& offered) {
    auto v1 = from_header<v1_payment>(header);
    if (!v1) return v1.error();
    if (v1->x402Version != 1) return refusal{"bad_payment_header", "x402Version: expected 1"};
    const auto network = network_of_v1(v1->network);
    if (!network) return refusal{"invalid_network", "the network \"" + v1->network + "\" is not known here"};
    payment p;
    p.accepted = offered; // version 1 does not repeat what it accepted, but for these two
    p.accepted.scheme = v1->scheme;
    p.accepted.network = *network;
    p.payload = std::move(v1->payload);
    p.payload.permit2Authorization.reset(); // version 1 has none
    return p;
}

result<payment_required> from_v1_body(const value& body) {
    const auto* version = body.find("x402Version") ? body.find("x402Version")->as<std::int64_t>() : nullptr;
    const auto* accepts = body.find("accepts") ? body.find("accepts")->as<value::list>() : nullptr;
    if (!version || *version != 1 || !accepts || accepts->size() > 64) return refusal{"bad_payment_header", "the answer is no demand of x402 version 1"};
    payment_required out;
    out.x402Version = 1;
    for (const auto& one : *accepts) {
        const auto network = network_of_v1(one.text("network"));
        const auto* seconds = one.find("maxTimeoutSeconds") ? one.find("maxTimeoutSeconds")->as<std::int64_t>() : nullptr;
        if (!network || !seconds) continue;
        requirements r{std::string(one.text("scheme")), std::string(*network), std::string(one.text("maxAmountRequired")), std::string(one.text("asset")), std::string(one.text("payTo")), *seconds, {}};
        if (const auto* extra = one.find("extra"); extra && !extra->is_null()) r.extra = *extra;
        if (evm::permit2::is_asked_for(r)) continue; // version 1 has no permits
        if (out.accepts.empty()) out.resource.url = one.text("resource");
        out.accepts.push_back(std::move(r));
    }
    return out;
}

std::string to_v1_header(const payment& p) {
    const auto name = v1_name(p.accepted.network);
    return to_header(v1_payment{1, p.accepted.scheme, std::string(name ? *name : std::string_view()), p.payload});
}

value v1_body(const payment_required& p) {
    value::list accepts;
    for (const auto& r : p.accepts) {
        const auto name = v1_name(r.network);
        if (!name) continue; // one unknown network makes a version-1 client throw the whole answer away
        value::map one{{"scheme", r.scheme},
                       {"network", *name},
                       {"maxAmountRequired", r.amount},
                       {"resource", p.resource.url},
                       {"description", p.resource.description.value_or("")},
                       {"mimeType", p.resource.mimeType.value_or("application/json")},
                       {"payTo", r.payTo},
                       {"maxTimeoutSeconds", r.maxTimeoutSeconds},
                       {"asset", r.asset}};
        if (r.extra) one.emplace("extra", *r.extra);
        accepts.push_back(std::move(one));
    }
    return value::map{{"x402Version", 1}, {"error", "X-PAYMENT header is required"}, {"accepts", std::move(accepts)}};
}

// -- rules ----------------------------------------------------------------------------------------------------------

result<std::uint64_t> chain_of(std::string_view network) {
    if (network == development_network) return development_chain;
    const refusal unknown{"invalid_network", "the network \"" + std::string(network) + "\" is neither eip155:NUMBER nor " +
                                                 std::string(development_network)};
    if (!network.starts_with("eip155:")) return unknown;
    network.remove_prefix(7);
    std::uint64_t chain = 0;
    const auto [end, error] = std::from_chars(network.data(), network.data() + network.size(), chain);
    if (error != std::errc() || end != network.data() + network.size() || chain == 0 || network[0] == '0') return unknown;
    return chain;
}

result<domain> domain_of(const requirements& r) {
    const auto* extra = r.extra ? &*r.extra : nullptr;
    if (!extra || extra->text("name").empty() || extra->text("version").empty())
        return refusal{"invalid_exact_evm_missing_eip712_domain", "extra.name and extra.version name the token's domain"};
    const auto chain = chain_of(r.network);
    if (!chain) return chain.error();
    return domain{std::string(extra->text("name")), std::string(extra->text("version")), *chain, r.asset};
}

bool matches(const requirements& accepted, const requirements& offered) {
    auto same = accepted;
    same.extra = offered.extra;
    return same == offered && (!offered.extra || (accepted.extra && holds(*accepted.extra, *offered.extra)));
}

// A signature over the authorisation, by the one who pays.
result<crypto::address> check_signature(const exact_payload& payload, const domain& d) {
    const auto digest = digest_of(d, payload.authorization);
    if (!digest) return refusal{"invalid_payload", digest.error().text};
    const auto bytes = payload.signature.starts_with("0x") ? from_hex(std::string_view(payload.signature).substr(2)) : refusal{};
    if (!bytes) return refusal{"invalid_exact_evm_signature", "the signature is not 0x and hexadecimal"};
    const auto payer = crypto::recover(*digest, *bytes);
    if (!payer) return refusal{"invalid_exact_evm_signature", payer.error().text};
    if (!crypto::same_address(*payer, payload.authorization.from))
        return refusal{"invalid_exact_evm_signature", "signed by " + *payer + ", not by the one who pays"};
    return payer;
}

result<domain> check_subject(const payment& p, const requirements& offered) {
    if (p.x402Version != 2) return refusal{"invalid_x402_version", "x402Version: expected 2"};
    if (p.accepted.scheme != "exact" || offered.scheme != "exact") return refusal{"invalid_exact_evm_scheme", "the scheme is not exact"};
    auto d = domain_of(offered);
    if (d && p.accepted.network != offered.network)
        return refusal{"invalid_exact_evm_network_mismatch", "it pays on " + p.accepted.network + ", not on " + offered.network};
    return d;
}

result<void> check_terms(const authorization& a, const requirements& offered, instant now) {
    const auto at = seconds_of(now);
    if (at < 0) return refusal{"invalid_exact_evm_payload_authorization_valid_after", "the clock is before 1970"};
    if (!crypto::same_address(a.to, offered.payTo))
        return refusal{"invalid_exact_evm_recipient_mismatch", "it pays " + a.to + ", not " + offered.payTo};
    // Words of 32 bytes compare as their numbers do; `a` has been through digest_of, so they are there.
    if (*evm::uint256(a.validBefore) < *evm::uint256(std::to_string(at + settlement_time.count())))
        return refusal{"invalid_exact_evm_payload_authorization_valid_before", "it expires within 6 seconds, or has"};
    if (*evm::uint256(a.validAfter) > *evm::uint256(std::to_string(at)))
        return refusal{"invalid_exact_evm_payload_authorization_valid_after", "it is not valid yet"};
    if (a.value != offered.amount)
        return refusal{"invalid_exact_evm_payload_authorization_value_mismatch", "it pays " + a.value + ", not " + offered.amount};
    return {};
}

result<crypto::address> check_exact(const payment& p, const requirements& offered, instant now) {
    const auto d = check_subject(p, offered);
    if (!d) return d.error();
    auto payer = check_signature(p.payload, *d);
    if (!payer) return payer;
    if (const auto terms = check_terms(p.payload.authorization, offered, now); !terms) return terms.error();
    return payer;
}

namespace {

// By an authorisation of the token, which must be the very one; by a permit of all of it; by a permit of what it will turn out to be. None: not at all.
std::optional<int> way_of(const requirements& r, const domain& token) {
    const auto transfer = r.extra ? r.extra->text("assetTransferMethod") : std::string_view();
    if (evm::permit2::is_asked_for(r)) return r.scheme == "exact" ? 1 : 2;
    if (r.scheme != "exact" || (!transfer.empty() && transfer != "eip3009")) return std::nullopt;
    const auto d = domain_of(r);
    if (!d || d->name != token.name || d->version != token.version) return std::nullopt;
    return 0;
}

} // namespace

result<requirements> choose(const payment_required& p, std::string_view network, const domain& token, amount most) {
    const requirements* best = nullptr;
    std::pair<int, amount> least; // how it is paid goes before what it costs
    bool dearer = false;
    for (const auto& r : p.accepts) {
        const auto flow = r.extra ? r.extra->text("paymentFlow") : std::string_view();
        if (r.network != network || !crypto::same_address(r.asset, token.contract)) continue;
        if (!flow.empty() && flow != "authorization" && flow != "upfront") continue;
        const auto price = from_decimal(r.amount, 0);
        const auto way = way_of(r, token);
        if (!way || !price || *price <= 0) continue;
        const std::pair cost{*way, *price};
        if (*price > most) dearer = true;
        else if (!best || cost < least) best = &r, least = cost;
    }
    if (best) return *best;
    if (dearer) return refusal{"price_too_high", "it costs more than was allowed"};
    return refusal{"no_way_to_pay", "none of what is demanded is paid with " + token.name + " on " + std::string(network)};
}

value identifier_offered() {
    const value id = value::map{{"type", "string"}, {"minLength", 16}, {"maxLength", 128}, {"pattern", "^[a-zA-Z0-9_-]+$"}};
    const value schema = value::map{{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"type", "object"},
                                    {"properties", value::map{{"required", value::map{{"type", "boolean"}}}, {"id", id}}}, {"required", value::list{"required"}}};
    return value::map{{"payment-identifier", value::map{{"info", value::map{{"required", false}}}, {"schema", schema}}}};
}

result<std::string> identifier_of(const payment& p) {
    const auto* extension = p.extensions ? p.extensions->find("payment-identifier") : nullptr;
    const auto* info = extension ? extension->find("info") : nullptr;
    const auto* id = info ? info->find("id") : nullptr;
    if (!id) return std::string();
    const auto* text = id->as<std::string>();
    const bool fits = text && text->size() >= 16 && text->size() <= 128 &&
                      text->find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == std::string::npos;
    if (!fits) return refusal{"bad_payment_identifier", "a payment's identifier is 16 to 128 of A-Z a-z 0-9 _ -"};
    return *text;
}

result<payment> authorise(const payment_required& required, const requirements& offered, const crypto::secret& key,
                          const std::string& nonce, instant valid_before) {
    payment p;
    p.resource = required.resource;
    p.accepted = offered;
    p.extensions = required.extensions; // a server wants its own echoed
    if (evm::permit2::is_asked_for(offered)) {
        auto by_permit = evm::permit2::authorise(offered, key, nonce, valid_before);
        if (!by_permit) return by_permit.error();
        p.payload = std::move(*by_permit);
        return p;
    }
    if (offered.scheme != "exact") return refusal{"invalid_exact_evm_scheme", "only the schemes exact and upto can be paid"};
    const auto d = domain_of(offered);
    if (!d) return d.error();
    const auto from = crypto::address_of(key);
    if (!from) return from.error();
    p.payload.authorization = {*from, offered.payTo, offered.amount, "0", std::to_string(seconds_of(valid_before)), nonce};
    const auto digest = digest_of(*d, p.payload.authorization);
    if (!digest) return digest.error();
    const auto signature = crypto::sign_digest(key, *digest);
    if (!signature) return signature.error();
    p.payload.signature = "0x" + to_hex(*signature);
    return p;
}

} // namespace souk::x402
