#include <souk/runtime/bench/bench.hpp>

namespace souk::bench {

const std::vector<benchmark>& all() {
    static const std::vector<benchmark> list{
        {"records", "records written canonically and named by their CID", records},
        {"repository", "records created in a node's own repository, durable and committed", repositories},
        {"signatures", "signatures verified", signatures},
        {"payments", "payments and vouchers judged without a chain", payments},
        {"verdicts", "verdicts of the policy engine over ten thousand vouches", verdicts},
        {"contracts", "contracts from request to receipt on one node", contracts},
        {"launch", "verified payment to the backend's launch call", launch},
        {"memory", "memory a live lease", memory},
        {"restart", "from SIGKILL to owning every lease again", restart},
        {"links", "the cluster's links beside plain BASP", links},
        {"tunnels", "a tunnel's new connection to first byte, beside sshd", tunnels},
    };
    return list;
}

} // namespace souk::bench
