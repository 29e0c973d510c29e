// souk wallet: the key that money is moved with, what it has, and how it comes by more. What concerns the key alone is done without the node.
#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include <souk/actors/common/random_id.hpp>
#include <souk/backends/keys/keyring.hpp>
#include <souk/backends/keys/keystore.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/money.hpp>
#include <souk/messages/x402.hpp>
#include <souk/runtime/cli/commands.hpp>
#include <souk/runtime/cli/table.hpp>
#include <souk/runtime/cli/view.hpp>
#include <souk/runtime/passphrase.hpp>

namespace souk::cli {

namespace {

constexpr std::size_t largest_import = 64 * 1024;

std::string line(const char* what, const std::string& text) { return text.empty() ? "" : fmt::format("{:<8} {}\n", what, wrapped(text, 9)); }

// -- what the node says ------------------------------------------------------------------------------------------------------------

std::int64_t number_of(const value& v, std::string_view key) {
    const auto* at = v.find(key);
    const auto* n = at ? at->as<std::int64_t>() : nullptr;
    return n ? *n : 0;
}
std::string gwei_of(const std::string& wei) { return wei.empty() ? "?" : wei.size() > 9 ? wei.substr(0, wei.size() - 9) : "0"; }

std::string wallet_text(const value& v) {
    auto out = line("address", text_of(v, "address")) + line("network", text_of(v, "network")) + line("balance", text_of(v, "balance") + ' ' + text_of(v, "token"));
    out += line("key", text_of(v, "encrypted") == "yes" ? "encrypted" : "not encrypted: whoever reads this disk has it (souk wallet encrypt)");
    if (!v.find("lanes")) return out;
    table t({"SETTLES WITH", "GWEI LEFT", "WAITING", "ON ITS WAY", "NOT DEEP YET"});
    for (const auto& l : list_of(v, "lanes"))
        t.row({shortened(text_of(l, "signer"), 20), gwei_of(text_of(l, "gas")), text_of(l, "queued"), text_of(l, "in_flight"), text_of(l, "not_deep_yet")});
    return t.empty() ? out : out + '\n' + t.text();
}

// A node has one rail; programs get a list all the same, so that one with more is no other answer.
void show_balance(context& c) {
    const auto v = c.ask().get("/v1/wallet");
    if (!v) return c.fail(v.error());
    value::map rail;
    for (const char* key : {"network", "asset", "token", "balance", "atomic"})
        if (const auto* x = v->find(key)) rail.emplace(key, *x);
    value::list rails;
    rails.emplace_back(std::move(rail));
    c.print(value::map{{"address", text_of(*v, "address")}, {"rails", std::move(rails)}}, [](const value& all) {
        table t({"NETWORK", "TOKEN", "BALANCE"});
        for (const auto& r : list_of(all, "rails")) t.row({text_of(r, "network"), text_of(r, "token"), text_of(r, "balance")});
        return t.text();
    });
}

std::string chain_text(const value& v) {
    auto out = line("send", text_of(v, "token") + ", the token " + text_of(v, "asset")) + line("on", text_of(v, "network")) + line("to", text_of(v, "address"));
    out += line("has", text_of(v, "balance") + ' ' + text_of(v, "token"));
    const auto& keys = list_of(v, "gas");
    if (keys.empty()) return out + "\nNo gas is needed: whoever is paid brings the payment to the chain.\n";
    table t({"GAS TO", "HAS (GWEI)", "MISSING (GWEI)"});
    for (const auto& k : keys) t.row({text_of(k, "key"), text_of(k, "has_gwei"), text_of(k, "missing_gwei")});
    return out + '\n' + t.text() + fmt::format("One payment costs {} gwei of gas at the very most ([rail] most_gas, most_fee_gwei).\n", text_of(v, "gwei_for_one"));
}

// On a chain nothing is issued here: what is missing, for a person or a faucet to act upon.
void ask_for_funds_on_chain(context& c, const value& wallet) {
    value::map says;
    for (const char* key : {"address", "network", "asset", "token", "balance", "atomic", "gwei_for_one"})
        if (const auto* x = wallet.find(key)) says.emplace(key, *x);
    value::list gas;
    const auto needed = number_of(wallet, "gwei_for_one");
    for (const auto& l : list_of(wallet, "lanes")) {
        const auto has = gwei_of(text_of(l, "gas"));
        const auto left = has == "?" || has.size() > 17 ? -1 : std::stoll(has);
        value::map one{{"key", text_of(l, "signer")}, {"has_gwei", has}, {"missing_gwei", has == "?" ? value("?") : value(left < 0 ? std::int64_t{0} : std::max<std::int64_t>(0, needed - left))}};
        gas.emplace_back(std::move(one));
    }
    says.emplace("gas", std::move(gas));
    c.print(says, chain_text);
}

struct fund_options {
    std::string amount, to, id;
};
void fund(context& c, const fund_options& o) {
    const auto wallet = c.ask().get("/v1/wallet");
    if (!wallet) return c.fail(wallet.error());
    if (text_of(*wallet, "network") != x402::development_network) return ask_for_funds_on_chain(c, *wallet);
    const auto to = o.to.empty() ? text_of(*wallet, "address") : o.to;
    if (const auto keeper = text_of(*wallet, "ledger"); !keeper.empty()) {
        const auto order = fmt::format("souk wallet fund {} --to {}", o.amount.empty() ? "AMOUNT" : o.amount, to);
        return c.print(value::map{{"address", to}, {"network", text_of(*wallet, "network")}, {"ledger", keeper}, {"balance", text_of(*wallet, "balance")}, {"next", order}}, [](const value& v) {
            return line("address", text_of(v, "address")) + line("network", text_of(v, "network")) + line("has", text_of(v, "balance")) + "\nPlay money is issued by the node that keeps the ledger,\n" +
                   text_of(v, "ledger") + ". There:\n\n  " + text_of(v, "next") + '\n';
        });
    }
    if (o.amount.empty()) return c.fail({"bad_amount", "how much? souk wallet fund AMOUNT"});
    const auto sum = from_decimal(o.amount);
    if (!sum) return c.fail(sum.error());
    c.answer(c.ask().post("/v1/fund", {{"to", to}, {"amount", *sum}, {"reason", o.id.empty() ? random_id() : o.id}}),
             [](const value& v) { return fmt::format("{} of play money issued to\n{}\n", text_of(v, "amount"), text_of(v, "to")); });
}

// Once for all payments by permit, or as often as the amount is used up.
void allow(context& c, const std::string& much) {
    const auto sum = from_decimal(much);
    if (!sum) return c.fail(sum.error());
    c.answer(c.ask().post("/v1/allow", {{"amount", *sum}}), [](const value& v) {
        const auto by = text_of(v, "transaction");
        return fmt::format("Permit2 may move {} of this wallet's by what the wallet signs{}\n", text_of(v, "amount"), by.empty() ? "; it might already" : "\n" + by);
    });
}

// -- the key, without the node -----------------------------------------------------------------------------------------------------

// A directory without a configuration is one that is about to have a node.
result<node_config> configured(const context& c) {
    if (std::filesystem::exists(c.node / "souk.toml")) return c.config();
    node_config config;
    config.directory = c.node;
    config.passphrase = passphrase_of(config, c.passphrase);
    return config;
}
bool any_encrypted(const keyring& keys) {
    for (const auto& k : keys.kept())
        if (k.encrypted) return true;
    return false;
}

result<crypto::secret> asked_twice(const std::string& prompt, bool may_be_empty) {
    auto first = ask_passphrase(prompt);
    if (!first) return first;
    if (first->empty() && may_be_empty) return first;
    if (first->view().size() < least_passphrase) return refusal{"bad_passphrase", "a passphrase has at least 8 bytes"};
    if (!::isatty(STDIN_FILENO)) return first;
    const auto second = ask_passphrase("once more");
    if (!second) return second.error();
    if (second->view() != first->view()) return refusal{"bad_passphrase", "the two are not the same"};
    return first;
}

// Under the passphrase that is configured, or that the other keys have; else whoever sits here may say one.
void keep(context& c, const node_config& config, crypto::secret key) {
    auto source = config.passphrase;
    if (!source.configured && ::isatty(STDIN_FILENO) && !any_encrypted(keyring(config.directory / "keys"))) {
        auto said = asked_twice("a passphrase for the key (nothing: it is not encrypted)", true);
        if (!said) return c.fail(said.error());
        if (!said->empty()) source = {[kept = std::make_shared<const crypto::secret>(std::move(*said))]() -> result<crypto::secret> { return kept->copy(); }, true};
    }
    const keyring keys(config.directory / "keys", std::move(source));
    const auto address = keys.put_wallet(std::move(key));
    if (!address) return c.fail(address.error());
    bool encrypted = false;
    for (const auto& k : keys.kept()) encrypted = encrypted || (k.file == "wallet.key" && k.encrypted);
    const auto file = (config.directory / "keys" / "wallet.key").string();
    c.print(value::map{{"address", *address}, {"file", file}, {"encrypted", encrypted}}, [](const value& v) {
        return line("address", text_of(v, "address")) + line("key", text_of(v, "file") + (text_of(v, "encrypted") == "yes" ? ", encrypted" : ", not encrypted (souk wallet encrypt)")) +
               line("", "A copy of that file in a safe place is all that brings the money back when this disk is lost.");
    });
}

// Refused before anybody is asked for anything.
bool is_there_already(context& c, const node_config& config) {
    if (!std::filesystem::exists(config.directory / "keys")) return false;
    const keyring keys(config.directory / "keys");
    if (!keys.has_wallet()) return false;
    c.fail(keys.put_wallet(crypto::generate(crypto::curve::k256)).error());
    return true;
}

void make(context& c) {
    const auto config = configured(c);
    if (!config) return c.fail(config.error());
    if (!is_there_already(c, *config)) keep(c, *config, crypto::generate(crypto::curve::k256));
}

// -- import ------------------------------------------------------------------------------------------------------------------------

struct opened {
    int fd;
    ~opened() {
        if (fd > STDIN_FILENO) ::close(fd);
    }
};

result<crypto::secret> whole_of(int fd) {
    std::string text;
    text.reserve(largest_import + 1); // so that no copy is left behind by growth
    char part[4096];
    for (;;) {
        const auto n = ::read(fd, part, sizeof part);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0 || text.size() + static_cast<std::size_t>(n) > largest_import) {
            const bool fine = n == 0;
            crypto::secret all(std::move(text));
            ::explicit_bzero(part, sizeof part);
            if (fine) return all;
            return refusal{"bad_private_key", n < 0 ? "it cannot be read" : "it is larger than 64 KiB"};
        }
        text.append(part, static_cast<std::size_t>(n));
    }
}

result<crypto::secret> passphrase_of_keystore(const std::filesystem::path& file) {
    if (!file.empty()) return read_passphrase(file);
    const opened terminal{::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)}; // what is imported may come by standard input
    if (terminal.fd < 0) return refusal{"no_passphrase", "a keystore needs its passphrase: --passphrase-file FILE, or a terminal"};
    return ask_passphrase("passphrase of the keystore", terminal.fd);
}

