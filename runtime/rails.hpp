// How a node moves money, as it is configured: by the development ledger that it keeps, by the one that another node keeps, or on a chain; and what else
// there is on that rail, channels, escrow and permits.
#pragma once
#include <memory>
#include <mutex>

#include <souk/actors/entity/entity_actor.hpp>
#include <souk/backends/http/client.hpp>
#include <souk/backends/keys/keyring.hpp>
#include <souk/runtime/config.hpp>
#include <souk/runtime/control.hpp>

namespace souk {

class bookkeeper;
class embedded_ledger;
class remote_ledger;
class evm_rail;
class evm_permits;
class evm_channels;
class evm_escrow;
class permit_allowance;
class payment_rail;
class channel_rail;
class escrow_rail;

class rails {
public:
    // All of these must outlive it; it must outlive the actor system, which waits for its lanes: `close` ends them.
    rails(const node_config&, const keyring&, journal&, http::client&, std::function<instant()> now, on_trouble);
    ~rails();

    // What the configuration says, if anything. Throws std::runtime_error, `refused`; of a chain nobody is asked yet.
    void open(caf::actor_system&, std::shared_ptr<bookkeeper>);
    void close();

    static std::string asset_of(const node_config&); // CAIP-19: what books are kept in; "": no rail is configured

    payment_rail* payments() const { return payments_; } // none: no rail is configured
    channel_rail* channels() const { return channels_; } // the same rail's, where it has any
    escrow_rail* escrow() const { return escrow_; }      // the same
    embedded_ledger* ledger() const { return ledger_.get(); } // where it is kept here

    // On a chain what one does with one's own money, in channels and in escrow, is a transaction of one's own, so it is by a key that pays gas; on a ledger
    // it is the wallet's.
    bool sends_itself() const { return evm_channels_ != nullptr; }
    crypto::secret own_key() const;

    std::function<void(std::function<void(value)>)> lanes() const; // of the keys that settle, as JSON; empty where there are none
    wallet_terms terms();

private:
    payment_rail* open_chain(caf::actor_system&, const chain_rail&, std::shared_ptr<bookkeeper>);
    void allow(amount, std::function<void(result<value>)>);

    const node_config& c_;
    const keyring& keys_;
    journal& log_;
    http::client& web_;
    const std::function<instant()> now_;
    const on_trouble trouble_;

    caf::actor_system* sys_ = nullptr;
    std::unique_ptr<embedded_ledger> ledger_;
    std::unique_ptr<remote_ledger> remote_ledger_;
    std::unique_ptr<evm_rail> evm_rail_;       // its lanes end with the system
    std::unique_ptr<evm_permits> evm_permits_; // in front of it
    std::unique_ptr<payment_rail> facilitated_;
    std::unique_ptr<evm_channels> evm_channels_;
    std::unique_ptr<evm_escrow> evm_escrow_;
    payment_rail* payments_ = nullptr;
    channel_rail* channels_ = nullptr;
    escrow_rail* escrow_ = nullptr;

    std::mutex allowing_;
    bool closed_ = false;
    std::unique_ptr<permit_allowance> allowance_; // from when it is first asked; its lane ends with the system
};

} // namespace souk
