#include <souk/messages/schema.hpp>

#include <algorithm>

namespace souk {

namespace {

using checked = result<void>;

refusal failed(const std::string& path, const std::string& what) {
    return {"schema", (path.empty() ? "the request" : path) + ": " + what};
}

std::string below(const std::string& path, const std::string& key) { return path.empty() ? key : path + '.' + key; }
std::string below(const std::string& path, std::size_t index) { return path + '[' + std::to_string(index) + ']'; }

// -- is this a schema that is known here, in every part of it? ------------------------------------------------------

checked known(const value& schema, const std::string& path);

bool is_annotation(std::string_view keyword) {
    return keyword == "$schema" || keyword == "$comment" || keyword == "title" || keyword == "description";
}

bool is_texts(const value& v) {
    const auto* list = v.as<value::list>();
    return list && std::ranges::all_of(*list, [](const value& each) { return each.as<std::string>() != nullptr; });
}

checked known_members(const value& properties, const std::string& path) {
    const auto* members = properties.as<value::map>();
    if (!members) return failed(path, "the schema's \"properties\" is no object");
    for (const auto& [key, rule] : *members)
        if (auto well = known(rule, below(path, key)); !well) return well;
    return {};
}

checked known_keyword(const std::string& keyword, const value& rule, const std::string& path) {
    if (keyword == "const" || is_annotation(keyword)) return {};
    if (keyword == "properties") return known_members(rule, path);
    if (keyword == "items" || keyword == "additionalProperties") return known(rule, path);
    if (keyword == "type" && (rule.as<std::string>() || is_texts(rule))) return {};
    if (keyword == "enum" && rule.as<value::list>()) return {};
    if (keyword == "required" && is_texts(rule)) return {};
    return failed(path, "the schema's \"" + keyword + "\" is not known here, or of another shape");
}

checked known(const value& schema, const std::string& path) {
    if (schema.as<bool>()) return {};
    const auto* rules = schema.as<value::map>();
    if (!rules) return failed(path, "the schema is no object");
    for (const auto& [keyword, rule] : *rules)
        if (auto well = known_keyword(keyword, rule, path); !well) return well;
    return {};
}

// -- does the instance satisfy it? ----------------------------------------------------------------------------------

checked satisfies(const value& schema, const value& instance, const std::string& path);

bool is_type(const value& v, std::string_view name) {
    if (name == "object") return v.as<value::map>();
    if (name == "array") return v.as<value::list>();
    if (name == "string") return v.as<std::string>();
    if (name == "integer" || name == "number") return v.as<std::int64_t>();
    if (name == "boolean") return v.as<bool>();
    return name == "null" && v.is_null();
}

checked check_type(const value& rule, const value& v, const std::string& path) {
    if (const auto* name = rule.as<std::string>()) return is_type(v, *name) ? checked() : failed(path, "is not of type " + *name);
    const bool any = std::ranges::any_of(*rule.as<value::list>(), [&](const value& n) { return is_type(v, *n.as<std::string>()); });
    return any ? checked() : failed(path, "is of none of the types allowed");
}

checked check_enum(const value& rule, const value& v, const std::string& path) {
    const auto& allowed = *rule.as<value::list>();
    return std::ranges::find(allowed, v) != allowed.end() ? checked() : failed(path, "is none of the values allowed");
}

checked check_required(const value& rule, const value& v, const std::string& path) {
    if (!v.as<value::map>()) return {};
    for (const auto& key : *rule.as<value::list>())
        if (!v.find(*key.as<std::string>())) return failed(below(path, *key.as<std::string>()), "missing");
    return {};
}

// "properties" and "additionalProperties" together: the second is about what the first does not name.
checked check_members(const value& schema, const value& v, const std::string& path) {
    const auto *properties = schema.find("properties"), *additional = schema.find("additionalProperties");
    const auto* members = v.as<value::map>();
    if (!members) return {};
    for (const auto& [key, x] : *members) {
        const auto* rule = properties ? properties->find(key) : nullptr;
        if (!rule) rule = additional;
        if (!rule) continue;
        if (auto well = satisfies(*rule, x, below(path, key)); !well) return well;
    }
    return {};
}

checked check_items(const value& rule, const value& v, const std::string& path) {
    const auto* list = v.as<value::list>();
    for (std::size_t i = 0; list && i < list->size(); ++i)
        if (auto well = satisfies(rule, (*list)[i], below(path, i)); !well) return well;
    return {};
}

checked check_keyword(const std::string& keyword, const value& rule, const value& v, const std::string& path) {
    if (keyword == "type") return check_type(rule, v, path);
    if (keyword == "const") return rule == v ? checked() : failed(path, "is not the value allowed");
    if (keyword == "enum") return check_enum(rule, v, path);
    if (keyword == "required") return check_required(rule, v, path);
    if (keyword == "items") return check_items(rule, v, path);
    return {};
}

checked satisfies(const value& schema, const value& v, const std::string& path) {
    if (const auto* all = schema.as<bool>()) return *all ? checked() : failed(path, "not allowed here");
    for (const auto& [keyword, rule] : *schema.as<value::map>())
        if (auto well = check_keyword(keyword, rule, v, path); !well) return well;
    return check_members(schema, v, path);
}

} // namespace

result<void> check_schema(const value& schema, const value& instance) {
    if (auto well = known(schema, {}); !well) return well;
    return satisfies(schema, instance, {});
}

} // namespace souk
