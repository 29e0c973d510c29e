#include <doctest/doctest.h>

#include <souk/messages/rbac.hpp>

#include "data.hpp"

using namespace souk;

namespace {

const std::string create = "/xrpc/com.atproto.repo.createRecord";

workload_grant grant() {
    return {"https://bob.example", "api://ATProto?actx=did:plc:alice", "actx:bob:plc:alice:role:my-cool-role",
            "did:plc:alice",       "com.fedproxy.sshPublicKey",        {},
            "my-cool-role"};
}

// What the published example's guest sends.
value real_body() {
    return value::map{
        {"repo", "did:plc:alice"},
        {"collection", "com.fedproxy.sshPublicKey"},
        {"record",
         value::map{{"$type", "com.fedproxy.sshPublicKey"},
                    {"key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHGSTaESOzM+4n1WGXRl1WyZw9RMF/0M3l6cR5mCyPd6 root@guest"},
                    {"service", "cfb3c8d2"},
                    {"name", "cfb3c8d2"},
                    {"createdAt", "2026-05-09T07:42:10.123Z"}}}};
}

value with(value v, const std::string& key, value x) {
    v.as<value::map>()->insert_or_assign(key, std::move(x));
    return v;
}
value without(value v, const std::string& key) {
    v.as<value::map>()->erase(key);
    return v;
}

std::string verdict(const result<void>& r) { return r ? "allowed" : r.error().code; }
std::string ask(const std::vector<rbac>& records, const request_shape& request, const workload_grant& g = grant()) {
    return verdict(allows(records, g.issuer, g.audience, g.subject, request));
}

// A record with one role and one policy under these names, with this schema for this path.
rbac made(const std::string& role, const std::string& policy, const std::string& path, value schema,
          const std::string& subject = grant().subject) {
    rbac r;
    const auto g = grant();
    r.roles[role] = value::map{
        {"definition", value::map{{"iss", g.issuer}, {"aud", g.audience}, {"sub", subject}, {"policies", value::list{policy}}}}};
    r.policies[policy] = value::map{{"schemas", value::map{{path, std::move(schema)}}}};
    return r;
}

bool path_allowed(const std::string& pattern, const std::string& path) {
    return ask({made("r", "p", pattern, true)}, {path, "create", {}}) == "allowed";
}
bool satisfies(const char* schema, const char* body) {
    const value whole = value::map{{"properties", value::map{{"body", from_json(schema).value()}}}};
    return ask({made("r", "p", "/p", whole)}, {"/p", "create", from_json(body).value()}) == "allowed";
}

} // namespace

TEST_CASE("a grant lets the guest write its key, and nothing else") {
    const auto record = from_record<rbac>(to_record(rbac_for(grant(), "2026-05-09T07:42:10.123Z"))).value();
    const auto try_body = [&](const value& body) { return ask({record}, {create, "create", body}); };
    const auto inner = *real_body().find("record");
    CHECK(try_body(real_body()) == "allowed");
    CHECK(try_body(with(real_body(), "collection", "app.bsky.feed.post")) == "schema");
    CHECK(try_body(with(real_body(), "repo", "did:plc:eve")) == "schema");
    CHECK(try_body(with(real_body(), "rkey", "self")) == "schema");
    CHECK(try_body(with(real_body(), "validate", false)) == "schema");
    CHECK(try_body(without(real_body(), "repo")) == "schema");
    CHECK(try_body(without(real_body(), "record")) == "schema");
    CHECK(try_body(with(real_body(), "record", with(inner, "$type", "com.fedproxy.rbac"))) == "schema");
    CHECK(try_body(with(real_body(), "record", with(inner, "extra", 1))) == "schema");
    CHECK(try_body(with(real_body(), "record", with(inner, "key", 1))) == "schema");
    CHECK(try_body(with(real_body(), "record", without(inner, "$type"))) == "schema");
    CHECK(try_body(with(real_body(), "record", "text")) == "schema");
    CHECK(try_body(value("text")) == "schema");
    for (const char* capability : {"delete", "update", "read", "list", ""})
        CHECK(ask({record}, {create, capability, real_body()}) == "schema");
    for (const char* path : {"/xrpc/com.atproto.repo.deleteRecord", "/xrpc/com.atproto.repo.createRecord/",
                             "/x/xrpc/com.atproto.repo.createRecord", "", "/xrpc/com.atproto.repo.createRecord?x=1"})
        CHECK(ask({record}, {path, "create", real_body()}) == "no_policy");
    const auto refused =
        allows({record}, grant().issuer, grant().audience, grant().subject, {create, "create", with(real_body(), "rkey", "self")});
    CHECK(refused.error().text == "body.rkey: not allowed here");
}

