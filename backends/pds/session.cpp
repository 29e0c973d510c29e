#include <souk/backends/pds/session.hpp>

#include <algorithm>
#include <charconv>

#include <souk/messages/json.hpp>

namespace souk::pds {

namespace {

using namespace std::chrono_literals;

constexpr auto step_within = 10s, longest_pause = 3600s;
constexpr unsigned most_mends = 6; // a nonce or two, a proof, a token and a nonce for that

std::optional<std::int64_t> whole(std::string_view text) {
    std::int64_t n = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (error != std::errc{} || end != text.data() + text.size() || n < 0) return std::nullopt;
    return n;
}

} // namespace

refusal not_answered(const std::string& host, const refusal& why) {
    const auto& code = why.code;
    if (code == "pds_stopped" || code == "pds_unknown") return why;
    const bool untouched = code == "http_unreachable" || code == "private_address" || code == "client_busy" || code.starts_with("bad_");
    return {untouched ? "pds_unreachable" : "pds_unknown", host + ": " + code + ", " + why.text};
}

session::session(http::client& web, std::string host, std::string did, std::function<instant()> now)
    : host_(std::move(host)), did_(std::move(did)), now_(std::move(now)), web_(web) {}

void session::stop() { off_->now(); }

result<http::response> session::fetch(http::call c) {
    if (off_->was_called()) return refusal{"pds_stopped", "this node is stopping"};
    const auto whom = c.url.starts_with(host_ + '/') ? host_ : c.url.substr(0, c.url.find('?'));
    auto said = http::answer_of<result<http::response>>(off_, [&](auto tell) { web_.fetch(std::move(c), std::move(tell)); });
    if (!said) return refusal{"pds_unknown", "this node stops before the host has answered"};
    if (!*said) return not_answered(whom, said->error());
    return std::move(*said);
}

// RateLimit-* as hosts of this network write them: Reset is a time of day, in seconds since 1970.
void session::heed(const http::response& r, instant& pause) const {
    const auto left = whole(r.head.get("ratelimit-remaining"));
    if (r.status != 429 && !(left && *left == 0)) return;
    auto until = now_() + 60s;
    if (const auto wait = whole(r.head.get("retry-after"))) until = now_() + std::chrono::seconds(std::min<std::int64_t>(*wait, longest_pause.count()));
    else if (const auto at = whole(r.head.get("ratelimit-reset"))) until = instant(std::chrono::seconds(std::min<std::int64_t>(*at, std::int64_t{1} << 40)));
    pause = std::clamp(until, now_() + 1s, now_() + longest_pause);
}

result<reply> session::ask(const request& r, const shown& by, instant& pause) {
    http::call c;
    c.url = host_ + "/xrpc/" + r.nsid + (r.query.empty() ? "" : '?' + r.query);
    c.within = step_within, c.largest_answer = r.largest_answer;
    if (r.body) {
        c.method = "POST";
        // An empty one is none: hosts refuse a body where the method has no input.
        if (const auto* fields = r.body->as<value::map>(); fields && !fields->empty()) c.body = to_json(*r.body, json_form::atproto), c.head.set("Content-Type", "application/json");
    }
    if (const auto well = by(c); !well) return well.error();
    const auto url = c.url;
    auto said = fetch(std::move(c));
    if (!said) return said.error();
    hear(url, *said);
    heed(*said, pause);
    if (said->status == 429) return refusal{"pds_paused", host_ + " asks for a pause: too many requests"};
    if (said->status >= 500) return refusal{"pds_unknown", host_ + " answered " + std::to_string(said->status)};
    reply out;
    out.status = said->status;
    json_limits limits;
    limits.bytes = r.largest_answer, limits.items = 1'000'000;
    if (auto body = from_json(said->body, json_form::atproto, limits)) out.body = std::move(*body);
    else if (out.status == 200 && !said->body.empty()) return refusal{"pds_unknown", host_ + " answered what is no JSON"};
    out.error = out.body.text("error").substr(0, 100), out.message = out.body.text("message").substr(0, 300);
    if (!out.well() && out.error.empty()) out.error = "HTTP " + std::to_string(out.status);
    out.head = std::move(said->head);
    return out;
}

result<reply> session::call(const request& r) {
    for (unsigned before = 0;; ++before) {
        if (now_() < paused_until_) return refusal{"pds_paused", host_ + " asks for a pause until " + to_datetime(paused_until_)};
        if (const auto in = log_in(); !in) return in.error();
        auto said = ask(r, [this](http::call& c) { return show(c); }, paused_until_);
        if (!said) return said;
        const auto again = mend(*said, before);
        if (!again) return again.error();
        if (!*again) return said;
        if (before == most_mends) return refusal{"pds_login", host_ + " refuses whatever this node shows: " + said->error};
    }
}

} // namespace souk::pds
