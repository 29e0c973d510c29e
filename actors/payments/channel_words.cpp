#include <souk/actors/payments/channel_words.hpp>

namespace souk {

namespace ch = evm::channel;

ch::state state_of(const channel_view& v, std::int64_t delay) {
    ch::state s;
    s.channelId = v.id, s.balance = std::to_string(v.balance), s.totalClaimed = std::to_string(v.claimed), s.refundNonce = std::to_string(v.refund_nonce);
    if (v.leaves != instant{}) s.withdrawRequestedAt = std::chrono::floor<std::chrono::seconds>(v.leaves.time_since_epoch()).count() - delay;
    s.chargedCumulativeAmount = std::to_string(v.charged);
    return s;
}

void set_right(x402::requirements& offered, const channel_view& now, std::int64_t delay) {
    auto* extra = offered.extra ? offered.extra->as<value::map>() : nullptr;
    if (!extra || now.id.empty()) return;
    extra->insert_or_assign("channelState", to_value(state_of(now, delay)));
    if (!now.signature.empty()) extra->insert_or_assign("voucherState", to_value(ch::voucher_state{std::to_string(now.promised), now.signature}));
}

x402::requirements requirements_of(const channel_offer& o, amount price) {
    x402::requirements r;
    r.scheme = std::string(ch::scheme), r.network = o.network, r.amount = std::to_string(price), r.asset = o.asset, r.payTo = o.pay_to, r.maxTimeoutSeconds = 300, r.extra = o.extra;
    return r;
}

bool is_paid_by_channel(std::string_view header) {
    const auto paid = x402::from_header<channel_paid>(header);
    return paid && paid->accepted.scheme == ch::scheme;
}

} // namespace souk
