// A payment rail that everyone in a universe pays on. Signatures are verified as a chain would; it answers late, or not, or of the past.
#pragma once
#include <souk/backends/rails/rail.hpp>
#include <souk/runtime/simulate/crossings.hpp>

namespace souk::simulate {

class chain {
public:
    struct transfer {
        std::string from, to, nonce, digest, transaction;
        amount value = 0;
        instant at;
    };
    chain(universe& u, crossings& ways) : u_(u), ways_(ways) {}

    void fund(const std::string& address, amount);
    amount balance(const std::string& address) const;
    const std::vector<transfer>& all() const { return transfers_; }
    const transfer* find(const std::string& from, const std::string& nonce) const;

    settle_answer settle(const x402::exact_payload&);
    crossings& ways() { return ways_; } // to it and back

    // Until then it does what it is asked to, and says that it does not know.
    instant silent_until{};

private:
    universe& u_;
    crossings& ways_;
    std::map<std::string, amount> balances_; // by address, in lower case
    std::vector<transfer> transfers_;
    std::map<std::pair<std::string, std::string>, std::size_t> by_nonce_; // (from, nonce)
};

// How one process sees it.
class rail_view_of final : public payment_rail {
public:
    rail_view_of(universe& u, chain& c, life by) : u_(u), chain_(c), by_(std::move(by)) {}
    std::string network() const override;
    x402::domain token() const override;
    std::string asset() const override;
    void settle(const x402::exact_payload&, std::function<void(settle_answer)>) override;
    void look_up(const x402::authorization&, std::function<void(look_up_answer)>) override;
    void balance(const std::string& address, std::function<void(result<amount>)>) override;

private:
    universe& u_;
    chain& chain_;
    life by_;
};

} // namespace souk::simulate
