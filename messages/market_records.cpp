#include <souk/messages/market_records.hpp>

namespace souk {

value described_as<market::receipt>::to(const market::receipt& r) {
    auto v = to_value<market::receipt_fields>(r);
    auto& fields = *v.as<value::map>();
    fields.emplace("$type", market::receipt::nsid);
    if (r.null_payload && !r.payload) fields.emplace("payload", null_t{});
    return v;
}

bool described_as<market::receipt>::read(const value& v, market::receipt& out, const described::reading& how, described::fault& why) {
    const auto* m = v.as<value::map>();
    if (!m) return described::expected(why, "a map", v);
    auto rest = *m;
    const auto type = rest.find("$type");
    if (type == rest.end() && how.missing == missing_fields::refuse) return described::missing(why, "$type");
    if (type != rest.end()) {
        const auto* name = type->second.as<std::string>();
        if (!(name ? described::read_constant(*name, market::receipt::nsid, why) : described::expected(why, "text", type->second)))
            return why.within("$type"), false;
        rest.erase(type);
    }
    const auto* payload = v.find("payload");
    out.null_payload = payload && payload->is_null();
    return described::read(value(std::move(rest)), static_cast<market::receipt_fields&>(out), how, why);
}

} // namespace souk
