// Internal. The channels of the embedded ledger, in tables of their own: the rules of deploy/contracts/Channels.sol, by the same signatures. What a claim
// brings is paid at once; the contract does that in a second call of the same transaction.
#pragma once
#include <souk/backends/rails/channel_rail.hpp>
#include <souk/backends/sqlite/database.hpp>

namespace souk {

class ledger_channels {
public:
    static constexpr const char* set_up =
        "CREATE TABLE IF NOT EXISTS channel(id TEXT PRIMARY KEY, payer TEXT NOT NULL, receiver TEXT NOT NULL,"
        " balance INTEGER NOT NULL, claimed INTEGER NOT NULL, refund_nonce INTEGER NOT NULL,"
        " leaving INTEGER NOT NULL, leaving_since_s INTEGER NOT NULL,"
        " CHECK(claimed >= 0 AND balance >= claimed AND leaving >= 0)) WITHOUT ROWID;";

    ledger_channels(sqlite::database&, x402::domain token, evm::channel::place);

    // Each within a transaction of the caller's, which he commits; sqlite::failure is his to judge.
    channel_answer fill(const evm::channel::config&, const evm::channel::deposit&, instant now);
    channel_answer look(const evm::channel::config&, instant now);
    channel_answer claim(const evm::channel::claim&, const std::string& authorizer_signature, instant now);
    channel_answer give_back(const evm::channel::config&, amount, std::int64_t nonce, const std::string& authorizer_signature, instant now);
    channel_answer begin_withdrawal(const evm::channel::config&, amount, const crypto::address& by, instant now);
    channel_answer complete_withdrawal(const evm::channel::config&, const crypto::address& by, instant now);

private:
    struct account {
        std::string id;
        amount balance = 0, claimed = 0;
        std::int64_t refund_nonce = 0;
        amount leaving = 0;
        std::int64_t leaving_since_s = 0;
        amount left() const { return balance - claimed; }
    };
    result<account> find(const evm::channel::config&); // none yet: an empty one
    void keep(const account&, const evm::channel::config&);
    void credit(const std::string& address, amount);
    void give(account&, const evm::channel::config&, amount);
    channel_answer done(const account&, const std::string& deed, instant now) const;

    const x402::domain token_;
    const evm::channel::place place_;
    sqlite::statement find_, keep_, balance_, debit_, credit_, transfer_, insert_;
};

} // namespace souk
