// Who this node is, and who others are: souk keys, souk who.
#include <fmt/format.h>

#include <souk/backends/keys/keyring.hpp>
#include <souk/runtime/cli/commands.hpp>
#include <souk/runtime/cli/view.hpp>
#include <souk/runtime/config.hpp>

namespace souk::cli {

namespace {

// A did:plc's log, and whether its directory agrees.
std::string log_lines(const value& log) {
    auto out = fmt::format("{:<12} {} ({} operations)\n", "log head", text_of(log, "head"), text_of(log, "operations"));
    out += fmt::format("{:<12} {}: {}", "directory", text_of(log, "directory"), text_of(log, "standing"));
    if (!text_of(log, "asked").empty()) out += " as of " + text_of(log, "asked");
    if (!text_of(log, "why").empty()) out += "; " + text_of(log, "why");
    out += '\n';
    if (!text_of(log, "next_key").empty()) out += fmt::format("{:<12} {}: in force once the directory has named it for ten minutes\n", "next key", text_of(log, "next_key"));
    if (text_of(log, "restart") == "yes") out += fmt::format("{:<12} the next signing key is in force from the next start on\n", "RESTART");
    if (!text_of(log, "trouble").empty()) out += fmt::format("{:<12} {}\n", "TROUBLE", text_of(log, "trouble"));
    return out;
}

// The keyring of this node, where its identity is a log that can name another key.
std::optional<keyring> keys_of_a_plc(context& c) {
    const auto config = c.config();
    if (!config || config->identity != "plc") {
        c.fail(config ? refusal{"not_a_did_plc", "only a did:plc can name another key and go on counting the old one"} : config.error());
        return std::nullopt;
    }
    return std::optional<keyring>(std::in_place, config->directory / "keys", config->passphrase);
}
void rotate_keys(context& c) {
    const auto keys = keys_of_a_plc(c);
    if (!keys) return;
    const auto next = keys->prepare_next_signing().did_key();
    c.print(value::map{{"next_key", next}}, [&](const value&) {
        return "the next signing key is " + next + "\nrestart the node: its log names the key; when the directory has had that for ten minutes, `souk keys` says to restart once more, and it signs\n";
    });
}
void drop_old_keys(context& c) {
    const auto keys = keys_of_a_plc(c);
    if (!keys) return;
    const auto many = static_cast<std::int64_t>(keys->retired().size());
    keys->forget_retired();
    c.print(value::map{{"dropped", many}}, [&](const value&) { return fmt::format("{} old keys count no more from the next start on, nor does what they signed\n", many); });
}

std::string who_text(const value& v) {
    std::string out;
    for (const char* key : {"did", "handle", "why", "host", "seal_key"})
        if (!text_of(v, key).empty()) out += fmt::format("{:<12} {}\n", key, text_of(v, key));
    for (const auto& key : list_of(v, "signing")) out += fmt::format("{:<12} {}\n", "signs by", *key.as<std::string>());
    if (text_of(v, "stale") == "yes") out += fmt::format("{:<12} as of {}: nothing newer can be had, and nothing is paid by it\n", "STALE", text_of(v, "asOf"));
    return out;
}

} // namespace

void add_identity(CLI::App& app, context& c) {
    static std::string name;
    auto* s = app.add_subcommand("keys", "this node's identity and public keys");
    s->require_subcommand(0, 1);
    s->add_subcommand("rotate", "make another signing key; the old one goes on counting for what it signed")->callback([&c] { rotate_keys(c); });
    s->add_subcommand("drop-old", "old signing keys, and what they signed, count no more")->callback([&c] { drop_old_keys(c); });
    s->callback([&c, s] {
        if (!s->get_subcommands().empty()) return;
        c.answer(c.ask().get("/v1/identity"), [](const value& v) {
            std::string out;
            for (const char* key : {"name", "owner", "did", "door", "signing_key", "seal_key", "wallet", "ssh_key"}) out += fmt::format("{:<12} {}\n", key, text_of(v, key));
            if (const auto* log = v.find("log")) out += log_lines(*log);
            return out;
        });
    });
    s = app.add_subcommand("who", "whom a DID or a handle means, verified both ways");
    s->add_option("name", name, "did:... or a handle")->required();
    s->callback([&c] { c.answer(c.ask().get("/v1/who", {{"name", name}}), who_text); });
}

} // namespace souk::cli
