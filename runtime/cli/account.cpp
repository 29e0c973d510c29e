// souk account: the node's account at a host of somebody else's. It is made, or logged in to, before the node runs.
#include <fstream>
#include <iostream>

#include <termios.h>
#include <unistd.h>

#include <fmt/format.h>

#include <souk/backends/tls/authority.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/runtime/account.hpp>
#include <souk/runtime/cli/commands.hpp>
#include <souk/runtime/cli/view.hpp>
#include <souk/runtime/clock.hpp>

namespace souk::cli {

namespace {

struct offline { // what is needed of the node, without running it
    explicit offline(node_config config)
        : c(std::move(config)), keys(c.directory / "keys"), web([this] {
              http::client_options o;
              o.ca_file = c.authority, o.hosts = c.hosts, o.allow_private = c.allow_private;
              return o;
          }()),
          tokens(session_file(c)), now(wall_clock()) {}
    node_config c;
    keyring keys;
    http::client web;
    std::unique_ptr<kept_file> tokens;
    std::function<instant()> now;
};

std::optional<node_config> config_of(context& c) {
    auto config = read_config(c.node / "souk.toml");
    if (!config) return c.fail(config.error()), std::nullopt;
    if (config->identity != "account") return c.fail({"bad_config", "this node has no account elsewhere: [identity] method is not \"account\""}), std::nullopt;
    return std::move(*config);
}

// Typed without showing it, or a line of standard input.
crypto::secret asked_for(const std::string& prompt) {
    const bool person = ::isatty(STDIN_FILENO);
    termios before{};
    if (person) {
        fmt::print(stderr, "{}: ", prompt);
        ::tcgetattr(STDIN_FILENO, &before);
        auto hidden = before;
        hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        ::tcsetattr(STDIN_FILENO, TCSANOW, &hidden);
    }
    std::string line;
    std::getline(std::cin, line);
    if (person) ::tcsetattr(STDIN_FILENO, TCSANOW, &before), fmt::print(stderr, "\n");
    return crypto::secret(std::move(line));
}

void keep_password(const node_config& c, const crypto::secret& password) { tls::write_secret(password_file(c), std::string(password.view()) + '\n'); }

void create(context& c, const std::string& email, const std::string& invite) {
    auto config = config_of(c);
    if (!config) return;
    offline at(std::move(*config));
    // Nobody needs to know it by heart: it is made, and kept where the node reads it.
    if (!std::filesystem::exists(password_file(at.c))) keep_password(at.c, crypto::secret(to_base64url(crypto::generate(crypto::curve::k256).view())));
    const auto login = login_of(at.c, "");
    const auto password = login.password();
    if (!password) return c.fail(password.error());
    auto j = joining_of(at.c, at.keys, at.now);
    j.email = email, j.invite = invite;
    j.say = [](const std::string& what) { fmt::print(stderr, "{}\n", what); };
    pds::session session(at.web, login, *at.tokens, at.now);
    const auto did = pds::make_account(at.web, session, j, at.keys.rotation(), at.keys.signing(), *password);
    if (!did) return c.fail(did.error());
    keep_account(at.c, {*did, j.handle, at.c.pds_host});
    c.print(value::map{{"did", *did}, {"handle", j.handle}, {"host", at.c.pds_host}},
            [&](const value&) { return fmt::format("{}\nis {} at {}. Its rotation key is keys/rotation here: keep a copy of it in a safe place.\n", *did, j.handle, at.c.pds_host); });
}

void say_whether_bound(context& c, offline& at, const std::string& did) {
    const auto named = pds::names_key(at.web, at.c.plc_directory, did, at.keys.signing_public());
    const auto key = at.keys.signing_public().did_key();
    c.print(value::map{{"did", did}, {"host", at.c.pds_host}, {"bound", named && *named}, {"key", key}}, [&](const value&) {
        if (!named) return fmt::format("{}\nis yours at {}. Whether it names this node's key cannot be told now: {}\n", did, at.c.pds_host, named.error().text);
        if (*named) return fmt::format("{}\nis yours at {}, and names this node's key.\n", did, at.c.pds_host);
        return fmt::format("{}\nis yours at {}, but does not name this node's key\n{}\nso nobody would believe what it signs. Next: souk account bind\n", did, at.c.pds_host, key);
    });
}

void log_in(context& c) {
    auto config = config_of(c);
    if (!config) return;
    offline at(std::move(*config));
    keep_password(at.c, asked_for("app password of " + at.c.pds_identifier + " at " + at.c.pds_host));
    pds::session session(at.web, login_of(at.c, ""), *at.tokens, at.now);
    if (const auto in = session.log_in(); !in) return c.fail(in.error());
    keep_account(at.c, {session.did(), at.c.handle, at.c.pds_host});
    say_whether_bound(c, at, session.did());
}

// An app password may not change an identity: the account's own is asked for, used, and not kept.
void bind_here(context& c, const std::string& code) {
    auto config = config_of(c);
    if (!config) return;
    offline at(std::move(*config));
    const auto known = account_of(at.c);
    if (!known) return c.fail({"no_account", "log in first: souk account login"});
    auto login = login_of(at.c, known->did);
    login.password = [&at]() -> result<crypto::secret> { return asked_for("password of " + at.c.pds_identifier + " itself, which is not kept"); };
    struct forgotten final : kept_file {
        std::string name() const override { return "nowhere"; }
        std::optional<std::string> read(std::size_t) const override { return std::nullopt; }
        void replace(std::string, done then) override { then({}); }
    } nowhere;
    pds::session session(at.web, std::move(login), nowhere, at.now);
    if (code.empty()) {
        if (const auto asked = pds::ask_for_code(session); !asked) return c.fail(asked.error());
        return c.print(value::map{{"mailed", true}}, [&](const value&) { return fmt::format("{} mails a code. Then: souk account bind --code CODE\n", at.c.pds_host); });
    }
    if (const auto done = pds::bind_key(at.web, session, joining_of(at.c, at.keys, at.now), code); !done) return c.fail(done.error());
    say_whether_bound(c, at, known->did);
}

void show(context& c) {
    auto config = config_of(c);
    if (!config) return;
    offline at(std::move(*config));
    const auto known = account_of(at.c);
    if (!known) return c.fail({"no_account", "there is none yet: souk account create, or souk account login"});
    say_whether_bound(c, at, known->did);
}

} // namespace

void add_account(CLI::App& app, context& c) {
    auto* all = app.add_subcommand("account", "the node's account at a host (PDS) of somebody else's: create, login, bind");
    static std::string email, invite, code;
    auto* make = all->add_subcommand("create", "make one, with an identity whose rotation key stays here");
    make->add_option("--email", email, "as the host wants one");
    make->add_option("--invite", invite, "a code, where the host wants one");
    make->callback([&c] { create(c, email, invite); });
    all->add_subcommand("login", "use one that there is; the app password is read from standard input")->callback([&c] { log_in(c); });
    auto* tie = all->add_subcommand("bind", "have its identity name this node's key");
    tie->add_option("--code", code, "that the host has mailed");
    tie->callback([&c] { bind_here(c, code); });
    all->callback([all, &c] {
        if (all->get_subcommands().empty()) show(c);
    });
}

} // namespace souk::cli
