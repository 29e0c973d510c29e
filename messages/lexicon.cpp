#include <souk/messages/lexicon.hpp>

#include <algorithm>
#include <span>
#include <stdexcept>

#include <souk/messages/at.hpp>
#include <souk/messages/described.hpp>
#include <souk/messages/json.hpp>
#include <souk/messages/lexicon_texts.hpp>
#include <souk/messages/time.hpp>

namespace souk {

namespace {

using described::fault;

constexpr unsigned deepest = 128;        // of a value; decoders stop at 64
constexpr unsigned longest_chain = 8;    // of references that lead to references
constexpr std::size_t longest_uri = 8 * 1024;

// -- formats of text -------------------------------------------------------------------------------------------------

bool among(char c, std::string_view chars) { return chars.find(c) != chars.npos; }
bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool digit(char c) { return c >= '0' && c <= '9'; }

bool is_uri(std::string_view s) {
    const auto colon = s.find(':');
    if (s.size() > longest_uri || colon == s.npos || colon == 0 || colon + 1 == s.size() || !letter(s[0])) return false;
    if (!std::ranges::all_of(s.substr(0, colon), [](char c) { return letter(c) || digit(c) || among(c, "+-."); })) return false;
    return std::ranges::all_of(s, [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f; });
}
bool is_language(std::string_view s) { // BCP 47, by its letters alone
    return s.size() >= 2 && s.size() <= 64 && letter(s[0]) && letter(s[1]) && std::ranges::all_of(s, [](char c) { return letter(c) || digit(c) || c == '-'; });
}

struct format {
    std::string_view name;
    bool (*fits)(std::string_view);
};
constexpr format formats[] = {
    {"at-identifier", [](std::string_view s) { return is_did(s) || is_handle(s); }},
    {"at-uri", [](std::string_view s) { return at_uri::parse(s).has_value(); }}, // the full form, by DID: no other names one record
    {"cid", [](std::string_view s) { return cid::parse(s).has_value(); }},
    {"datetime", [](std::string_view s) { return from_datetime(s).has_value(); }},
    {"did", is_did},
    {"handle", is_handle},
    {"nsid", is_nsid},
    {"record-key", is_record_key},
    {"tid", is_tid},
    {"uri", is_uri},
    {"language", is_language},
};
const format* find_format(std::string_view name) {
    const auto found = std::ranges::find(formats, name, &format::name);
    return found == std::end(formats) ? nullptr : found;
}

// -- is this a document that is known here, in every part of it? -----------------------------------------------------

struct document {
    std::string id;
    const value* defs;
    const std::map<std::string, value, std::less<>>& all;
};

// What a reference means, and in which document its own references are to be read.
struct meant {
    const value* schema = nullptr;
    std::string_view id;
};
meant look_up(const std::map<std::string, value, std::less<>>& all, std::string_view id, std::string_view ref) {
    const auto hash = ref.find('#');
    if (hash != 0) id = ref.substr(0, hash);
    const auto name = hash == ref.npos ? std::string_view("main") : ref.substr(hash + 1);
    const auto found = all.find(id);
    if (found == all.end()) return {};
    const auto* defs = found->second.find("defs");
    return {defs ? defs->find(name) : nullptr, found->first};
}

enum class shape { text, texts, number, numbers, truth, any, schema, schemas, ref, refs, format };
struct keyword {
    std::string_view type, name;
    shape of;
    bool required = false;
};
constexpr keyword keywords[] = {
    {"record", "key", shape::text, true},        {"record", "record", shape::schema, true},
    {"object", "properties", shape::schemas},    {"object", "required", shape::texts},     {"object", "nullable", shape::texts},
    {"params", "properties", shape::schemas},    {"params", "required", shape::texts},
    {"string", "format", shape::format},         {"string", "minLength", shape::number},   {"string", "maxLength", shape::number},
    {"string", "enum", shape::texts},            {"string", "const", shape::text},         {"string", "knownValues", shape::texts},
    {"string", "default", shape::text},
    {"integer", "minimum", shape::number},       {"integer", "maximum", shape::number},    {"integer", "enum", shape::numbers},
    {"integer", "const", shape::number},         {"integer", "default", shape::number},
    {"boolean", "const", shape::truth},          {"boolean", "default", shape::truth},
    {"bytes", "minLength", shape::number},       {"bytes", "maxLength", shape::number},
    {"array", "items", shape::schema, true},     {"array", "minLength", shape::number},    {"array", "maxLength", shape::number},
    {"ref", "ref", shape::ref, true},
    {"union", "refs", shape::refs, true},        {"union", "closed", shape::truth},
    {"procedure", "input", shape::any},          {"procedure", "output", shape::any},      {"procedure", "errors", shape::any},
    {"query", "parameters", shape::schema},      {"query", "output", shape::any},          {"query", "errors", shape::any},
};
constexpr std::string_view types[] = {"record", "object", "params", "string", "integer", "boolean", "bytes", "cid-link", "array", "ref", "union", "unknown", "token", "procedure", "query"};

bool all_texts(const value& v) {
    const auto* l = v.as<value::list>();
    return l && std::ranges::all_of(*l, [](const value& each) { return each.as<std::string>() != nullptr; });
}

bool known(const document& in, const value& schema, fault& why, unsigned depth);

bool resolves(const document& in, const value& ref, fault& why) {
    const auto* text = ref.as<std::string>();
    if (text && look_up(in.all, in.id, *text).schema) return true;
    return why.refuse("bad_lexicon", text ? "nothing is called " + *text : "expected a name");
}

bool well_shaped(const document& in, shape of, const value& v, fault& why, unsigned depth) {
    const auto must = [&](bool good, const char* wanted) { return good || why.refuse("bad_lexicon", std::string("expected ") + wanted); };
    switch (of) {
    case shape::text: return must(v.as<std::string>(), "text");
    case shape::texts: return must(all_texts(v), "a list of texts");
    case shape::number: return must(v.as<std::int64_t>(), "a number");
    case shape::truth: return must(v.as<bool>(), "a truth value");
    case shape::any: return true;
    case shape::schema: return known(in, v, why, depth + 1);
    case shape::ref: return resolves(in, v, why);
    case shape::format: return must(v.as<std::string>() && find_format(*v.as<std::string>()), "a format that is known here");
    case shape::numbers: {
        const auto* l = v.as<value::list>();
        return must(l && std::ranges::all_of(*l, [](const value& each) { return each.as<std::int64_t>() != nullptr; }), "a list of numbers");
    }
    case shape::refs: {
        const auto* l = v.as<value::list>();
        if (!must(l, "a list of names")) return false;
        for (std::size_t i = 0; i < l->size(); ++i)
            if (!resolves(in, (*l)[i], why)) return why.within(i), false;
        return true;
    }
    case shape::schemas: {
        const auto* m = v.as<value::map>();
        if (!must(m, "a map")) return false;
        for (const auto& [name, each] : *m)
            if (!known(in, each, why, depth + 1)) return why.within(name), false;
        return true;
    }
    }
    return false;
}

// What is required must be described, or it could be anything.
bool required_are_described(const value& schema, fault& why) {
    for (const auto* list : {"required", "nullable"})
        if (const auto* names = schema.find(list))
            for (const auto& each : *names->as<value::list>())
                if (const auto* all = schema.find("properties"); !all || !all->find(*each.as<std::string>()))
                    return why.refuse("bad_lexicon", std::string(list) + ": " + *each.as<std::string>() + " is no property");
    return true;
}

bool known_input(const document& in, const value& schema, fault& why, unsigned depth) {
    const auto* input = schema.find("input");
    const auto* body = input ? input->find("schema") : nullptr;
    if (!body || known(in, *body, why, depth + 1)) return true;
    return why.within("schema"), why.within("input"), false;
}

bool known(const document& in, const value& schema, fault& why, unsigned depth) {
    if (depth > deepest) return why.refuse("bad_lexicon", "too deep");
    const auto* m = schema.as<value::map>();
    if (!m) return why.refuse("bad_lexicon", "expected a map");
    const auto type = schema.text("type");
    if (std::ranges::find(types, type) == std::end(types)) return why.refuse("bad_lexicon", "no type that is known here: \"" + std::string(type) + '"');
    for (const auto& k : keywords)
        if (k.type == type && k.required && !schema.find(k.name)) return why.refuse("bad_lexicon", std::string(k.name) + ": missing");
    for (const auto& [name, v] : *m) {
        if (name == "type" || name == "description") continue;
        const auto k = std::ranges::find_if(keywords, [&, key = std::string_view(name)](const keyword& each) { return each.type == type && each.name == key; });
        if (k == std::end(keywords)) return why.refuse("bad_lexicon", name + " is not known here"), why.within(name), false;
        if (!well_shaped(in, k->of, v, why, depth)) return why.within(name), false;
    }
    return required_are_described(schema, why) && (type != "procedure" || known_input(in, schema, why, depth));
}

// -- is this value what its lexicon says? ----------------------------------------------------------------------------

struct checker {
    const std::map<std::string, value, std::less<>>& all;

