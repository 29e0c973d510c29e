// A whole market in one process, for measuring: every role of a provider on one journal, a ledger and repositories on real files, the
// null machine, and a buyer who says no more than the protocol asks of her. Nothing goes over a network.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace souk::bench {

struct market_options {
    std::filesystem::path directory; // made, and the caller's to remove
    bool workload_tokens = true;     // each machine boots with a signed one
    bool adopts = false;             // machines of the process before still run
};

struct traded {
    double seconds = 0, cpu = 0;       // of this process, buyer included
    std::vector<double> latencies;     // seconds, from the request's signing to the verified receipt
    std::vector<double> launch_delays; // seconds, from the ledger's word that it moved to the backend's launch call
    std::uint64_t facts = 0, transactions = 0; // of the journal
};

class market {
public:
    explicit market(market_options);
    ~market();
    // Takes `count` new contracts from request to receipt, `at_once` of them under way. Throws when one fails or none moves for 30 s.
    traded trade(std::size_t count, std::size_t at_once);
    // What it owns now: machines and live leases. Waits for the roles to say so.
    std::size_t machines() const;
    std::size_t leases() const;
    void settle_in() const; // returns when every shard of leases answers

private:
    class impl;
    std::unique_ptr<impl> impl_;
};

} // namespace souk::bench
