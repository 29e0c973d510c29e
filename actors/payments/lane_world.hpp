// What the effects of lanes are on a real chain.
#pragma once
#include <map>
#include <memory>

#include <souk/actors/payments/lane.hpp>
#include <souk/backends/evm/chain.hpp>
#include <souk/messages/crypto.hpp>

namespace souk {

struct gas_terms {
    std::int64_t most_fee = 100'000'000'000; // wei a unit of gas, in all; where it costs more, it waits
    std::int64_t least_tip = 1;              // wei a unit of gas
    std::int64_t confirmations = 1;          // blocks, its own with it, before it is told that it came to pass
    std::int64_t watched = 12;               // blocks until which a reorganisation is noticed, and what it dropped is sent again
};

class lane_world final : public performer<lane> {
public:
    // `keys`: by address, in lower case.
    lane_world(std::shared_ptr<evm::chain> on, std::map<std::string, crypto::secret> keys, std::function<instant()> now, gas_terms terms)
        : core_(std::make_shared<const core>(core{std::move(on), std::move(keys), std::move(now), terms})) {}

    void perform(const lane::estimate&, reply_to<lane::estimate>) override;
    void perform(const lane::sign&, reply_to<lane::sign>) override;
    void perform(const lane::land&, reply_to<lane::land>) override;
    void perform(const lane::bury&, reply_to<lane::bury>) override;

private:
    struct core { // what is under way holds it
        std::shared_ptr<evm::chain> on;
        std::map<std::string, crypto::secret> keys;
        std::function<instant()> now;
        gas_terms terms;
    };
    const std::shared_ptr<const core> core_;
};

} // namespace souk
