#include <souk/messages/at.hpp>

#include <souk/messages/bytes.hpp>

namespace souk {

namespace {

constexpr std::size_t longest_did = 2048, longest_handle = 253, longest_nsid = 317, longest_record_key = 512, longest_label = 63;
constexpr std::size_t longest_at_uri = 8 * 1024, longest_paid_path = 16 * 1024;

bool lower(char c) { return c >= 'a' && c <= 'z'; }
bool letter(char c) { return lower(c) || (c >= 'A' && c <= 'Z'); }
bool digit(char c) { return c >= '0' && c <= '9'; }
bool alnum(char c) { return letter(c) || digit(c); }

// A label of DNS: letters, digits and inner hyphens, at most 63.
bool is_label(std::string_view s) {
    if (s.empty() || s.size() > longest_label || s.front() == '-' || s.back() == '-') return false;
    for (char c : s)
        if (!alnum(c) && c != '-') return false;
    return true;
}

template <class F>
bool each_part(std::string_view text, char by, F&& check) {
    std::size_t index = 0;
    for (;; ++index) {
        const auto at = text.find(by);
        const bool last = at == std::string_view::npos;
        if (!check(text.substr(0, at), index, last)) return false;
        if (last) return true;
        text.remove_prefix(at + 1);
    }
}

std::string flatten(std::string_view text) {
    std::string out(text);
    for (auto& c : out) {
        if (c == '.' || c == ':') c = '-';
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a'); // host names have no case
    }
    return out;
}

result<std::string> percent_decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        const auto byte = from_hex(text.substr(i + 1, 2));
        if (!byte || byte->size() != 1) return refusal{"bad_at_uri", "a percent sign without two hexadecimal digits"};
        out += *byte;
        i += 2;
    }
    return out;
}

result<strong_ref> split_pair(std::string_view text) {
    const auto slash = text.rfind('/');
    const auto last = slash == std::string_view::npos ? text : text.substr(slash + 1);
    if (last.empty()) return refusal{"missing_cid", "the path ends without the CID of the accept"};
    auto name = slash == std::string_view::npos ? std::string_view() : text.substr(0, slash);
    for (std::string_view start : {"at://", "at:/"})
        if (name.starts_with(start)) {
            name.remove_prefix(start.size());
            break;
        }
    auto c = cid::parse(last);
    auto uri = at_uri::parse("at://" + std::string(name));
    if (!uri) {
        // "at://did/collection/rkey" alone: what is missing is the CID, not the name.
        if (!c && at_uri::parse("at://" + std::string(name) + '/' + std::string(last)))
            return refusal{"missing_cid", "the path ends without the CID of the accept"};
        return uri.error();
    }
    if (!c) return c.error();
    return strong_ref{uri->text(), c->text()};
}

} // namespace

bool is_did(std::string_view text) {
    if (text.size() > longest_did || !text.starts_with("did:")) return false;
    text.remove_prefix(4);
    const auto colon = text.find(':');
    if (colon == 0 || colon == std::string_view::npos) return false;
    for (char c : text.substr(0, colon))
        if (!lower(c)) return false;
    text.remove_prefix(colon + 1);
    for (char c : text)
        if (!alnum(c) && std::string_view("._:%-").find(c) == std::string_view::npos) return false;
    return !text.empty() && text.back() != ':' && text.back() != '%';
}

bool is_handle(std::string_view text) {
    if (text.size() > longest_handle || text.find('.') == std::string_view::npos) return false;
    return each_part(text, '.',
                     [](std::string_view part, std::size_t, bool last) { return is_label(part) && (!last || letter(part[0])); });
}

bool is_nsid(std::string_view text) {
    if (text.size() > longest_nsid) return false;
    std::size_t parts = 0;
    const bool well = each_part(text, '.', [&](std::string_view part, std::size_t index, bool last) {
        ++parts;
        if (!is_label(part)) return false;
        if (last) return letter(part[0]) && part.find('-') == std::string_view::npos;
        return index > 0 || letter(part[0]);
    });
    return well && parts >= 3;
}

bool is_record_key(std::string_view text) {
    if (text.empty() || text.size() > longest_record_key || text == "." || text == "..") return false;
    for (char c : text)
        if (!alnum(c) && std::string_view(".:~_-").find(c) == std::string_view::npos) return false;
    return true;
}

result<at_uri> at_uri::parse(std::string_view text) {
    if (text.size() > longest_at_uri || !text.starts_with("at://"))
        return refusal{"bad_at_uri", "expected at://DID/collection/key"};
    text.remove_prefix(5);
    const auto one = text.find('/');
    const auto two = one == std::string_view::npos ? one : text.find('/', one + 1);
    if (two == std::string_view::npos) return refusal{"bad_at_uri", "expected at://DID/collection/key"};
    at_uri out{std::string(text.substr(0, one)), std::string(text.substr(one + 1, two - one - 1)),
               std::string(text.substr(two + 1))};
    if (!is_did(out.did)) return refusal{"bad_at_uri", "the authority is no DID"};
    if (!is_nsid(out.collection)) return refusal{"bad_at_uri", "the collection is no NSID"};
    if (!is_record_key(out.rkey)) return refusal{"bad_at_uri", "the last part is no record key"};
    return out;
}

result<strong_ref> parse_paid_path(std::string_view path) {
    if (path.size() > longest_paid_path) return refusal{"bad_at_uri", "the path is over 16 KiB"};
    if (path.starts_with('/')) path.remove_prefix(1);
    // A DID may itself hold a percent sign (did:web:localhost%3A8080), so a path that reads as it stands is not decoded.
    if (path.find("%25") == std::string_view::npos)
        if (auto raw = split_pair(path)) return raw;
    const auto decoded = percent_decoded(path);
    if (!decoded) return decoded.error();
    return split_pair(*decoded);
}

result<std::string> host_label(std::string_view service, std::string_view handle) {
    const auto one = flatten(service), two = flatten(handle);
    for (const auto& part : {one, two}) {
        if (!is_label(part))
            return refusal{"bad_label", "a service or handle in a host name is letters, digits and inner hyphens, dots or colons"};
        if (part.find("--") != std::string::npos)
            return refusal{"bad_label", "\"--\" divides service and handle, so neither may hold it"};
    }
    auto label = one + "--" + two;
    if (label.size() > longest_label) return refusal{"bad_label", "the host label " + label + " is over 63 characters"};
    return label;
}

} // namespace souk
