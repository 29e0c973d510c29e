#include <souk/messages/records.hpp>

namespace souk {

namespace {

constexpr std::string_view strong_ref_nsid = "com.atproto.repo.strongRef";

} // namespace

value described_as<embed>::to(const embed& e) {
    if (!e.type.empty() && e.type != strong_ref_nsid) return value::map{{"$type", e.type}, {"record", to_value(e.record)}};
    auto flat = to_value(e.record);
    if (!e.type.empty()) flat.as<value::map>()->emplace("$type", e.type);
    return flat;
}

bool described_as<embed>::read(const value& v, embed& out, const described::reading& how, described::fault& why) {
    const auto* m = v.as<value::map>();
    if (!m) return described::expected(why, "a map", v);
    const auto* type = v.find("$type");
    if (type && !type->as<std::string>()) return why.within("$type"), described::expected(why, "text", *type);
    out.type = v.text("$type");
    auto rest = *m;
    rest.erase("$type");
    if (out.type.empty() || out.type == strong_ref_nsid) return described::read(value(std::move(rest)), out.record, how, why);
    const auto* record = v.find("record");
    if (!record) return described::missing(why, "record");
    for (const auto& [key, x] : rest)
        if (key != "record" && how.unknown == unknown_fields::refuse) return described::unknown(why, key);
    if (described::read(*record, out.record, how, why)) return true;
    why.within("record");
    return false;
}

value described_as<payment_ref>::to(const payment_ref& p) {
    const bool flat = p.embed_.type.empty() || p.embed_.type == strong_ref_nsid;
    auto e = to_value(p.embed_);
    return flat ? e : value(value::map{{"embed", std::move(e)}});
}

bool described_as<payment_ref>::read(const value& v, payment_ref& out, const described::reading& how, described::fault& why) {
    const auto* inner = v.find("embed");
    if (!inner) return described::read(v, out.embed_, how, why);
    for (const auto& [key, x] : *v.as<value::map>())
        if (key != "embed" && how.unknown == unknown_fields::refuse) return described::unknown(why, key);
    if (described::read(*inner, out.embed_, how, why)) return true;
    why.within("embed");
    return false;
}

} // namespace souk
