#include <souk/messages/rbac.hpp>

#include <souk/messages/bytes.hpp>
#include <souk/messages/crypto.hpp>
#include <souk/messages/schema.hpp>

namespace souk {

namespace {

constexpr std::string_view create_record = "/xrpc/com.atproto.repo.createRecord";
constexpr std::size_t longest_path = 2048, longest_pattern = 512, longest_subject = 1024;

// -- writing --------------------------------------------------------------------------------------------------------

value constant(std::string_view text) { return value::map{{"const", text}}; }
value text_type() { return value::map{{"type", "string"}}; }

value closed_object(value::map properties, value::list required) {
    return value::map{{"type", "object"},
                      {"additionalProperties", false},
                      {"required", std::move(required)},
                      {"properties", std::move(properties)}};
}

// The record itself: an SSH key is known to the field, of another kind only its name is.
value record_schema(const workload_grant& g) {
    if (g.collection != ssh_public_key::nsid)
        return value::map{
            {"type", "object"}, {"required", value::list{"$type"}}, {"properties", value::map{{"$type", constant(g.collection)}}}};
    value::map fields{{"$type", constant(g.collection)},
                      {"key", text_type()},
                      {"service", g.service ? constant(*g.service) : text_type()},
                      {"name", text_type()},
                      {"createdAt", text_type()}};
    return closed_object(std::move(fields), {"$type", "key", "service", "createdAt"});
}

value request_schema(const workload_grant& g) {
    value::map body{{"repo", constant(g.repository)}, {"collection", constant(g.collection)}, {"record", record_schema(g)}};
    value::map request{{"capability", value::map{{"enum", value::list{"create"}}}},
                       {"body", closed_object(std::move(body), {"repo", "collection", "record"})}};
    return closed_object(std::move(request), {"capability", "body"});
}

// -- reading --------------------------------------------------------------------------------------------------------

// A path that means one thing to everybody on the way: what is encoded, doubled or climbing is for no pattern.
bool is_plain(std::string_view path) {
    if (path.empty() || path.size() > longest_path || path[0] != '/') return false;
    for (std::string_view odd : {"//", "/.", "%", "\\", "?", "#"})
        if (path.find(odd) != std::string_view::npos) return false;
    return true;
}

// Anchored at both ends; "*" is any run of characters. Not recursive: at worst pattern times path.
bool matches(std::string_view pattern, std::string_view path) {
    if (pattern.size() > longest_pattern || pattern.empty() || pattern[0] != '/') return false;
    std::size_t p = 0, s = 0, star = std::string_view::npos, after_star = 0;
    while (s < path.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            after_star = s;
        } else if (p < pattern.size() && pattern[p] == path[s]) {
            ++p, ++s;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            s = ++after_star;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') ++p;
    return p == pattern.size();
}

const value* schema_for(const value& policy, const std::string& path) {
    const auto* found = policy.find("schemas");
    const auto* schemas = found ? found->as<value::map>() : nullptr;
    if (!schemas || !is_plain(path)) return nullptr;
    const value* best = nullptr;
    std::size_t length = 0;
    for (const auto& [pattern, schema] : *schemas) {
        if (pattern == path) return &schema;
        if (pattern.find('*') != std::string::npos && pattern.size() > length && matches(pattern, path))
            best = &schema, length = pattern.size();
    }
    return best;
}

bool is_for(const value& role, std::string_view issuer, std::string_view audience, std::string_view subject) {
    const auto* d = role.find("definition");
    if (!d || issuer.empty() || audience.empty() || subject.empty()) return false;
    return d->text("iss") == issuer && d->text("aud") == audience && d->text("sub") == subject;
}

// The best answer so far: the schema that failed says more than a policy that was not there.
void note(refusal& best, refusal next) {
    const auto rank = [](const refusal& r) { return r.code == "no_role" ? 0 : r.code == "no_policy" ? 1 : 2; };
    if (rank(next) > rank(best)) best = std::move(next);
}

// Does one role of one record allow it?
result<void> role_allows(const rbac& record, const value& role, const std::string& path, const value& instance) {
    refusal best{"no_policy", "the role has no policy with a schema for " + path};
    const auto* names = role.find("definition")->find("policies");
    const auto* list = names ? names->as<value::list>() : nullptr;
    for (const auto& name : list ? *list : value::list()) {
        const auto at = name.as<std::string>() ? record.policies.find(*name.as<std::string>()) : record.policies.end();
        const auto* schema = at == record.policies.end() ? nullptr : schema_for(at->second, path);
        if (!schema) continue;
        auto well = check_schema(*schema, instance);
        if (well) return {};
        note(best, well.error());
    }
    return best;
}

bool is_part(std::string_view text) {
    if (text.empty()) return false;
    for (char c : text)
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-'))
            return false;
    return true;
}

std::string key_of(std::string_view did) {
    constexpr std::string_view plc = "did:plc:";
    return did.starts_with(plc) ? std::string(did.substr(plc.size())) : to_base32(crypto::sha256(did)).substr(0, 24);
}

} // namespace

rbac rbac_for(const workload_grant& g, std::string created_at) {
    const auto policy = g.name + "-create";
    rbac r;
    r.roles[g.name] = value::map{
        {"role_name", g.name},
        {"definition", value::map{{"iss", g.issuer}, {"aud", g.audience}, {"sub", g.subject}, {"policies", value::list{policy}}}}};
    r.policies[policy] = value::map{{"meta", value::map{{"policy", policy}}},
                                    {"schemas", value::map{{std::string(create_record), request_schema(g)}}}};
    r.createdAt = std::move(created_at);
    return r;
}

result<std::string> render_subject(std::string_view pattern, std::string_view actx, std::string_view did, std::string_view role) {
    const auto key = key_of(did);
    const std::pair<std::string_view, std::string_view> parts[] = {{"{actx}", actx}, {"{did-plc-key}", key}, {"{role}", role}};
    std::string out;
    while (!pattern.empty()) {
        bool replaced = false;
        for (const auto& [name, text] : parts) {
            if (!pattern.starts_with(name)) continue;
            if (!is_part(text))
                return refusal{"bad_subject_part", std::string(name) + " would be \"" + std::string(text.substr(0, 64)) +
                                                       "\": only letters, digits, . _ - may stand there"};
            out += text;
            pattern.remove_prefix(name.size());
            replaced = true;
            break;
        }
        if (replaced) continue;
        if (pattern[0] != ':' && !is_part(pattern.substr(0, 1)))
            return refusal{"bad_subject_part",
                           "the template has a character that is none of letters, digits, . _ - :, or an unknown part"};
        out += pattern[0];
        pattern.remove_prefix(1);
    }
    if (out.empty() || out.size() > longest_subject) return refusal{"bad_subject_part", "a subject has 1 to 1024 characters"};
    return out;
}

result<void> allows(const std::vector<rbac>& records, std::string_view issuer, std::string_view audience, std::string_view subject,
                    const request_shape& request) {
    const value instance = value::map{{"capability", request.capability}, {"body", request.body}};
    refusal best{"no_role", "no role is for this issuer, audience and subject"};
    for (const auto& record : records)
        for (const auto& [name, role] : record.roles) {
            if (!is_for(role, issuer, audience, subject)) continue;
            auto well = role_allows(record, role, request.path, instance);
            if (well) return {};
            note(best, well.error());
        }
    return best;
}

} // namespace souk
