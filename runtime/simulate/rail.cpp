#include <souk/runtime/simulate/rail.hpp>

#include <souk/backends/rails/ledger.hpp>
#include <souk/messages/ascii.hpp>

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

void rail_view_of::balance(const std::string& address, std::function<void(result<amount>)> tell) {
    if (*by_) u_.later(by_, 20ms, [this, address, tell] { tell(chain_.balance(address)); });
}

} // namespace souk::simulate
