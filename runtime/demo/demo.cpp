#include <souk/runtime/demo/demo.hpp>

#include <signal.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <set>
#include <stdexcept>
#include <thread>

#include <souk/backends/http/client.hpp>
#include <souk/backends/tls/authority.hpp>
#include <souk/messages/json.hpp>
#include <souk/messages/money.hpp>
#include <souk/messages/rbac.hpp>
#include <souk/messages/records.hpp>
#include <souk/runtime/cli/table.hpp>
#include <souk/runtime/demo/market.hpp>
#include <souk/runtime/demo/story.hpp>

namespace souk::demo {

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

struct broken : std::runtime_error {
    using std::runtime_error::runtime_error;
};
void must(bool holds, const std::string& what) {
    if (!holds) throw broken(what);
}

volatile sig_atomic_t interrupted = 0;

// The published document, but for whose it is: exactly two literals change.
std::string for_alice(std::string text, const std::string& handle, const std::string& did) {
    const auto put = [&](const std::string& name, const std::string& with) {
        const auto line = "\n    " + name + "=\"";
        const auto at = text.find(line);
        must(at != std::string::npos, "the example's document has no " + name);
        const auto from = at + line.size(), to = text.find('"', from);
        text.replace(from, to - from, with);
    };
    put("HANDLE", handle);
    put("DID_PLC_KEY", did.substr(std::string("did:plc:").size()));
    return text;
}

class play {
public:
    explicit play(const demo_options& o) : options_(o), market_({o.directory, o.image, o.program, o.backend, o.network == "atproto" ? o.peers : std::filesystem::path(), o.pay == "evm" ? o.chain : std::filesystem::path(), o.stream}) {}

    int run() {
        try {
            open();
            trust();
            request();
            bids();
            contract();
            machine();
            receipt_and_ssh();
            workload();
            if (options_.keep) return kept();
            stop();
            story_.finish();
            summary();
            market_.stop_all();
            return 0;
        } catch (const std::exception& e) {
            fmt::print("\nIt did not hold: {}\n", e.what());
            if (!story_.title().empty()) fmt::print("In step \"{}\".\n", story_.title());
            fmt::print("Logs: {}/{{alice,bob,bob-2,relay,eve}}/log\n", market_.options().directory.string());
            market_.stop_all();
            market_.end_machines();
            return 1;
        }
    }

private:
    // -- tools -------------------------------------------------------------------------------------------------------------------
    value ask(const std::string& who, const std::string& path, const std::vector<std::pair<std::string, std::string>>& query = {}) {
        auto v = market_[who].ask->get(path, query);
        if (!v) throw broken(who + " " + path + ": " + v.error().text);
        return std::move(*v);
    }
    // Asks again until it is so. A node that is being restarted is not an answer.
    value until(const std::string& what, std::chrono::seconds within, const std::function<std::optional<value>()>& look) {
        const auto end = std::chrono::steady_clock::now() + within;
        for (;;) {
            if (interrupted) throw broken("interrupted");
            if (auto v = look()) return std::move(*v);
            must(std::chrono::steady_clock::now() < end, what + ": not within " + std::to_string(within.count()) + " s");
            std::this_thread::sleep_for(200ms);
        }
    }
    std::optional<value> purchase() {
        const auto v = market_["alice"].ask->get("/v1/contracts", {{"id", id_}});
        const auto* all = v ? v->find("all") : nullptr;
        const auto* list = all ? all->as<value::list>() : nullptr;
        if (!list || list->empty()) return std::nullopt;
        return list->front();
    }
    value purchase_in(const std::set<std::string>& phases, std::chrono::seconds within, const std::string& what) {
        return until(what, within, [&]() -> std::optional<value> {
            auto p = purchase();
            if (!p) return std::nullopt;
            const auto phase = std::string(p->text("phase"));
            must(phase != "failed" || phases.count("failed"), "the purchase failed: " + std::string(p->text("why")));
            return phases.count(phase) ? p : std::nullopt;
        });
    }
    std::vector<value> leases() {
        const auto v = market_["bob"].ask->get("/v1/contracts", {{"ended", "true"}});
        const auto* all = v ? v->find("all") : nullptr;
        const auto* list = all ? all->as<value::list>() : nullptr;
        return list ? *list : std::vector<value>{};
    }
    static std::string deep(const value& v, std::initializer_list<const char*> path) {
        const value* at = &v;
        for (const char* key : path)
            if (at) at = at->find(key);
        if (!at) return {};
        if (const auto* s = at->as<std::string>()) return *s;
        if (const auto* n = at->as<std::int64_t>()) return std::to_string(*n);
        return {};
    }
    // Chaos: this step's victim dies by SIGKILL, now, and is started again.
    void strike(const std::string& who) {
        if (!options_.chaos) return;
        story_.tell("chaos: SIGKILL " + who + ", and start it again");
        market_.restart_after_kill(who);
    }

