#include <souk/runtime/paid_door.hpp>

namespace souk::paid_door {

namespace {

// What follows the prefix; empty: another target.
std::string_view below(std::string_view target) {
    for (const std::string_view prefix : {"/ccr/", "/receipt/"})
        if (target.substr(0, prefix.size()) == prefix) return target.substr(prefix.size());
    return {};
}

} // namespace

bool is_one(const http::request& r) { return r.method == "GET" && !below(r.target).empty(); }

result<paid_request> read(const http::request& r, const std::string& public_url) {
    auto path = below(r.target);
    path = path.substr(0, path.find('?'));
    auto accept = parse_paid_path(path);
    if (!accept) return accept.error();
    paid_request q{std::move(*accept), public_url + r.target, {}, {}, r.head.get("prefer") == "respond-async"};
    if (const auto h = r.head.get("payment-signature"); !h.empty()) q.payment = std::string(h);
    if (const auto h = r.head.get("x-payment"); !h.empty()) q.payment_v1 = std::string(h);
    return q;
}

http::response write(paid_answer a) {
    http::response out{a.status, {}, std::move(a.body)};
    for (auto& [name, text] : a.head) out.head.set(name, text);
    // A browser's script may read these.
    out.head.set("access-control-expose-headers", "PAYMENT-REQUIRED, PAYMENT-RESPONSE, X-PAYMENT-RESPONSE");
    return out;
}

} // namespace souk::paid_door
