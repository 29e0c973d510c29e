#include <souk/backends/rails/rail.hpp>

namespace souk {

void payment_rail::check(const x402::payment& p, const x402::requirements& offered, instant now, std::function<void(result<crypto::address>)> tell) {
    auto payer = x402::check_exact(p, offered, now);
    if (!payer) return tell(std::move(payer));
    look_up(p.payload.authorization, [this, p, payer = *payer, tell](look_up_answer a) {
        if (a.how == moved::unknown) return tell(refusal{"rail_unknown", "the rail cannot tell now"});
        if (a.how == moved::yes || a.spent) return tell(refusal{"invalid_exact_evm_nonce_already_used", "this authorisation is used"});
        balance(payer, [p, payer, tell](result<amount> has) {
            if (!has) return tell(refusal{"rail_unknown", has.error().text});
            const auto wanted = from_decimal(p.payload.authorization.value, 0);
            if (!wanted || *has < *wanted) return tell(refusal{"invalid_exact_evm_insufficient_balance", "the payer's balance is too small"});
            tell(payer);
        });
    });
}

} // namespace souk
