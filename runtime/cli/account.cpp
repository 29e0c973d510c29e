// souk account: the node's account at a host of somebody else's. It is made, or logged in to, before the node runs.
#include <fstream>
#include <future>

#include <fmt/format.h>

#include <souk/backends/pds/oauth_login.hpp>
#include <souk/backends/records/identity.hpp>
#include <souk/backends/tls/authority.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/runtime/account.hpp>
#include <souk/runtime/cli/commands.hpp>
#include <souk/runtime/cli/view.hpp>
#include <souk/runtime/clock.hpp>
#include <souk/runtime/passphrase.hpp>

namespace souk::cli {

namespace {

struct offline { // what is needed of the node, without running it
    explicit offline(node_config config)
        : c(std::move(config)), keys(c.directory / "keys", c.passphrase), web([this] {
              http::client_options o;
              o.ca_file = c.authority, o.hosts = c.hosts, o.allow_private = c.allow_private;
              return o;
          }()),
          tokens(session_file(c, login_kind::password)), now(wall_clock()) {}
    node_config c;
    keyring keys;
    http::client web;
    std::unique_ptr<kept_file> tokens; // of a login by password
    std::function<instant()> now;
};

std::optional<node_config> config_of(context& c) {
    auto config = c.config();
    if (!config) return c.fail(config.error()), std::nullopt;
    if (config->identity != "account") return c.fail({"bad_config", "this node has no account elsewhere: [identity] method is not \"account\""}), std::nullopt;
    return std::move(*config);
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
    pds::password_session session(at.web, login, *at.tokens, at.now);
    const auto did = pds::make_account(at.web, session, j, at.keys.rotation(), at.keys.signing(), *password);
    if (!did) return c.fail(did.error());
    keep_account(at.c, {*did, j.handle, at.c.pds_host});
    c.print(value::map{{"did", *did}, {"handle", j.handle}, {"host", at.c.pds_host}},
            [&](const value&) { return fmt::format("{}\nis {} at {}. Its rotation key is keys/rotation here: keep a copy of it in a safe place.\n", *did, j.handle, at.c.pds_host); });
}

// How the node is let in, and whether a person has to do something about it.
struct let_in {
    std::string how, by, trouble;
};
let_in way_in(const node_config& c, login_kind how) {
    const auto password = password_file(c);
    if (how == login_kind::password) return {"password", {}, std::filesystem::exists(password) ? "" : password.string() + " is not there"};
    const auto file = session_file(c, how);
    const auto kept = file->read(pds::oauth::largest_grant);
    const auto grant = kept ? pds::oauth::read_grant(*kept) : result<pds::oauth::grant>(refusal{"none", "there is no login"});
    if (!grant) return {"oauth", {}, grant.error().text};
    return {"oauth", grant->issuer, grant->over};
}

void say_whether_bound(context& c, offline& at, const hosted_account& known) {
    const auto named = pds::names_key(at.web, at.c.plc_directory, known.did, at.keys.signing_public());
    const auto key = at.keys.signing_public().did_key();
    const auto way = way_in(at.c, known.login);
    value::map says{{"did", known.did}, {"host", at.c.pds_host}, {"bound", named && *named}, {"key", key}, {"login", way.how}};
    if (!way.by.empty()) says.emplace("issuer", way.by);
    if (!way.trouble.empty()) says.emplace("login_needed", way.trouble);
    c.print(says, [&](const value&) {
        const auto start = fmt::format("{}\nis yours at {}, ", known.did, at.c.pds_host);
        const bool oauth = known.login == login_kind::oauth;
        auto end = fmt::format("The node is let in by {}{}.", oauth ? "OAuth" : "password", way.by.empty() ? "" : ", of " + way.by);
        if (!way.trouble.empty()) end += fmt::format(" Not any more: {}. Next: souk account login{}", way.trouble, oauth ? " --oauth" : "");
        end += '\n';
        if (!named) return fmt::format("{}whether it names this node's key cannot be told now: {}\n{}", start, named.error().text, end);
        if (*named) return start + "and names this node's key.\n" + end;
        return fmt::format("{}but does not name this node's key\n{}\nso nobody would believe what it signs. Next: souk account bind\n{}", start, key, end);
    });
}

void log_in(context& c) {
    auto config = config_of(c);
    if (!config) return;
    offline at(std::move(*config));
    const auto password = ask_passphrase("app password of " + at.c.pds_identifier + " at " + at.c.pds_host);
    if (!password) return c.fail(password.error());
    keep_password(at.c, *password);
    pds::password_session session(at.web, login_of(at.c, ""), *at.tokens, at.now);
    if (const auto in = session.log_in(); !in) return c.fail(in.error());
    const hosted_account known{session.did(), at.c.handle, at.c.pds_host};
    keep_account(at.c, known);
    say_whether_bound(c, at, known);
}

// The owner says yes in a browser, on any machine from which the port here is reached as its own.
void log_in_by_oauth(context& c, std::uint16_t port, unsigned within) {
    auto config = config_of(c);
    if (!config) return;
    offline at(std::move(*config));
    const auto known = account_of(at.c);
    const auto names = at.c.dns == "none" ? nullptr : make_txt_lookup(at.c.dns == "system" ? "" : at.c.dns);
    identity_resolver::options who;
    who.plc_directory = at.c.plc_directory, who.now = at.now, who.names = names.get(), who.development = at.c.allow_private;
    for (const auto& [name, address] : at.c.hosts) who.local.insert(name);
    identity_resolver identities(at.web, std::move(who));

    pds::oauth::login l;
    l.host = at.c.pds_host, l.identifier = at.c.pds_identifier, l.did = known ? known->did : "";
    l.port = port, l.patience = std::chrono::seconds(within), l.now = at.now;
    l.show = [](const std::string& url, std::uint16_t there) {
        fmt::print(stderr, "Open this, and say yes:\n{}\n", url);
        fmt::print(stderr, "The answer is waited for at http://127.0.0.1:{0}/. With a browser on another machine: first, there, ssh -L {0}:127.0.0.1:{0} HOST\n", there);
    };
    l.identify = [&identities](const std::string& did) {
        const auto said = std::make_shared<std::promise<result<did_document>>>(); // the resolver may outlive this question
        auto answer = said->get_future();
        identities.resolve(did, [said](result<did_document> d) { said->set_value(std::move(d)); });
        return answer.get();
    };
    const auto grant = pds::oauth::log_in(at.web, l);
    if (!grant) return c.fail(grant.error());
    std::optional<result<void>> kept;
    session_file(at.c, login_kind::oauth)->replace(pds::oauth::to_text(*grant), [&kept](result<void> r) { kept = std::move(r); });
    if (!kept || !*kept) return c.fail(kept ? kept->error() : refusal{"not_kept", "the disk has not answered"});
    const hosted_account now{grant->did, known ? known->handle : at.c.handle, at.c.pds_host, login_kind::oauth};
    keep_account(at.c, now);
    say_whether_bound(c, at, now);
}

// An app password may not change an identity: the account's own is asked for, used, and not kept.
void bind_here(context& c, const std::string& code) {
    auto config = config_of(c);
    if (!config) return;
    offline at(std::move(*config));
    const auto known = account_of(at.c);
    if (!known) return c.fail({"no_account", "log in first: souk account login"});
    auto login = login_of(at.c, known->did);
    login.password = [&at]() -> result<crypto::secret> { return ask_passphrase("password of " + at.c.pds_identifier + " itself, which is not kept"); };
    struct forgotten final : kept_file {
        std::string name() const override { return "nowhere"; }
        std::optional<std::string> read(std::size_t) const override { return std::nullopt; }
        void replace(std::string, done then) override { then({}); }
    } nowhere;
    pds::password_session session(at.web, std::move(login), nowhere, at.now);
    if (code.empty()) {
        if (const auto asked = pds::ask_for_code(session); !asked) return c.fail(asked.error());
        return c.print(value::map{{"mailed", true}}, [&](const value&) { return fmt::format("{} mails a code. Then: souk account bind --code CODE\n", at.c.pds_host); });
    }
    if (const auto done = pds::bind_key(at.web, session, joining_of(at.c, at.keys, at.now), code); !done) return c.fail(done.error());
    say_whether_bound(c, at, *known);
}

void show(context& c) {
    auto config = config_of(c);
    if (!config) return;
    offline at(std::move(*config));
    const auto known = account_of(at.c);
    if (!known) return c.fail({"no_account", "there is none yet: souk account create, or souk account login"});
    say_whether_bound(c, at, *known);
}

} // namespace

void add_account(CLI::App& app, context& c) {
    auto* all = app.add_subcommand("account", "the node's account at a host (PDS) of somebody else's: create, login, bind");
    static std::string email, invite, code;
    auto* make = all->add_subcommand("create", "make one, with an identity whose rotation key stays here");
    make->add_option("--email", email, "as the host wants one");
    make->add_option("--invite", invite, "a code, where the host wants one");
    make->callback([&c] { create(c, email, invite); });
    static bool by_oauth = false;
    static std::uint16_t port = 0;
    static unsigned within = 600;
    auto* enter = all->add_subcommand("login", "use one that there is; its app password is read from standard input");
    auto* oauth = enter->add_flag("--oauth", by_oauth, "no password: the owner allows it in a browser");
    enter->add_option("--port", port, "on 127.0.0.1, where the browser brings the answer; any, unless said")->needs(oauth);
    enter->add_option("--within", within, "seconds to wait for the browser")->needs(oauth)->check(CLI::Range(10, 3600));
    enter->callback([&c] { by_oauth ? log_in_by_oauth(c, port, within) : log_in(c); });
    auto* tie = all->add_subcommand("bind", "have its identity name this node's key");
    tie->add_option("--code", code, "that the host has mailed");
    tie->callback([&c] { bind_here(c, code); });
    all->callback([all, &c] {
        if (all->get_subcommands().empty()) show(c);
    });
}

} // namespace souk::cli