    // What a chain says of a payment, for who paid it.
    void landed(const std::string& transaction) {
        if (!market_.on_chain()) return;
        const auto r = market_.on_chain()->receipt(transaction);
        must(r.succeeded, "the chain reverted " + transaction);
        story_.more(fmt::format("in block {}, for {} units of gas, which Bob pays", r.block, r.gas));
    }

    // -- the steps -----------------------------------------------------------------------------------------------------------------
    void open() {
        fmt::print("Souk demo: a compute market of five processes on this machine.\nDirectory: {}\n", market_.options().directory.string());
        story_.step("Five nodes come up; four of them are one cluster");
        market_.set_up();
        if (options_.network == "atproto") story_.tell("the reference PDS is " + market_.pds() + ": alice's and eve's records live in accounts there, bob's with him");
        for (const auto& name : {"bob", "relay", "bob-2", "alice", "eve"}) {
            market_.start(name);
            const auto who = market_[name].id.did;
            story_.tell(fmt::format("{:<6} {}", name, who.empty() ? "no identity of its own: a host of bob's" : who));
        }
        until("the cluster", 30s, [&]() -> std::optional<value> {
            const auto v = market_["bob"].ask->get("/v1/links");
            std::size_t up = 0;
            if (v)
                for (const auto& l : *v->find("links")->as<value::list>()) up += l.text("state") == "up";
            return up == 3 ? std::optional<value>(*v) : std::nullopt;
        });
        if (const auto* c = market_.on_chain()) {
            for (const auto* name : {"bob", "eve"}) market_.fund_keys(name);
            story_.tell(fmt::format("money: a chain of its own, {}, at {}", demo::chain::network, c->url()));
            story_.more(fmt::format("the dollar is {}; no money", demo::chain::dollar));
        }
        story_.tell("cluster: alice, bob, bob-2, relay, over mutual TLS 1.3; eve is outside");
        // Whoever bids reads her stream: on a slow machine it is up later than its node.
        if (!market_.at_pds("alice"))
            until("bob and eve to follow alice", 60s, [&]() -> std::optional<value> {
                const auto v = market_["alice"].ask->get("/v1/status");
                const auto readers = v ? deep(*v, {"now", "door", "readers"}) : std::string();
                return !readers.empty() && std::stoi(readers) >= 2 ? std::optional<value>(*v) : std::nullopt;
            });
        const auto fleet = until("bob's fleet", 30s, [&]() -> std::optional<value> {
            auto v = market_["bob"].ask->get("/v1/fleet");
            return v && v->find("hosts")->as<value::list>()->size() == 2 ? std::optional<value>(*v) : std::nullopt;
        });
        for (const auto& h : *fleet.find("hosts")->as<value::list>())
            story_.more(fmt::format("host {:<6} {:>5} MiB free, {} by {}, attestation: {}", h.text("host"), deep(h, {"free_mem_mib"}), h.text("backend"), h.text("acceleration"), h.text("tier")));
        for (const auto& h : *fleet.find("hosts")->as<value::list>())
            if (h.text("host") == "bob-2" && !h.text("note").empty()) story_.more(fmt::format("({})", h.text("note")));
    }

    void trust() {
        story_.step("Alice vouches for Bob and denounces Eve");
        const auto say = [&](const char* kind, const std::string& whom, const char* reason) {
            const auto v = market_["alice"].ask->post("/v1/vouch", {{"did", market_[whom].id.did}, {"kind", kind}, {"reason", reason}});
            if (!v) throw broken(std::string(kind) + ": " + v.error().text);
            story_.tell(fmt::format("{:<8} {}  {}", kind, whom, cli::shortened(std::string(v->text("cid")), 24)));
        };
        say("vouch", "bob", "ran my machines for a year");
        say("denounce", "eve", "took the money and never delivered");
        strike("eve");
    }

