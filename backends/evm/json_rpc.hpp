// One node, asked by JSON-RPC 2.0 over HTTP.
#pragma once
#include <memory>

#include <souk/backends/evm/chain.hpp>
#include <souk/backends/http/client.hpp>

namespace souk::evm {

struct endpoint {
    std::string url;
    std::uint64_t chain_id = 0;                               // asked of the node before anything is believed
    std::vector<std::pair<std::string, std::string>> headers; // a provider's key: never logged
    std::chrono::milliseconds within{8'000};
};

// What `web` leads to must outlive it. Answers are bounded at 2 MiB, logs at 1,000.
std::shared_ptr<chain> make_json_rpc(http::fetcher web, endpoint);

} // namespace souk::evm