TEST_CASE("a grant may name the service") {
    auto g = grant();
    g.service = "cfb3c8d2";
    const auto record = rbac_for(g, "now");
    CHECK(ask({record}, {create, "create", real_body()}) == "allowed");
    CHECK(ask({record}, {create, "create", with(real_body(), "record", with(*real_body().find("record"), "service", "*"))}) ==
          "schema");
}

TEST_CASE("a grant for another kind of record is for that kind alone") {
    auto g = grant();
    g.collection = "com.example.report";
    const value body = value::map{
        {"repo", g.repository}, {"collection", g.collection}, {"record", value::map{{"$type", g.collection}, {"anything", 1}}}};
    CHECK(ask({rbac_for(g, "now")}, {create, "create", body}) == "allowed");
    CHECK(ask({rbac_for(g, "now")}, {create, "create", real_body()}) == "schema");
}

TEST_CASE("issuer, audience and subject are matched together") {
    const auto mine = rbac_for(grant(), "now");
    auto other = grant();
    other.issuer = "https://eve.example"; // trusted by Alice too, for another workload
    other.subject = "actx:eve:plc:alice:role:other";
    other.name = "other";
    const std::vector<rbac> both{mine, rbac_for(other, "now")};
    const request_shape request{create, "create", real_body()};
    CHECK(ask(both, request) == "allowed");
    CHECK(ask(both, request, other) == "allowed");
    CHECK(verdict(allows(both, other.issuer, grant().audience, grant().subject, request)) ==
          "no_role"); // Eve's issuer, Bob's subject
    CHECK(verdict(allows(both, grant().issuer, grant().audience, other.subject, request)) == "no_role");
    CHECK(verdict(allows(both, grant().issuer, "api://ATProto?actx=did:plc:bob", grant().subject, request)) == "no_role");
    CHECK(verdict(allows(both, "", "", "", request)) == "no_role");
    CHECK(verdict(allows({}, grant().issuer, grant().audience, grant().subject, request)) == "no_role");
    auto loose = made("r", "p", create, true);
    loose.roles["r"].as<value::map>()->at("definition").as<value::map>()->erase("iss");
    CHECK(ask({loose}, request) == "no_role");
}

TEST_CASE("roles and policies of different records never meet") {
    const request_shape request{"/p", "create", {}};
    const auto strict = made("role", "policy", "/p", false), generous = made("role", "policy", "/p", true, "another subject");
    CHECK(ask({strict, generous}, request) == "schema"); // the same names, and yet not the other's policy
    CHECK(ask({generous, strict}, request) == "schema");
    auto no_policy = strict;
    no_policy.policies.clear();
    CHECK(ask({no_policy, generous}, request) == "no_policy");
    CHECK(ask({strict, made("role", "policy", "/p", true)}, request) == "allowed"); // either record may allow by itself
}

TEST_CASE("a path is matched whole") {
    CHECK(path_allowed("/xrpc/a", "/xrpc/a"));
    CHECK(path_allowed("/xrpc/*", "/xrpc/a"));
    CHECK(path_allowed("/xrpc/*", "/xrpc/a/b"));
    CHECK(path_allowed("/v2/*/x", "/v2/droplets/x"));
    CHECK(path_allowed("/a*b*c", "/a1b2b3c"));
    CHECK(path_allowed("/a*b", "/a1bb"));
    for (const auto& [pattern, path] : {std::pair<const char*, const char*>{"/xrpc/*", "/x/xrpc/y"},
                                        {"/xrpc/*", "/xrpcs"},
                                        {"/v2/*/x", "/v2/droplets/xy"},
                                        {"/a*b", "/a1b2"},
                                        {"*", "/xrpc/a"},
                                        {"*/a", "/xrpc/a"},
                                        {"/xrpc/a", "/xrpc/A"},
                                        {"/xrpc/a", "/xrpc/a/"},
                                        {"/xrpc/*", "/xrpc/../admin"},
                                        {"/xrpc/*", "/xrpc//a"},
                                        {"/xrpc/*", "/xrpc/%2e%2e/a"},
                                        {"/xrpc/*", "xrpc/a"},
                                        {"/?", "/a"},
                                        {"/[a]", "/a"},
                                        {"", ""}})
        CHECK_FALSE(path_allowed(pattern, path));
    CHECK_FALSE(path_allowed("/" + std::string(600, '*'), "/a"));
    CHECK_FALSE(path_allowed("/*", "/" + std::string(3000, 'a')));
}

