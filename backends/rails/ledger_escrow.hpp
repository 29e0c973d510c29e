// Internal. What the embedded ledger holds in escrow, in tables of its own: the rules of deploy/contracts/Escrow.sol, by the same signatures.
#pragma once
#include <map>
#include <optional>
#include <set>

#include <souk/backends/rails/escrow_rail.hpp>
#include <souk/backends/sqlite/database.hpp>

namespace souk {

class ledger_escrow {
public:
    static constexpr const char* set_up =
        "CREATE TABLE IF NOT EXISTS escrow_own(owner TEXT PRIMARY KEY, amount INTEGER NOT NULL CHECK(amount >= 0)) WITHOUT ROWID;"
        "CREATE TABLE IF NOT EXISTS escrow_allowance(payer TEXT NOT NULL, provider TEXT NOT NULL, budget INTEGER NOT NULL CHECK(budget >= 0), price INTEGER NOT NULL,"
        " leaving INTEGER NOT NULL, since_s INTEGER NOT NULL, PRIMARY KEY(payer, provider)) WITHOUT ROWID;"
        "CREATE TABLE IF NOT EXISTS escrow_credit(number INTEGER PRIMARY KEY, grantor TEXT NOT NULL, payer TEXT NOT NULL, provider TEXT NOT NULL, left INTEGER NOT NULL CHECK(left >= 0),"
        " expires_s INTEGER NOT NULL);"
        "CREATE TABLE IF NOT EXISTS escrow_used(payer TEXT NOT NULL, provider TEXT NOT NULL, nonce TEXT NOT NULL, digest BLOB NOT NULL, PRIMARY KEY(payer, provider, nonce)) WITHOUT ROWID;"
        "CREATE TABLE IF NOT EXISTS escrow_order(owner TEXT NOT NULL, once TEXT NOT NULL, digest BLOB NOT NULL, credit TEXT NOT NULL, tx TEXT NOT NULL, PRIMARY KEY(owner, once)) WITHOUT ROWID;";
    static constexpr const char* held = // of the supply
        "(SELECT coalesce(sum(amount), 0) FROM escrow_own) + (SELECT coalesce(sum(budget), 0) FROM escrow_allowance) + (SELECT coalesce(sum(left), 0) FROM escrow_credit)";

    ledger_escrow(sqlite::database&, x402::domain token, evm::escrow::place);

    // Each within a transaction of the caller's, which he commits where it is `yes`; sqlite::failure is his to judge.
    escrow_answer look_at(const escrow_source&, const std::vector<std::string>& nonces, instant now);
    escrow_answer consume(const std::vector<evm::escrow::signed_request>&, const crypto::address& by, instant now);
    escrow_answer carry_out(const escrow_order&, const crypto::address& by, instant now);
    amount free_of(const std::string& owner);

private:
    struct allowance { amount budget = 0, price = 0, leaving = 0; std::int64_t since_s = 0; };
    struct credit { std::string grantor, payer, provider; amount left = 0; std::int64_t expires_s = 0; };
    allowance find(const std::string& payer, const std::string& provider);
    void keep(const std::string& payer, const std::string& provider, const allowance&);
    std::optional<credit> find_credit(const std::string& number);
    void add(const std::string& owner, amount); // to his own
    void take(const std::string& owner, amount); // which he has
    std::optional<refusal> apply(const escrow_order&, const std::string& by, instant now, std::string& granted);
    struct spent { // of one batch, so far
        std::map<std::string, allowance> allowances; // by payer
        std::map<std::string, credit> credits;
        std::set<std::string> nonces;
    };
    std::optional<refusal> judge(const evm::escrow::signed_request&, const std::string& by, std::int64_t now_s, spent&);

    const x402::domain token_;
    const evm::escrow::place place_;
    sqlite::statement own_, add_, take_, find_, keep_, find_credit_, credit_, grant_, used_, use_, order_, ordered_, balance_, debit_, pay_;
};

} // namespace souk
