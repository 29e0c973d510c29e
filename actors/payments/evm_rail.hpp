// A rail that is a chain: authorisations of a token that speaks EIP-3009, brought to it by the lanes of this node's keys.
#pragma once
#include <memory>
#include <vector>

#include <caf/fwd.hpp>

#include <souk/actors/payments/lanes.hpp>
#include <souk/backends/rails/rail.hpp>
#include <souk/backends/store/journal.hpp>

namespace souk {

class bookkeeper;

struct evm_rail_options {
    std::string network;               // CAIP-2
    x402::domain token;                // name, version, chain and contract of the one asset that is taken
    std::int64_t most_gas = 250'000;   // for one transfer: an asset that burns more is not paid for
    // Who may deploy a payer's wallet for him (EIP-6492), lower case; at this node's cost, so that nobody is asked by default.
    std::vector<std::string> wallet_factories;
    std::int64_t most_gas_of_wallet = 1'000'000;
    std::uint64_t search_back = 50'000, search_step = 5'000; // blocks, when what used a nonce is looked for
    gas_terms gas;
    std::function<instant()> now;
    std::function<void(const std::string& key, const std::string& effect, verdict, const std::string& why)> trouble; // may be empty
    std::shared_ptr<bookkeeper> books; // told of what moves; may be empty
};

// It spawns a lane for each key; with none it reads, and settles nothing. The journal and the chain's clients must outlive it; it must outlive the actor
// system, which waits for its lanes: `close` ends them.
class evm_rail final : public payment_rail {
public:
    evm_rail(caf::actor_system&, evm_rail_options, journal&, std::shared_ptr<evm::chain>, std::vector<crypto::secret> keys);
    ~evm_rail() override;
    void close(); // what is asked from now on is answered with "unknown"

    std::string network() const override;
    x402::domain token() const override;
    std::string asset() const override;
    std::vector<std::string> signers() const override;
    void settle(const x402::exact_payload&, std::function<void(settle_answer)>) override;
    void look_up(const x402::authorization&, std::function<void(look_up_answer)>) override;
    std::string on_its_way(const x402::authorization&) const override;
    void balance(const std::string& address, std::function<void(result<amount>)>) override;
    void check(const x402::payment&, const x402::requirements&, instant now, std::function<void(result<crypto::address>)>) override;

    using lane_view = souk::lane_view;
    std::vector<lane_view> lanes() const;
    void lanes_with_gas(std::function<void(std::vector<lane_view>)>) const; // once, on any thread

    // For what else this node has to do on the same chain, by the same keys.
    std::shared_ptr<key_lanes> keys() const;
    std::shared_ptr<evm::chain> chain() const;
    const evm_rail_options& options() const;

private:
    class impl;
    std::shared_ptr<impl> impl_; // callbacks that are under way hold it
};

} // namespace souk
