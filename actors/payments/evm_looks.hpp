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

// The newest log of those that `is_it` takes, from `newest` backwards; at most so many are shown to it. None: none in all of that span. Code "rail_unknown".
using known_by = std::function<void(const evm::log&, std::function<void(result<bool>)>)>;
void find_log(const std::shared_ptr<evm::chain>&, evm::log_filter what, std::uint64_t newest, span, std::size_t most, known_by is_it, std::function<void(result<std::optional<evm::log>>)>);

// Whether these bytes are this account's word on a digest: its key's, 65 bytes with a low s, or its contract's (EIP-1271). Codes "not_signed",
// "eip6492_factory_not_allowed" (a wallet that would have to be deployed first), "rail_unknown".
void check_signature(const std::shared_ptr<evm::chain>&, const std::string& who, const std::string& digest, const std::string& signature_hex, std::function<void(result<void>)>);
// Without what EIP-6492 wraps around it.
result<std::string> inner_signature(std::string_view hex);

} // namespace souk::evm_looks
