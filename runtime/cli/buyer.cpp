#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <iostream>
#include <thread>

#include <fmt/format.h>

#include <souk/actors/common/random_id.hpp>
#include <souk/messages/json.hpp>
#include <souk/messages/money.hpp>
#include <souk/runtime/cli/commands.hpp>
#include <souk/runtime/cli/manifest.hpp>
#include <souk/runtime/cli/table.hpp>
#include <souk/runtime/cli/trust_tree.hpp>
#include <souk/runtime/cli/view.hpp>

namespace souk::cli {

namespace {

using namespace std::chrono_literals;

std::string contracts_table(const value& v) {
    table t({"ID", "SIDE", "PHASE", "WITH", "PRICE (USDC)", "ENDS"});
    for (const auto& c : list_of(v, "all"))
        t.row({text_of(c, "id"), text_of(c, "side"), text_of(c, "phase"), shortened(text_of(c, "counterparty"), 26), text_of(c, "price"), when(c, "ends")});
    return t.empty() ? "no contracts (--all shows those that are over)\n" : t.text();
}

std::string bids_table(const value& v) {
    table t({"BIDDER", "PRICE (USDC)", "ATTEST.", "VERDICT", "REASON"});
    for (const auto& b : list_of(v, "bids"))
        t.row({shortened(text_of(b, "bidder"), 26), text_of(b, "price"), text_of(b, "tier"),
               text_of(b, "chosen") == "yes" ? "chosen" : text_of(b, "judged") != "yes" ? "open" : text_of(b, "allowed") == "yes" ? "allowed" : "refused", text_of(b, "reason")});
    return t.empty() ? "no bids\n" : t.text();
}

// 80 columns: a record's name is broken after a slash where it does not fit; --json has it whole.
std::string why_text(const value& v) {
    const auto in = [](std::size_t indent, const std::string& text) { return std::string(indent, ' ') + wrapped(text, indent) + '\n'; };
    std::string out = "request  " + wrapped(text_of(v, "rfp_uri"), 9) + "\n         " + text_of(v, "rfp_cid") + '\n';
    for (const auto& b : list_of(v, "bids")) {
        out += fmt::format("\n{}  {}\n", text_of(b, "bidder"), text_of(b, "chosen") == "yes" ? "CHOSEN" : text_of(b, "judged") != "yes" ? "open" : text_of(b, "allowed") == "yes" ? "allowed" : "refused");
        out += "  bid  " + wrapped(text_of(b, "uri"), 7) + "\n       " + text_of(b, "cid") + '\n';
        for (const auto& s : list_of(b, "steps")) {
            out += fmt::format("  {:<8} {}\n", text_of(s, "said"), wrapped(text_of(s, "rule"), 11));
            out += in(11, text_of(s, "reason"));
            for (const auto& e : list_of(s, "evidence")) out += in(13, text_of(e, "uri")) + in(13, text_of(e, "cid"));
        }
    }
    return out;
}

std::string show_text(const value& v) {
    std::string out;
    for (const auto& c : list_of(v, "all")) {
        const auto line = [&](const char* what, const std::string& text) {
            if (!text.empty() && text != "-") out += fmt::format("{:<12}{}\n", what, text);
        };
        line("id", text_of(c, "id"));
        line(text_of(c, "side").c_str(), text_of(c, "phase"));
        line("why", text_of(c, "why"));
        line("with", text_of(c, "counterparty"));
        line("price", text_of(c, "price").empty() ? "" : text_of(c, "price") + ' ' + text_of(c, "currency"));
        line("size", text_of(c, "size"));
        line("machine", text_of(c, "machine")), line("host", text_of(c, "host"));
        line("attestation", text_of(c, "tier"));
        line("since", when(c, "since")), line("ends", when(c, "ends"));
        for (const char* key : {"rfp", "bid", "accept", "receipt", "statement"}) line(key, text_of(c, key));
        if (const auto* d = c.find("detail")) {
            line("paid", text_of(*d, "transaction"));
            line("refund", text_of(*d, "refund_transaction"));
        }
        out += '\n';
    }
    if (!out.empty()) out.pop_back();
    return out;
}

std::string events_text(const value& v) {
    std::string out = text_of(v, "kind") + ' ' + text_of(v, "id") + '\n';
    for (const auto& e : list_of(v, "events")) {
        std::string what;
        if (const auto* w = e.find("what"); w && w->as<value::map>())
            for (const auto& [key, x] : *w->as<value::map>()) {
                auto shown = x.as<std::string>() ? *x.as<std::string>() : to_json(x);
                if (key == "due" || key == "look_again" || shown.empty() || shown == "null") continue;
                for (auto& ch : shown)
                    if (static_cast<unsigned char>(ch) < 0x20) ch = ' ';
                what += (what.empty() ? "" : " ") + key + '=' + shortened(shown, 40);
            }
        out += fmt::format("{}  {:<16} {}\n", text_of(e, "at").substr(11, 12), text_of(e, "event"), shortened(what, 100));
    }
    return out;
}


// -- ssh: the stock client, with the receipt's host key and nothing else trusted ---------------------------------------------------
void ssh_into(context& c, const std::string& id, const std::vector<std::string>& command) {
    const auto access = c.ask().get("/v1/access", {{"id", id}});
    if (!access) return c.fail(access.error());
    const auto me = c.ask().get("/v1/identity");
    if (!me) return c.fail(me.error());
    const auto* d = access->find("details");
    if (!d) return c.fail({"no_access", "the node gave no access details"});
    const auto hosts = c.node / "keys" / ("known_hosts-" + std::to_string(::getpid()));
    const auto port = text_of(*d, "port");
    const auto others = ::umask(0077); // it lies among the keys, and stays there if this process is killed
    std::ofstream(hosts) << '[' << text_of(*d, "host") << "]:" << port << ' ' << text_of(*d, "host_key") << '\n';
    ::umask(others);
    std::vector<std::string> argv{"ssh", "-F", "none", "-p", port, "-i", text_of(*me, "ssh_key_file"), "-o", "IdentitiesOnly=yes", "-o", "UserKnownHostsFile=" + hosts.string(),
                                  "-o", "GlobalKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=yes", "-o", "UpdateHostKeys=no", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=15",
                                  text_of(*d, "user") + '@' + text_of(*d, "host")};
    argv.insert(argv.end(), command.begin(), command.end());
    const auto child = ::fork();
    if (child == 0) {
        std::vector<char*> raw;
        for (auto& a : argv) raw.push_back(a.data());
        raw.push_back(nullptr);
        ::execvp("ssh", raw.data());
        std::perror("ssh");
        ::_exit(127);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    std::error_code none;
    std::filesystem::remove(hosts, none);
    c.status = WIFEXITED(status) ? WEXITSTATUS(status) : refused_status;
}

std::string offerings_text(const value& v) {
    table t({"SELLER", "LARGEST", "PRICE", "TIER", "PLACE", "UNTIL"});
    const auto or_dash = [](std::string text) { return text.empty() ? std::string("-") : text; };
    for (const auto& o : list_of(v, "all")) {
        const auto number = [&](const char* key) {
            const auto* at = o.find(key);
            const auto* n = at ? at->as<std::int64_t>() : nullptr;
            return n ? *n : 0;
        };
        auto cost = to_decimal(number("amount"));
        while (cost.ends_with('0') && !cost.ends_with(".0")) cost.pop_back();
        const auto* place = o.find("location");
        std::string where;
        for (const char* key : {"country", "region"})
            if (const auto part = place ? text_of(*place, key) : std::string(); !part.empty()) where += (where.empty() ? "" : "/") + part;
        const auto until = when(o, "expires");
        t.row({shortened(text_of(o, "did"), 20), number("cpus") > 0 ? fmt::format("{} cpu {}M", number("cpus"), number("mem_mib")) : "-",
               number("slice") > 0 ? fmt::format("{}/{}s", cost, number("slice")) : "-", or_dash(text_of(o, "tier")), or_dash(shortened(where, 8)), until.size() > 16 ? until.substr(5, 11) : until});
    }
    auto out = t.empty() ? std::string("nobody is known to sell (who does is found at the hosts in [network])\n") : t.text();
    const auto lost = [&](const char* key, const char* what) {
        if (const auto n = text_of(v, key); !n.empty() && n != "0") out += n + ' ' + what + '\n';
    };
    lost("given_up", "were given up for want of room"), lost("passed_over", "were passed over for want of room"), lost("unread", "could not be read");
    return out;
}

// -- request -----------------------------------------------------------------------------------------------------------------------
struct request_options {
    std::filesystem::path manifest;
    std::string ceiling;
    std::vector<std::string> rules;
    std::string tier;
    std::int64_t window = 10;
    bool yes = false, plan = false, detach = false;
};

result<value> purchase_of(const remote& node, const std::string& id) {
    auto v = node.get("/v1/contracts", {{"id", id}});
    if (!v) return v.error();
    if (list_of(*v, "all").empty()) return refusal{"unknown_purchase", "no such purchase"};
    return list_of(*v, "all").front();
}

// What it may cost at the very most, why no more, and what is left of each limit afterwards.
value::map worst_case(const context& c, const value& bids, const request_options& o) {
    value::map m;
    for (const auto& b : list_of(bids, "bids")) {
        if (text_of(b, "chosen") != "yes") continue;
        const auto number = [](const value& of, const char* key) {
            const auto* n = of.find(key) ? of.find(key)->as<std::int64_t>() : nullptr;
            return n ? *n : 0;
        };
        const auto sum = number(b, "amount");
        m["to"] = text_of(b, "bidder"), m["at_most"] = to_decimal(sum), m["seconds"] = number(b, "slice");
        if (!o.ceiling.empty()) m["ceiling"] = o.ceiling;
        const auto said = c.ask().get("/v1/spending", {{"to", text_of(b, "bidder")}});
        value::list limits;
        if (said)
            for (const auto& l : list_of(*said, "limits"))
                limits.push_back(value::map{{"limit", text_of(l, "limit")}, {"most", to_decimal(number(l, "most"))}, {"left", to_decimal(number(l, "left"))},
                                            {"left_after", to_decimal(std::max<std::int64_t>(0, number(l, "left") - sum))}, {"enough", number(l, "left") >= sum}});
        m["limits"] = std::move(limits);
        if (const auto above = said ? number(*said, "approve_above") : 0; above > 0) m["approve_above"] = to_decimal(above), m["needs_approval"] = sum > above;
    }
    return m;
}
std::string worst_case_text(const value& v) {
    const auto line = [](const char* what, const std::string& text) { return fmt::format("{:<10} {}\n", what, wrapped(text, 11)); };
    auto out = line("would buy", "from " + text_of(v, "to") + ", " + text_of(v, "seconds") + " seconds");
    out += line("at most", text_of(v, "at_most") + " USDC are lost: one payment is signed, for what the bid says, good once and for five minutes; another demand is not signed");
    if (!text_of(v, "ceiling").empty()) out += line("ceiling", text_of(v, "ceiling") + " USDC: a bid above it is not chosen (--max-price)");
    out += line("refund", "a machine that does not come up, and seconds that are not used, are paid back by the seller, by his word alone");
    if (text_of(v, "needs_approval") == "yes") out += line("approval", "it is above " + text_of(v, "approve_above") + " and waits for it: souk approve ID, or --yes");
    table t({"LIMIT", "MOST", "LEFT", "LEFT AFTER"});
    for (const auto& l : list_of(v, "limits")) t.row({text_of(l, "limit"), text_of(l, "most"), text_of(l, "left"), text_of(l, "enough") == "yes" ? text_of(l, "left_after") : "not enough"});
    return t.empty() ? out : out + '\n' + t.text();
}

// Opens a purchase and follows it until `over` says so; prints each new phase on the way.
result<value> follow(context& c, const value& record, const request_options& o, bool plan) {
    const auto now = std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
    const auto id = to_tid(static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count()), static_cast<unsigned>(::getpid()) & 0x3ff);
    auto r = *record.as<value::map>();
    if (!r.count("createdAt")) r["createdAt"] = to_datetime(now);
    if (!r.count("expiresAt")) r["expiresAt"] = to_datetime(now + std::chrono::seconds{o.window} + 10min);
    value::map body{{"id", id}, {"request", value(std::move(r))}, {"window_ms", o.window * 1000}, {"wanted_tier", o.tier}, {"plan", plan}};
    if (!o.ceiling.empty()) {
        const auto most = from_decimal(o.ceiling);
        if (!most) return most.error();
        body["ceiling"] = *most;
    }
    value::list rules;
    for (const auto& x : o.rules) rules.push_back(x);
    if (!rules.empty()) body["rules"] = std::move(rules);
    const auto node = c.ask();
    if (auto opened = node.post("/v1/buy", std::move(body)); !opened) return opened.error();
    if (o.yes && !plan) (void)node.post("/v1/approve", {{"id", id}}); // where that comes to nothing, its phase says so
    std::string phase;
    for (;;) {
        auto p = purchase_of(node, id);
        if (!p) return p.error();
        const auto at = text_of(*p, "phase");
        if (at != phase) {
            phase = at;
            const auto why = text_of(*p, "why");
            if (!c.json) fmt::print("{}  {}{}{}\n", id, at, why.empty() ? "" : ": ", why);
            std::fflush(stdout);
        }
        if (at == "failed" || at == "closed" || at == "planned" || at == "active" || (o.detach && at != "publishing")) return p;
        std::this_thread::sleep_for(250ms);
    }
}

void buy_something(context& c, const request_options& o) {
    const auto record = read_manifest(o.manifest);
    if (!record) return c.fail(record.error());
    auto limits = o;
    if (!o.yes || o.plan) {
        const auto planned = follow(c, *record, o, true);
        if (!planned) return c.fail(planned.error());
        const auto bids = c.ask().get("/v1/bids", {{"id", text_of(*planned, "id")}});
        if (!bids) return c.fail(bids.error());
        const auto worst = worst_case(c, *bids, o);
        if (c.json) {
            auto all = *bids->as<value::map>();
            all["worst_case"] = worst;
            return c.print(std::move(all), bids_table);
        }
        fmt::print("\n{}\n", bids_table(*bids));
        if (text_of(*planned, "phase") == "failed") return c.fail({"no_acceptable_bid", text_of(*planned, "why")});
        fmt::print("{}", worst_case_text(worst));
        if (o.plan) return;
        fmt::print("buy? [y/N] ");
        std::fflush(stdout);
        std::string said;
        std::getline(std::cin, said);
        if (said != "y" && said != "Y" && said != "yes") return c.fail({"not_confirmed", "nothing was bought"});
        if (limits.ceiling.empty())
            for (const auto& b : list_of(*bids, "bids"))
                if (text_of(b, "chosen") == "yes") limits.ceiling = to_decimal(*b.find("amount")->as<std::int64_t>());
    }
    const auto bought = follow(c, *record, limits, false);
    if (!bought) return c.fail(bought.error());
    value::map wrapped;
    wrapped["all"] = value::list{*bought};
    c.print(wrapped, show_text);
    if (text_of(*bought, "phase") == "failed") c.status = refused_status;
    else if (!c.json) fmt::print("\nsouk ssh {}      to get in\nsouk stop {}     to end it\n", text_of(*bought, "id"), text_of(*bought, "id"));
}

struct pay_options {
    std::string url, most = "0.10", id;
    bool approved = false;
};
void pay_url(context& c, const pay_options& o) {
    const auto most = from_decimal(o.most);
    if (!most) return c.fail(most.error());
    const auto got = c.ask().post("/v1/pay", {{"url", o.url}, {"most", *most}, {"id", o.id.empty() ? random_id() : o.id}, {"approved", o.approved}});
    if (!got) return c.fail(got.error());
    if (c.json) return c.print(*got, [](const value&) { return std::string(); });
    const auto paid = text_of(*got, "paid");
    const auto number = [&got](const char* key) {
        const auto* n = got->find(key) ? got->find(key)->as<std::int64_t>() : nullptr;
        return n ? *n : 0;
    };
    if (paid == "yes") fmt::print(stderr, "paid {} to {}\n{}\n", to_decimal(number("value")), text_of(*got, "to"), text_of(*got, "transaction"));
    const auto body = text_of(*got, "body");
    fmt::print("{}{}", body, body.ends_with('\n') ? "" : "\n");
    if (number("status") < 200 || number("status") > 299) c.status = refused_status;
}

} // namespace

void add_buyer(CLI::App& app, context& c) {
    // Options live as long as the program: CLI11 fills them while it parses.
    static std::string id, did, reason, address, what_if, until;
    static std::int64_t weight = 0, depth = 2;
    static bool all = false;
    static std::vector<std::string> command;
    static request_options request;

    auto* s = app.add_subcommand("request", "buy a machine");
    s->add_option("manifest", request.manifest, "what is wanted: a TOML manifest, or a ccrfp record as JSON")->required();
    s->add_option("--max-price", request.ceiling, "most that one payment may be, in USDC");
    s->add_option("--policy", request.rules, "rules, in order (default: the node's)")->delimiter(',');
    s->add_option("--attestation", request.tier, "none, simulated or hardware: the least that will do");
    s->add_option("--window", request.window, "seconds to gather bids")->check(CLI::Range(1, 3600));
    s->add_flag("--yes,-y", request.yes, "do not ask, and approve whatever it costs up to --max-price");
    s->add_flag("--plan", request.plan, "show bids, verdicts and the worst case; buy nothing");
    s->add_flag("--detach", request.detach, "do not wait for the machine");
    s->callback([&c] { buy_something(c, request); });

    s = app.add_subcommand("offerings", "who says that he sells, and what: requests are sent to those that fit");
    s->add_option("--after", did, "go on after this DID");
    s->callback([&c] { c.answer(c.ask().get("/v1/offerings", {{"after", did}}), offerings_text); });

    s = app.add_subcommand("ps", "contracts");
    s->add_flag("--all,-a", all, "those that are over too");
    s->callback([&c] { c.answer(c.ask().get("/v1/contracts", {{"ended", all ? "true" : "false"}}), contracts_table); });

    s = app.add_subcommand("show", "one contract, whole");
    s->add_option("id", id, "its id, or the beginning of it")->required();
    s->callback([&c] { c.answer(c.ask().get("/v1/contracts", {{"id", id}}), show_text); });

    s = app.add_subcommand("why", "the policy's verdict on each bid, rule by rule, with the records behind it");
    s->add_option("id", id)->required();
    s->add_option("--what-if", what_if, "rules, apart by commas: what they would have said of these bids, on what is known now");
    s->callback([&c] { c.answer(c.ask().get("/v1/bids", {{"id", id}, {"rules", what_if}}), why_text); });

    s = app.add_subcommand("events", "everything that happened to a contract, machine, payment or route");
    s->add_option("id", id)->required();
    s->callback([&c] { c.answer(c.ask().get("/v1/events", {{"id", id}}), events_text); });

    s = app.add_subcommand("ssh", "into the machine, its host key pinned by the receipt");
    s->add_option("id", id)->required();
    s->add_option("command", command, "to run there");
    s->callback([&c] { ssh_into(c, id, command); });

    s = app.add_subcommand("stop", "end a contract; what is unused comes back");
    s->add_option("id", id)->required();
    s->add_option("--reason", reason);
    s->callback([&c] { c.answer(c.ask().post("/v1/stop", {{"id", id}, {"reason", reason}}), [](const value&) { return std::string("stopping; souk events shows how it goes\n"); }); });

    s = app.add_subcommand("approve", "say yes to a purchase that costs more than is spent without asking");
    s->add_option("id", id)->required();
    s->callback([&c] { c.answer(c.ask().post("/v1/approve", {{"id", id}}), [](const value&) { return std::string("approved; souk events shows how it goes\n"); }); });

    for (const auto& [kind, what] : {std::pair{"vouch", "say that you trust someone"}, {"denounce", "say that you do not: a veto"}, {"forget", "take back what you said of someone"}}) {
        s = app.add_subcommand(kind, what);
        s->add_option("did", did)->required();
        if (kind != std::string_view("forget")) s->add_option("--reason", reason), s->add_option("--expires", until, "when it ends, as 2027-01-31T00:00:00Z");
        if (kind == std::string_view("vouch")) s->add_option("--weight", weight, "percent that it is worth")->check(CLI::Range(1, 100));
        s->callback([&c, kind = kind] { c.answer(c.ask().post("/v1/vouch", {{"did", did}, {"kind", kind}, {"reason", reason}, {"expires", until}, {"weight", weight}}), [](const value& v) { return text_of(v, "uri") + '\n'; }); });
    }
    s = app.add_subcommand("trust", "who vouches for or denounces whom; with a DID, the ways that lead to it");
    s->add_option("did", did);
    s->add_option("--depth", depth, "steps that are looked at")->check(CLI::Range(1, 8));
    s->callback([&c] {
        const auto deep = did.empty() ? "0" : std::to_string(depth);
        c.answer(c.ask().get("/v1/trust", {{"did", did}, {"depth", deep}}), [](const value& v) {
            if (!did.empty()) return trust_tree(v, did);
            table t({"ABOUT", "SAYS", "BY", "TERMS", "REASON"});
            for (const auto& m : list_of(v, "marks"))
                t.row({shortened(text_of(m, "about"), 34), text_of(m, "kind"), shortened(text_of(m, "by"), 24), mark_terms(m), text_of(m, "reason")});
            return t.empty() ? std::string("nobody is vouched for or denounced\n") : t.text();
        });
    });
    static pay_options paying;
    s = app.add_subcommand("pay", "fetch a URL that asks for payment (x402), and pay it");
    s->add_option("url", paying.url)->required();
    s->add_option("--max", paying.most, "most that it may cost, in whole units")->capture_default_str();
    s->add_flag("--yes,-y", paying.approved, "also if it is more than is spent without asking");
    s->add_option("--id", paying.id, "your name for this payment: given again, nothing is paid twice");
    s->callback([&c] { pay_url(c, paying); });
}

} // namespace souk::cli