    static bool no(fault& why, std::string what) { return why.refuse("invalid_record", std::move(what)); }
    static std::optional<std::int64_t> number(const value& schema, std::string_view key) {
        const auto* v = schema.find(key);
        return v ? std::optional(*v->as<std::int64_t>()) : std::nullopt;
    }
    static bool is_one_of(const value& list, const value& v) { return std::ranges::find(*list.as<value::list>(), v) != list.as<value::list>()->end(); }

    bool sized(const value& schema, std::size_t n, const char* of, fault& why) const {
        const auto low = number(schema, "minLength"), high = number(schema, "maxLength");
        if (low && std::cmp_less(n, *low)) return no(why, "at least " + std::to_string(*low) + ' ' + of);
        if (high && std::cmp_greater(n, *high)) return no(why, "at most " + std::to_string(*high) + ' ' + of);
        return true;
    }
    bool fixed(const value& schema, const value& v, fault& why) const {
        if (const auto* one = schema.find("const"); one && *one != v) return no(why, "is not the one value allowed");
        if (const auto* some = schema.find("enum"); some && !is_one_of(*some, v)) return no(why, "is none of the values allowed");
        return true;
    }
    bool text(const value& schema, const value& v, fault& why) const {
        const auto* s = v.as<std::string>();
        if (!s) return no(why, "expected text");
        if (const auto name = schema.text("format"); !name.empty() && !find_format(name)->fits(*s)) return no(why, "is no " + std::string(name));
        return sized(schema, s->size(), "bytes", why) && fixed(schema, v, why);
    }
    bool integer(const value& schema, const value& v, fault& why) const {
        const auto* n = v.as<std::int64_t>();
        if (!n) return no(why, "expected a number");
        if (const auto low = number(schema, "minimum"); low && *n < *low) return no(why, "at least " + std::to_string(*low));
        if (const auto high = number(schema, "maximum"); high && *n > *high) return no(why, "at most " + std::to_string(*high));
        return fixed(schema, v, why);
    }
    bool array(std::string_view id, const value& schema, const value& v, fault& why, unsigned depth) const {
        const auto* l = v.as<value::list>();
        if (!l) return no(why, "expected a list");
        if (!sized(schema, l->size(), "items", why)) return false;
        for (std::size_t i = 0; i < l->size(); ++i)
            if (!check(id, *schema.find("items"), (*l)[i], why, depth + 1)) return why.within(i), false;
        return true;
    }
    bool object(std::string_view id, const value& schema, const value& v, fault& why, unsigned depth) const {
        if (!v.as<value::map>()) return no(why, "expected a map");
        if (const auto* names = schema.find("required"))
            for (const auto& each : *names->as<value::list>())
                if (!v.find(*each.as<std::string>())) return no(why, "missing"), why.within(*each.as<std::string>()), false;
        const auto* properties = schema.find("properties");
        if (!properties) return true;
        const auto* nullable = schema.find("nullable");
        for (const auto& [name, rule] : *properties->as<value::map>()) {
            const auto* field = v.find(name);
            if (!field || (field->is_null() && nullable && is_one_of(*nullable, value(name)))) continue;
            if (!check(id, rule, *field, why, depth + 1)) return why.within(name), false;
        }
        return true;
    }
    // Which of the named ones it is, says its type. One that is none of them passes where the union is open.
    bool one_of(std::string_view id, const value& schema, const value& v, fault& why, unsigned depth) const {
        auto type = v.text("$type");
        if (!v.as<value::map>()) return no(why, "expected a map");
        if (type.empty()) return no(why, "missing"), why.within("$type"), false;
        if (type.ends_with("#main")) type.remove_suffix(5);
        for (const auto& each : *schema.find("refs")->as<value::list>()) {
            const auto& ref = *each.as<std::string>();
            const auto to = look_up(all, id, ref);
            const auto hash = ref.find('#');
            const auto name = hash == ref.npos || ref.substr(hash) == "#main" ? std::string(to.id) : std::string(to.id) + ref.substr(hash);
            if (name == type) return check(to.id, *to.schema, v, why, depth);
        }
        const auto* closed = schema.find("closed");
        if (!closed || !*closed->as<bool>()) return true;
        return no(why, std::string(type.substr(0, 317)) + " is none of those allowed"), why.within("$type"), false;
    }

