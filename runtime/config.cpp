#include <souk/runtime/config.hpp>

#include <fstream>
#include <sstream>

#include <souk/actors/policy/grammar.hpp>
#include <souk/messages/at.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/crypto.hpp>
#include <souk/messages/ascii.hpp>
#include <souk/messages/evm/channel.hpp>
#include <souk/messages/money.hpp>
#include <souk/messages/x402.hpp>
#include <souk/runtime/toml.hpp>

namespace souk {

namespace {

constexpr std::size_t largest_file = 1 << 20;
const std::set<std::string> known_roles{"requester", "policy", "signer", "bidder", "payments", "fleet", "launcher", "issuer", "broker"};

endpoint endpoint_of(const toml_table& t, const std::string& key, const std::string& text) {
    const auto colon = text.rfind(':');
    const auto digits = colon == std::string::npos ? "" : text.substr(colon + 1);
    if (colon == 0 || digits.empty() || digits.size() > 5 || digits.find_first_not_of("0123456789") != std::string::npos || std::stoul(digits) > 65535)
        t.fail(key, "expected HOST:PORT, found \"" + text + '"');
    return {text.substr(0, colon), static_cast<std::uint16_t>(std::stoul(digits))};
}
std::optional<endpoint> endpoint_at(toml_table& t, const char* key) {
    std::string text;
    t.text(key, text);
    if (text.empty()) return std::nullopt;
    return endpoint_of(t, key, text);
}
std::optional<place> place_at(toml_table& t) {
    auto p = t.table("location");
    if (!p) return std::nullopt;
    std::string country, region;
    p->text("country", country), p->text("region", region), p->done();
    place found;
    if (!country.empty()) found.country = country;
    if (!region.empty()) found.region = region;
    return found;
}

void rules_at(toml_table& t, std::vector<std::string>& into) {
    t.texts("rules", into);
    if (const auto good = souk::policy::check_rules(into); !good) t.fail("rules", good.error().text);
}

bool names_a_host(std::string_view url) {
    const auto start = url.find("://");
    const auto host = start == url.npos ? std::string_view() : url.substr(start + 3, url.find(':', start + 3) - start - 3);
    return is_handle(host) || host == "localhost";
}

struct reader {
    node_config c;
    std::filesystem::path base; // relative paths are below the file's own folder

    void path(toml_table& t, const char* key, std::filesystem::path& into) {
        std::string text;
        t.text(key, text);
        if (!text.empty()) into = (base / text).lexically_normal();
    }

