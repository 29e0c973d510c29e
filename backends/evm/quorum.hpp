// One chain, as several nodes see it: believed where enough of them agree. A node that fails is left alone for a while, longer each time.
#pragma once
#include <memory>

#include <souk/backends/evm/chain.hpp>
#include <souk/messages/time.hpp>

namespace souk::evm {

struct quorum_options {
    std::size_t agree = 1; // how many nodes must say the same of what money hangs on; at most their number
    std::chrono::milliseconds rest_at_first{1'000}, rest_at_most{60'000};
    std::function<instant()> now;
    std::function<void(std::size_t node, const refusal&)> trouble; // may be empty
};

// What it is: a block, a receipt, code, a call, logs: `agree` nodes say the same and no others as many, or "rpc_disagreement". How far the chain is: the highest block that
// `agree` nodes have reached. What is to be paid and what comes next: the highest that any node says, within reason (a fee is the caller's to cap).
// Something is sent to all nodes, and one that takes it is enough.
// Throws std::invalid_argument where there are no nodes, `agree` is none or too many, or they are of several chains.
std::shared_ptr<chain> make_quorum(std::vector<std::shared_ptr<chain>> nodes, quorum_options);

} // namespace souk::evm