    bool check(std::string_view id, const value& schema, const value& v, fault& why, unsigned depth) const {
        if (depth > deepest) return no(why, "too deep");
        const auto* rule = &schema;
        for (unsigned chain = 0; rule->text("type") == "ref"; ++chain) {
            if (chain == longest_chain) return no(why, "its lexicon leads from reference to reference");
            const auto to = look_up(all, id, rule->text("ref"));
            rule = to.schema, id = to.id;
        }
        const auto type = rule->text("type");
        if (type == "object") return object(id, *rule, v, why, depth);
        if (type == "record") return object(id, *rule->find("record"), v, why, depth);
        if (type == "string") return text(*rule, v, why);
        if (type == "integer") return integer(*rule, v, why);
        if (type == "boolean") return (v.as<bool>() || no(why, "expected a truth value")) && fixed(*rule, v, why);
        if (type == "bytes") return v.as<octets>() ? sized(*rule, v.as<octets>()->data.size(), "bytes", why) : no(why, "expected bytes");
        if (type == "cid-link") return v.as<cid>() || no(why, "expected a link");
        if (type == "array") return array(id, *rule, v, why, depth);
        if (type == "union") return one_of(id, *rule, v, why, depth);
        return type == "unknown" || no(why, "its lexicon describes no data here");
    }
};

refusal unknown(std::string_view nsid) { return {"unknown_lexicon", "no lexicon here describes " + std::string(nsid.substr(0, 317))}; }

} // namespace

result<lexicons> lexicons::of(const std::vector<value>& documents) {
    lexicons out;
    for (const auto& each : documents) {
        const std::string id(each.text("id"));
        const auto bad = [&](const char* what) { return refusal{"bad_lexicon", id + ": " + what}; };
        if (!is_nsid(id)) return bad("the id is no NSID");
        const auto* version = each.find("lexicon");
        if (!version || *version != value(1)) return bad("only version 1 is known here");
        if (const auto* defs = each.find("defs"); !defs || !defs->as<value::map>()) return bad("defines nothing");
        for (const auto& [key, v] : *each.as<value::map>())
            if (key != "id" && key != "lexicon" && key != "defs" && key != "description") return bad("a keyword that is not known here");
        if (!out.documents_.emplace(id, each).second) return bad("is there twice");
    }
    for (const auto& [id, each] : out.documents_) {
        const auto* defs = each.find("defs");
        for (const auto& [name, schema] : *defs->as<value::map>()) {
            fault why;
            if (known({id, defs, out.documents_}, schema, why, 0)) continue;
            why.within(name);
            return refusal{why.code, id + ": " + why.text().text};
        }
    }
    return out;
}

const value* lexicons::definition(std::string_view ref) const { return look_up(documents_, {}, ref).schema; }

result<void> lexicons::check_record(std::string_view nsid, const value& record) const {
    const auto* main = definition(nsid);
    if (!main || main->text("type") != "record") return unknown(nsid);
    fault why;
    const auto* type = record.find("$type");
    if (type && *type != value(nsid)) return refusal{"invalid_record", "$type: is not " + std::string(nsid)};
    if (checker{documents_}.check(nsid, *main, record, why, 0)) return {};
    return why.text();
}

result<void> lexicons::check_input(std::string_view nsid, const value& body) const {
    const auto* main = definition(nsid);
    const auto* input = main && main->text("type") == "procedure" ? main->find("input") : nullptr;
    const auto* schema = input ? input->find("schema") : nullptr;
    if (!schema) return unknown(nsid);
    fault why;
    if (checker{documents_}.check(nsid, *schema, body, why, 0)) return {};
    why.code = "invalid_input";
    return why.text();
}

const lexicons& known_lexicons() {
    static const lexicons all = [] {
        std::vector<value> documents;
        for (const auto text : internal::lexicon_texts()) documents.push_back(from_json(text).value());
        return lexicons::of(documents).value();
    }();
    return all;
}

} // namespace souk
