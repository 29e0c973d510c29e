#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <souk/messages/json.hpp>
#include <souk/runtime/cli/commands.hpp>
#include <souk/backends/keys/keyring.hpp>
#include <souk/runtime/node.hpp>
#include <souk/runtime/passphrase.hpp>

namespace souk::cli {

void context::fail(const refusal& r) {
    fmt::print(stderr, "souk: {} ({})\n", r.text.empty() ? "refused" : r.text, r.code);
    status = r.code == "no_node" ? no_node_status : r.code == "http_timeout" || r.code == "request_timeout" ? unknown_status : refused_status;
}

result<node_config> context::config() const {
    auto c = read_config(node / "souk.toml");
    if (c) c->passphrase = passphrase_of(*c, passphrase);
    return c;
}

void context::print(const value& v, const std::function<std::string(const value&)>& show) const {
    fmt::print("{}", json ? to_json(v) + '\n' : show(v));
}

namespace {

// The doors let in as many as backends/limits.hpp says; the usual soft limit of descriptors is 1,024.
void take_descriptors() {
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
    files.rlim_cur = std::min<rlim_t>(files.rlim_max, 65'536);
    ::setrlimit(RLIMIT_NOFILE, &files);
}

// A person is asked while signals still end the program, and once.
void ask_for_passphrase(node_config& c) {
    if (!c.passphrase.ask || c.passphrase.configured || !std::filesystem::exists(c.directory / "keys")) return;
    bool needed = false;
    for (const auto& k : keyring(c.directory / "keys").kept()) needed = needed || k.encrypted;
    if (!needed) return;
    auto said = c.passphrase.ask();
    if (!said) throw refused(said.error());
    c.passphrase.ask = [kept = std::make_shared<const crypto::secret>(std::move(*said))]() -> result<crypto::secret> { return kept->copy(); };
}

// Signals are taken by one thread that only waits for them, so that nothing runs in a handler.
int run_node(const std::filesystem::path& file, const std::shared_ptr<const crypto::secret>& passphrase) {
    auto config = read_config(file);
    if (!config) {
        fmt::print(stderr, "souk: {}\n", config.error().text);
        return usage_status;
    }
    try {
        config->passphrase = passphrase_of(*config, passphrase);
        ask_for_passphrase(*config);
    } catch (const std::exception& e) {
        fmt::print(stderr, "souk: {}: {}\n", file.string(), e.what());
        return refused_status;
    }
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT), sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
    spdlog::set_default_logger(spdlog::stderr_logger_mt("souk"));
    spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
    spdlog::flush_on(spdlog::level::info);
    take_descriptors();
    int status = 0;
    try {
        const auto name = config->name;
        souk::node it(std::move(*config));
        std::thread([&it, ends] {
            int which = 0;
            sigwait(&ends, &which);
            it.stop();
        }).detach();
        status = it.run();
        spdlog::info("{} stops", name);
    } catch (const std::exception& e) {
        fmt::print(stderr, "souk: {}: {}\n", file.string(), e.what());
        return refused_status;
    }
    return status;
}

} // namespace

int run(int argc, char** argv) {
    context c;
    c.passphrase = take_passphrase_from_environment();
    c.json = !::isatty(STDOUT_FILENO);
    std::error_code none;
    c.program = std::filesystem::read_symlink("/proc/self/exe", none);
    const char* home = std::getenv("SOUK_NODE");
    c.node = home ? home : ".";

    CLI::App app("A compute marketplace node: request, bid, pay, run, receipt.", "souk");
    app.require_subcommand(1);
    app.fallthrough();
    app.set_version_flag("--version", std::string("souk ") + SOUK_VERSION);
    app.add_option("--node", c.node, "directory of the node to ask (default: $SOUK_NODE, or here)");
    bool plain = false;
    app.add_flag("--json", c.json, "JSON, one value (the default when the output is no terminal)");
    app.add_flag("--table", plain, "tables, even when the output is no terminal");

    std::filesystem::path config;
    auto* node_command = app.add_subcommand("node", "run a node");
    node_command->add_option("--config", config, "its configuration (TOML)")->required();
    node_command->callback([&] { c.status = run_node(config, c.passphrase); });
    add_buyer(app, c);
    add_wallet(app, c);
    add_escrow(app, c);
    add_statement(app, c);
    add_provider(app, c);
    add_cluster(app, c);
    add_account(app, c);
    add_identity(app, c);
    add_inspect(app, c);
    add_console(app, c);
    add_demo(app, c);
    add_bench(app, c);
    add_simulate(app, c);
    app.preparse_callback([](std::size_t) {});
    app.parse_complete_callback([&] { if (plain) c.json = false; });
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        const int code = app.exit(e);
        return code == 0 ? ok : usage_status;
    } catch (const std::exception& e) {
        fmt::print(stderr, "souk: {}\n", e.what());
        return refused_status;
    }
    return c.status;
}

} // namespace souk::cli
