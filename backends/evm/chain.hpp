// What is asked of an EVM chain: only what any node offers. Nothing here decides anything; answers are what a node says, and a node may lag, fork or lie.
// https://ethereum.org/developers/docs/apis/json-rpc/
#pragma once
#include <functional>
#include <optional>
#include <vector>

#include <souk/messages/evm/word.hpp>

namespace souk::evm {

struct block {
    std::uint64_t number = 0, time_s = 0, base_fee = 0; // wei a unit of gas
    std::string hash;
    bool operator==(const block&) const = default;
};
struct log {
    std::string address; // lower case
    std::vector<std::string> topics;
    std::string data; // bytes
    std::string transaction;
    std::uint64_t block = 0;
    bool operator==(const log&) const = default;
};
struct receipt { // of a transaction that is in a block
    std::string transaction, block_hash;
    std::uint64_t block = 0, gas_used = 0;
    bool succeeded = false;
    std::vector<log> logs;
    bool operator==(const receipt&) const = default;
};
struct sent { // a transaction, as it was brought to the chain
    std::string hash, from, to; // lower case; to nobody: a contract was made
    std::string data;           // bytes
    bool operator==(const sent&) const = default;
};
struct called {
    bool reverted = false;
    std::string data; // what it returned, or why it was reverted (abi::revert_reason)
    bool operator==(const called&) const = default;
};
struct log_filter {
    std::string address;
    std::vector<std::optional<std::string>> topics; // "0x" and 64 digits
    std::uint64_t from = 0, to = 0;
};

// Every answer comes once, on any thread. Codes:
//   "rpc_unreachable"   nothing was asked
//   "rpc_unknown"       no answer that can be used: it may have been done
//   "rpc_busy"          asked too often
//   "rpc_refused"       the node's own error, in its words
//   "rpc_wrong_chain"   it is another chain's node
//   "rpc_disagreement"  several nodes were asked, and too few say the same
//   "reverted"          of `estimate`: the contract refuses it, and why
//   "nonce_too_low", "underpriced", "no_gas_money"  of `send`
template <class T>
using tell = std::function<void(result<T>)>;

class chain {
public:
    virtual ~chain() = default;
    virtual std::uint64_t id() const = 0;
    virtual void head(tell<block>) = 0;
    virtual void block_at(std::uint64_t number, tell<block>) = 0;
    virtual void code(const std::string& address, tell<std::string>) = 0; // empty: nobody's contract
    // `at`: a block's number; none: the newest. `data`: bytes. Without `to` they are run as a contract's that is to be made.
    virtual void call(const std::string& from, const std::string& to, const std::string& data, std::optional<std::uint64_t> at, tell<called>) = 0;
    virtual void nonce(const std::string& address, bool with_waiting, tell<std::uint64_t>) = 0; // of the next transaction
    virtual void balance(const std::string& address, tell<word>) = 0;                           // wei
    virtual void tip(tell<std::uint64_t>) = 0;                                                  // wei a unit of gas, that is usual now
    virtual void estimate(const std::string& from, const std::string& to, const std::string& data, tell<std::uint64_t>) = 0;
    virtual void send(const std::string& raw, tell<void>) = 0; // already known is as good as taken
    virtual void receipt_of(const std::string& transaction, tell<std::optional<receipt>>) = 0;
    virtual void logs(const log_filter&, tell<std::vector<log>>) = 0;
    virtual void transaction_of(const std::string& hash, tell<std::optional<sent>> t) { (void)hash, t(refusal{"rpc_refused", "this chain does not show transactions"}); }
};

} // namespace souk::evm
