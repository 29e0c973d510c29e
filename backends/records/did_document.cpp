// DID documents as JSON (W3C DID core, with Multikey verification methods as AT Protocol has them).
#include <algorithm>

#include <souk/backends/records/did_document.hpp>
#include <souk/messages/at.hpp>

namespace souk {

namespace {

constexpr std::size_t most_entries = 64; // of each list; more is no document that anyone needs
constexpr std::size_t longest_name = 256; // of a service, or of its kind

refusal bad(std::string why) { return {"bad_did_document", std::move(why)}; }

value method(const std::string& did, const std::string& name, std::string multikey) {
    return value::map{
        {"id", did + '#' + name}, {"type", "Multikey"}, {"controller", did}, {"publicKeyMultibase", std::move(multikey)}};
}
std::string multikey_of(const std::string& did_key) { return did_key.substr(std::string_view("did:key:").size()); }

// "#name" or "did#name"; "" when it is another subject's.
std::string_view fragment(std::string_view id, std::string_view did) {
    if (id.starts_with(did)) id.remove_prefix(did.size());
    return id.starts_with('#') ? id.substr(1) : std::string_view();
}

// nullptr when absent.
result<const value::list*> list_at(const value& document, std::string_view key) {
    static const value::list none;
    const auto* found = document.find(key);
    if (!found) return &none;
    const auto* all = found->as<value::list>();
    if (!all || all->size() > most_entries) return bad(std::string(key) + " is no list of at most " + std::to_string(most_entries));
    return all;
}

bool usable_url(std::string_view url) {
    if (url.size() > 1024) return false;
    if (url.starts_with("https://")) return url.size() > 8;
    for (const std::string_view local : {"http://localhost", "http://127.0.0.1", "http://[::1]"}) // a developer's machine
        if (url.starts_with(local) && (url.size() == local.size() || url[local.size()] == ':' || url[local.size()] == '/'))
            return true;
    return false;
}

void add_key(did_document& into, crypto::public_key key) {
    if (std::find(into.signing.begin(), into.signing.end(), key) == into.signing.end()) into.signing.push_back(std::move(key));
}

void read_method(did_document& into, std::string_view name, const std::string& multikey) {
    if (name == "seal") {
        const auto did_key = "did:key:" + multikey;
        if (crypto::seal_key_of(did_key)) into.seal_key = did_key;
    } else if (name == "atproto" || name == "attestation" || name.starts_with("attestation-")) {
        if (auto key = crypto::public_key::from_multikey(multikey))
            add_key(into, std::move(*key)); // else an algorithm that signs no records
    }
}

} // namespace

value to_json_document(const did_document& d) {
    value::list methods, services, names;
    for (std::size_t i = 0; i < d.signing.size(); ++i) {
        const auto key = multikey_of(d.signing[i].did_key());
        if (i == 0) methods.push_back(method(d.did, "atproto", key));
        // A lone key attests too, and peers look for it by that name.
        if (i == 1 || d.signing.size() == 1) methods.push_back(method(d.did, "attestation", key));
        if (i > 1) methods.push_back(method(d.did, "attestation-" + std::to_string(i), key));
    }
    if (!d.seal_key.empty()) methods.push_back(method(d.did, "seal", multikey_of(d.seal_key)));
    for (const auto& handle : d.handles) names.push_back("at://" + handle);
    if (!d.pds.empty())
        services.emplace_back(
            value::map{{"id", "#atproto_pds"}, {"type", "AtprotoPersonalDataServer"}, {"serviceEndpoint", d.pds}});
    for (const auto& s : d.services) services.emplace_back(value::map{{"id", '#' + s.id}, {"type", s.type}, {"serviceEndpoint", s.endpoint}});
    return value::map{{"@context", value::list{"https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"}},
                      {"id", d.did},
                      {"alsoKnownAs", std::move(names)},
                      {"verificationMethod", std::move(methods)},
                      {"service", std::move(services)}};
}

result<did_document> read_document(const value& document, std::string_view did) {
    if (!document.as<value::map>()) return bad("not a JSON object");
    if (document.text("id") != did) return bad("it is not about " + std::string(did.substr(0, 200)));
    const auto names = list_at(document, "alsoKnownAs"), methods = list_at(document, "verificationMethod"),
               services = list_at(document, "service");
    for (const auto* all : {&names, &methods, &services})
        if (!*all) return all->error();
    did_document d;
    d.did = did;
    for (const auto& one : **names) {
        const auto* text = one.as<std::string>();
        if (text && text->starts_with("at://") && is_handle(std::string_view(*text).substr(5)))
            d.handles.push_back(text->substr(5));
    }
    for (const auto& one : **methods)
        if (one.text("type") == "Multikey" && one.text("controller") == did)
            read_method(d, fragment(one.text("id"), did), std::string(one.text("publicKeyMultibase")));
    for (const auto& one : **services) {
        const auto id = fragment(one.text("id"), did);
        auto url = std::string(one.text("serviceEndpoint"));
        if (id == "atproto_pds" && one.text("type") == "AtprotoPersonalDataServer") {
            if (!d.pds.empty()) continue; // the first counts
            if (!usable_url(url)) return bad("its record host is no https URL");
            while (url.ends_with('/')) url.pop_back();
            d.pds = std::move(url);
        } else if (!id.empty() && id.size() <= longest_name && one.text("type").size() <= longest_name && usable_url(url)) {
            d.services.push_back({std::string(id), std::string(one.text("type")), std::move(url)});
        }
    }
    return d;
}

} // namespace souk
