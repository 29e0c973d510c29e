// The one approval that a payer by permits needs: so much of a token for Permit2 to move, by a transaction of the wallet's own key, which pays its gas.
#pragma once
#include <mutex>

#include <souk/actors/payments/evm_rail.hpp>

namespace souk {

struct allowed {
    std::string transaction;        // "": that much was allowed already
    std::string allowance;          // atomic units, decimal, as the token has it afterwards
};
BOOST_DESCRIBE_STRUCT(allowed, (), (transaction, allowance))

// The journal must outlive it; it must outlive the actor system, which waits for its lane: `close` ends it.
class permit_allowance {
public:
    permit_allowance(caf::actor_system& sys, const evm_rail& rail, journal& log, const crypto::secret& wallet);
    ~permit_allowance();
    void close();

    // Once, on any thread. Sets it to this, which may be less than before. Codes "no_gas_money" (and what is missing), "reverted", "rail_unknown", "bad_number".
    void allow(const std::string& atomic, std::function<void(result<allowed>)>);

private:
    class impl;
    std::shared_ptr<impl> impl_; // callbacks that are under way hold it
};

} // namespace souk
