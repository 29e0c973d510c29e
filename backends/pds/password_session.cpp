#include <souk/backends/pds/password_session.hpp>

#include <algorithm>

#include <souk/messages/json.hpp>

namespace souk::pds {

namespace {

using namespace std::chrono_literals;

constexpr auto first_login_pause = 30s, longest_login_pause = 900s;
constexpr std::size_t largest_tokens = 64 * 1024;

bool has_expired(const reply& r) { return r.status == 401 || (r.status == 400 && (r.error == "ExpiredToken" || r.error == "InvalidToken")); }

// A login that was not answered: nothing of the caller's was done.
refusal nothing_done(const refusal& why) { return {why.code == "pds_unknown" ? "pds_unreachable" : why.code, why.text}; }

result<void> bearer(http::call& c, const crypto::secret& token) {
    c.head.set("Authorization", "Bearer " + std::string(token.view()));
    return {};
}

} // namespace

password_session::password_session(http::client& web, account who, kept_file& tokens, std::function<instant()> now)
    : session(web, who.host, who.did, std::move(now)), who_(std::move(who)), tokens_(tokens) {
    const auto kept = tokens_.read(largest_tokens);
    const auto known = kept ? from_json(*kept) : result<value>(refusal{"none", ""});
    if (!known || known->text("host") != who_.host || known->text("identifier") != who_.identifier) return; // another account's, or none
    if (!did_.empty() && known->text("did") != did_) return;
    did_ = known->text("did");
    access_ = crypto::secret(std::string(known->text("access"))), renew_ = crypto::secret(std::string(known->text("refresh")));
}

result<void> password_session::take(const reply& r) {
    const auto access = r.body.text("accessJwt"), renew = r.body.text("refreshJwt"), did = r.body.text("did");
    if (access.empty() || renew.empty() || did.empty()) return refusal{"pds_login", who_.host + " answered a login without tokens"};
    if (!who_.did.empty() && did != who_.did)
        return refusal{"pds_login", who_.identifier + " is " + std::string(did.substr(0, 256)) + " at " + who_.host + ", and not " + who_.did};
    did_ = did, access_ = crypto::secret(std::string(access)), renew_ = crypto::secret(std::string(renew));
    refused_logins_ = 0;
    const value kept = value::map{{"host", who_.host}, {"identifier", who_.identifier}, {"did", did_},
                                  {"access", std::string(access)}, {"refresh", std::string(renew)}};
    tokens_.replace(to_json(kept), [](const result<void>&) {}); // not kept, it is logged in anew
    return {};
}

result<void> password_session::refresh() {
    if (renew_.empty()) return log_in();
    const request wanted{"com.atproto.server.refreshSession", {}, value(value::map{}), largest_tokens};
    const auto said = ask(wanted, [this](http::call& c) { return bearer(c, renew_); }, next_login_);
    if (!said) return nothing_done(said.error());
    access_ = {}, renew_ = {};
    if (said->well()) return take(*said);
    return log_in();
}

result<void> password_session::log_in() {
    if (!access_.empty()) return {};
    if (now_() < next_login_) return refusal{"pds_login", "the next login at " + who_.host + " is not tried before " + to_datetime(next_login_)};
    auto password = who_.password();
    if (!password) return password.error();
    const value with = value::map{{"identifier", who_.identifier}, {"password", std::string(password->view())}};
    const request wanted{"com.atproto.server.createSession", {}, with, largest_tokens};
    const auto said = ask(wanted, [](http::call&) { return result<void>(); }, next_login_);
    if (!said) return nothing_done(said.error());
    if (said->well()) return take(*said);
    // A wrong password stays wrong: asked less and less often, or the host locks the account.
    next_login_ = now_() + std::min<std::chrono::seconds>(longest_login_pause, first_login_pause * (1 << std::min(refused_logins_++, 5u)));
    if (said->error == "AuthFactorTokenRequired")
        return refusal{"pds_login", who_.host + " asks for a code sent by mail: log in by OAuth (souk account login --oauth), or by an app password"};
    return refusal{"pds_login", who_.host + " refuses " + who_.identifier + ": " + said->error + (said->message.empty() ? "" : ", " + said->message)};
}

result<void> password_session::show(http::call& c) { return bearer(c, access_); }

result<bool> password_session::mend(const reply& r, unsigned before) {
    if (!has_expired(r)) return false;
    if (before > 0) return refusal{"pds_login", who_.host + " refuses its own token: " + r.error};
    if (const auto in = refresh(); !in) return in.error();
    return true;
}

} // namespace souk::pds
