#include <souk/backends/tunnel/head.hpp>

#include <algorithm>
#include <set>

#include <boost/beast/http/rfc7230.hpp>

#include <souk/messages/ascii.hpp>

namespace souk::tunnel {

namespace {

using http::field;
namespace beast = boost::beast;

// Fields that belong to one connection, that the broker writes itself, or that a visitor could lie with.
bool dropped(field name, std::string_view text) {
    switch (name) {
        case field::connection: case field::keep_alive: case field::proxy_connection: case field::proxy_authenticate:
        case field::proxy_authorization: case field::te: case field::trailer: case field::transfer_encoding: case field::upgrade:
        case field::content_length: case field::forwarded:
            return true;
        default: break;
    }
    static const std::set<std::string, std::less<>> ours{"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host",
                                                         "x-forwarded-port", "x-real-ip", "http2-settings"};
    return ours.contains(lower(text));
}

// The fields that "Connection: a, b" declares to be of this connection only. It cannot take away Host: without it there is no request.
std::set<std::string> named_by_connection(const http::fields& fields) {
    std::set<std::string> names;
    const auto [from, to] = fields.equal_range(field::connection);
    for (auto at = from; at != to; ++at)
        for (const auto token : http::token_list(at->value())) names.insert(lower(token));
    names.erase("host");
    return names;
}

template <class Skip>
void copy_fields(std::string& out, const http::fields& fields, Skip skip) {
    const auto named = named_by_connection(fields);
    for (const auto& f : fields) {
        if (dropped(f.name(), f.name_string()) || skip(f.name()) || named.contains(lower(f.name_string()))) continue;
        out.append(f.name_string()).append(": ").append(f.value()).append("\r\n");
    }
}

bool has_token(const http::fields& fields, field name, std::string_view token) {
    const auto [from, to] = fields.equal_range(name);
    return std::any_of(from, to, [&](const auto& f) { return http::token_list(f.value()).exists(token); });
}

std::string status_line(const http::response_header<>& h) {
    const auto reason = h.reason().empty() ? http::obsolete_reason(h.result()) : h.reason();
    return "HTTP/1.1 " + std::to_string(h.result_int()) + ' ' + std::string(reason) + "\r\n";
}

} // namespace

result<std::string> label_of(std::string_view host, std::string_view domain) {
    auto name = lower(host);
    if (const auto colon = name.find(':'); colon != std::string::npos) {
        const auto port = std::string_view(name).substr(colon + 1);
        if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != port.npos)
            return refusal{"bad_host", "the Host field is not NAME or NAME:PORT"};
        name.resize(colon);
    }
    if (!name.empty() && name.back() == '.') name.pop_back();
    if (name.empty() || name.size() > 253 || name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-.") != std::string::npos)
        return refusal{"bad_host", "the Host field is not a name"};
    const auto dot = name.find('.');
    if (dot == std::string::npos || dot == 0 || dot > 63 || std::string_view(name).substr(dot + 1) != lower(domain))
        return refusal{"unknown_name", "this door serves names of the form SERVICE--HANDLE." + std::string(domain)};
    name.resize(dot);
    return name;
}

result<request_plan> plan_of(const http::request_header<>& h, bool chunked, bool has_length, std::uint64_t length) {
    if (h.count(field::host) != 1) return refusal{"bad_host", "a request must have exactly one Host field"};
    if (h.method() == http::verb::connect) return refusal{"bad_method", "CONNECT is not served here: this is no proxy"};
    if (h.target().empty() || (h.target().front() != '/' && !(h.target() == "*" && h.method() == http::verb::options)))
        return refusal{"bad_target", "the request target must be a path"};
    request_plan plan;
    plan.host = std::string(h[field::host]);
    if (chunked) plan.body = framing::chunked;
    else if (has_length) plan.body = framing::length, plan.length = length; // also of 0: some services want to see it
    plan.upgrade = h.version() == 11 && has_token(h, field::connection, "upgrade") && h.count(field::upgrade) == 1;
    if (plan.upgrade && (chunked || length != 0)) return refusal{"bad_upgrade", "a request with a body cannot ask for an upgrade"};
    plan.keep = h.version() == 11 && !has_token(h, field::connection, "close");
    return plan;
}

std::string upstream_head(const http::request_header<>& h, const request_plan& plan, std::string_view visitor_address) {
    std::string out;
    out.append(h.method_string()).append(" ").append(h.target()).append(" HTTP/1.1\r\n");
    out.append("Host: ").append(plan.host).append("\r\n");
    copy_fields(out, h, [](field f) { return f == field::host; });
    if (plan.body == framing::chunked) out += "Transfer-Encoding: chunked\r\n";
    if (plan.body == framing::length) out += "Content-Length: " + std::to_string(plan.length) + "\r\n";
    if (plan.upgrade) out.append("Connection: Upgrade\r\nUpgrade: ").append(h[field::upgrade]).append("\r\n");
    else out += "Connection: close\r\n";
    out.append("X-Forwarded-For: ").append(visitor_address).append("\r\n");
    out.append("X-Forwarded-Proto: https\r\nX-Forwarded-Host: ").append(plan.host).append("\r\n\r\n");
    return out;
}

std::string downstream_head(const http::response_header<>& h, framing body, std::uint64_t length, bool keep) {
    auto out = status_line(h);
    copy_fields(out, h, [](field) { return false; });
    if (body == framing::chunked) out += "Transfer-Encoding: chunked\r\n";
    if (body == framing::length) out += "Content-Length: " + std::to_string(length) + "\r\n";
    out += keep ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
    return out;
}

std::string interim_head(const http::response_header<>& h) {
    auto out = status_line(h);
    copy_fields(out, h, [](field) { return false; });
    return out + "\r\n";
}

std::string switching_head(const http::response_header<>& h) {
    auto out = status_line(h);
    copy_fields(out, h, [](field) { return false; });
    return out.append("Connection: Upgrade\r\nUpgrade: ").append(h[field::upgrade]).append("\r\n\r\n");
}

std::string plain_answer(unsigned status, std::string_view text, bool with_body) {
    const auto reason = http::obsolete_reason(http::int_to_status(status));
    std::string out = "HTTP/1.1 " + std::to_string(status) + ' ' + std::string(reason) + "\r\n";
    out += "Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\nConnection: close\r\n";
    out += "Content-Length: " + std::to_string(text.size() + 1) + "\r\n\r\n";
    if (with_body) out.append(text).append("\n");
    return out;
}

} // namespace souk::tunnel