    void request() {
        story_.step("Alice publishes a request for compute (CCRFP)");
        const auto text = tls::read_file(options_.example);
        auto example = from_json(text, json_form::atproto);
        if (!example) throw broken("the example: " + example.error().text);
        const auto* record = example->find("record");
        must(record && record->as<value::map>(), "the example has no record");
        auto r = *record->as<value::map>();
        r["user_data"] = for_alice(std::string(record->text("user_data")), "alice.localhost", market_["alice"].id.did);
        const auto now = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
        id_ = to_tid(static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count()), 7);
        r["createdAt"] = to_datetime(now);
        r["expiresAt"] = to_datetime(now + 10min);
        role_ = std::string(record->text("role"));
        story_.tell(fmt::format("1 cpu, {} memory, {} disk, {} bytes of cloud-init, role {}", record->text("mem"), record->text("disk"), record->text("user_data").size(), role_));
        const auto v = market_["alice"].ask->post("/v1/buy", {{"id", id_}, {"request", value(std::move(r))}, {"ceiling", 1'000'000}, {"window_ms", options_.chaos ? 15'000 : 6'000}});
        if (!v) throw broken("buy: " + v.error().text);
        strike("alice");
        const auto p = until("the request", 30s, [&]() -> std::optional<value> {
            auto x = purchase();
            return x && !x->text("rfp").empty() ? x : std::nullopt;
        });
        story_.tell(cli::shortened(std::string(p.text("rfp")), 66));
        story_.more("cid " + deep(p, {"detail", "rfp", "cid"}));
    }

    void bids() {
        story_.step("Bob and Eve bid; Alice's policy engine judges");
        const auto v = until("two bids, judged", 60s, [&]() -> std::optional<value> {
            auto b = market_["alice"].ask->get("/v1/bids", {{"id", id_}});
            if (!b) return std::nullopt;
            std::size_t judged = 0;
            for (const auto& x : *b->find("bids")->as<value::list>()) judged += *x.find("judged")->as<bool>();
            return judged >= 2 ? std::optional<value>(*b) : std::nullopt;
        });
        bool eve_refused = false, bob_allowed = false;
        std::int64_t bobs = 0, eves = 0;
        for (const auto& b : *v.find("bids")->as<value::list>()) {
            const bool allowed = *b.find("allowed")->as<bool>();
            const auto who = b.text("bidder") == market_["bob"].id.did ? "bob" : "eve";
            (who == std::string("bob") ? bobs : eves) = *b.find("amount")->as<std::int64_t>();
            if (who == std::string("bob")) bob_allowed = allowed;
            else eve_refused = !allowed;
            story_.tell(fmt::format("{:<4} {} USDC, attestation {}: {}", who, b.text("price"), b.text("tier"), allowed ? "allowed" : "REFUSED"));
            story_.more(std::string(b.text("reason")));
            story_.more("cid " + std::string(b.text("cid")));
        }
        must(eves < bobs, "Eve did not undercut Bob");
        must(eve_refused && bob_allowed, "the verdicts are not what Alice's records say");
        strike("bob");
    }

    void contract() {
        story_.step("Alice grants the workload one right, accepts (CCBA), and pays (x402)");
        auto p = purchase_in({"accepting", "paying", "doubting", "awaiting", "active"}, 60s, "the accept");
        story_.tell("rbac record: this issuer, audience and subject may create com.fedproxy.sshPublicKey, nothing else");
        p = until("the accept", 60s, [&]() -> std::optional<value> {
            auto x = purchase();
            return x && !x->text("accept").empty() ? x : std::nullopt;
        });
        accept_ = std::string(p.text("accept"));
        must(p.text("counterparty") == market_["bob"].id.did, "the winner is not Bob");
        story_.tell("accepted: " + cli::shortened(accept_, 56));
        story_.more("cid " + deep(p, {"detail", "accept", "cid"}));
        strike("alice");
        p = purchase_in({"awaiting", "active"}, 180s, "the payment");
        const auto transaction = deep(p, {"detail", "transaction"});
        if (options_.stream) {
            must(deep(p, {"detail", "stream", "channel"}) == transaction, "it is not paid from a channel");
            story_.tell(fmt::format("402, then {} into a channel of its own: {}", p.text("price"), cli::shortened(transaction, 24)));
            story_.more(fmt::format("of it {} USDC are promised, for {} s; more as it runs", to_decimal(std::stoll(deep(p, {"detail", "stream", "promised"}))), 2 * std::stoll(deep(p, {"detail", "stream", "step"}))));
            return;
        }
        story_.tell(fmt::format("402, then paid {}, once: transaction {}", p.text("price"), cli::shortened(transaction, 24)));
        landed(transaction);
    }

