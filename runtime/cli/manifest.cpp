#include <souk/runtime/cli/manifest.hpp>

#include <souk/backends/tls/authority.hpp>
#include <souk/messages/json.hpp>
#include <souk/messages/records.hpp>
#include <souk/runtime/toml.hpp>

namespace souk::cli {

namespace {

result<value> from_toml(const std::string& text, const std::filesystem::path& file) {
    try {
        const auto parsed = toml::parse(text, file.string());
        toml_table t(parsed, "", file.string());
        ccrfp r;
        r.cpus = t.number("cpus", 1, 4096).value_or(1);
        r.mem = "512M", r.disk = "10G", r.network = "500G", r.role = "machine";
        t.text("mem", r.mem), t.text("disk", r.disk), t.text("network", r.network), t.text("role", r.role);
        t.text("user_data", r.user_data);
        std::string document;
        t.text("user_data_file", document);
        if (!document.empty()) r.user_data = tls::read_file(std::filesystem::absolute(file).parent_path() / document);
        if (auto where = t.table("location")) {
            place p;
            std::string country, region;
            where->text("country", country), where->text("region", region), where->done();
            if (!country.empty()) p.country = country;
            if (!region.empty()) p.region = region;
            r.location = p;
        }
        t.done();
        return to_record(r);
    } catch (const toml::parse_error& e) {
        return refusal{"bad_manifest", file.string() + ':' + std::to_string(e.source().begin.line) + ": " + std::string(e.description())};
    } catch (const refused& e) {
        return refusal{"bad_manifest", e.why.text};
    }
}

} // namespace

result<value> read_manifest(const std::filesystem::path& file) {
    std::string text;
    try {
        text = tls::read_file(file);
    } catch (const std::exception& e) {
        return refusal{"bad_manifest", e.what()};
    }
    if (file.extension() == ".toml") return from_toml(text, file);
    auto v = from_json(text, json_form::atproto);
    if (!v) return refusal{"bad_manifest", file.string() + ": " + v.error().text};
    if (const auto* inner = v->find("record")) v = value(*inner);
    if (const auto good = from_record<ccrfp>(*v); !good) return refusal{"bad_manifest", file.string() + ": " + good.error().text};
    return v;
}

} // namespace souk::cli
