// The embedded ledger: a SQLite file that verifies the very signatures a chain would, for development and tests. It is no money,
// and its network's name says so (x402::development_network).
#pragma once
#include <filesystem>
#include <memory>

#include <souk/backends/rails/channel_rail.hpp>
#include <souk/backends/rails/escrow_rail.hpp>

namespace souk {

//
// Settlements are carried out in the order of the calls by one thread, many in one commit. Answers come on that thread, once the
// disk has them. "disk_full" and "rail_busy" are refusals: nothing moved, and the same payment may be brought again.
// The token of the development ledger, the same wherever one is kept: what is signed says that it is no money.
x402::domain development_token();
evm::channel::place development_channels(); // and its channels
evm::escrow::place development_escrow();

class embedded_ledger final : public payment_rail, public channel_rail, public escrow_rail {
public:
    // `now` is asked on the ledger's thread. Throws std::runtime_error; also when the file's sums do not agree.
    embedded_ledger(const std::filesystem::path& file, std::function<instant()> now,
                    std::int64_t largest_file = std::int64_t{8} << 30);
    ~embedded_ledger() override; // what was asked is still answered

    // Issues play money. Once per address and reason: a second call with the same two does nothing. Codes "bad_address",
    // "bad_amount" (not positive, or more than the supply can hold), "disk_full", "disk_error".
    result<void> fund(const std::string& address, amount, const std::string& reason);
    amount supply() const; // sum of all balances and of what channels and the escrow hold, which is the sum of all that was funded

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
    // By whose signature was checked before.
    void begin_withdrawal_by(const evm::channel::config&, amount, const crypto::address& by, tell_books);
    void complete_withdrawal_by(const evm::channel::config&, const crypto::address& by, tell_books);

    evm::escrow::place escrow() const override;
    void look_at(const escrow_source&, const std::vector<std::string>& nonces, tell_escrow) override;
    void free_of(const std::string& owner, std::function<void(result<amount>)>) override;
    void consume(const std::vector<evm::escrow::signed_request>&, const crypto::secret& by, tell_escrow) override;
    void carry_out(const escrow_order&, const crypto::secret& by, tell_escrow) override;
    void consume_by(const std::vector<evm::escrow::signed_request>&, const crypto::address& by, tell_escrow);
    void carry_out_by(const escrow_order&, const crypto::address& by, tell_escrow);

private:
    class impl;
    std::unique_ptr<impl> impl_;
};

} // namespace souk
