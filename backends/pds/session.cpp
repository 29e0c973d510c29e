#include <souk/backends/pds/session.hpp>

#include <algorithm>
#include <charconv>

#include <souk/messages/json.hpp>

namespace souk::pds {

namespace {

using namespace std::chrono_literals;

constexpr auto step_within = 10s, longest_pause = 3600s, first_login_pause = 30s, longest_login_pause = 900s;
constexpr std::size_t largest_tokens = 64 * 1024;

std::optional<std::int64_t> whole(std::string_view text) {
    std::int64_t n = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (error != std::errc{} || end != text.data() + text.size() || n < 0) return std::nullopt;
    return n;
}

bool has_expired(const reply& r) { return r.status == 401 || (r.status == 400 && (r.error == "ExpiredToken" || r.error == "InvalidToken")); }

} // namespace

session::session(http::client& web, account who, kept_file& tokens, std::function<instant()> now)
    : web_(web), who_(std::move(who)), tokens_(tokens), now_(std::move(now)), did_(who_.did) {
    const auto kept = tokens_.read(largest_tokens);
    const auto known = kept ? from_json(*kept) : result<value>(refusal{"none", ""});
    if (!known || known->text("host") != who_.host || known->text("identifier") != who_.identifier) return; // another account's, or none
    if (!did_.empty() && known->text("did") != did_) return;
    did_ = known->text("did");
    access_ = crypto::secret(std::string(known->text("access"))), renew_ = crypto::secret(std::string(known->text("refresh")));
}

void session::stop() { off_->now(); }

result<http::response> session::fetch(http::call c) {
    if (off_->was_called()) return refusal{"pds_stopped", "this node is stopping"};
    auto said = http::answer_of<result<http::response>>(off_, [&](auto tell) { web_.fetch(std::move(c), std::move(tell)); });
    if (!said) return refusal{"pds_unknown", "this node stops before the host has answered"};
    return std::move(*said);
}

// RateLimit-* as hosts of this network write them: Reset is a time of day, in seconds since 1970.
void session::heed(const http::response& r, bool login) {
    const auto left = whole(r.head.get("ratelimit-remaining"));
    if (r.status != 429 && !(left && *left == 0)) return;
    auto until = now_() + 60s;
    if (const auto wait = whole(r.head.get("retry-after"))) until = now_() + std::chrono::seconds(std::min<std::int64_t>(*wait, longest_pause.count()));
    else if (const auto at = whole(r.head.get("ratelimit-reset"))) until = instant(std::chrono::seconds(std::min<std::int64_t>(*at, std::int64_t{1} << 40)));
    until = std::clamp(until, now_() + 1s, now_() + longest_pause);
    (login ? next_login_ : paused_until_) = until;
}

result<reply> session::ask(const request& r, const std::string& token) {
    http::call c;
    c.url = who_.host + "/xrpc/" + r.nsid + (r.query.empty() ? "" : '?' + r.query);
    c.within = step_within, c.largest_answer = r.largest_answer;
    if (!token.empty()) c.head.set("Authorization", "Bearer " + token);
    if (r.body) {
        c.method = "POST";
        // An empty one is none: hosts refuse a body where the method has no input.
        if (const auto* fields = r.body->as<value::map>(); fields && !fields->empty()) c.body = to_json(*r.body, json_form::atproto), c.head.set("Content-Type", "application/json");
    }
    const auto said = fetch(std::move(c));
    if (!said) {
        const auto& code = said.error().code;
        if (code == "pds_stopped" || code == "pds_unknown") return said.error();
        const bool untouched = code == "http_unreachable" || code == "private_address" || code == "client_busy" || code.starts_with("bad_");
        return refusal{untouched ? "pds_unreachable" : "pds_unknown", who_.host + ": " + code + ", " + said.error().text};
    }
    heed(*said, r.nsid.starts_with("com.atproto.server."));
    if (said->status == 429) return refusal{"pds_paused", who_.host + " asks for a pause: too many requests"};
    if (said->status >= 500) return refusal{"pds_unknown", who_.host + " answered " + std::to_string(said->status)};
    reply out;
    out.status = said->status;
    json_limits limits;
    limits.bytes = r.largest_answer, limits.items = 1'000'000;
    if (auto body = from_json(said->body, json_form::atproto, limits)) out.body = std::move(*body);
    else if (out.status == 200 && !said->body.empty()) return refusal{"pds_unknown", who_.host + " answered what is no JSON"};
    out.error = out.body.text("error").substr(0, 100), out.message = out.body.text("message").substr(0, 300);
    if (!out.well() && out.error.empty()) out.error = "HTTP " + std::to_string(out.status);
    return out;
}

result<void> session::take(const reply& r) {
    const auto access = r.body.text("accessJwt"), renew = r.body.text("refreshJwt"), did = r.body.text("did");
    if (access.empty() || renew.empty() || did.empty()) return refusal{"pds_login", who_.host + " answered a login without tokens"};
    if (!who_.did.empty() && did != who_.did)
        return refusal{"pds_login", who_.identifier + " is " + std::string(did.substr(0, 256)) + " at " + who_.host + ", and not " + who_.did};
    did_ = did, access_ = crypto::secret(std::string(access)), renew_ = crypto::secret(std::string(renew));
    refused_logins_ = 0;
    const value kept = value::map{{"host", who_.host}, {"identifier", who_.identifier}, {"did", did_}, {"access", std::string(access)}, {"refresh", std::string(renew)}};
    tokens_.replace(to_json(kept), [](const result<void>&) {}); // not kept, it is logged in anew
    return {};
}

result<void> session::refresh() {
    if (renew_.empty()) return log_in();
    const auto said = ask({"com.atproto.server.refreshSession", {}, value(value::map{}), largest_tokens}, std::string(renew_.view()));
    if (!said) return refusal{said.error().code == "pds_unknown" ? "pds_unreachable" : said.error().code, said.error().text}; // nothing of the caller's was done
    access_ = {}, renew_ = {};
    if (said->well()) return take(*said);
    return log_in();
}

result<void> session::log_in() {
    if (!access_.empty()) return {};
    if (now_() < next_login_) return refusal{"pds_login", "the next login at " + who_.host + " is not tried before " + to_datetime(next_login_)};
    auto password = who_.password();
    if (!password) return password.error();
    const auto said = ask({"com.atproto.server.createSession", {}, value(value::map{{"identifier", who_.identifier}, {"password", std::string(password->view())}}), largest_tokens}, {});
    if (!said) return refusal{said.error().code == "pds_unknown" ? "pds_unreachable" : said.error().code, said.error().text};
    if (said->well()) return take(*said);
    // A wrong password stays wrong: asked less and less often, or the host locks the account.
    next_login_ = now_() + std::min<std::chrono::seconds>(longest_login_pause, first_login_pause * (1 << std::min(refused_logins_++, 5u)));
    if (said->error == "AuthFactorTokenRequired") return refusal{"pds_login", who_.host + " asks for a code sent by mail: make an app password there, and use that"};
    return refusal{"pds_login", who_.host + " refuses " + who_.identifier + ": " + said->error + (said->message.empty() ? "" : ", " + said->message)};
}

result<reply> session::call(const request& r) {
    for (bool renewed = false;; renewed = true) {
        if (now_() < paused_until_) return refusal{"pds_paused", who_.host + " asks for a pause until " + to_datetime(paused_until_)};
        if (const auto in = log_in(); !in) return in.error();
        auto said = ask(r, std::string(access_.view()));
        if (!said || !has_expired(*said)) return said;
        if (renewed) return refusal{"pds_login", who_.host + " refuses its own token: " + said->error};
        if (const auto in = refresh(); !in) return in.error();
    }
}

} // namespace souk::pds
