#include <souk/actors/broker/discovery.hpp>

#include <algorithm>

#include <souk/messages/json.hpp>

namespace souk::oidc {

namespace {

constexpr std::size_t longest_url = 2048, most_keys = 64;
constexpr json_limits small{.bytes = largest_document, .depth = 8, .items = 4096};

bool is_plain(char c) { return c > ' ' && c < 0x7f && c != '\\' && c != '@' && c != '?' && c != '#'; }

bool is_port(std::string_view text) {
    return !text.empty() && text.size() <= 5 && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

} // namespace

result<std::string> origin_of(std::string_view url, bool allow_http) {
    const refusal bad{"bad_url", "expected a plain https URL"};
    if (url.size() > longest_url || !std::all_of(url.begin(), url.end(), is_plain)) return bad;
    const bool tls = url.starts_with("https://");
    if (!tls && !(allow_http && url.starts_with("http://"))) return bad;
    const std::size_t start = tls ? 8 : 7;
    std::string authority(url.substr(start, url.find('/', start) - start));
    for (char& c : authority)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const auto colon = authority.find(':', authority.starts_with('[') ? authority.find(']') : 0); // [::1]:443
    const auto host = authority.substr(0, colon);
    const auto port = colon == std::string::npos ? std::string(tls ? "443" : "80") : authority.substr(colon + 1);
    if (host.empty() || !is_port(port)) return bad;
    return std::string(tls ? "https://" : "http://") + host + ':' + port;
}

result<std::string> discovery_url(std::string_view issuer, bool allow_http) {
    if (!origin_of(issuer, allow_http)) return refusal{"bad_issuer", "the issuer is no plain https URL"};
    while (issuer.ends_with('/')) issuer.remove_suffix(1);
    return std::string(issuer) + "/.well-known/openid-configuration";
}

result<std::string> jwks_uri_in(std::string_view document, std::string_view issuer, bool allow_http) {
    const auto read = from_json(document, json_form::plain, small);
    if (!read) return refusal{"bad_discovery", "the discovery document cannot be read: " + read.error().text};
    if (read->text("issuer") != issuer) return refusal{"bad_discovery", "the discovery document is by another issuer"};
    const auto uri = read->text("jwks_uri");
    const auto there = origin_of(uri, allow_http), here = origin_of(issuer, allow_http);
    if (!there || !here || *there != *here) return refusal{"bad_discovery", "the issuer's keys do not lie at its own origin"};
    return std::string(uri);
}

result<value> jwks_in(std::string_view document) {
    auto read = from_json(document, json_form::plain, small);
    if (!read) return refusal{"bad_jwks", "the key set cannot be read: " + read.error().text};
    const auto* keys = read->find("keys");
    const auto* list = keys ? keys->as<value::list>() : nullptr;
    if (!list || list->size() > most_keys) return refusal{"bad_jwks", "a key set is {\"keys\": [...]}, of at most 64"};
    return std::move(*read);
}

} // namespace souk::oidc
