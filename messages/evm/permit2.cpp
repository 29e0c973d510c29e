#include <souk/messages/evm/permit2.hpp>

#include <algorithm>

#include <souk/messages/ascii.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/evm/abi.hpp>
#include <souk/messages/evm/typed_data.hpp>

namespace souk::evm::permit2 {

namespace {

using std::chrono::seconds;

constexpr seconds least_left{6}; // as for other payments: what is left must cover the transaction
constexpr std::string_view permissions_type = "TokenPermissions(address token,uint256 amount)";
constexpr std::string_view exact_witness = "Witness(address to,uint256 validAfter)", upto_witness = "Witness(address to,address facilitator,uint256 validAfter)";
constexpr std::string_view exact_settle = "settle(((address,uint256),uint256,uint256),address,(address,uint256),bytes)";
constexpr std::string_view upto_settle = "settle(((address,uint256),uint256,uint256),uint256,address,(address,address,uint256),bytes)";

struct words {
    word from, token, amount, spender, nonce, deadline, to, facilitator, valid_after;
};
result<words> words_of(const permit& p) {
    words w;
    const auto address = [](const std::string& text, word& into) -> result<void> {
        auto one = address_word(text);
        if (!one) return one.error();
        into = std::move(*one);
        return {};
    };
    const auto number = [](const std::string& text, word& into) -> result<void> {
        auto one = uint256(text);
        if (!one) return one.error();
        into = std::move(*one);
        return {};
    };
    for (const auto& done : {address(p.from, w.from), address(p.permitted.token, w.token), address(p.spender, w.spender), address(p.witness.to, w.to),
                             p.witness.facilitator ? address(*p.witness.facilitator, w.facilitator) : result<void>(), number(p.permitted.amount, w.amount),
                             number(p.nonce, w.nonce), number(p.deadline, w.deadline), number(p.witness.validAfter, w.valid_after)})
        if (!done) return done.error();
    return w;
}
std::vector<word> witness_words(const words& w, bool upto) {
    if (upto) return {w.to, w.facilitator, w.valid_after};
    return {w.to, w.valid_after};
}

std::int64_t seconds_of(instant at) { return std::chrono::floor<seconds>(at.time_since_epoch()).count(); }

} // namespace

bool is_asked_for(const x402::requirements& r) {
    if (!r.extra || !r.network.starts_with("eip155:")) return false;
    const auto transfer = r.extra->text("assetTransferMethod");
    if (r.scheme == "exact") return transfer == "permit2";
    return r.scheme == "upto" && (transfer.empty() || transfer == "permit2") && address_word(r.extra->text("facilitatorAddress"));
}

result<x402::authorization> as_authorization(const permit& p, std::string_view value) {
    const auto w = words_of(p);
    if (!w) return refusal{"bad_authorization", w.error().text};
    if (const auto much = uint256(value); !much) return refusal{"bad_authorization", much.error().text};
    return x402::authorization{p.from, p.witness.to, std::string(value), p.witness.validAfter, p.deadline, std::string(x402::permit_nonce) + to_hex_text(w->nonce)};
}

result<word> nonce_of(std::string_view nonce) {
    if (!nonce.starts_with(x402::permit_nonce)) return refusal{"bad_hex", "not the nonce of a permit"};
    return bytes_of(nonce.substr(x402::permit_nonce.size()), 32);
}

// -- what is signed ---------------------------------------------------------------------------------------------------

result<std::string> digest_of(std::uint64_t chain, const permit& p) {
    const auto w = words_of(p);
    if (!w) return w.error();
    const auto witness = is_upto(p) ? upto_witness : exact_witness;
    const auto type = "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,Witness witness)" + std::string(permissions_type) + std::string(witness);
    const auto what = struct_hash(type, {struct_hash(permissions_type, {w->token, w->amount}), w->spender, w->nonce, w->deadline, struct_hash(witness, witness_words(*w, is_upto(p)))});
    return typed_digest(*domain_separator("Permit2", std::nullopt, chain, contract), what);
}

result<x402::exact_payload> sign(std::uint64_t chain, const permit& p, const crypto::secret& key) {
    const auto digest = digest_of(chain, p);
    if (!digest) return digest.error();
    const auto signature = crypto::sign_digest(key, *digest);
    if (!signature) return signature.error();
    auto as_moved = as_authorization(p, p.permitted.amount);
    if (!as_moved) return as_moved.error();
    return x402::exact_payload{to_hex_text(*signature), std::move(*as_moved), p};
}

result<x402::exact_payload> authorise(const x402::requirements& offered, const crypto::secret& key, std::string_view nonce, instant valid_before) {
    const auto chain = x402::chain_of(offered.network);
    if (!chain) return chain.error();
    const auto from = crypto::address_of(key);
    const auto number = bytes_of(nonce, 32);
    if (!from) return from.error();
    if (!number) return number.error();
    permit p;
    p.from = *from, p.permitted = {offered.asset, offered.amount}, p.nonce = to_decimal(*number), p.deadline = std::to_string(seconds_of(valid_before));
    p.witness.to = offered.payTo, p.witness.validAfter = "0";
    if (offered.scheme == "upto") p.witness.facilitator = std::string(offered.extra->text("facilitatorAddress"));
    p.spender = proxy_of(p);
    return sign(*chain, p, key);
}

// -- rules --------------------------------------------------------------------------------------------------------------

result<void> check_terms(const x402::payment& paid, const x402::requirements& offered, const std::vector<std::string>& facilitators, instant now) {
    if (paid.x402Version != 2) return refusal{"invalid_x402_version", "x402Version: expected 2"};
    if (!paid.payload.permit2Authorization) return refusal{"unsupported_payload_type", "the payload is no permit"};
    const auto& p = *paid.payload.permit2Authorization;
    const auto w = words_of(p);
    if (!w) return refusal{"invalid_payload", w.error().text};
    const bool upto = offered.scheme == "upto";
    if (paid.accepted.scheme != offered.scheme || (offered.scheme != "exact" && !upto))
        return refusal{upto || paid.accepted.scheme == "upto" ? "invalid_upto_evm_scheme" : "unsupported_payload_type", "the scheme is neither exact nor upto, or not the one that is offered"};
    if (upto != is_upto(p)) return refusal{"unsupported_payload_type", upto ? "the witness names no facilitator" : "the witness names a facilitator, which exact has not"};
    if (const auto chain = x402::chain_of(offered.network); !chain) return chain.error();
    if (paid.accepted.network != offered.network)
        return refusal{upto ? "invalid_upto_evm_network_mismatch" : "invalid_exact_evm_network_mismatch", "it pays on " + paid.accepted.network + ", not on " + offered.network};
    if (!crypto::same_address(p.spender, proxy_of(p))) return refusal{"invalid_permit2_spender", "it is for " + p.spender + " to spend, not for " + proxy_of(p)};
    if (!crypto::same_address(p.witness.to, offered.payTo)) return refusal{"invalid_permit2_recipient_mismatch", "it pays " + p.witness.to + ", not " + offered.payTo};
    if (upto && std::none_of(facilitators.begin(), facilitators.end(), [&](const std::string& f) { return crypto::same_address(f, *p.witness.facilitator); }))
        return refusal{"upto_facilitator_mismatch", *p.witness.facilitator + " is to settle it, which is not this facilitator"};
    const auto at = seconds_of(now);
    if (at < 0) return refusal{"permit2_not_yet_valid", "the clock is before 1970"};
    if (w->deadline < *uint256(std::to_string(at + least_left.count()))) return refusal{"permit2_deadline_expired", "it expires within 6 seconds, or has"};
    if (w->valid_after > *uint256(std::to_string(at))) return refusal{"permit2_not_yet_valid", "it is not valid yet"};
    if (p.permitted.amount != offered.amount) return refusal{"permit2_amount_mismatch", "it permits " + p.permitted.amount + ", not " + offered.amount};
    if (!crypto::same_address(p.permitted.token, offered.asset)) return refusal{"permit2_token_mismatch", "it permits another token, " + p.permitted.token};
    return {};
}

result<crypto::address> check_signature(std::uint64_t chain, const x402::exact_payload& paid) {
    const refusal bad{"invalid_permit2_signature", "the signature is not the payer's"};
    if (!paid.permit2Authorization) return bad;
    const auto digest = digest_of(chain, *paid.permit2Authorization), bytes = bytes_of(paid.signature, 65);
    if (!digest || !bytes) return bad;
    auto payer = crypto::recover(*digest, *bytes);
    if (!payer) return refusal{bad.code, payer.error().text};
    if (!crypto::same_address(*payer, paid.permit2Authorization->from)) return refusal{bad.code, "signed by " + *payer + ", not by the one who pays"};
    return payer;
}

result<void> check_amount(const x402::exact_payload& paid) {
    if (!paid.permit2Authorization) return refusal{"invalid_payload", "the payload is no permit"};
    const auto& p = *paid.permit2Authorization;
    const auto said = as_authorization(p, paid.authorization.value);
    if (!said || *said != paid.authorization) return refusal{"invalid_payload", "what is to be moved is not what was permitted"};
    const auto much = *uint256(paid.authorization.value), most = *uint256(p.permitted.amount);
    if (is_upto(p) && much > most) return refusal{"invalid_upto_evm_payload_settlement_exceeds_amount", paid.authorization.value + " is more than " + p.permitted.amount + ", which was permitted"};
    if (!is_upto(p) && much != most) return refusal{"permit2_amount_mismatch", "exactly " + p.permitted.amount + " is permitted"};
    if (!is_upto(p) && much == number(0)) return refusal{"permit2_invalid_amount", "it permits nothing"};
    return {};
}

// -- the contracts ------------------------------------------------------------------------------------------------------

result<std::string> settle_call(const permit& p, std::string_view value, std::string_view signature) {
    const auto w = words_of(p);
    if (!w) return w.error();
    const auto much = uint256(value);
    if (!much) return much.error();
    if (signature.size() > abi::largest_signature) return refusal{"bad_signature", "a signature of " + std::to_string(signature.size()) + " bytes"};
    std::vector<abi::item> all{abi::fixed(std::vector{w->token, w->amount, w->nonce, w->deadline})};
    if (is_upto(p)) all.push_back(abi::fixed(*much));
    all.push_back(abi::fixed(w->from)), all.push_back(abi::fixed(witness_words(*w, is_upto(p)))), all.push_back(abi::bytes(signature));
    return abi::call(is_upto(p) ? upto_settle : exact_settle, all);
}

std::string proxy_query() { return abi::call("PERMIT2()", {}); }

namespace {
word bitmap_word(const word& nonce) { return std::string(1, '\0') + nonce.substr(0, 31); } // the upper 248 bits
bool has_bit(const word& bits, const word& nonce) {
    const auto which = static_cast<unsigned char>(nonce[31]);
    return static_cast<unsigned char>(bits[31 - which / 8]) >> (which % 8) & 1;
}
} // namespace

result<std::string> nonces_query(std::string_view owner, const word& nonce) {
    const auto of = address_word(owner);
    if (!of) return of.error();
    if (nonce.size() != 32) return refusal{"bad_number", "a nonce is one word"};
    return abi::call("nonceBitmap(address,uint256)", {abi::fixed(*of), abi::fixed(bitmap_word(nonce))});
}

result<bool> is_used(std::string_view answer, const word& nonce) {
    const auto bits = abi::word_at(answer, 0);
    if (!bits) return bits.error();
    return has_bit(*bits, nonce);
}

std::optional<settled> read_settle(std::string_view to, std::string_view data) {
    const bool upto = crypto::same_address(to, upto_proxy);
    if (!upto && !crypto::same_address(to, exact_proxy)) return std::nullopt;
    if (!data.starts_with(abi::selector(upto ? upto_settle : exact_settle))) return std::nullopt;
    data.remove_prefix(4);
    const auto at = [&](std::size_t i) { return abi::word_at(data, i); };
    const std::size_t owner = upto ? 5 : 4, payee = owner + 1;
    if (!at(payee)) return std::nullopt;
    return settled{address_of(*at(owner)), address_of(*at(0)), address_of(*at(payee)), *at(2), *at(upto ? 4 : 1)};
}

const std::string& invalidated() {
    static const auto one = to_hex_text(abi::topic("UnorderedNonceInvalidation(address,uint256,uint256)"));
    return one;
}
bool voids(std::string_view data, const word& nonce) {
    const auto where = abi::word_at(data, 0), mask = abi::word_at(data, 1);
    return where && mask && *where == bitmap_word(nonce) && has_bit(*mask, nonce);
}

} // namespace souk::evm::permit2