TEST_CASE("the exact path counts before a pattern, and the longest pattern before others") {
    auto r = made("r", "p", "/xrpc/*", true);
    auto& schemas = *r.policies["p"].as<value::map>()->at("schemas").as<value::map>();
    schemas.emplace("/xrpc/admin.*", false);
    schemas.emplace("/xrpc/admin.but", true);
    CHECK(ask({r}, {"/xrpc/a", "create", {}}) == "allowed");
    CHECK(ask({r}, {"/xrpc/admin.x", "create", {}}) == "schema");
    CHECK(ask({r}, {"/xrpc/admin.but", "create", {}}) == "allowed");
}

TEST_CASE("the schema language is small and closed") {
    CHECK(satisfies(R"({"type":"object","required":["a"],"properties":{"a":{"type":"integer"}},"additionalProperties":false})",
                    R"({"a":1})"));
    CHECK_FALSE(satisfies(R"({"type":"object","required":["a"]})", R"({"b":1})"));
    CHECK_FALSE(satisfies(R"({"type":"object"})", "[]"));
    CHECK_FALSE(satisfies(R"({"properties":{"a":{"type":"string"}}})", R"({"a":1})"));
    CHECK_FALSE(satisfies(R"({"additionalProperties":false})", R"({"a":1})"));
    CHECK(satisfies(R"({"additionalProperties":{"type":"string"}})", R"({"a":"x"})"));
    CHECK_FALSE(satisfies(R"({"additionalProperties":{"type":"string"}})", R"({"a":1})"));
    CHECK(satisfies(R"({"items":{"enum":["a","b"]}})", R"(["a","b","a"])"));
    CHECK_FALSE(satisfies(R"({"items":{"enum":["a","b"]}})", R"(["a","c"])"));
    CHECK_FALSE(satisfies(R"({"items":[true]})", R"(["a"])"));
    CHECK(satisfies(R"({"const":{"a":[1,null]}})", R"({"a":[1,null]})"));
    CHECK_FALSE(satisfies(R"({"const":"1"})", "1"));
    CHECK(satisfies(R"({"type":["string","null"]})", "null"));
    CHECK_FALSE(satisfies(R"({"type":["string","null"]})", "1"));
    CHECK_FALSE(satisfies(R"({"type":"float"})", "1"));
    CHECK(satisfies(R"({"$schema":"http://json-schema.org/draft-07/schema#","title":"t","description":"d"})", "1"));
    for (const char* unknown : {R"({"pattern":"^a"})", R"({"minLength":1})", R"({"anyOf":[true]})", R"({"$ref":"#"})",
                                R"({"not":false})", R"({"allowed_parameters":{}})", R"({"Type":"object"})"})
        CHECK_FALSE(satisfies(unknown, R"("abc")"));
    CHECK_FALSE(satisfies(R"({"properties":{"absent":{"items":{"pattern":"x"}}}})", "{}")); // even where it would not be asked
    for (const char* broken : {R"({"type":1})", R"({"enum":1})", R"({"required":"a"})", R"({"required":[1]})",
                               R"({"properties":1})", R"({"items":1})", R"([])", R"("true")", R"({"additionalProperties":1})"})
        CHECK_FALSE(satisfies(broken, R"({"a":[1]})"));
}

TEST_CASE("a subject is rendered from parts that cannot forge another") {
    const std::string pattern = "actx:4959ec09:plc:{did-plc-key}:role:{role}";
    CHECK(render_subject(pattern, "", "did:plc:5svqtrhheairglgiiyvutzik", "my-cool-role").value() ==
          "actx:4959ec09:plc:5svqtrhheairglgiiyvutzik:role:my-cool-role");
    CHECK(render_subject("actx:{actx}:plc:{did-plc-key}:role:{role}", "x_1.y", "did:plc:a", "r").value() ==
          "actx:x_1.y:plc:a:role:r");
    for (const char* role : {"", "x:role:admin", "a b", "{actx}", "r\n", "\xc3\xa5", "*"})
        CHECK(render_subject(pattern, "x", "did:plc:a", role).error().code == "bad_subject_part");
    CHECK(render_subject("{actx}", "a:b", "did:plc:a", "r").error().code == "bad_subject_part");
    CHECK(render_subject("{other}", "a", "did:plc:a", "r").error().code == "bad_subject_part");
    CHECK(render_subject("", "a", "did:plc:a", "r").error().code == "bad_subject_part");
    CHECK(render_subject(std::string(2000, 'a'), "a", "did:plc:a", "r").error().code == "bad_subject_part");
    const auto web = render_subject("{did-plc-key}", "", "did:web:localhost%3A8080", "").value();
    CHECK(web.size() == 24);
    CHECK(web != render_subject("{did-plc-key}", "", "did:web:localhost%3A8081", "").value());
}
