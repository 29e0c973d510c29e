#include <souk/backends/http/url.hpp>

#include <algorithm>
#include <charconv>
#include <memory>

#include <curl/curl.h>

namespace souk::http::internal {

namespace {

constexpr std::size_t largest_url = 8 * 1024;

struct free_url {
    void operator()(CURLU* u) const { curl_url_cleanup(u); }
};

std::string part_of(CURLU* url, CURLUPart which) {
    char* text = nullptr;
    std::string out;
    if (curl_url_get(url, which, &text, 0) == CURLUE_OK && text) out = text;
    curl_free(text);
    return out;
}

} // namespace

std::string url_parts::authority() const {
    const auto name = host.find(':') == host.npos ? host : '[' + host + ']';
    return usual_port ? name : name + ':' + std::to_string(port);
}

result<url_parts> parse_url(const std::string& url) {
    const auto bad = [](const char* why) { return refusal{"bad_url", why}; };
    if (url.size() > largest_url) return bad("the URL is longer than 8 KiB");
    if (std::any_of(url.begin(), url.end(), [](char c) { return c <= ' ' || c == 0x7f; }))
        return bad("a blank or control character in the URL");
    const std::unique_ptr<CURLU, free_url> parsed(curl_url());
    if (!parsed) throw std::bad_alloc();
    if (curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK) return bad("not a URL");
    url_parts p;
    p.scheme = part_of(parsed.get(), CURLUPART_SCHEME);
    const bool secure = p.scheme == "https" || p.scheme == "wss";
    if (!secure && p.scheme != "http" && p.scheme != "ws") return bad("not an http, https, ws or wss URL");
    if (!part_of(parsed.get(), CURLUPART_USER).empty() || !part_of(parsed.get(), CURLUPART_PASSWORD).empty())
        return bad("a user or password in the URL");
    p.host = part_of(parsed.get(), CURLUPART_HOST);
    if (p.host.size() > 2 && p.host.front() == '[') p.host = p.host.substr(1, p.host.size() - 2);
    if (p.host.empty()) return bad("no host in the URL");
    std::transform(p.host.begin(), p.host.end(), p.host.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
    p.port = secure ? 443 : 80;
    if (const auto port = part_of(parsed.get(), CURLUPART_PORT); !port.empty()) {
        const auto usual = p.port;
        std::from_chars(port.data(), port.data() + port.size(), p.port); // libcurl checked its range
        p.usual_port = p.port == usual;
    }
    p.target = part_of(parsed.get(), CURLUPART_PATH);
    if (p.target.empty()) p.target = "/";
    if (const auto query = part_of(parsed.get(), CURLUPART_QUERY); !query.empty()) p.target += '?' + query;
    return p;
}

} // namespace souk::http::internal
