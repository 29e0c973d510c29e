// The demo's five nodes, set up the way an operator would: directories, a development CA, keys, configurations, one cluster.
#pragma once
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include <souk/runtime/cli/remote.hpp>
#include <souk/runtime/config.hpp>
#include <souk/runtime/demo/chain.hpp>
#include <souk/runtime/demo/process.hpp>
#include <souk/runtime/node.hpp>

namespace souk::demo {

struct market_options {
    std::filesystem::path directory; // everything is below it
    std::filesystem::path image;     // of the guest (deploy/guest-image)
    std::filesystem::path program;   // this souk
    std::string backend = "qemu";
    std::filesystem::path peers;     // of the reference PDS and directory; empty: every node has its records itself
    std::filesystem::path chain;     // of the demo's chain; empty: everybody is paid on bob's development ledger
    bool stream = false;             // alice pays and bob takes while it runs
};

class market {
public:
    explicit market(market_options);

    struct party {
        std::string name;
        std::filesystem::path directory;
        std::uint16_t door = 0, cluster = 0;
        node_identity id;
        std::unique_ptr<process> run;
        std::unique_ptr<cli::remote> ask;
        std::string host() const { return name + ".localhost"; }
        std::string url() const { return "https://" + host(); } // as the others know it: their configurations say where that is
    };
    party& operator[](const std::string& name) { return parties_.at(name); }
    const std::vector<std::string>& names() const { return names_; }

    static constexpr amount hundred = 100'000'000; // dollars that alice and bob begin with

    // Makes keys, certificates, configurations; founds the cluster at bob and has the others join it by token.
    void set_up();
    void start(const std::string& name);  // and waits until it answers
    void await(const std::string& name);
    void restart_after_kill(const std::string& name);
    void stop_all();
    void end_machines(); // after `stop_all`: machines outlive their nodes, and must not outlive the market
    void keep();         // children live on

    bool at_pds(const std::string& name) const { return !options_.peers.empty() && (name == "alice" || name == "eve"); } // where a node's records live
    std::string pds() const { return "http://localhost:" + std::to_string(pds_); }
    demo::chain* on_chain() { return chain_.get(); } // null: paid on the ledger
    void fund_keys(const std::string& name);         // of a node that has started: the gas of those that settle
    const std::filesystem::path& authority() const { return authority_; }
    std::uint16_t https_port() const { return https_; }
    const market_options& options() const { return options_; }

private:
    void write_config(party&);
    void make_certificates();
    void enrol(const std::string& name);
    void start_hosts();
    void join_host(party&);

    market_options options_;
    std::vector<std::string> names_{"alice", "bob", "bob-2", "relay", "eve"};
    std::map<std::string, party> parties_;
    std::filesystem::path authority_; // of the development doors, PEM
    std::uint16_t ssh_ = 0, https_ = 0, plc_ = 0, pds_ = 0;
    std::vector<std::unique_ptr<process>> hosts_; // the directory and the PDS
    std::unique_ptr<demo::chain> chain_;
};

} // namespace souk::demo
