#include <souk/runtime/demo/market.hpp>

#include <chrono>
#include <fstream>
#include <future>
#include <stdexcept>
#include <thread>

#include <souk/backends/compute/qemu.hpp>
#include <souk/backends/tls/authority.hpp>
#include <souk/runtime/clock.hpp>
#include <souk/messages/json.hpp>
#include <souk/runtime/cluster/enrolment.hpp>
#include <souk/runtime/demo/free_port.hpp>

namespace souk::demo {

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

const std::string guest_host = "10.0.2.100"; // how a machine sees the host's side: only the leads below answer there

std::string in_quotes(const std::string& s) { return '"' + s + '"'; }

} // namespace

market::market(market_options o) : options_(std::move(o)) {
    fs::create_directories(options_.directory);
    options_.directory = fs::canonical(options_.directory);
    fs::permissions(options_.directory, fs::perms::owner_all);
    for (const auto& name : names_) {
        auto& p = parties_[name];
        p.name = name, p.directory = options_.directory / name, p.door = free_port();
        if (name != "eve") p.cluster = free_port();
        fs::create_directories(p.directory);
        p.run = std::make_unique<process>(name, std::vector<std::string>{options_.program.string(), "node", "--config", (p.directory / "souk.toml").string()}, p.directory / "log");
        p.ask = std::make_unique<cli::remote>(p.directory);
    }
    ssh_ = free_port(), https_ = free_port();
    if (!options_.peers.empty()) plc_ = free_port(), pds_ = free_port();
    if (!options_.chain.empty()) chain_ = std::make_unique<demo::chain>(options_.chain, free_port(), options_.directory / "chain.log");
    authority_ = options_.directory / "development-ca.crt";
}

void market::make_certificates() {
    const auto ca = tls::make_authority("Souk development CA, this demo only", std::chrono::hours{24 * 7});
    tls::write_secret(authority_, ca.certificate);
    for (auto& [name, p] : parties_) {
        tls::leaf l;
        l.common_name = name, l.dns = {"localhost"}, l.ips = {"127.0.0.1", guest_host}, l.valid = std::chrono::hours{24 * 7};
        l.dns.push_back(p.host());
        if (name == "relay") l.dns.insert(l.dns.end(), {"rp.fedproxy.com", "fedproxy.com"});
        const auto id = tls::issue(ca, l);
        tls::write_secret(p.directory / "door.crt", id.certificate), tls::write_secret(p.directory / "door.key", id.key);
    }
    // The relay makes certificates for its public names as they come up: no wildcard is allowed right below "localhost".
    tls::write_secret(parties_.at("relay").directory / "names-ca.crt", ca.certificate);
    tls::write_secret(parties_.at("relay").directory / "names-ca.key", ca.key);
}