    void machine() {
        story_.step("Bob's fleet launches the machine");
        const auto lease = until("the lease", 60s, [&]() -> std::optional<value> {
            for (auto& l : leases())
                if (l.text("accept") == accept_) return l;
            return std::nullopt;
        });
        host_ = std::string(lease.text("host")), tag_ = std::string(lease.text("machine"));
        story_.tell(fmt::format("routed to {}: bob himself has no room for {}", host_, lease.text("size")));
        must(host_ == "bob-2", "the machine is not on bob-2");
        strike("bob-2");
        const auto m = until("the machine", 240s, [&]() -> std::optional<value> {
            const auto v = market_["bob"].ask->get("/v1/machines", {{"id", tag_}});
            if (!v) return std::nullopt;
            for (const auto& x : *v->find("all")->as<value::list>()) {
                must(x.text("phase") != "gone" && x.text("phase") != "stopping", "the machine ended: " + std::string(x.text("why")));
                if (x.text("phase") == "running") return x;
            }
            return std::nullopt;
        });
        story_.tell(fmt::format("{} answers SSH at {}:{}, attestation: {}", tag_, m.text("address"), deep(m, {"port"}), m.text("tier")));
        tier_ = std::string(m.text("tier"));
    }

    void receipt_and_ssh() {
        story_.step("Bob signs the receipt (CCR); Alice opens it and goes in");
        strike("bob");
        const auto p = purchase_in({"active"}, 120s, "the receipt");
        receipt_cid_ = deep(p, {"detail", "receipt", "cid"});
        price_ = std::string(p.text("price"));
        story_.tell("verified: it covers request, bid and accept, and opens for Alice");
        story_.more("cid " + receipt_cid_);
        const auto ssh = until("SSH", 90s, [&]() -> std::optional<value> {
            const auto e = run_to_end({options_.program.string(), "ssh", id_, "--node", market_["alice"].directory.string(), "--", "uname -sr; hostname; id -un"}, 60);
            if (e.status == 0) return value(e.output);
            return std::nullopt;
        });
        auto said = *ssh.as<std::string>();
        while (!said.empty() && said.back() == '\n') said.pop_back();
        for (auto at = said.find('\n'); at != std::string::npos; at = said.find('\n')) said.replace(at, 1, " / ");
        story_.tell("host key pinned; in the machine: " + said);
        ssh_ = said;
    }

    void workload() {
        story_.step("The machine does what its document says, by itself");
        strike("relay");
        std::string last;
        const auto route = until("the public name", 240s, [&]() -> std::optional<value> {
            const auto v = market_["alice"].ask->get("/v1/routes", {{"did", market_["alice"].id.did}});
            if (!v) return std::nullopt;
            for (const auto& r : *v->find("all")->as<value::list>())
                if (*r.find("up")->as<bool>()) return r;
            return std::nullopt;
        });
        story_.tell("boot token exchanged, SSH key written into Alice's repository, reverse tunnel open");
        url_ = std::string(route.text("url"));
        story_.tell(url_);
        http::client_options o;
        o.ca_file = market_.authority(), o.allow_private = true;
        const auto host = url_.substr(8, url_.find(':', 8) - 8);
        o.hosts[host] = "127.0.0.1:" + std::to_string(market_.https_port());
        http::client web(o);
        const auto page = until("the page", 90s, [&]() -> std::optional<value> {
            http::call c;
            c.url = url_;
            const auto r = web.fetch_now(std::move(c));
            if (r && r->status == 200 && r->body.find("Hello World!") != std::string::npos) return value(r->body);
            return std::nullopt;
        });
        auto text = *page.as<std::string>();
        while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
        story_.tell("GET / says: " + text);
    }

