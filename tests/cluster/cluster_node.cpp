// A node in a process of its own, to be killed and frozen: offers the role "signer" and says "ready" when it listens.
// cluster_node NAME PORT DIRECTORY ALLOWED...
#include <iostream>

#include "hosts.hpp"

using namespace hosts;

int main(int argc, char** argv) {
    if (argc < 4) return 2;
    cluster_options o;
    o.node = argv[1], o.owner = std::string("did:web:") + argv[1];
    o.port = static_cast<std::uint16_t>(std::stoi(argv[2]));
    const fs::path home = argv[3];
    o.certificate = home / (o.node + ".crt"), o.key = home / (o.node + ".key"), o.authority = home / "authority.crt";
    for (int i = 4; i < argc; ++i) o.allowed.emplace_back(argv[i]);
    o.limits.heartbeat = 100ms, o.limits.lost_after = 1'000ms;
    host h(o);
    h.offer_signer("signer", o.node);
    std::cout << "ready " << h.net->port() << std::endl;
    std::cin.get(); // until the parent closes it
}
