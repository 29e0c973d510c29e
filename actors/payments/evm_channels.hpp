// The channels of a chain: the contract of x402's scheme batch-settlement (deploy/contracts/Channels.sol), brought what it is asked by the lanes of a rail's
// keys. What came of a transaction is read from the contract's state, in a block that lies deep enough: then it does not matter whose transaction it was.
#pragma once
#include <souk/actors/payments/evm_rail.hpp>
#include <souk/backends/rails/channel_rail.hpp>

namespace souk {

struct evm_channels_options {
    evm::channel::place place;            // its chain is the rail's
    std::int64_t most_gas = 500'000;      // for one transaction
    std::chrono::minutes offered_for{10}; // a transaction that found no room by then is made anew
};

// As the rail lives, so does this: what is asked after `close` of the rail is not known. A payer withdraws by one of the rail's own keys.
class evm_channels final : public channel_rail {
public:
    evm_channels(const evm_rail&, evm_channels_options);
    ~evm_channels() override;

    std::string network() const override;
    x402::domain token() const override;
    evm::channel::place channels() const override;
    void fill(const evm::channel::config&, const evm::channel::deposit&, tell_books) override;
    void look(const evm::channel::config&, tell_books) override;
    void claim(const evm::channel::claim&, const std::string& authorizer_signature, tell_books) override;
    void give_back(const evm::channel::config&, amount, std::int64_t nonce, const std::string& authorizer_signature, tell_books) override;
    void begin_withdrawal(const evm::channel::config&, amount, const crypto::secret& by, tell_books) override;
    void complete_withdrawal(const evm::channel::config&, const crypto::secret& by, tell_books) override;

private:
    class impl;
    std::shared_ptr<impl> impl_; // callbacks that are under way hold it
};

} // namespace souk
