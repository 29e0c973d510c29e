#include <souk/backends/http/message.hpp>

#include <algorithm>

#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>

namespace souk::http {

namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }
bool same_name(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}
int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    const char l = lower(c);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}
bool unreserved(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
           c == '~';
}

} // namespace

std::string_view headers::get(std::string_view name) const {
    for (const auto& [key, text] : all)
        if (same_name(key, name)) return text;
    return {};
}

headers& headers::set(std::string name, std::string text) {
    std::erase_if(all, [&](const auto& pair) { return same_name(pair.first, name); });
    all.emplace_back(std::move(name), std::move(text));
    return *this;
}

std::string_view request::param(std::string_view name) const {
    for (const auto& [key, text] : query)
        if (key == name) return text;
    return {};
}

response json_response(unsigned status, std::string json) {
    response r;
    r.status = status;
    r.head.all.emplace_back("Content-Type", "application/json");
    r.body = std::move(json);
    return r;
}

response error_response(unsigned status, const refusal& why) {
    return json_response(status, "{\"error\":" + boost::json::serialize(boost::json::string_view(why.code)) +
                                     ",\"message\":" + boost::json::serialize(boost::json::string_view(why.text)) + "}");
}

result<std::string> percent_decode(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1, low = high < 0 ? -1 : hex_digit(text[i + 2]);
        if (low < 0) return refusal{"bad_percent_encoding", "a % without two hexadecimal digits after it"};
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return out;
}

std::string percent_encode(std::string_view text) {
    static constexpr char digits[] = "0123456789ABCDEF";
    std::string out;
    out.reserve(text.size() + text.size() / 4);
    for (const char c : text) {
        if (unreserved(c)) out += c;
        else out += {'%', digits[static_cast<unsigned char>(c) >> 4], digits[c & 15]};
    }
    return out;
}

} // namespace souk::http
