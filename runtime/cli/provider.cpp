#include <fmt/format.h>

#include <souk/runtime/cli/commands.hpp>
#include <souk/runtime/cli/table.hpp>
#include <souk/runtime/cli/view.hpp>

namespace souk::cli {

std::string links_table(const value& v) {
    table t({"NODE", "OWNER", "STATE", "ADDRESS", "ROLES", "WHY"});
    for (const auto& l : list_of(v, "links")) {
        std::string roles;
        for (const auto& r : list_of(l, "roles")) roles += (roles.empty() ? "" : " ") + *r.as<std::string>();
        t.row({text_of(l, "node"), text_of(l, "owner"), text_of(l, "state"), text_of(l, "address"), roles, text_of(l, "why")});
    }
    return t.empty() ? "no links\n" : t.text();
}

namespace {

std::string fleet_table(const value& v) {
    table t({"HOST", "STATE", "CPUS", "MEMORY (MiB)", "MACHINES", "BY", "ATTEST."});
    for (const auto& h : list_of(v, "hosts")) {
        const auto state = text_of(h, "lost") == "yes" ? "lost" : text_of(h, "draining") == "yes" ? "draining" : "up";
        t.row({text_of(h, "host"), state, text_of(h, "free_cpus") + " of " + text_of(h, "cpus"), text_of(h, "free_mem_mib") + " of " + text_of(h, "mem_mib"), text_of(h, "machines"),
               text_of(h, "backend") + '/' + text_of(h, "acceleration"), text_of(h, "tier")});
    }
    if (t.empty()) return "no hosts (a host joins with: souk node, role launcher)\n";
    auto out = t.text();
    for (const auto& h : list_of(v, "hosts"))
        if (!text_of(h, "note").empty()) out += text_of(h, "host") + ": " + text_of(h, "note") + '\n';
    return out;
}

std::string machines_table(const value& v) {
    table t({"MACHINE", "PHASE", "HOST", "SSH", "SIZE", "SINCE"});
    for (const auto& m : list_of(v, "all"))
        t.row({text_of(m, "tag"), text_of(m, "phase"), text_of(m, "host"), text_of(m, "address").empty() ? "-" : text_of(m, "address") + ':' + text_of(m, "port"),
               text_of(m, "cpus") + " cpu, " + text_of(m, "mem_mib") + " MiB", when(m, "since")});
    return t.empty() ? "no machines\n" : t.text();
}

std::string counts_text(const value& counts) {
    std::string line;
    if (const auto* m = counts.as<value::map>())
        for (const auto& [key, n] : *m) line += (line.empty() ? "" : ", ") + text_of(counts, key) + ' ' + key;
    return line;
}

std::string status_text(const value& v) {
    std::string out;
    const auto* id = v.find("identity");
    if (id)
        for (const char* key : {"name", "owner", "did", "door"})
            if (!text_of(*id, key).empty()) out += fmt::format("{:<9} {}\n", key, text_of(*id, key));
    std::string roles;
    for (const auto& r : list_of(v, "roles")) roles += (roles.empty() ? "" : " ") + *r.as<std::string>();
    out += fmt::format("{:<9} {}\n", "roles", roles);
    if (const auto* now = v.find("now"); now && now->as<value::map>())
        for (const auto& [what, counts] : *now->as<value::map>()) {
            if (const auto* all = counts.as<value::list>())
                for (const auto& one : *all) out += fmt::format("{:<9} {}\n", what, counts_text(one));
            else out += fmt::format("{:<9} {}\n", what, counts_text(counts));
        }
    return out;
}

} // namespace

void add_provider(CLI::App& app, context& c) {
    static std::string id, host, label, why = "withdrawn by this relay";
    static bool off = false;

    auto* s = app.add_subcommand("fleet", "the hosts of this fleet");
    s->callback([&c] { c.answer(c.ask().get("/v1/fleet"), fleet_table); });

    s = app.add_subcommand("machines", "the machines of this fleet");
    s->callback([&c] { c.answer(c.ask().get("/v1/machines"), machines_table); });

    s = app.add_subcommand("logs", "the end of a machine's serial console");
    s->add_option("machine", id, "its tag")->required();
    s->callback([&c] { c.answer(c.ask().get("/v1/console", {{"tag", id}}), [](const value& v) { return text_of(v, "text"); }); });

    s = app.add_subcommand("drain", "a host takes no new machines");
    s->add_option("host", host)->required();
    s->add_flag("--off", off, "it takes them again");
    s->callback([&c] {
        c.answer(c.ask().post("/v1/drain", {{"host", host}, {"on", !off}}),
                 [](const value& v) { return text_of(v, "host") + (text_of(v, "draining") == "yes" ? " takes no new machines\n" : " takes machines\n"); });
    });

    s = app.add_subcommand("status", "what this node is and does");
    s->callback([&c] { c.answer(c.ask().get("/v1/status"), status_text); });

    s = app.add_subcommand("routes", "public names and where they stand");
    s->callback([&c] {
        c.answer(c.ask().get("/v1/routes"), [](const value& v) {
            table t({"NAME", "STATE", "ACCOUNT", "SINCE"});
            for (const auto& r : list_of(v, "all")) t.row({text_of(r, "url"), !text_of(r, "withdrawn").empty() ? "withdrawn" : text_of(r, "up") == "yes" ? "up" : "down", shortened(text_of(r, "did"), 28), when(r, "since")});
            return t.empty() ? std::string("no names\n") : t.text();
        });
    });

    s = app.add_subcommand("revoke", "take a public name away: its tunnels are closed, and nobody has it for a month");
    s->add_option("name", label, "its first label, as `souk routes` shows it")->required();
    s->add_option("--why", why, "what its owner is told")->capture_default_str();
    s->callback([&c] {
        c.answer(c.ask().post("/v1/revoke", {{"label", label}, {"why", why}}), [](const value&) { return label + " is withdrawn\n"; });
    });

    s = app.add_subcommand("shutdown", "stop the node");
    s->callback([&c] { c.answer(c.ask().post("/v1/shutdown", {}), [](const value&) { return std::string("stopping\n"); }); });

    s = app.add_subcommand("links", "the nodes of this cluster, as this one sees them");
    s->callback([&c] { c.answer(c.ask().get("/v1/links"), links_table); });
}

} // namespace souk::cli
