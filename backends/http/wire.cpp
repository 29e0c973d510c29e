#include <souk/backends/http/wire.hpp>

#include <algorithm>
#include <charconv>

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/status.hpp>

namespace souk::http::internal {

namespace beast = boost::beast;

namespace {

constexpr std::size_t most_parameters = 256;

result<void> read_query(std::string_view text, request& into) {
    while (!text.empty()) {
        const auto part = text.substr(0, text.find('&'));
        text.remove_prefix(std::min(text.size(), part.size() + 1));
        if (part.empty()) continue;
        if (into.query.size() == most_parameters) return refusal{"bad_request", "more query parameters than this door reads"};
        const auto equals = part.find('=');
        const auto decode = [](std::string_view raw) {
            std::string spaced(raw); // as forms and URLSearchParams write it
            std::replace(spaced.begin(), spaced.end(), '+', ' ');
            return percent_decode(spaced);
        };
        auto key = decode(part.substr(0, equals));
        auto text_of = equals == part.npos ? result<std::string>(std::string()) : decode(part.substr(equals + 1));
        if (!key || !text_of) return refusal{"bad_request", "the query has a % without two hexadecimal digits after it"};
        into.query.emplace_back(std::move(*key), std::move(*text_of));
    }
    return {};
}

// RFC 9112 section 3.2.2: a server takes the absolute form too.
std::string_view origin_form(std::string_view target) {
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (!target.starts_with(scheme)) continue;
        const auto slash = target.find('/', scheme.size());
        return slash == target.npos ? std::string_view("/") : target.substr(slash);
    }
    return target;
}

bool one_line(std::string_view text) {
    return std::none_of(text.begin(), text.end(), [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
}
bool header_name(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f && c != ':'; });
}
void append(std::string& out, std::uint64_t number) {
    char digits[24];
    out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

} // namespace

result<request> to_request(beast::http::request<beast::http::string_body>& message, const std::string& peer) {
    const auto hosts = message.count(beast::http::field::host);
    if (hosts > 1 || (hosts == 0 && message.version() >= 11)) return refusal{"bad_request", "a request has one Host line"};
    const auto target = origin_form(message.target());
    if (!target.starts_with('/')) return refusal{"bad_request", "the target is no path"};
    request r;
    r.method = message.method_string();
    r.target = target;
    const auto mark = r.target.find('?');
    r.path = r.target.substr(0, mark);
    if (mark != r.target.npos)
        if (auto ok = read_query(std::string_view(r.target).substr(mark + 1), r); !ok) return ok.error();
    for (const auto& field : message) r.head.all.emplace_back(field.name_string(), field.value());
    r.body = std::move(message.body());
    r.peer = peer;
    return r;
}

bool write_head(std::string& out, const response& r, std::string_view date, bool keep_alive, bool http_1_0) {
    out.clear();
    out += "HTTP/1.1 ";
    append(out, r.status);
    out += ' ';
    out += beast::http::obsolete_reason(static_cast<beast::http::status>(r.status));
    out += "\r\nDate: ";
    out += date;
    if (r.more && !http_1_0) out += "\r\nTransfer-Encoding: chunked";
    else if (!bodiless(r.status) && !r.more) {
        out += "\r\nContent-Length: ";
        append(out, r.body.size());
    }
    if (!keep_alive) out += "\r\nConnection: close";
    else if (http_1_0) out += "\r\nConnection: keep-alive";
    for (const auto& [name, text] : r.head.all) {
        if (!header_name(name) || !one_line(text)) return false;
        if (beast::iequals(name, "Connection") || beast::iequals(name, "Content-Length") ||
            beast::iequals(name, "Transfer-Encoding"))
            continue;
        ((((out += "\r\n") += name) += ": ") += text);
    }
    out += "\r\n\r\n";
    return true;
}

} // namespace souk::http::internal
