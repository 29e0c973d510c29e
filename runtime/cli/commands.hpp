// The command line, a group of commands a file. Tables for people, JSON for programs (asked for, or when the output is no terminal).
#pragma once
#include <filesystem>
#include <functional>
#include <string>

#include <CLI/CLI.hpp>

#include <souk/runtime/cli/remote.hpp>
#include <souk/runtime/config.hpp>

namespace souk::cli {

// Exit statuses: stable.
inline constexpr int ok = 0, refused_status = 1, usage_status = 2, no_node_status = 3, unknown_status = 4;

struct context {
    bool json = false;
    std::filesystem::path node; // directory of the node that is asked
    std::filesystem::path program; // this executable
    std::shared_ptr<const crypto::secret> passphrase; // as the environment had it, or nothing
    int status = ok;

    // The configuration in the node's directory, and where its keys' passphrase comes from: for what is done without the node.
    result<node_config> config() const;
    remote ask() const { return remote(node); }
    // Prints why not, and remembers the status.
    void fail(const refusal&);
    // Prints the answer, or why there is none.
    void answer(const result<value>& v, const std::function<std::string(const value&)>& show) {
        if (!v) fail(v.error());
        else print(*v, show);
    }
    // Prints as JSON or by `show`.
    void print(const value& v, const std::function<std::string(const value&)>& show) const;
};

std::string links_table(const value&); // the answer of /v1/links

void add_buyer(CLI::App&, context&);
void add_wallet(CLI::App&, context&);
void add_escrow(CLI::App&, context&);
void add_provider(CLI::App&, context&);
void add_cluster(CLI::App&, context&);
void add_account(CLI::App&, context&);
void add_identity(CLI::App&, context&);
void add_inspect(CLI::App&, context&);
void add_demo(CLI::App&, context&);
void add_console(CLI::App&, context&);
void add_bench(CLI::App&, context&);
void add_simulate(CLI::App&, context&);
void add_statement(CLI::App&, context&);

// What the whole program does with its arguments.
int run(int argc, char** argv);

} // namespace souk::cli
