// A chain of blocks with one token on it that speaks EIP-3009. Transactions wait, are mined by their nonces and fees, and are thrown out again when the
// chain forks. What a node of it says comes late, is old, or does not come; a transaction may be taken although it said nothing.
#pragma once
#include <map>
#include <memory>
#include <set>

#include <souk/backends/evm/chain.hpp>
#include <souk/messages/money.hpp>
#include <souk/messages/x402.hpp>
#include <souk/runtime/simulate/universe.hpp>

namespace souk::simulate {

class blocks {
public:
    static constexpr milliseconds every{2'000};

    // Forks are at most so many blocks deep: who waits for one more is not deceived.
    blocks(universe&, x402::domain token, std::uint64_t deepest_fork);

    void fund(const std::string& address, amount); // before anything is mined
    void bring(const std::string& raw);            // somebody's transaction, told to all nodes; whatever is none is nobody's
    const x402::domain& token() const { return token_; }

    // The chain as it is now.
    struct transfer {
        std::string from, to, digest, transaction;
        amount value = 0;
    };
    amount balance(const std::string& address) const;
    amount supply() const;
    const transfer* used(const std::string& from, const std::string& nonce) const;
    std::size_t transfers() const;
    instant time() const; // of its newest block
    std::uint64_t forks() const { return forks_; }
    std::uint64_t reverted() const { return reverted_; }

private:
    friend class blocks_view;
    struct transaction {
        std::string hash, signer, to, data;
        std::uint64_t nonce = 0, tip = 0, most = 0;
    };
    struct state {
        std::map<std::string, amount> balances; // by address, in lower case
        std::map<std::pair<std::string, std::string>, transfer> used; // by from and nonce
        std::map<std::string, std::uint64_t> nonces;
    };
    struct mined {
        evm::block head;
        std::vector<transaction> what;
        std::map<std::string, evm::receipt> receipts;
        std::shared_ptr<const state> after;
    };
    std::optional<transaction> read(const std::string& raw) const;
    void go_on();
    void mine();
    void fork();
    // What a call would do, by the transaction that makes it; the reason for which it is reverted.
    result<transfer> execute(state&, const std::string& data, std::uint64_t time_s, const std::string& by, std::vector<evm::log>* logs) const;

    universe& u_;
    const x402::domain token_;
    const std::string at_; // the token, in lower case
    const std::uint64_t deepest_;
    std::vector<mined> chain_;
    std::map<std::string, transaction> waiting_; // by hash
    std::uint64_t forks_ = 0, reverted_ = 0, made_ = 0, base_fee_ = 1'000'000'000;
};

// How one process sees it: through nodes of which one is a few blocks behind the other.
class blocks_view final : public evm::chain {
public:
    blocks_view(universe& u, blocks& b, life by) : u_(u), blocks_(b), by_(std::move(by)) {}
    std::uint64_t id() const override;
    void head(evm::tell<evm::block>) override;
    void block_at(std::uint64_t, evm::tell<evm::block>) override;
    void code(const std::string&, evm::tell<std::string>) override;
    void call(const std::string& from, const std::string& to, const std::string& data, std::optional<std::uint64_t> at, evm::tell<evm::called>) override;
    void nonce(const std::string&, bool with_waiting, evm::tell<std::uint64_t>) override;
    void balance(const std::string&, evm::tell<evm::word>) override;
    void tip(evm::tell<std::uint64_t>) override;
    void estimate(const std::string& from, const std::string& to, const std::string& data, evm::tell<std::uint64_t>) override;
    void send(const std::string& raw, evm::tell<void>) override;
    void receipt_of(const std::string&, evm::tell<std::optional<evm::receipt>>) override;
    void logs(const evm::log_filter&, evm::tell<std::vector<evm::log>>) override;

private:
    // `of` is asked of a node whose newest block is the one it is given.
    template <class T>
    void ask(evm::tell<T>, std::function<result<T>(std::uint64_t newest)> of);

    universe& u_;
    blocks& blocks_;
    life by_;
};

} // namespace souk::simulate