void market::write_config(party& p) {
    std::string t;
    const auto line = [&t](const std::string& text) { t += text + '\n'; };
    const auto& n = p.name;
    const bool bobs = n == "bob" || n == "bob-2";
    const std::map<std::string, std::string> roles{{"alice", R"("requester", "policy", "signer")"},
                                                   {"bob", R"("bidder", "payments", "signer", "fleet", "launcher", "issuer")"},
                                                   {"bob-2", R"("launcher")"},
                                                   {"relay", R"("broker")"},
                                                   {"eve", R"("bidder", "payments", "signer", "fleet", "launcher", "issuer")"}};
    line("# " + n + ": written by souk demo. docs/operations.md says what each key means.");
    line("[node]\nname = " + in_quotes(n) + "\nowner = " + in_quotes(bobs ? "bob" : n) + "\nroles = [" + roles.at(n) + "]\nlog_level = \"debug\"\n");
    const auto method = at_pds(n) ? "account" : n == "alice" ? "plc" : "web";
    if (n != "bob-2") line("[identity]\nmethod = " + in_quotes(method) + (n == "alice" ? "\nhandle = \"alice.localhost\"" : "") + '\n');
    if (at_pds(n)) line("[pds]\nhost = " + in_quotes(pds()) + "\nidentifier = " + in_quotes(n + ".test") + "\nlook_every = 2\n");
    line("[door]\nlisten = \"127.0.0.1:" + std::to_string(p.door) + "\"\npublic = " + in_quotes(p.url()) + "\ncertificate = \"door.crt\"\nkey = \"door.key\"\n");
    line("[network]\nplc_directory = " + in_quotes(plc_ ? "http://127.0.0.1:" + std::to_string(plc_) : parties_.at("alice").url()) + "\nauthority = " + in_quotes(authority_.string()) + "\nallow_private = true");
    if (!options_.peers.empty()) {
        if (n == "alice") line("relays = [" + in_quotes(parties_.at("bob").url()) + ", " + in_quotes(pds()) + ']');
        if (n == "bob" || n == "eve") line("relays = [" + in_quotes(pds()) + ']');
    }
    // Both kinds of stream: Jetstream's frames between Alice and Bob, commits between Alice and Eve.
    else if (n == "alice") line("watch = [" + in_quotes(parties_.at("bob").url()) + "]\nrelays = [" + in_quotes(parties_.at("eve").url()) + ']');
    else if (n == "bob") line("watch = [" + in_quotes(parties_.at("alice").url()) + ']');
    else if (n == "eve") line("relays = [" + in_quotes(parties_.at("alice").url()) + ']');
    std::string hosts; // what DNS would say
    for (const auto& [other, q] : parties_) hosts += (hosts.empty() ? "" : ", ") + in_quotes(q.host()) + " = " + in_quotes("127.0.0.1:" + std::to_string(q.door));
    line("hosts = { " + hosts + " }");
    line("");
    if (p.cluster) {
        line("[cluster]\nlisten = \"127.0.0.1:" + std::to_string(p.cluster) + '"');
        if (n == "bob") line("allowed = [\"alice\", \"bob-2\", \"relay\"]");
        else {
            line("allowed = [\"alice\", \"bob\", \"bob-2\", \"relay\"]");
            line("[[cluster.peer]]\nnode = \"bob\"\naddress = \"127.0.0.1:" + std::to_string(parties_.at("bob").cluster) + '"');
        }
        if (n == "alice") line("[[cluster.peer]]\nnode = \"relay\"\naddress = \"127.0.0.1:" + std::to_string(parties_.at("relay").cluster) + '"');
        line("");
    }
    if (n == "alice") {
        line("[requester]\nrelay = " + in_quotes(parties_.at("relay").id.did) + '\n');
        if (!chain_) line("[wallet]\nledger = " + in_quotes(parties_.at("bob").url()) + '\n');
    }
    if (n == "bob" || n == "eve") {
        line("[bidder]\ncost = " + in_quotes(n == "bob" ? "0.06" : "0.01") + "\ncurrency = \"USDC\"\nfrequency = \"hourly\"\nlocation = { country = \"USA\", region = \"west\" }\n");
        line("[issuer]\nuri = " + in_quotes(p.url()) + '\n');
        if (!chain_) line(n == "bob" ? "[ledger]\nfunds = { " + in_quotes(parties_.at("alice").id.wallet) + " = \"100\", " + in_quotes(parties_.at("bob").id.wallet) + " = \"100\" }\n" : "[ledger]\n");
    }
    if (options_.stream && (n == "alice" || n == "bob")) line(n == "alice" ? "[channels]\npay = true\n" : "[channels]\ntake = true\nstep = 20\ngrace = 60\n");
    if (chain_ && n != "bob-2" && n != "relay")
        line("[rail]\nnetwork = " + in_quotes(chain::network) + "\nasset = " + in_quotes(chain::dollar) + "\nnodes = [" + in_quotes(chain_->url()) + "]\n");
    if (bobs || n == "eve") {
        // bob's own host is too small for what Alice wants: the fleet sends it to bob-2
        const bool big = n == "bob-2";
        line("[launcher]\nbackend = " + in_quotes(n == "eve" ? "null" : options_.backend) + "\ncpus = " + (big ? "2" : "1") + "\nmem = " + in_quotes(n == "bob" ? "256M" : "1G") + "\ndisk = \"40G\"");
        line("image = " + in_quotes(options_.image.string()) + "\nauthority = " + in_quotes(authority_.string()) + "\nbase_url = \"https://" + guest_host + ":8443\"");
        line("location = { country = \"USA\", region = \"west\" }");
        line("lead = [\n  { names = [\"rp.fedproxy.com\"], port = 443, to = \"127.0.0.1:" + std::to_string(parties_.at("relay").door) +
             "\" },\n  { names = [\"fedproxy.com\"], port = 2222, to = \"127.0.0.1:" + std::to_string(ssh_) + "\" },\n  { port = 8443, to = \"127.0.0.1:" +
             std::to_string(parties_.at("bob").door) + "\" },\n]\n");
    }
    if (n == "relay")
        line("[broker]\nssh = \"127.0.0.1:" + std::to_string(ssh_) + "\"\nhttps = \"127.0.0.1:" + std::to_string(https_) +
             "\"\ndomain = \"localhost\"\ncertificate = \"door.crt\"\nkey = \"door.key\"\nauthority = \"names-ca\"\n");
    std::ofstream(p.directory / "souk.toml") << t;
}

// The reference directory of did:plc and the reference PDS, each a process of its own.
void market::start_hosts() {
    const auto host = [&](const std::string& name, std::vector<std::string> more) {
        std::vector<std::string> argv{"/usr/bin/env", "LOG_ENABLED=false", "node", (options_.peers / "host.mjs").string(), name};
        argv.insert(argv.end(), more.begin(), more.end());
        fs::create_directories(options_.directory / name);
        hosts_.push_back(std::make_unique<process>(name, std::move(argv), options_.directory / name / "log"));
        hosts_.back()->start();
    };
    host("plc", {std::to_string(plc_)});
    host("pds", {std::to_string(pds_), std::to_string(plc_), (options_.directory / "pds" / "data").string()});
    http::client_options o;
    o.allow_private = true;
    http::client web(o);
    const auto until = std::chrono::steady_clock::now() + 60s;
    for (const auto& url : {"http://127.0.0.1:" + std::to_string(plc_) + "/_health", pds() + "/xrpc/_health"})
        for (;;) {
            http::call c;
            c.url = url;
            if (const auto r = web.fetch_now(std::move(c)); r && r->status == 200) break;
            if (std::chrono::steady_clock::now() > until) throw std::runtime_error(url + " does not answer; see " + (options_.directory / "pds" / "log").string());
            std::this_thread::sleep_for(200ms);
        }
}

