#include <souk/actors/payments/permit_allowance.hpp>

#include <algorithm>

#include <souk/actors/common/random_id.hpp>
#include <souk/messages/ascii.hpp>
#include <souk/messages/evm/abi.hpp>
#include <souk/messages/evm/permit2.hpp>
#include <souk/messages/evm/token.hpp>

namespace souk {

class permit_allowance::impl : public std::enable_shared_from_this<impl> {
public:
    impl(caf::actor_system& sys, const evm_rail& rail, journal& log, const crypto::secret& wallet)
        : options_(rail.options()), on_(rail.chain()), asset_(lower(options_.token.contract)), owner_(lower(crypto::address_of(wallet).value())) {
        const auto theirs = rail.keys();
        if (std::find(theirs->signers().begin(), theirs->signers().end(), owner_) != theirs->signers().end()) lanes_ = theirs; // one key, one lane
        if (lanes_) return;
        lanes_options l{options_.network + '/' + asset_, options_.gas, options_.now, options_.trouble, {}};
        std::vector<crypto::secret> keys;
        keys.push_back(wallet.copy());
        lanes_ = own_ = std::make_shared<key_lanes>(sys, std::move(l), log, on_, std::move(keys));
        own_->start();
    }
    void close() {
        if (own_) own_->close();
    }

    void allow(const std::string& atomic, std::function<void(result<allowed>)> tell) {
        const auto call = evm::token::approve(evm::permit2::contract, atomic);
        if (!call) return tell(call.error());
        now([self = shared_from_this(), atomic, call = *call, tell](result<std::string> has) {
            if (!has) return tell(has.error());
            if (*has == atomic) return tell(allowed{{}, atomic});
            self->can_pay(call, [self, atomic, call, tell](result<void> can) {
                if (!can) return tell(can.error());
                self->bring(atomic, call, tell);
            });
        });
    }

private:
    void now(std::function<void(result<std::string>)> then) {
        on_->call({}, asset_, evm::token::allowance(owner_, evm::permit2::contract).value(), std::nullopt, [then](result<evm::called> c) {
            if (!c) return then(refusal{"rail_unknown", c.error().text});
            const auto w = c->reverted ? result<evm::word>(refusal{}) : evm::abi::word_at(c->data, 0);
            then(w ? result<std::string>(evm::to_decimal(*w)) : result<std::string>(refusal{"rail_unknown", "the token does not say what it allows"}));
        });
    }
    // A lane waits for gas as long as it takes; a person should hear at once that there is none.
    void can_pay(const std::string& call, std::function<void(result<void>)> then) {
        on_->estimate(owner_, asset_, call, [self = shared_from_this(), then](result<std::uint64_t> gas) {
            if (!gas) return then(gas.error().code == "reverted" ? gas.error() : refusal{"rail_unknown", gas.error().text});
            self->on_->head([self, gas = *gas, then](result<evm::block> head) {
                if (!head) return then(refusal{"rail_unknown", head.error().text});
                self->on_->balance(self->owner_, [self, need = gas * (2 * head->base_fee + 1), then](result<evm::word> wei) {
                    if (!wei) return then(refusal{"rail_unknown", wei.error().text});
                    if (*wei >= evm::number(need)) return then({});
                    then(refusal{"no_gas_money", "the wallet " + crypto::checksummed(self->owner_).value() + " pays the gas of this one itself: it has " + evm::to_decimal(*wei) + " wei, about " + std::to_string(need) + " are needed"});
                });
            });
        });
    }
    void bring(const std::string& atomic, const std::string& call, std::function<void(result<allowed>)> tell) {
        static const auto approval = evm::to_hex_text(evm::abi::topic("Approval(address,address,uint256)"));
        lane::job j;
        j.id = "allow/" + atomic + '/' + random_id(), j.to = asset_, j.data = call, j.most_gas = options_.most_gas, j.not_after = options_.now() + std::chrono::minutes{1};
        j.expects = {asset_, {approval, evm::to_hex_text(*evm::address_word(owner_)), evm::to_hex_text(*evm::address_word(evm::permit2::contract))}, *evm::uint256(atomic)};
        lanes_->land(std::move(j), [self = shared_from_this(), tell](const key_lanes::landed& l) {
            if (!l.at) return tell(l.refused ? l.why : refusal{"rail_unknown", l.why.text});
            if (!l.at->succeeded) return tell(refusal{"reverted", l.at->why});
            self->now([hash = l.at->hash, tell](result<std::string> has) { has ? tell(allowed{hash, *has}) : tell(has.error()); });
        }, owner_);
    }

    const evm_rail_options options_;
    const std::shared_ptr<evm::chain> on_;
    const std::string asset_, owner_;
    std::shared_ptr<key_lanes> lanes_, own_;
};

permit_allowance::permit_allowance(caf::actor_system& sys, const evm_rail& rail, journal& log, const crypto::secret& wallet) : impl_(std::make_shared<impl>(sys, rail, log, wallet)) {}
permit_allowance::~permit_allowance() { close(); }
void permit_allowance::close() { impl_->close(); }
void permit_allowance::allow(const std::string& atomic, std::function<void(result<allowed>)> tell) { impl_->allow(atomic, std::move(tell)); }

} // namespace souk
