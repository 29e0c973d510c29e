// The benchmarks' buyer: one actor that takes contracts from request to verified receipt by the public protocol, and keeps nothing.
#pragma once
#include <functional>
#include <map>

#include <souk/actors/common/verified.hpp>
#include <souk/backends/keys/keyring.hpp>
#include <souk/messages/actors.hpp>

namespace souk::bench {

struct start_contract {
    std::size_t number;
};
using buyer_actor = extended<typed_actor<caf::result<void>(record_note)>, caf::result<void>(start_contract)>;

struct sold { // what came of one
    std::size_t number = 0;
    double seconds = 0;
    std::string machine, nonce; // of its bid, of its payment: to find what was measured elsewhere
    std::optional<refusal> failed;
};

struct buyer_parts {
    std::string did;
    const keyring* keys = nullptr;
    record_network* network = nullptr;
    signer_actor signer;
    bidder_actor bidder;
    std::function<instant()> now;
    std::function<void(sold)> done;
};

// The key of a contract's records, and the number back; none for keys of other making.
std::string key_of(std::size_t number);
std::optional<std::size_t> number_of(std::string_view key);

buyer_actor spawn_buyer(caf::actor_system&, buyer_parts);

} // namespace souk::bench

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souk::bench::start_contract)