// As an operator would: souk account create.
void market::join_host(party& p) {
    write_config(p);
    const auto made = run_to_end({options_.program.string(), "account", "create", "--email", p.name + "@example.test", "--node", p.directory.string()}, 60);
    if (made.status != 0) throw std::runtime_error("an account for " + p.name + ": " + made.output);
}

void market::set_up() {
    make_certificates();
    if (!options_.peers.empty()) start_hosts();
    if (chain_) chain_->start();
    // Configurations name each other's identities, so the keys come first.
    for (auto& [name, p] : parties_) {
        node_config c;
        c.name = name, c.directory = p.directory, c.public_url = p.url();
        if (at_pds(name)) continue;
        c.identity = name == "alice" ? "plc" : name == "bob-2" ? "none" : "web";
        if (name == "alice") c.handle = "alice.localhost";
        p.id = identity_of(c);
    }
    for (auto& [name, p] : parties_) {
        if (!at_pds(name)) continue;
        join_host(p);
        const auto config = read_config(p.directory / "souk.toml");
        if (!config) throw refused(config.error());
        p.id = identity_of(*config);
    }
    for (auto& [name, p] : parties_) write_config(p);
    if (chain_)
        for (const auto* name : {"alice", "bob"}) chain_->issue(parties_.at(name).id.wallet, hundred);
    const auto founded = enrolment::init(parties_.at("bob").directory / "cluster", "souk demo", "bob");
    if (!founded) throw refused(founded.error());
}

// As `souk cluster invite` and `souk cluster join` do it: the token pins the authority, the key stays where it was made.
void market::enrol(const std::string& name) {
    const auto token = run_to_end({options_.program.string(), "cluster", "invite", name, "--node", parties_.at("bob").directory.string()}, 30);
    if (token.status != 0) throw std::runtime_error("inviting " + name + ": " + token.output);
    const auto joined = run_to_end({options_.program.string(), "cluster", "join", token.output.substr(0, token.output.find('\n')), "--node", parties_.at(name).directory.string(),
                                    "--ca", authority_.string()}, 30);
    if (joined.status != 0) throw std::runtime_error(name + " could not join: " + joined.output);
}

void market::start(const std::string& name) {
    auto& p = parties_.at(name);
    if (p.cluster && name != "bob" && !fs::exists(p.directory / "cluster" / "node.crt")) enrol(name);
    p.run->start();
    await(name);
}

void market::await(const std::string& name) {
    auto& p = parties_.at(name);
    const auto until = std::chrono::steady_clock::now() + 30s;
    while (!p.ask->get("/v1/identity")) {
        if (!p.run->running() || std::chrono::steady_clock::now() > until) {
            std::ifstream log(p.run->log());
            std::string text((std::istreambuf_iterator<char>(log)), {});
            if (text.size() > 2000) text = text.substr(text.size() - 2000);
            throw std::runtime_error(name + " did not start; its log ends:\n" + text);
        }
        std::this_thread::sleep_for(50ms);
    }
}

void market::fund_keys(const std::string& name) {
    const auto v = parties_.at(name).ask->get("/v1/wallet");
    const auto* lanes = v ? v->find("lanes") : nullptr;
    if (!lanes) throw std::runtime_error(name + " has no keys that settle" + (v ? "" : ": " + v.error().text));
    for (const auto& l : *lanes->as<value::list>()) chain_->give_gas(std::string(l.text("signer")));
}

void market::restart_after_kill(const std::string& name) {
    auto& p = parties_.at(name);
    p.run->kill();
    p.run->start();
    await(name);
}

void market::stop_all() {
    for (const auto* name : {"alice", "eve", "bob", "bob-2", "relay"}) parties_.at(name).run->stop();
    for (auto& host : hosts_) host->stop();
    if (chain_) chain_->stop();
}

void market::end_machines() {
    if (options_.backend != "qemu") return;
    for (const auto* name : {"bob", "bob-2"}) {
        const auto state = parties_.at(name).directory / "machines";
        if (!fs::exists(state)) continue;
        const auto backend = compute::make_qemu({state, options_.image, true, 180s, wall_clock()});
        std::promise<std::vector<std::string>> listed;
        backend->list([&](result<std::vector<std::string>> tags) { listed.set_value(tags ? *tags : std::vector<std::string>{}); });
        for (const auto& tag : listed.get_future().get()) {
            std::promise<void> ended;
            backend->terminate(tag, [&](compute::report) { ended.set_value(); });
            ended.get_future().wait_for(30s);
        }
    }
}

void market::keep() {
    for (auto& [name, p] : parties_) p.run->release();
    for (auto& host : hosts_) host->release();
    if (chain_) chain_->keep();
}

} // namespace souk::demo