    void stop() {
        story_.step("Alice stops the lease");
        const auto v = market_["alice"].ask->post("/v1/stop", {{"id", id_}, {"reason", "the demo is over"}});
        if (!v) throw broken("stop: " + v.error().text);
        strike("bob-2");
        const auto p = purchase_in({"closed"}, 180s, "the final statement");
        const auto gone = ask("bob", "/v1/machines", {{"id", ""}});
        for (const auto& m : *gone.find("all")->as<value::list>()) must(m.text("phase") != "running" && m.text("phase") != "launching", "a machine is left over");
        std::error_code none;
        const auto left = market_["bob-2"].directory / "machines" / tag_;
        must(!fs::exists(left, none), "the machine left something behind: " + left.string());
        story_.tell("machine " + tag_ + " is confirmed gone");
        const auto paid = std::stoll(deep(p, {"detail", "paid"})), back = std::stoll(deep(p, {"detail", "refunded"}));
        const auto seconds = deep(p, {"detail", "seconds"});
        paid_ = fmt::format("{} USDC paid, {} back: {} for {} s", to_decimal(paid), to_decimal(back), to_decimal(paid - back), seconds);
        if (options_.stream) {
            const auto promised = std::stoll(deep(p, {"detail", "stream", "promised"}));
            must(paid <= promised && back == 0, "more was charged than was promised");
            paid_ = fmt::format("{} USDC charged for {} s, of {} that were promised", to_decimal(paid), seconds, to_decimal(promised));
        }
        story_.tell("statement: " + paid_);
        if (options_.stream) story_.more("the channel is empty: the rest is hers again");
        for (const auto& l : leases())
            if (l.text("accept") == accept_ && back > 0) {
                const auto transaction = deep(l, {"detail", "refund_transaction"});
                story_.tell(fmt::format("paid back by bob, as the lease ended early: {}", cli::shortened(transaction, 24)));
                landed(transaction);
            }
        // Nothing was paid twice: what Alice has and what Bob has is what there was.
        const auto alice = ask("alice", "/v1/wallet"), bob = ask("bob", "/v1/wallet");
        const auto a = *alice.find("atomic")->as<std::int64_t>(), b = *bob.find("atomic")->as<std::int64_t>();
        must(a + b == 2 * market::hundred, "the money does not add up");
        must(a == market::hundred - (paid - back), "Alice's balance is not what the statement says");
        story_.tell(fmt::format("balances: alice {}, bob {}", to_decimal(a), to_decimal(b)));
    }

    void summary() {
        const auto rule = std::string(72, '-');
        fmt::print("\n{}\n", rule);
        const auto line = [](const char* what, const std::string& text) { fmt::print("{:<12}{}\n", what, text); };
        line("contract", id_ + " (alice buys from bob; eve refused)");
        line("cost", paid_.empty() ? price_ + " USDC, prepaid" : paid_);
        line("machine", fmt::format("{} on {}, {}", tag_, host_, ssh_));
        line("attestation", tier_ + (tier_ == "none" ? " (this host has no TDX)" : ""));
        line("URL", url_);
        line("receipt", receipt_cid_);
        fmt::print("\n");
        for (const auto& [title, seconds] : story_.times()) fmt::print("{:6.1f} s  {}\n", seconds, title);
        fmt::print("{}\n{:6.1f} s  every step held{}\n", rule, story_.so_far(), options_.chaos ? ", with each process killed on the way" : "");
    }

    int kept() {
        story_.finish();
        summary();
        market_.keep();
        const auto alice = market_["alice"].directory.string();
        fmt::print("\nThe market goes on running. Try, with\n  export SOUK_NODE={}\n\n", alice);
        fmt::print("  souk ps                    souk ssh {0} -- uptime\n  souk show {0}\n  souk why {0}\n  souk events {0}\n  souk statement\n  souk stop {0}\n", id_);
        fmt::print("  curl --cacert {} \\\n    --resolve {}:{}:127.0.0.1 {}\n", market_.authority().string(), url_.substr(8, url_.find(':', 8) - 8), market_.https_port(), url_);
        fmt::print("\nStop it all:  for n in alice eve bob bob-2 relay; do souk shutdown --node {}/$n; done\n", market_.options().directory.string());
        return 0;
    }

    demo_options options_;
    market market_;
    story story_;
    std::string id_, role_, accept_, host_, tag_, tier_, receipt_cid_, price_, ssh_, url_, paid_;
};

} // namespace

int run(const demo_options& o) {
    auto options = o;
    if (options.directory.empty()) {
        std::string name = (fs::temp_directory_path() / "souk-demo-XXXXXX").string();
        if (!::mkdtemp(name.data())) throw std::runtime_error("no temporary directory can be made");
        options.directory = name;
    }
    struct sigaction act {};
    act.sa_handler = [](int) { interrupted = 1; };
    ::sigaction(SIGINT, &act, nullptr);
    ::sigaction(SIGTERM, &act, nullptr);
    return play(options).run();
}

} // namespace souk::demo
