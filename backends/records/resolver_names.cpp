#include <algorithm>

#include <souk/backends/records/resolver_names.hpp>
#include <souk/messages/ascii.hpp>
#include <souk/messages/at.hpp>

namespace souk::internal {

namespace {

constexpr std::size_t longest_path = 1024;

refusal bad(std::string_view did, const char* why) { return {"bad_did", std::string(why) + " in " + std::string(did.substr(0, 200))}; }

bool digits(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}
bool plain(std::string_view text) { // as a path's part may be, and as a DID may have it
    return std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
    });
}

} // namespace

result<std::string> web_url(std::string_view did, bool development) {
    auto rest = did.substr(std::string_view("did:web:").size());
    auto host = std::string(rest.substr(0, rest.find(':')));
    rest.remove_prefix(std::min(rest.size(), host.size()));
    std::string port;
    if (const auto at = std::min(host.find("%3A"), host.find("%3a")); at != host.npos) port = host.substr(at + 3), host.resize(at);
    else port = "-";
    if (port != "-" && (port.empty() || port.size() > 5 || !digits(port) || port.front() == '0' || std::stoul(port) > 65535)) return bad(did, "not a port");
    const bool here = development && host == "localhost";
    if (!here && !is_handle(host)) return bad(did, "not a host"); // a name under a domain, as a handle is; so no address
    std::string path;
    while (!rest.empty()) {
        rest.remove_prefix(1);
        const auto part = rest.substr(0, rest.find(':'));
        rest.remove_prefix(part.size());
        if (part.empty() || part == "." || part == ".." || !plain(part)) return bad(did, "not a path");
        path.append("/").append(part);
    }
    if (path.size() > longest_path) return bad(did, "too long a path");
    return (here ? "http://" : "https://") + host + (port == "-" ? "" : ':' + port) + (path.empty() ? "/.well-known" : path) + "/did.json";
}

result<did_document> key_document(const std::string& did) {
    did_document d;
    d.did = did;
    if (auto key = crypto::public_key::from_did_key(did)) d.signing.push_back(std::move(*key));
    else if (crypto::seal_key_of(did)) d.seal_key = did;
    else return refusal{"bad_did_document", "a did:key of a kind that is not known here"};
    return d;
}

result<std::string> handle_of(std::string_view text, bool development, bool local) {
    if (!is_handle(text)) return refusal{"bad_handle", "not a handle"};
    auto handle = lower(text);
    if (local) return handle;
    for (const std::string_view nobodys : {".alt", ".arpa", ".example", ".internal", ".invalid", ".local", ".localhost", ".onion"})
        if (handle.ends_with(nobodys)) return refusal{"bad_handle", "nobody has a handle below " + std::string(nobodys)};
    if (!development && handle.ends_with(".test")) return refusal{"bad_handle", "handles below .test are for development"};
    return handle;
}

result<std::string> did_in(const std::vector<std::string>& texts, const std::string& handle) {
    std::string found;
    for (const auto& text : texts) {
        if (!text.starts_with("did=")) continue;
        const auto did = text.substr(4);
        if (!is_did(did)) continue;
        if (!found.empty() && found != did) return refusal{"handle_ambiguous", "DNS names more than one DID for " + handle};
        found = did;
    }
    return found;
}

std::string_view one_line(std::string_view text) {
    const auto blank = [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; };
    while (!text.empty() && blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && blank(text.back())) text.remove_suffix(1);
    return text;
}

std::string same_host(const std::string& url, std::string_view location) {
    const auto slash = url.find('/', url.find("://") + 3);
    const auto origin = url.substr(0, slash);
    if (location.starts_with('/') && !location.starts_with("//")) return origin + std::string(location);
    if (location.starts_with(origin) && location.substr(origin.size()).starts_with('/')) return std::string(location);
    return {};
}

} // namespace souk::internal
