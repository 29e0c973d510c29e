// What several rails ask of one chain, step by step. Once each, on any thread.
#pragma once
#include <algorithm>
#include <memory>

#include <souk/backends/evm/chain.hpp>
#include <souk/messages/time.hpp>

namespace souk::evm_looks {

// A chain's seconds, as an instant; what is later than the year 9999 is that.
inline instant at_second(std::uint64_t s) { return instant{std::chrono::seconds{std::min<std::uint64_t>(s, 253'402'300'799)}}; }

// The newest block that lies so deep (1: the newest one), and the number of the newest.
void deep_block(const std::shared_ptr<evm::chain>&, std::int64_t confirmations, std::function<void(result<evm::block>, std::uint64_t newest)>);

struct span { // how far back, and how many blocks at once
    std::uint64_t back = 50'000, step = 5'000;
};
// The transaction that used an authorisation's nonce, from `newest` backwards: it was used lately, if it was. None: not in all of that span. Code "rail_unknown".
void find_use(const std::shared_ptr<evm::chain>&, const std::string& asset, const std::string& from, const std::string& nonce, std::uint64_t newest, span,
              std::function<void(result<std::optional<evm::receipt>>)>);

} // namespace souk::evm_looks
