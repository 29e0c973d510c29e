// souk demo: the whole market on this machine, with nothing hidden, ending in a working URL.
#pragma once
#include <filesystem>

namespace souk::demo {

struct demo_options {
    std::filesystem::path directory; // "": a new one below the temporary directory
    std::filesystem::path image, example, program;
    std::string backend = "qemu";
    std::string network = "souk"; // or "atproto": Alice and Eve live at the reference PDS
    std::filesystem::path peers;  // where that was installed (deploy/demo does)
    std::string pay = "ledger";   // or "evm": on a chain of its own (npm's anvil)
    std::filesystem::path chain;  // what that needs (deploy/demo puts it there)
    bool stream = false; // paid by the second while it runs, from a channel (on the ledger)
    bool keep = false;  // leave the market running
    bool chaos = false; // kill each of the five processes once, one a step
    bool keep_files = false;
};

// 0 only if every step held.
int run(const demo_options&);

} // namespace souk::demo