    void node(toml_table t) {
        t.text("name", c.name);
        if (c.name.empty()) t.fail("name", "expected the node's name");
        c.owner = c.name;
        t.text("owner", c.owner);
        c.directory = base;
        path(t, "directory", c.directory);
        std::vector<std::string> roles;
        t.texts("roles", roles);
        for (const auto& r : roles) {
            if (!known_roles.count(r)) t.fail("roles", "there is no role \"" + r + "\"; expected some of: requester policy signer bidder payments fleet launcher issuer broker");
            c.roles.insert(r);
        }
        t.text("log_level", c.log_level);
        if (const auto days = t.number("keep_facts", 1, 3650)) c.keep_facts = std::chrono::days{*days};
        t.done();
    }
    void identity(toml_table t) {
        t.text("method", c.identity);
        if (c.identity != "plc" && c.identity != "web" && c.identity != "account" && c.identity != "none") t.fail("method", "expected plc, web, account or none");
        t.text("handle", c.handle);
        if (!c.handle.empty() && !is_handle(c.handle)) t.fail("handle", "expected a domain name, found \"" + c.handle + '"');
        t.flag("publish", c.publish), t.flag("seal", c.seal);
        t.texts("recovery", c.recovery);
        if (c.recovery.size() > 4) t.fail("recovery", "at most 4 keys");
        for (const auto& key : c.recovery)
            if (!crypto::public_key::from_did_key(key)) t.fail("recovery", "expected did:key:... of a k256 or P-256 key, found \"" + key + '"');
        std::map<std::string, std::string> services;
        t.text_map("services", services);
        for (const auto& [id, text] : services) {
            const auto blank = text.find(' ');
            const auto url = blank == std::string::npos ? "" : text.substr(blank + 1);
            if (id == "atproto_pds" || blank == 0 || !url.starts_with("https://") || url.find(' ') != std::string::npos)
                t.fail("services", "expected id = \"Type https://...\" for " + id + ", which is not atproto_pds");
            c.services[id] = {text.substr(0, blank), url};
        }
        t.done();
    }
    void pds(toml_table t) {
        t.text("host", c.pds_host), t.text("identifier", c.pds_identifier);
        while (c.pds_host.ends_with('/')) c.pds_host.pop_back();
        if (!c.pds_host.starts_with("https://") && !c.pds_host.starts_with("http://localhost") && !c.pds_host.starts_with("http://127.0.0.1"))
            t.fail("host", "expected https://HOST of the account, found \"" + c.pds_host + '"');
        path(t, "password", c.pds_password);
        c.pds_look_every = std::chrono::seconds{t.number("look_every", 1, 3600).value_or(15)};
        t.done();
    }
    void door(toml_table t) {
        c.door = endpoint_at(t, "listen");
        t.text("public", c.public_url);
        path(t, "certificate", c.door_certificate), path(t, "key", c.door_key);
        t.done();
    }
    void network(toml_table t) {
        t.texts("watch", c.watch), t.texts("relays", c.relays), t.texts("crawls", c.crawls);
        t.text("plc_directory", c.plc_directory);
        path(t, "authority", c.authority);
        t.flag("allow_private", c.allow_private);
        t.text_map("hosts", c.hosts);
        t.text("dns", c.dns);
        if (c.dns != "system" && c.dns != "none") (void)endpoint_of(t, "dns", c.dns);
        t.done();
    }
    void cluster(toml_table t) {
        c.cluster = endpoint_at(t, "listen");
        c.cluster_directory = base / "cluster";
        path(t, "directory", c.cluster_directory);
        for (auto& p : t.tables("peer")) {
            std::string name, address;
            p.text("node", name), p.text("address", address), p.done();
            if (name.empty()) p.fail("node", "expected the peer's name");
            c.peers.emplace_back(name, endpoint_of(p, "address", address));
        }
        t.texts("allowed", c.allowed);
        t.done();
    }
    void bidder(toml_table t) {
        t.text("cost", c.cost), t.text("currency", c.currency), t.text("frequency", c.frequency), t.text("tier", c.tier);
        c.slice = t.number("slice", 1, 31 * 86400);
        c.bid_life = std::chrono::seconds{t.number("bid_life", 10, 86400).value_or(600)};
        c.location = place_at(t);
        rules_at(t, c.bidder_rules);
        t.flag("offering", c.offering);
        t.done();
    }
    void rail(toml_table t) {
        chain_rail r;
        t.text("network", r.network), t.text("asset", r.asset), t.text("token", r.token), t.text("token_version", r.token_version);
        t.texts("nodes", r.nodes), t.text_map("headers", r.headers);
        t.text("facilitator", r.facilitator), t.text_map("facilitator_headers", r.facilitator_headers);
        while (r.facilitator.ends_with('/')) r.facilitator.pop_back();
        if (!r.facilitator.empty() && !r.facilitator.starts_with("https://") && !r.facilitator.starts_with("http://")) t.fail("facilitator", "expected https://...");
        r.agree = t.number("agree", 1, 16).value_or(1), r.signers = t.number("signers", 0, 16).value_or(1);
        r.confirmations = t.number("confirmations", 1, 10'000).value_or(1), r.watched = t.number("watched", 1, 10'000).value_or(std::max<std::int64_t>(12, r.confirmations));
        r.most_gas = t.number("most_gas", 21'000, 30'000'000).value_or(250'000), r.most_fee_gwei = t.number("most_fee_gwei", 1, 1'000'000).value_or(100);
        t.texts("wallet_factories", r.wallet_factories), r.most_gas_of_wallet = t.number("most_gas_of_wallet", 21'000, 30'000'000).value_or(1'000'000);
        for (auto& f : r.wallet_factories) {
            const auto address = crypto::checksummed(f);
            if (!address) t.fail("wallet_factories", address.error().text);
            f = lower(*address);
        }
        const auto known = x402::chain_of(r.network);
        if (!known || r.network == x402::development_network) t.fail("network", "expected a chain: \"eip155:NUMBER\"");
        const auto asset = crypto::checksummed(r.asset);
        if (!asset) t.fail("asset", asset.error().text);
        r.asset = *asset;
        if (r.nodes.empty() || r.nodes.size() > 16) t.fail("nodes", "expected the addresses of one to sixteen of the chain's nodes");
        if (r.agree > static_cast<std::int64_t>(r.nodes.size())) t.fail("agree", "there are only " + std::to_string(r.nodes.size()) + " nodes");
        if (r.watched < r.confirmations) t.fail("watched", "no fewer blocks than `confirmations`");
        t.done();
        c.chain = std::move(r);
    }
    static void positive_sum(toml_table& t, const char* key, amount& into) { // of whole units; none: as it was
        std::string text;
        t.text(key, text);
        if (text.empty()) return;
        const auto units = from_decimal(text);
        if (!units || *units <= 0) t.fail(key, "expected a positive sum, as \"2.50\"");
        into = *units;
    }
    void channels(toml_table t) {
        auto& r = c.channels;
        const auto sum = [&](const char* key, amount& into) { positive_sum(t, key, into); };
        const auto seconds = [&](const char* key, std::int64_t least, std::int64_t most, std::chrono::seconds& into) { into = std::chrono::seconds{t.number(key, least, most).value_or(into.count())}; };
        t.flag("take", r.take), t.flag("pay", r.pay);
        seconds("step", 5, 86'400, r.step), seconds("grace", 10, 86'400, r.grace);
        seconds("withdraw_delay", evm::channel::shortest_delay, evm::channel::longest_delay, r.withdraw_delay);
        seconds("longest_withdrawal", evm::channel::shortest_delay, evm::channel::longest_delay, r.longest_withdrawal);
        sum("claim_at", r.claim_at), sum("most_unclaimed", r.most_unclaimed), sum("most_of_payer", r.most_of_payer), sum("most_in_all", r.most_in_all);
        t.text("contract", r.contract), t.text("collector", r.collector);
        if (r.claim_at > r.most_unclaimed || r.most_unclaimed > r.most_of_payer || r.most_of_payer > r.most_in_all)
            t.fail("claim_at", "claim_at, most_unclaimed, most_of_payer and most_in_all grow in this order");
        for (const auto* at : {&r.contract, &r.collector})
            if (!at->empty() && !crypto::checksummed(*at)) t.fail(at == &r.contract ? "contract" : "collector", "expected an address");
        t.done();
    }
    void escrow(toml_table t) {
        auto& r = c.escrow;
        const auto seconds = [&](const char* key, std::int64_t least, std::int64_t most, std::chrono::seconds& into) { into = std::chrono::seconds{t.number(key, least, most).value_or(into.count())}; };
        r.on = true;
        t.flag("take", r.take);
        positive_sum(t, "present_at", r.present_at), positive_sum(t, "most_open", r.most_open), positive_sum(t, "most_in_all", r.most_in_all);
        seconds("present_after", 1, 86'400, r.present_after), seconds("before", 60, 3'600, r.before), seconds("latest", 180, 7 * 86'400, r.latest);
        t.text("contract", r.contract);
        if (r.present_at > r.most_open || r.most_open > r.most_in_all) t.fail("present_at", "present_at, most_open and most_in_all grow in this order");
        if (r.latest < 3 * r.before) t.fail("latest", "three times `before` at least: to serve a request, and to present it");
        if (!r.contract.empty() && !crypto::checksummed(r.contract)) t.fail("contract", "expected an address");
        t.done();
    }
    void spending(toml_table t) {
        const auto sum = [&](const char* key, amount& into) { positive_sum(t, key, into); };
        sum("per_contract", c.spending.per_contract), sum("per_counterparty", c.spending.per_counterparty), sum("per_day", c.spending.per_day);
        sum("approve_above", c.spending.approve_above);
        c.spending.approve_within = std::chrono::seconds{t.number("approve_within", 10, 7 * 86400).value_or(3600)};
        t.done();
    }
    void facilitator(toml_table t) {
        t.text_map("callers", c.facilitator_callers), t.flag("open", c.facilitator_open);
        for (const auto& [name, hash] : c.facilitator_callers)
            if (const auto bytes = from_hex(hash); !bytes || bytes->size() != 32) t.fail("callers", name + ": expected the SHA-256 of its token, 64 hexadecimal digits");
        if (c.facilitator_open != c.facilitator_callers.empty()) t.fail("callers", "expected who may settle; or `open = true` for everybody, whose gas this node then pays");
        t.done();
        c.facilitator = true;
    }
    void workload(toml_table t) { // the bid's wif block: where a machine finds its identity
        t.text("token_path", c.token_path), t.text("url_path", c.url_path), t.text("actx_path", c.actx_path);
        t.text("url_route", c.url_route), t.text("to_issue", c.to_issue);
        t.done();
    }
    void launcher(toml_table t) {
        t.text("backend", c.backend);
        if (c.backend != "qemu" && c.backend != "sandbox" && c.backend != "null") t.fail("backend", "expected qemu, sandbox or null");
        c.capacity.cpus = t.number("cpus", 0, 4096).value_or(1);
        const auto size = [&](const char* key, const char* usual) {
            std::string text = usual;
            t.text(key, text);
            const auto mib = compute::to_mib(text);
            if (!mib) t.fail(key, mib.error().text);
            return *mib;
        };
        c.capacity.mem_mib = size("mem", "1G"), c.capacity.disk_mib = size("disk", "20G");
        path(t, "image", c.image);
        t.flag("allow_emulation", c.allow_emulation);
        c.boot_within = std::chrono::seconds{t.number("boot_within", 5, 3600).value_or(c.boot_within.count())};
        t.text("base_url", c.base_url);
        path(t, "authority", c.machine_authority);
        for (auto& l : t.tables("lead")) {
            compute::lead lead;
            l.texts("names", lead.names);
            lead.port = static_cast<std::uint16_t>(l.number("port", 1, 65535).value_or(0));
            l.text("to", lead.to);
            l.done();
            (void)endpoint_of(l, "to", lead.to);
            if (lead.port == 0) l.fail("port", "expected the port inside the machine");
            c.leads.push_back(std::move(lead));
        }
        if (!c.location) c.location = place_at(t);
        else (void)place_at(t);
        t.done();
    }
    void broker(toml_table t) {
        c.tunnel_ssh = endpoint_at(t, "ssh"), c.tunnel_https = endpoint_at(t, "https");
        t.text("domain", c.domain);
        path(t, "certificate", c.tunnel_certificate), path(t, "key", c.tunnel_key), path(t, "authority", c.names_authority);
        t.done();
    }

    void requester(toml_table& t) {
        t.text("relay", c.relay), t.flag("seek", c.seek);
        std::string said;
        t.text("generation", said);
        if (!said.empty() && !boost::describe::enum_from_string(said.c_str(), c.speaks)) t.fail("generation", "there is no generation \"" + said + "\"; expected g1, g2, g3 or g4");
        t.done();
    }

    void policy(toml_table t) {
        rules_at(t, c.policy_rules);
        t.texts("answers", c.policy_answers);
        if (c.policy_answers.size() > 1'000) t.fail("answers", "at most 1,000 DIDs");
        for (const auto& did : c.policy_answers)
            if (!is_did(did)) t.fail("answers", "expected DIDs of those who may ask, found \"" + did + '"');
        t.done();
    }
    void market(toml_table t) {
        t.flag("registry", c.registry);
        c.look_every = std::chrono::seconds{t.number("look_every", 1, 86400).value_or(600)};
        t.done();
    }

    void whole(toml_table t) {
        auto n = t.table("node");
        if (!n) t.fail("node", "expected a [node] table with the node's name and roles");
        node(*n);
        if (auto x = t.table("identity")) identity(*x);
        if (auto x = t.table("pds")) pds(*x);
        if (auto x = t.table("door")) door(*x);
        if (auto x = t.table("network")) network(*x);
        if (auto x = t.table("cluster")) cluster(*x);
        if (auto x = t.table("policy")) policy(*x);
        if (auto x = t.table("requester")) requester(*x);
        if (auto x = t.table("market")) market(*x);
        if (auto x = t.table("bidder")) bidder(*x);
        if (auto x = t.table("workload")) workload(*x);
        if (auto x = t.table("ledger")) x->text_map("funds", c.funds), x->done(), c.ledger = true;
        if (auto x = t.table("rail")) rail(*x);
        if (auto x = t.table("facilitator")) facilitator(*x);
        if (auto x = t.table("wallet")) x->text("ledger", c.wallet_ledger), path(*x, "passphrase_file", c.passphrase_file), x->done();
        if (auto x = t.table("spending")) spending(*x);
        if (auto x = t.table("channels")) channels(*x);
        if (auto x = t.table("escrow")) escrow(*x);
        if (auto x = t.table("issuer")) x->text("uri", c.issuer_uri), x->text("account", c.actx), x->done();
        if (auto x = t.table("launcher")) launcher(*x);
        if (auto x = t.table("broker")) broker(*x);
        t.done();
        if (c.chain && (c.ledger || !c.wallet_ledger.empty())) t.fail("rail", "a node is paid on one rail: a chain, or the development ledger");
        if (c.facilitator && (!c.chain || !c.chain->facilitator.empty())) t.fail("facilitator", "a facilitator needs a [rail] that it settles on itself");
        if ((c.channels.take || c.channels.pay) && c.chain && !c.chain->facilitator.empty()) t.fail("channels", "channels need a [rail] that is settled on by this node itself");
        if (c.escrow.on && c.chain && (!c.chain->facilitator.empty() || c.escrow.contract.empty()))
            t.fail("escrow", "on a chain, an escrow needs its `contract`, and a [rail] that is settled on by this node itself");
        if (c.escrow.take && !c.roles.contains("payments")) t.fail("escrow", "`take` needs the role \"payments\"");
        const bool hosted = c.identity == "account";
        if (c.identity != "none" && !hosted && (!c.door || c.public_url.empty())) t.fail("identity", "an identity needs a [door] with `listen` and `public`");
        if (hosted == c.pds_host.empty()) t.fail("pds", hosted ? "an account needs a [pds] with its `host`" : "a [pds] is for [identity] method = \"account\"");
        if (c.pds_identifier.empty()) c.pds_identifier = c.handle;
        if (hosted && c.pds_identifier.empty()) t.fail("identity", "an account needs a `handle`");
        if (c.identity == "web" && !names_a_host(c.public_url)) t.fail("identity", "a did:web is a domain's name, and that is what `public` of [door] must have: https://NAME[:PORT]");
    }
};

} // namespace

result<node_config> parse_config(std::string_view text, const std::filesystem::path& file) {
    if (text.size() > largest_file) return refusal{"bad_config", file.string() + ": larger than 1 MiB"};
    reader r;
    r.c.file = file;
    r.base = std::filesystem::absolute(file).parent_path();
    try {
        const auto parsed = toml::parse(text, file.string());
        r.whole(toml_table(parsed, "", file.string()));
    } catch (const toml::parse_error& e) {
        return refusal{"bad_config", file.string() + ':' + std::to_string(e.source().begin.line) + ": " + std::string(e.description())};
    } catch (const refused& e) {
        return e.why;
    }
    return std::move(r.c);
}

result<node_config> read_config(const std::filesystem::path& file) {
    std::ifstream in(file);
    std::stringstream text;
    if (!in || !(text << in.rdbuf())) return refusal{"bad_config", file.string() + ": cannot be read"};
    return parse_config(text.str(), file);
}

} // namespace souk
