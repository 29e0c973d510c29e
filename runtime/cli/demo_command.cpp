#include <cstdlib>

#include <souk/runtime/cli/commands.hpp>
#include <souk/runtime/demo/demo.hpp>

namespace souk::cli {

void add_demo(CLI::App& app, context& c) {
    static demo::demo_options o;
    auto* s = app.add_subcommand("demo", "the whole market on this machine, ending in a working URL");
    const char* image = std::getenv("SOUK_GUEST_IMAGE");
    o.image = image ? image : "/var/tmp/souk-guest-image";
    o.example = std::filesystem::path(SOUK_DATA_DIR) / "examples" / "my-cool-role.json";
    s->add_option("--dir", o.directory, "where its files go (default: a new temporary directory)");
    s->add_option("--image", o.image, "the guest image (deploy/guest-image makes it; default: $SOUK_GUEST_IMAGE)");
    s->add_option("--example", o.example, "the request that Alice publishes");
    s->add_option("--network", o.network, "souk: every node has its records itself; atproto: Alice's and Eve's are at the reference PDS (deploy/demo installs it)")->check(CLI::IsMember({"souk", "atproto"}));
    s->add_option("--peers", o.peers, "where the reference PDS is installed");
    s->add_option("--pay", o.pay, "ledger: the embedded development ledger; evm: a chain of its own (deploy/demo installs it)")->check(CLI::IsMember({"ledger", "evm"}));
    s->add_option("--chain", o.chain, "where that chain is installed");
    s->add_flag("--stream", o.stream, "Alice pays by the second while the machine runs, from a channel");
    s->add_flag("--keep", o.keep, "leave the market running, to be tried by hand");
    s->add_flag("--chaos", o.chaos, "kill a process at every step and start it again");
    s->callback([&c] {
        if (o.network == "atproto" && !std::filesystem::exists(o.peers / "host.mjs"))
            return c.fail({"no_peers", "the reference PDS is not installed: deploy/demo --network atproto does it, or give --peers"});
        if (o.pay == "evm" && !std::filesystem::exists(o.chain / "chain.mjs"))
            return c.fail({"no_chain", "the chain is not installed: deploy/demo --pay evm does it, or give --chain"});
        o.program = c.program;
        c.status = demo::run(o);
    });
}

} // namespace souk::cli