result<crypto::secret> key_of(const crypto::secret& text, const std::filesystem::path& passphrase) {
    auto all = text.view();
    const auto blank = [](char ch) { return ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n'; };
    while (!all.empty() && blank(all.front())) all.remove_prefix(1);
    while (!all.empty() && blank(all.back())) all.remove_suffix(1);
    if (all.starts_with('{')) {
        const auto k = read_keystore(all);
        if (!k) return k.error();
        const auto said = passphrase_of_keystore(passphrase);
        if (!said) return said.error();
        return open_keystore(*k, *said);
    }
    if (all.starts_with("0x")) all.remove_prefix(2);
    auto bytes = all.size() == 64 ? from_hex(all) : result<std::string>(refusal{});
    if (!bytes) return refusal{"bad_private_key", "expected 64 hexadecimal digits, or a keystore of version 3 (JSON)"};
    return crypto::secret(std::move(*bytes));
}

void import_key(context& c, const std::string& from, const std::filesystem::path& passphrase) {
    const auto config = configured(c);
    if (!config) return c.fail(config.error());
    if (is_there_already(c, *config)) return;
    const bool here = from == "-";
    const opened in{here ? STDIN_FILENO : ::open(from.c_str(), O_RDONLY | O_CLOEXEC)};
    if (in.fd < 0) return c.fail({"bad_private_key", from + " cannot be read"});
    const auto text = here && ::isatty(STDIN_FILENO) ? ask_passphrase("the private key, 64 hexadecimal digits") : whole_of(in.fd);
    if (!text) return c.fail(text.error());
    auto key = key_of(*text, passphrase);
    if (!key) return c.fail(key.error());
    keep(c, *config, std::move(*key));
}

void show_address(context& c) {
    const auto config = configured(c);
    if (!config) return c.fail(config.error());
    if (!std::filesystem::exists(config->directory / "keys" / "wallet.key")) return c.fail({"no_wallet", "there is no wallet's key in " + config->directory.string() + " yet: souk wallet new"});
    const auto address = keyring(config->directory / "keys").wallet_address();
    c.print(value::map{{"address", address}}, [](const value& v) { return text_of(v, "address") + '\n'; });
}

// -- encrypt -----------------------------------------------------------------------------------------------------------------------

struct encrypt_options {
    bool change = false;
    std::filesystem::path fresh;
};
result<crypto::secret> passphrase_to_be(const node_config& config, bool encrypted, const encrypt_options& o) {
    if (!o.fresh.empty()) return read_passphrase(o.fresh);
    if (o.change || (!encrypted && !config.passphrase.configured)) return asked_twice("the new passphrase", false);
    return config.passphrase.ask ? config.passphrase.ask() : refusal{"key_locked", "some keys are encrypted already, and no passphrase is at hand"};
}
void encrypt(context& c, const encrypt_options& o) {
    auto config = configured(c);
    if (!config) return c.fail(config.error());
    if (!std::filesystem::exists(config->directory / "keys")) return c.fail({"no_keys", "there is no key in " + config->directory.string() + " yet: souk wallet new"});
    // Asked for once, for what is to be opened as for what is to be written.
    auto source = config->passphrase;
    if (source.ask)
        source.ask = [ask = source.ask, said = std::make_shared<std::optional<crypto::secret>>()]() -> result<crypto::secret> {
            if (!*said) {
                auto now = ask();
                if (!now) return now;
                said->emplace(std::move(*now));
            }
            return (*said)->copy();
        };
    config->passphrase = source;
    const keyring keys(config->directory / "keys", source);
    const bool encrypted = any_encrypted(keys);
    if (encrypted && (o.change || !o.fresh.empty()) && source.ask && !source.configured) { // the old one is asked for first
        if (const auto old = source.ask(); !old) return c.fail(old.error());
    }
    const auto fresh = passphrase_to_be(*config, encrypted, o);
    if (!fresh) return c.fail(fresh.error());
    const auto many = keys.encrypt(*fresh);
    if (!many) return c.fail(many.error());
    value::list files;
    for (const auto& k : keys.kept()) files.emplace_back(k.file);
    const bool remind = !source.configured || !o.fresh.empty() || o.change;
    c.print(value::map{{"written", static_cast<std::int64_t>(*many)}, {"encrypted", std::move(files)}}, [remind](const value& v) {
        std::string names;
        for (const auto& f : list_of(v, "encrypted")) names += (names.empty() ? "" : ", ") + *f.as<std::string>();
        auto out = fmt::format("{}\n", wrapped(text_of(v, "written") + " written; under the passphrase are now " + names + '.', 0));
        if (remind) out += wrapped("From its next start on the node needs it: a file of mode 0600 named by [wallet] passphrase_file, or SOUK_PASSPHRASE, or a person at a terminal. Without it the keys are lost.", 0) + '\n';
        return out;
    });
}

} // namespace

