#include <souk/backends/rails/ledger_channels.hpp>

#include <algorithm>
#include <charconv>
#include <limits>

#include <souk/messages/ascii.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/evm/word.hpp>

namespace souk {

namespace {

namespace ch = evm::channel;
constexpr amount largest = std::numeric_limits<amount>::max();
constexpr std::string_view nobody = "0x0000000000000000000000000000000000000000";

// Decimal digits, checked before; more than fits is the largest, which nobody has and no clock reaches.
std::int64_t saturated(const std::string& digits) {
    std::int64_t n = 0;
    return std::from_chars(digits.data(), digits.data() + digits.size(), n).ec == std::errc() ? n : largest;
}
std::int64_t seconds_of(instant t) { return std::chrono::floor<std::chrono::seconds>(t.time_since_epoch()).count(); }

channel_answer no(const char* code, std::string why) { return {moved::no, {std::string("invalid_batch_settlement_evm_") + code, std::move(why)}, {}, {}}; }

// By a key, with a low s.
bool signed_by(const crypto::address& who, const result<std::string>& digest, std::string_view signature) {
    const auto bytes = evm::bytes_of(signature, 65);
    if (!digest || !bytes) return false;
    const auto signer = crypto::recover(*digest, *bytes);
    return signer && crypto::same_address(*signer, who);
}
bool is_payers(const ch::config& c, const crypto::address& by) {
    return crypto::same_address(by, c.payer) || (!crypto::same_address(c.payerAuthorizer, nobody) && crypto::same_address(by, c.payerAuthorizer));
}

} // namespace

ledger_channels::ledger_channels(sqlite::database& db, x402::domain token, ch::place place)
    : token_(std::move(token)), place_(std::move(place)),
      find_(db, "SELECT balance, claimed, refund_nonce, leaving, leaving_since_s FROM channel WHERE id = ?"),
      keep_(db, "INSERT INTO channel VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT(id) DO UPDATE SET balance = ?4, claimed = ?5, refund_nonce = ?6,"
                " leaving = ?7, leaving_since_s = ?8"),
      balance_(db, "SELECT balance FROM account WHERE address = ?"), debit_(db, "UPDATE account SET balance = balance - ?2 WHERE address = ?1"),
      credit_(db, "INSERT INTO account VALUES(?1, ?2) ON CONFLICT(address) DO UPDATE SET balance = balance + ?2"),
      transfer_(db, "SELECT digest, tx FROM transfer WHERE payer = ? AND nonce = ?"),
      insert_(db, "INSERT INTO transfer(payer, nonce, digest, payee, amount, tx, at_ms) VALUES(?, ?, ?, ?, ?, ?, ?)") {}

// -- the receiver's -----------------------------------------------------------------------------------------------------------

channel_answer ledger_channels::fill(const ch::config& c, const ch::deposit& d, instant now) {
    auto at = find(c);
    if (!at) return no("channel_id_invalid", at.error().text);
    for (const auto* who : {&c.payer, &c.receiver, &c.receiverAuthorizer})
        if (crypto::same_address(*who, nobody)) return no("channel_id_invalid", "payer, receiver and the receiver's authorizer must be somebody");
    if (!crypto::same_address(c.token, token_.contract)) return no("token_mismatch", "the ledger has one token, " + token_.contract);
    if (c.withdrawDelay < ch::shortest_delay || c.withdrawDelay > ch::longest_delay) return no("withdraw_delay_out_of_range", "a delay is 15 minutes to 30 days");
    const auto& a = d.authorization.erc3009Authorization;
    const auto nonce = ch::deposit_nonce(at->id, a.salt);
    const auto digest = ch::deposit_digest(place_, token_, c, d);
    if (!nonce || !digest) return no("payload_type", nonce ? digest.error().text : nonce.error().text);
    const auto value = saturated(d.amount);
    if (value <= 0) return no("payload_type", "a deposit of nothing");
    if (!signed_by(c.payer, digest, a.signature)) return no("receive_authorization_signature", "not signed by the payer");
    const auto payer = lower(c.payer), name = evm::to_hex_text(*nonce);
    // A deposit is one of the payer's authorisations: its nonce is spent where those of his transfers are.
    if (transfer_.bind(payer, name).row()) {
        const bool this_one = transfer_.text(0) == *digest;
        const auto transaction = transfer_.text(1);
        transfer_.reset();
        if (!this_one) return no("deposit_transaction_failed", "this nonce has paid for something else");
        auto said = look(c, now);
        said.transaction = transaction;
        return said;
    }
    const auto now_s = seconds_of(now);
    if (now_s >= saturated(a.validBefore)) return no("payload_authorization_valid_before", "the authorisation has expired");
    if (now_s < saturated(a.validAfter)) return no("payload_authorization_valid_after", "the authorisation is not valid yet");
    const amount has = balance_.bind(payer).row() ? balance_.number(0) : 0;
    balance_.reset();
    if (has < value || value > largest - at->balance) return no("insufficient_balance", "the payer's balance is too small");
    debit_.bind(payer, value).row();
    at->balance += value;
    keep(*at, c);
    auto said = done(*at, "fill/" + name, now);
    insert_.bind(payer, name, sqlite::blob{*digest}, lower(place_.contract), value, said.transaction, std::int64_t{now.time_since_epoch().count()}).row();
    return said;
}

channel_answer ledger_channels::look(const ch::config& c, instant now) {
    const auto at = find(c);
    if (!at) return no("channel_id_invalid", at.error().text);
    auto said = done(*at, {}, now);
    said.transaction.clear();
    return said;
}

channel_answer ledger_channels::claim(const ch::claim& what, const std::string& authorizer_signature, instant now) {
    const auto& c = what.voucher.channel;
    auto at = find(c);
    if (!at) return no("channel_id_invalid", at.error().text);
    if (!signed_by(c.receiverAuthorizer, ch::claims_digest(place_, {what}), authorizer_signature))
        return no("authorizer_address_mismatch", "not signed by the receiver's authorizer");
    if (const auto good = ch::check_voucher(place_, c, {at->id, what.voucher.maxClaimableAmount, what.signature}); !good) return {moved::no, good.error(), {}, {}};
    const auto total = saturated(what.totalClaimed);
    if (total > saturated(what.voucher.maxClaimableAmount)) return no("charge_exceeds_signed_cumulative", "the voucher allows less");
    if (total > at->balance) return no("cumulative_exceeds_balance", "the channel has less");
    if (const auto more = total - at->claimed; more > 0) {
        at->claimed = total;
        keep(*at, c);
        credit(c.receiver, more);
    }
    return done(*at, "claim/" + what.totalClaimed, now);
}

channel_answer ledger_channels::give_back(const ch::config& c, amount asked, std::int64_t nonce, const std::string& authorizer_signature, instant now) {
    auto at = find(c);
    if (!at) return no("channel_id_invalid", at.error().text);
    if (asked <= 0 || nonce < 0) return no("refund_amount_invalid", "an amount is above zero");
    if (!signed_by(c.receiverAuthorizer, ch::refund_digest(place_, at->id, std::to_string(nonce), std::to_string(asked)), authorizer_signature))
        return no("authorizer_address_mismatch", "not signed by the receiver's authorizer");
    if (nonce > at->refund_nonce) return no("refund_payload", "the nonce is of a later refund");
    if (nonce == at->refund_nonce) {
        ++at->refund_nonce; // whatever is left: a signature is good for one attempt
        const auto much = std::min(asked, at->left());
        if (at->leaving <= much) at->leaving = 0, at->leaving_since_s = 0;
        else at->leaving -= much;
        give(*at, c, much);
    }
    return done(*at, "back/" + std::to_string(nonce), now);
}

// -- the payer's --------------------------------------------------------------------------------------------------------------

channel_answer ledger_channels::begin_withdrawal(const ch::config& c, amount asked, const crypto::address& by, instant now) {
    auto at = find(c);
    if (!at) return no("channel_id_invalid", at.error().text);
    if (!is_payers(c, by)) return {moved::no, {"not_the_payer", "a withdrawal is the payer's, or his authorizer's"}, {}, {}};
    if (asked <= 0 || asked > at->left()) return no("refund_amount_invalid", "more than is left, or nothing");
    if (at->leaving_since_s == 0) {
        at->leaving = asked, at->leaving_since_s = seconds_of(now);
        keep(*at, c);
    } else if (at->leaving != asked) {
        return {moved::no, {"withdrawal_pending", "another one is under way"}, {}, {}};
    }
    return done(*at, "leave/" + std::to_string(at->leaving_since_s), now);
}

channel_answer ledger_channels::complete_withdrawal(const ch::config& c, const crypto::address& by, instant now) {
    auto at = find(c);
    if (!at) return no("channel_id_invalid", at.error().text);
    if (!is_payers(c, by)) return {moved::no, {"not_the_payer", "a withdrawal is the payer's, or his authorizer's"}, {}, {}};
    if (at->leaving_since_s == 0) return {moved::no, {"no_withdrawal", "none was begun, or it is over"}, {}, {}};
    if (seconds_of(now) < at->leaving_since_s + c.withdrawDelay) return {moved::no, {"too_early", "the channel's delay has not passed"}, {}, {}};
    const auto deed = "left/" + std::to_string(at->leaving_since_s);
    const auto much = std::min(at->leaving, at->left());
    at->leaving = 0, at->leaving_since_s = 0;
    give(*at, c, much);
    return done(*at, deed, now);
}

// -- within -------------------------------------------------------------------------------------------------------------------

result<ledger_channels::account> ledger_channels::find(const ch::config& c) {
    const auto id = ch::id_of(place_, c);
    if (!id) return id.error();
    account a;
    a.id = evm::to_hex_text(*id);
    if (find_.bind(a.id).row())
        a.balance = find_.number(0), a.claimed = find_.number(1), a.refund_nonce = find_.number(2), a.leaving = find_.number(3), a.leaving_since_s = find_.number(4);
    find_.reset();
    return a;
}
void ledger_channels::keep(const account& a, const ch::config& c) {
    const auto payer = lower(c.payer), receiver = lower(c.receiver);
    keep_.bind(a.id, payer, receiver, a.balance, a.claimed, a.refund_nonce, a.leaving, a.leaving_since_s).row();
}
void ledger_channels::credit(const std::string& address, amount much) {
    const auto to = lower(address);
    credit_.bind(to, much).row(); // no overflow: every balance is part of a supply that fits
}
void ledger_channels::give(account& a, const ch::config& c, amount much) {
    a.balance -= much;
    keep(a, c);
    if (much > 0) credit(c.payer, much);
}
channel_answer ledger_channels::done(const account& a, const std::string& deed, instant now) const {
    channel_answer said{moved::yes, {}, {a.balance, a.claimed, instant{std::chrono::seconds{a.leaving_since_s}}, a.refund_nonce, now}, {}};
    said.transaction = "0x" + to_hex(crypto::sha256("souk development ledger channel" + a.id + deed));
    return said;
}

} // namespace souk
