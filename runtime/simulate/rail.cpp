#include <souk/runtime/simulate/rail.hpp>

#include <souk/backends/rails/ledger.hpp>
#include <souk/messages/ascii.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/evm/word.hpp>

namespace souk::simulate {

using namespace std::chrono_literals;

void chain::fund(const std::string& address, amount sum) { balances_[lower(address)] += sum; }

amount chain::balance(const std::string& address) const {
    const auto found = balances_.find(lower(address));
    return found == balances_.end() ? 0 : found->second;
}

const chain::transfer* chain::find(const std::string& from, const std::string& nonce) const {
    const auto found = by_nonce_.find({lower(from), lower(nonce)});
    return found == by_nonce_.end() ? nullptr : &transfers_[found->second];
}

settle_answer chain::settle(const x402::exact_payload& p) {
    const auto no = [](const char* code) { return settle_answer{moved::no, {}, {code, "the rail refused"}}; };
    const auto& a = p.authorization;
    const auto digest = x402::digest_of(development_token(), a);
    const auto signature = from_hex(p.signature.substr(std::min<std::size_t>(2, p.signature.size())));
    if (!digest || !signature) return no("invalid_payload");
    const auto signer = crypto::recover(*digest, *signature);
    if (!signer || !crypto::same_address(*signer, a.from)) return no("invalid_exact_evm_signature");
    if (const auto* done = find(a.from, a.nonce)) {
        if (done->digest != *digest) return no("invalid_exact_evm_nonce_already_used");
        return {moved::yes, done->transaction, {}};
    }
    const auto seconds = std::chrono::floor<std::chrono::seconds>(u_.now().time_since_epoch()).count();
    if (std::stoll(a.validBefore) <= seconds) return no("invalid_exact_evm_payload_authorization_valid_before");
    const auto value = std::stoll(a.value);
    auto& from = balances_[lower(a.from)];
    if (from < value) return no("insufficient_funds");
    from -= value;
    balances_[lower(a.to)] += value;
    by_nonce_[{lower(a.from), lower(a.nonce)}] = transfers_.size();
    transfers_.push_back({lower(a.from), lower(a.to), lower(a.nonce), *digest, "0x" + to_hex(crypto::sha256("moved" + *digest)), value, u_.now()});
    return {moved::yes, transfers_.back().transaction, {}};
}

// -- channels -----------------------------------------------------------------------------------------------------------------

namespace {

namespace ch = evm::channel;

channel_answer no(std::string code) { return {moved::no, {std::move(code), "the rail refused"}, {}, {}}; }
amount sum_of(const std::string& text) {
    const auto n = from_decimal(text, 0);
    return n ? *n : 0;
}
std::string id_of(const ch::config& c) {
    const auto id = ch::id_of(development_channels(), c);
    return id ? evm::to_hex_text(*id) : std::string();
}
bool signed_by(const std::string& address, const result<std::string>& digest, const std::string& signature) {
    const auto bytes = evm::bytes_of(signature, 65);
    const auto who = digest && bytes ? crypto::recover(*digest, *bytes) : result<crypto::address>(refusal{});
    return who && crypto::same_address(*who, address);
}
channel_answer as_it_is(const chain::channel& c, instant now) {
    return {moved::yes, {}, {c.balance, c.claimed, c.leaving_since, c.refund_nonce, now}, "0x" + to_hex(crypto::sha256("channel" + std::to_string(c.balance) + '/' + std::to_string(c.claimed)))};
}

} // namespace

channel_answer chain::fill(const ch::config& c, const ch::deposit& d) {
    const auto id = id_of(c);
    const auto& a = d.authorization.erc3009Authorization;
    const auto nonce = ch::deposit_nonce(id, a.salt);
    if (!nonce || !signed_by(c.payer, ch::deposit_digest(development_channels(), development_token(), c, d), a.signature)) return no("invalid_batch_settlement_evm_receive_authorization_signature");
    if (deposits_.count({lower(c.payer), *nonce})) return look(c);
    if (sum_of(a.validBefore) <= std::chrono::floor<std::chrono::seconds>(u_.now().time_since_epoch()).count()) return no("invalid_batch_settlement_evm_payload_authorization_valid_before");
    const auto much = sum_of(d.amount);
    auto& has = balances_[lower(c.payer)];
    if (much <= 0 || has < much) return no("invalid_batch_settlement_evm_insufficient_balance");
    has -= much;
    auto& x = channels_[id];
    x.config = c, x.balance += much, x.filled_at = u_.now();
    deposits_.insert({lower(c.payer), *nonce});
    return as_it_is(x, u_.now());
}
channel_answer chain::look(const ch::config& c) const {
    const auto found = channels_.find(id_of(c));
    return as_it_is(found == channels_.end() ? channel{} : found->second, u_.now());
}
channel_answer chain::claim(const ch::claim& what, const std::string& signature) {
    const auto& c = what.voucher.channel;
    const auto id = id_of(c);
    const auto found = channels_.find(id);
    if (found == channels_.end()) return no("invalid_batch_settlement_evm_cumulative_exceeds_balance");
    if (!signed_by(c.receiverAuthorizer, ch::claims_digest(development_channels(), {what}), signature)) return no("invalid_batch_settlement_evm_authorizer_address_mismatch");
    if (const auto good = ch::check_voucher(development_channels(), c, {id, what.voucher.maxClaimableAmount, what.signature}); !good) return {moved::no, good.error(), {}, {}};
    auto& x = found->second;
    const auto total = sum_of(what.totalClaimed);
    if (total > sum_of(what.voucher.maxClaimableAmount) || total > x.balance) return no("invalid_batch_settlement_evm_cumulative_exceeds_balance");
    if (total > x.claimed) balances_[lower(c.receiver)] += total - x.claimed, x.claimed = total;
    return as_it_is(x, u_.now());
}
channel_answer chain::give_back(const ch::config& c, amount much, std::int64_t nonce, const std::string& signature) {
    const auto id = id_of(c);
    const auto found = channels_.find(id);
    if (found == channels_.end() || much <= 0) return no("invalid_batch_settlement_evm_refund_amount_invalid");
    if (!signed_by(c.receiverAuthorizer, ch::refund_digest(development_channels(), id, std::to_string(nonce), std::to_string(much)), signature)) return no("invalid_batch_settlement_evm_authorizer_address_mismatch");
    auto& x = found->second;
    if (nonce > x.refund_nonce) return no("invalid_batch_settlement_evm_refund_payload");
    if (nonce == x.refund_nonce) {
        ++x.refund_nonce;
        const auto back = std::min(much, x.balance - x.claimed);
        x.leaving = std::max<amount>(x.leaving - back, 0);
        if (x.leaving == 0) x.leaving_since = {};
        x.balance -= back, balances_[lower(c.payer)] += back;
    }
    return as_it_is(x, u_.now());
}
channel_answer chain::begin_withdrawal(const ch::config& c, amount much, const crypto::address& by) {
    const auto found = channels_.find(id_of(c));
    if (found == channels_.end() || !crypto::same_address(by, c.payer)) return no("not_the_payer");
    auto& x = found->second;
    if (much <= 0 || much > x.balance - x.claimed) return no("invalid_batch_settlement_evm_refund_amount_invalid");
    if (x.leaving_since == instant{}) x.leaving = much, x.leaving_since = std::chrono::floor<std::chrono::seconds>(u_.now());
    return as_it_is(x, u_.now());
}
channel_answer chain::complete_withdrawal(const ch::config& c, const crypto::address& by) {
    const auto found = channels_.find(id_of(c));
    if (found == channels_.end() || !crypto::same_address(by, c.payer)) return no("not_the_payer");
    auto& x = found->second;
    if (x.leaving_since == instant{}) return no("no_withdrawal");
    if (u_.now() < x.leaving_since + std::chrono::seconds(c.withdrawDelay)) return no("too_early");
    const auto back = std::min(x.leaving, x.balance - x.claimed);
    x.leaving = 0, x.leaving_since = {};
    x.balance -= back, balances_[lower(c.payer)] += back;
    return as_it_is(x, u_.now());
}
amount chain::in_channels() const {
    amount all = 0;
    for (const auto& [id, c] : channels_) all += c.balance - c.claimed;
    return all;
}

std::string rail_view_of::network() const { return std::string(x402::development_network); }
x402::domain rail_view_of::token() const { return development_token(); }
std::string rail_view_of::asset() const { return development_token().contract; }

void rail_view_of::settle(const x402::exact_payload& p, std::function<void(settle_answer)> tell) {
    if (!*by_) return;
    auto there = u_.chance().between(10ms, 300ms), back = u_.chance().between(10ms, 100ms);
    if (u_.strikes(hazard::delay, 20)) there = u_.chance().between(1'000ms, 400'000ms); // it may come when nobody waits any more
    const bool lost = u_.strikes(hazard::drop, 15), broken = u_.strikes(hazard::rail_error, 40), before = u_.chance().one_in(2);
    chain_.ways().carry(there, "settle", true, [this, p, tell, back, lost, broken, before] { // on its way it outlives whoever sent it
        if (lost && before) return;
        if (broken && before) return u_.later(by_, back, [tell] { tell({moved::unknown, {}, {}}); });
        auto answer = chain_.settle(p);
        if (lost) return;
        if (u_.now() < chain_.silent_until) answer = {moved::unknown, {}, {}};
        if (broken) answer = u_.chance().one_in(2) ? settle_answer{moved::unknown, {}, {}} : settle_answer{moved::no, {}, {"unexpected_settle_error", "something went wrong"}};
        chain_.ways().carry(by_, back, "settled", false, [tell, answer] { tell(answer); }, [] {});
    }, [] {});
}

void rail_view_of::look_up(const x402::authorization& of, std::function<void(look_up_answer)> tell) {
    if (!*by_ || u_.strikes(hazard::drop, 15)) return;
    const auto lag = u_.strikes(hazard::rail_lag, 200) ? u_.chance().between(0ms, 30'000ms) : 0ms;
    chain_.ways().carry(by_, u_.chance().between(10ms, 200ms), "look", false, [this, of, tell, lag] {
        if (u_.strikes(hazard::rail_error, 40) || u_.now() < chain_.silent_until) return tell({moved::unknown, {}, {}});
        const auto as_of = u_.now() - lag;
        const auto* found = chain_.find(of.from, of.nonce);
        if (!found || found->at > as_of) return tell({moved::no, {}, as_of});
        const bool this_one = (of.to.empty() || found->to == lower(of.to)) && (of.value.empty() || std::to_string(found->value) == of.value);
        if (this_one) tell({moved::yes, found->transaction, as_of});
        else tell({moved::no, {}, as_of, true});
    }, [] {});
}

ch::place rail_view_of::channels() const { return development_channels(); }

void rail_view_of::carry_out(const char* what, std::function<channel_answer()> there, tell_books tell) {
    if (!*by_) return;
    auto way = u_.chance().between(10ms, 300ms), back = u_.chance().between(10ms, 100ms);
    if (u_.strikes(hazard::delay, 20)) way = u_.chance().between(1'000ms, 400'000ms);
    const bool lost = u_.strikes(hazard::drop, 15), broken = u_.strikes(hazard::rail_error, 40), before = u_.chance().one_in(2);
    chain_.ways().carry(way, what, true, [&u = u_, &chain = chain_, there = std::move(there), tell = std::move(tell), back, lost, broken, before, by = by_] { // it outlives whoever sent it
        if (lost && before) return;
        if (broken && before) return u.later(by, back, [tell] { tell({}); });
        auto answer = there();
        if (lost) return;
        if (broken || u.now() < chain.silent_until) answer = {};
        chain.ways().carry(by, back, "settled", false, [tell, answer] { tell(answer); }, [] {});
    }, [] {});
}
void rail_view_of::fill(const ch::config& c, const ch::deposit& d, tell_books tell) { carry_out("fill", [&chain = chain_, c, d] { return chain.fill(c, d); }, std::move(tell)); }
void rail_view_of::look(const ch::config& c, tell_books tell) {
    if (!*by_ || u_.strikes(hazard::drop, 15)) return;
    chain_.ways().carry(by_, u_.chance().between(10ms, 200ms), "look", false, [this, c, tell] {
        if (u_.strikes(hazard::rail_error, 40) || u_.now() < chain_.silent_until) return tell({});
        tell(chain_.look(c));
    }, [] {});
}
void rail_view_of::claim(const ch::claim& what, const std::string& signature, tell_books tell) {
    carry_out("claim", [&chain = chain_, what, signature] { return chain.claim(what, signature); }, std::move(tell));
}
void rail_view_of::give_back(const ch::config& c, amount much, std::int64_t nonce, const std::string& signature, tell_books tell) {
    carry_out("give_back", [&chain = chain_, c, much, nonce, signature] { return chain.give_back(c, much, nonce, signature); }, std::move(tell));
}
void rail_view_of::begin_withdrawal(const ch::config& c, amount much, const crypto::secret& by, tell_books tell) {
    const auto who = crypto::address_of(by);
    if (who) carry_out("leave", [&chain = chain_, c, much, who = *who] { return chain.begin_withdrawal(c, much, who); }, std::move(tell));
}
void rail_view_of::complete_withdrawal(const ch::config& c, const crypto::secret& by, tell_books tell) {
    const auto who = crypto::address_of(by);
    if (who) carry_out("left", [&chain = chain_, c, who = *who] { return chain.complete_withdrawal(c, who); }, std::move(tell));
}

void rail_view_of::balance(const std::string& address, std::function<void(result<amount>)> tell) {
    if (*by_) u_.later(by_, 20ms, [this, address, tell] { tell(chain_.balance(address)); });
}

} // namespace souk::simulate
