// The escrow of a chain (deploy/contracts/Escrow.sol), brought what it is asked by the lanes of a rail's keys. What came of requests is read from the
// contract's state, in a block that lies deep enough: then it does not matter whose transaction it was.
#pragma once
#include <souk/actors/payments/evm_rail.hpp>
#include <souk/backends/rails/escrow_rail.hpp>

namespace souk {

struct evm_escrow_options {
    evm::escrow::place place;             // its chain is the rail's
    std::int64_t most_gas = 400'000;      // for one order; a batch's first request
    std::int64_t gas_for_more = 150'000;  // and each of the others
    std::chrono::minutes offered_for{10}; // a transaction that found no room by then is made anew
};

// As the rail lives, so does this: what is asked after `close` of the rail is not known. Provider and payer send their own transactions, so each is one of the
// rail's own keys.
class evm_escrow final : public escrow_rail {
public:
    evm_escrow(const evm_rail&, evm_escrow_options);
    ~evm_escrow() override;

    std::string network() const override;
    x402::domain token() const override;
    evm::escrow::place escrow() const override;
    void look_at(const escrow_source&, const std::vector<std::string>& nonces, tell_escrow) override;
    void free_of(const std::string& owner, std::function<void(result<amount>)>) override;
    void consume(const std::vector<evm::escrow::signed_request>&, const crypto::secret& by, tell_escrow) override;
    void carry_out(const escrow_order&, const crypto::secret& by, tell_escrow) override;

private:
    class impl;
    std::shared_ptr<impl> impl_; // callbacks that are under way hold it
};

} // namespace souk
