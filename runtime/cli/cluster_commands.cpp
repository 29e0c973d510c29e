#include <fmt/format.h>

#include <souk/messages/json.hpp>
#include <souk/runtime/cli/commands.hpp>
#include <souk/runtime/cluster/enrolment.hpp>
#include <souk/runtime/clock.hpp>
#include <souk/runtime/config.hpp>

namespace souk::cli {

namespace {

// Where this node keeps its membership, and its public door: from its configuration where it has one.
struct place_of_node {
    std::filesystem::path cluster;
    std::string door, name;
    http::client_options web;
};
place_of_node look(const context& c) {
    place_of_node p{c.node / "cluster", "", "", {}};
    if (const auto config = read_config(c.node / "souk.toml")) {
        p = {config->cluster_directory, config->public_url, config->name, {}};
        p.web.ca_file = config->authority, p.web.hosts = config->hosts;
    }
    return p;
}

void invite(context& c, const std::string& node, std::string door, int hours) {
    const auto here = look(c);
    if (door.empty()) door = here.door;
    if (door.empty()) return c.fail({"no_door", "which door shall they come to? Give --door https://HOST:PORT"});
    const auto token = enrolment::invite(here.cluster, node, door, wall_clock()() + std::chrono::hours{hours});
    if (!token) return c.fail(token.error());
    fmt::print("{}\n", *token); // alone on its line, terminal or not: it is what one copies
}

void join(context& c, const std::string& token, const std::filesystem::path& ca) {
    const auto here = look(c);
    const auto ready = enrolment::prepare(token);
    if (!ready) return c.fail(ready.error());
    auto o = here.web;
    if (!ca.empty()) o.ca_file = ca;
    o.allow_private = true; // the operator chose the door
    http::client web(o);
    http::call call;
    call.method = "POST", call.url = ready->door + "/cluster/join";
    call.head.set("content-type", "application/json");
    call.body = to_json(value::map{{"node", ready->body.node}, {"token", ready->body.token}, {"request", ready->body.request}});
    const auto answer = web.fetch_now(std::move(call));
    if (!answer) return c.fail({answer.error().code, ready->door + " cannot be asked: " + answer.error().text});
    const auto body = from_json(answer->body);
    if (!body) return c.fail(body.error());
    if (answer->status != 200) return c.fail({std::string(body->text("error")), std::string(body->text("message"))});
    const auto done = enrolment::accept(here.cluster, *ready, {std::string(body->text("certificate")), std::string(body->text("authority"))});
    if (!done) return c.fail(done.error());
    fmt::print("{} is a member: {}\n", ready->body.node, here.cluster.string());
}

} // namespace

void add_cluster(CLI::App& app, context& c) {
    static std::string name, node, door, token;
    static std::filesystem::path ca;
    static int hours = 24;

    auto* group = app.add_subcommand("cluster", "hosts that trust each other");
    group->require_subcommand(1);
    auto* s = group->add_subcommand("init", "found a cluster: makes its private authority, and this node's certificate");
    s->add_option("name", name, "of the cluster")->required();
    s->add_option("node-name", node, "of this node (default: its configuration's)");
    s->callback([&c] {
        const auto here = look(c);
        const auto own = node.empty() ? here.name : node;
        if (own.empty()) return c.fail({"no_name", "what is this node called? Give its name after the cluster's"});
        const auto done = enrolment::init(here.cluster, name, own);
        if (!done) return c.fail(done.error());
        fmt::print("{} is founded by {}: {}\n", name, own, here.cluster.string());
    });
    s = group->add_subcommand("invite", "a one-time token for one node");
    s->add_option("node-name", node)->required();
    s->add_option("--door", door, "this node's door (default: its configuration's)");
    s->add_option("--hours", hours, "that it is good for")->check(CLI::Range(1, 24 * 30));
    s->callback([&c] { invite(c, node, door, hours); });
    s = group->add_subcommand("join", "trade a token for a certificate");
    s->add_option("token", token)->required();
    s->add_option("--ca", ca, "a root that the door's certificate is by, besides the system's");
    s->callback([&c] { join(c, token, ca); });
    s = group->add_subcommand("ls", "the nodes of this cluster, as this one sees them");
    s->callback([&c] { c.answer(c.ask().get("/v1/links"), links_table); });
}

} // namespace souk::cli