void add_wallet(CLI::App& app, context& c) {
    auto* all = app.add_subcommand("wallet", "address and balance; new, import, address, balance, fund, allow, encrypt");
    all->require_subcommand(0, 1);
    all->add_subcommand("new", "make a key, where there is none")->callback([&c] { make(c); });
    static std::string from = "-";
    static std::filesystem::path passphrase;
    auto* s = all->add_subcommand("import", "a private key in hexadecimal, or an Ethereum keystore of version 3; never as an argument");
    s->add_option("file", from, "\"-\", the default: standard input");
    s->add_option("--passphrase-file", passphrase, "of the keystore (mode 0600); asked for at a terminal, unless said");
    s->callback([&c] { import_key(c, from, passphrase); });
    all->add_subcommand("address", "where money is sent to: this alone, and without the node")->callback([&c] { show_address(c); });
    all->add_subcommand("balance", "what it has, on each rail")->callback([&c] { show_balance(c); });
    static fund_options funding;
    s = all->add_subcommand("fund", "issue play money, where the development ledger is kept; else show what is to be sent where");
    s->add_option("amount", funding.amount, "in whole units");
    s->add_option("--to", funding.to, "an address (default: this wallet's)");
    s->add_option("--id", funding.id, "your name for this: given again, nothing is issued twice");
    s->callback([&c] { fund(c, funding); });
    static std::string allowing;
    s = all->add_subcommand("allow", "what Permit2 may move of the token, by this wallet's signatures, for sellers who take nothing else; 0 takes it back");
    s->add_option("amount", allowing, "in whole units, in all; it costs the wallet's own key some gas")->required();
    s->callback([&c] { allow(c, allowing); });
    static encrypt_options encrypting;
    s = all->add_subcommand("encrypt", "keep this node's keys under a passphrase; run again, it finishes what was cut off");
    s->add_flag("--change", encrypting.change, "under another one than now, which is asked for");
    s->add_option("--new", encrypting.fresh, "a file (mode 0600) that the new one is read from");
    s->callback([&c] { encrypt(c, encrypting); });
    all->callback([&c, all] {
        if (all->get_subcommands().empty()) c.answer(c.ask().get("/v1/wallet"), wallet_text);
    });
}

} // namespace souk::cli
