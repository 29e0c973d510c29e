// A payment rail that everyone in a universe pays on. Signatures are verified as a chain would; it answers late, or not, or of the past.
#pragma once
#include <souk/backends/rails/channel_rail.hpp>
#include <souk/runtime/simulate/crossings.hpp>

#include <set>

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

    // -- channels, by the same signatures and rules as the development ledger's
    struct channel {
        evm::channel::config config;
        amount balance = 0, claimed = 0, leaving = 0;
        std::int64_t refund_nonce = 0;
        instant leaving_since{}, filled_at{};
        bool operator==(const channel&) const = default;
    };
    channel_answer fill(const evm::channel::config&, const evm::channel::deposit&);
    channel_answer look(const evm::channel::config&) const;
    channel_answer claim(const evm::channel::claim&, const std::string& signature);
    channel_answer give_back(const evm::channel::config&, amount, std::int64_t nonce, const std::string& signature);
    channel_answer begin_withdrawal(const evm::channel::config&, amount, const crypto::address& by);
    channel_answer complete_withdrawal(const evm::channel::config&, const crypto::address& by);
    const std::map<std::string, channel>& channels() const { return channels_; } // by id
    amount in_channels() const; // neither the payers' any more, nor their receivers' yet

    crossings& ways() { return ways_; } // to it and back

    // Until then it does what it is asked to, and says that it does not know.
    instant silent_until{};

private:
    universe& u_;
    crossings& ways_;
    std::map<std::string, amount> balances_; // by address, in lower case
    std::vector<transfer> transfers_;
    std::map<std::pair<std::string, std::string>, std::size_t> by_nonce_; // (from, nonce)
    std::map<std::string, channel> channels_;
    std::set<std::pair<std::string, std::string>> deposits_; // (payer, nonce)
};

// How one process sees it.
class rail_view_of final : public payment_rail, public channel_rail {
public:
    rail_view_of(universe& u, chain& c, life by) : u_(u), chain_(c), by_(std::move(by)) {}
    std::string network() const override;
    x402::domain token() const override;
    std::string asset() const override;
    void settle(const x402::exact_payload&, std::function<void(settle_answer)>) override;
    void look_up(const x402::authorization&, std::function<void(look_up_answer)>) override;
    void balance(const std::string& address, std::function<void(result<amount>)>) override;

    evm::channel::place channels() const override;
    void fill(const evm::channel::config&, const evm::channel::deposit&, tell_books) override;
    void look(const evm::channel::config&, tell_books) override;
    void claim(const evm::channel::claim&, const std::string& authorizer_signature, tell_books) override;
    void give_back(const evm::channel::config&, amount, std::int64_t nonce, const std::string& authorizer_signature, tell_books) override;
    void begin_withdrawal(const evm::channel::config&, amount, const crypto::secret& by, tell_books) override;
    void complete_withdrawal(const evm::channel::config&, const crypto::secret& by, tell_books) override;

private:
    // There and back, as a settlement is: late, lost on either way, or answered with a shrug.
    void carry_out(const char* what, std::function<channel_answer()> there, tell_books);

    universe& u_;
    chain& chain_;
    life by_;
};

} // namespace souk::simulate
