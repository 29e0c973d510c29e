#include <souk/backends/pds/oauth_session.hpp>

#include <algorithm>

#include <souk/backends/store/file_lock.hpp>
#include <souk/messages/at.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/dpop.hpp>
#include <souk/messages/json.hpp>

namespace souk::pds {

namespace {

using namespace std::chrono_literals;

constexpr auto renew_ahead = 30s;                              // of the token's end: it may be on its way for so long
constexpr std::chrono::seconds shortest_token = 60s, longest_token = 720h; // what a server says is taken to be in between
constexpr std::chrono::seconds first_pause = 30s, longest_pause = 900s;        // between renewals that are refused for what is not the token's fault
constexpr auto lock_within = 60s;                              // longer than a renewal takes, with all its nonces
constexpr std::size_t longest_secret = 16 * 1024;
constexpr unsigned most_nonces = 2, most_proofs = 1, most_renewals = 1; // of one call

const std::string next_step = ". Next: souk account login --oauth";

bool is_of_account(const reply& r) { // a 401 that is about the account, not about who asks
    return r.error.starts_with("Account") || r.error.starts_with("Repo");
}

} // namespace

namespace oauth {

grant grant::copy() const {
    grant g;
    g.host = host, g.did = did, g.issuer = issuer, g.token_url = token_url, g.revoke_url = revoke_url, g.scope = scope;
    g.key = key.copy(), g.access = access.copy(), g.renew = renew.copy();
    g.until = until, g.asked = asked, g.over = over;
    return g;
}

std::string to_text(const grant& g) {
    value::map m{{"host", g.host}, {"did", g.did}, {"issuer", g.issuer}, {"token_url", g.token_url}, {"revoke_url", g.revoke_url}, {"scope", g.scope},
                 {"key", to_base64url(g.key.view())}, {"access", g.access.view()}, {"renew", g.renew.view()},
                 {"until", g.until.time_since_epoch().count()}};
    if (g.asked) m.emplace("asked", g.asked->time_since_epoch().count());
    if (!g.over.empty()) m.emplace("over", g.over);
    return to_json(value(std::move(m)));
}

result<grant> read_grant(const std::string& text) {
    const refusal bad{"bad_grant", "not what a login by OAuth has left"};
    json_limits limits;
    limits.bytes = largest_grant;
    const auto known = from_json(text, json_form::plain, limits);
    if (!known) return bad;
    const auto number = [&](const char* name) -> std::optional<instant> {
        const auto* found = known->find(name);
        const auto* n = found ? found->as<std::int64_t>() : nullptr;
        if (!n) return std::nullopt;
        return instant(std::chrono::milliseconds(*n));
    };
    grant g;
    g.host = known->text("host"), g.did = known->text("did"), g.issuer = known->text("issuer");
    g.token_url = known->text("token_url"), g.revoke_url = known->text("revoke_url"), g.scope = known->text("scope");
    auto key = from_base64url(known->text("key"));
    if (!key) return bad;
    g.key = crypto::secret(std::move(*key));
    g.access = crypto::secret(std::string(known->text("access"))), g.renew = crypto::secret(std::string(known->text("renew")));
    const auto until = number("until");
    if (!until || !is_did(g.did) || g.token_url.empty() || !crypto::public_of(crypto::curve::p256, g.key)) return bad;
    g.until = *until, g.asked = number("asked"), g.over = known->text("over");
    return g;
}

result<void> take_tokens(grant& g, const answer& a, instant now) {
    const auto access = a.body.text("access_token"), renew = a.body.text("refresh_token"), type = a.body.text("token_type"), sub = a.body.text("sub");
    std::string low(type);
    std::transform(low.begin(), low.end(), low.begin(), [](char c) { return static_cast<char>(c | 0x20); });
    if (low != "dpop") return refusal{"pds_login", g.issuer + " answered a token that is not bound to this node's key"};
    if (access.empty() || access.size() > longest_secret || renew.size() > longest_secret)
        return refusal{"pds_login", g.issuer + " answered a login without usable tokens"};
    if (!is_did(sub) || (!g.did.empty() && sub != g.did))
        return refusal{"pds_login", g.issuer + " let in " + std::string(sub.substr(0, 256)) + ", and not " + g.did};
    const auto given = a.body.text("scope");
    const auto whole = ' ' + std::string(given) + ' ';
    for (const std::string_view one : {" atproto ", " transition:generic "})
        if (whole.find(one) == whole.npos)
            return refusal{"pds_login", g.issuer + " allows \"" + std::string(given.substr(0, 300)) + "\", which is not enough to keep records"};
    const auto* lasts = a.body.find("expires_in");
    const auto* seconds = lasts ? lasts->as<std::int64_t>() : nullptr;
    const auto within = std::chrono::seconds(std::clamp<std::int64_t>(seconds ? *seconds : 300, shortest_token.count(), longest_token.count()));
    g.did = sub, g.scope = given, g.access = crypto::secret(std::string(access)), g.until = now + within;
    if (!renew.empty()) g.renew = crypto::secret(std::string(renew)); // else the one before it stays good
    g.asked.reset(), g.over.clear();
    return {};
}

} // namespace oauth

oauth_session::oauth_session(http::client& web, std::string host, std::string did, kept_file& grant, std::filesystem::path lock,
                             std::function<instant()> now)
    : session(web, std::move(host), std::move(did), std::move(now)), file_(grant), lock_(std::move(lock)) {
    if (auto kept = read()) use(std::move(*kept));
}

// Read again whenever there is nothing to go on with: a person may have logged in beside this process.
result<oauth::grant> oauth_session::read() const {
    auto kept = [&]() -> result<oauth::grant> {
        try {
            const auto text = file_.read(oauth::largest_grant);
            if (!text) return refusal{"none", "nobody has logged in yet"};
            return oauth::read_grant(*text);
        } catch (const std::exception& e) {
            return refusal{"bad_grant", e.what()};
        }
    }();
    if (!kept) return refusal{"pds_login_needed", kept.error().text + next_step};
    if (kept->host != host_ || (!did_.empty() && kept->did != did_))
        return refusal{"pds_login_needed", "the login is for " + kept->did + " at " + kept->host + next_step};
    return kept;
}

void oauth_session::use(oauth::grant g) {
    did_ = g.did;
    if (!prover_ || prover_->key().view() != g.key.view()) prover_.emplace(g.key.copy(), now_);
    has_ = std::move(g), unkept_ = false;
}

result<void> oauth_session::keep() {
    const auto kept = std::make_shared<std::optional<result<void>>>(); // told on the spot, or it counts as not kept
    file_.replace(oauth::to_text(has_), [kept](result<void> r) { *kept = std::move(r); });
    unkept_ = !*kept || !**kept;
    if (unkept_) return refusal{"not_kept", *kept ? (*kept)->error().text : "the disk has not answered"};
    return {};
}

result<void> oauth_session::log_in() {
    if (unkept_) (void)keep(); // what is here alone is lost with this process: tried until it is there
    if (!prover_ || !has_.over.empty()) {
        auto kept = read();
        if (!kept) return kept.error();
        use(std::move(*kept));
    }
    if (!has_.over.empty()) return refusal{"pds_login_needed", has_.over + next_step};
    if (!has_.asked && !has_.access.empty() && now_() + renew_ahead < has_.until) return {};
    return renew();
}

// The token to renew with is good once. Asked again with one that was spent, a server ends the session, which is right: whoever asked with it
// first has the answer, and if that was this node, it never got it. So an unknown outcome is asked about by asking again, and nothing is lost
// that was there.
result<void> oauth_session::renew() {
    if (now_() < next_try_) return refusal{"pds_login", has_.issuer + " is not asked again before " + to_datetime(next_try_)};
    const auto held = file_lock::take(lock_, lock_within, [this] { return off_->was_called(); });
    if (!held)
        return refusal{off_->was_called() ? "pds_stopped" : "pds_unreachable", "another process is renewing " + file_.name() + ", or its lock cannot be had"};
    if (!unkept_) {
        auto kept = read(); // another session may have done it, or a person logged in
        if (!kept) return kept.error();
        const bool other = kept->access.view() != has_.access.view();
        use(std::move(*kept));
        if (!has_.over.empty()) return refusal{"pds_login_needed", has_.over + next_step};
        if (other && !has_.asked && now_() + renew_ahead < has_.until) return {};
    }
    if (has_.renew.empty()) return finish(has_.issuer + " gave nothing to renew the login with, and it has ended", {});
    const auto before = has_.asked;
    const bool was_unkept = unkept_;
    if (!before) has_.asked = now_();
    if (const auto intent = keep(); !intent) { // not sent, so not spent
        has_.asked = before, unkept_ = was_unkept;
        return refusal{"pds_unreachable", "the login is not renewed while that cannot be written down: " + intent.error().text};
    }
    const auto said = oauth::post([this](http::call c) { return fetch(std::move(c)); }, *prover_, has_.token_url,
                                  {{"grant_type", "refresh_token"}, {"refresh_token", std::string(has_.renew.view())},
                                   {"client_id", oauth::client_id}});
    if (!said && said.error().code == "pds_unknown") return refusal{"pds_unreachable", said.error().text}; // nothing of the caller's was done
    const auto done = said ? renewed(*said, before) : result<void>(said.error());
    if (has_.asked) has_.asked = before; // refused, or never sent: what it can be renewed with is what it was
    return done;
}

result<void> oauth_session::renewed(const oauth::answer& said, std::optional<instant> asked_before) {
    if (said.status == 429) {
        heed(said.raw, paused_until_);
        return refusal{"pds_paused", has_.issuer + " asks for a pause: too many requests"};
    }
    if (said.well()) {
        auto next = has_.copy();
        if (const auto taken = oauth::take_tokens(next, said, now_()); !taken) return finish(taken.error().text, {});
        has_ = std::move(next), refused_ = 0;
        (void)keep(); // before anything is done with it; where the disk refuses, it is tried again at each call
        return {};
    }
    const auto words = said.error + (said.text.empty() ? "" : ", " + said.text);
    if (said.error == "invalid_grant") return finish(has_.issuer + " has ended this login (" + words + ')', asked_before);
    // Not the token's fault (a clock, a server that is being changed): asked less and less often.
    next_try_ = now_() + std::min(longest_pause, first_pause * (1 << std::min(refused_++, 5u)));
    if (said.error == "invalid_dpop_proof")
        return refusal{"pds_login", has_.issuer + " refuses this node's proofs: " + words + ". Is its clock right?"};
    return refusal{"pds_login", has_.issuer + " refuses to renew the login: " + words};
}

result<void> oauth_session::finish(const std::string& why, std::optional<instant> asked_before) {
    has_.over = why;
    if (asked_before)
        has_.over += "; it was being renewed at " + to_datetime(*asked_before) + ", and the answer to that was lost with the connection or the process";
    has_.access = {}, has_.renew = {}, has_.asked.reset();
    (void)keep();
    return refusal{"pds_login_needed", has_.over + next_step};
}

result<void> oauth_session::show(http::call& c) { return prover_->show(c, &has_.access); }

void oauth_session::hear(const std::string& url, const http::response& r) {
    if (prover_) prover_->hear(url, r);
}

result<bool> oauth_session::mend(const reply& r, unsigned before) {
    if (before == 0) nonces_ = proofs_ = renewals_ = 0;
    if (r.status != 401 && !(r.status == 400 && (r.error == "ExpiredToken" || r.error == "InvalidToken"))) return false;
    const auto challenge = dpop::challenge_error(r.head.get("www-authenticate"));
    const auto& why = challenge.empty() ? r.error : challenge;
    if (why == "use_dpop_nonce") {
        if (prover_->has_better(host_) && nonces_++ < most_nonces) return true;
        return refusal{"pds_unreachable", host_ + " wants a nonce in each proof, and takes none that it gives"};
    }
    if (why == "invalid_dpop_proof") { // another one, at another second; what is wrong with the token is not said so
        if (proofs_++ < most_proofs) return true;
        return refusal{"pds_unreachable", host_ + " refuses this node's proofs: " + r.message + ". Is its clock right?"};
    }
    if (is_of_account(r)) return false;
    if (renewals_++ >= most_renewals) return refusal{"pds_login", host_ + " refuses the token that it has just given: " + why};
    if (const auto in = renew(); !in) return in.error();
    return true;
}

} // namespace souk::pds
