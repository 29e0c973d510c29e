// Permits on a chain (messages/evm/permit2): brought to x402's proxies by the lanes of a rail's keys. What is no permit is the rail's own to judge and
// settle, so this stands in front of it and is a rail as well. Whether a permit was used is a bit of Permit2's; by what, the token's logs and the
// transactions that made them say.
#pragma once
#include <souk/actors/payments/evm_rail.hpp>

namespace souk {

struct evm_permits_options {
    std::int64_t most_gas = 300'000; // for one transaction
    std::size_t most_looks = 256;    // transfers of one payer that are looked through for what used a permit
};

// As the rail lives, so does this: what is asked after `close` of the rail is not known.
class evm_permits final : public payment_rail {
public:
    evm_permits(evm_rail&, evm_permits_options);
    ~evm_permits() override;

    std::string network() const override;
    x402::domain token() const override;
    std::string asset() const override;
    std::vector<std::string> signers() const override;
    void settle(const x402::exact_payload&, std::function<void(settle_answer)>) override;
    void look_up(const x402::authorization&, std::function<void(look_up_answer)>) override;
    std::string on_its_way(const x402::authorization&) const override;
    void balance(const std::string& address, std::function<void(result<amount>)>) override;
    void check(const x402::payment&, const x402::requirements&, instant now, std::function<void(result<crypto::address>)>) override;

private:
    class impl;
    evm_rail& rail_;
    std::shared_ptr<impl> impl_; // callbacks that are under way hold it
};

} // namespace souk
