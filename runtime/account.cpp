#include <souk/runtime/account.hpp>

#include <boost/mp11/algorithm.hpp>

#include <souk/actors/policy/association.hpp>
#include <souk/backends/pds/oauth_session.hpp>
#include <souk/backends/tls/authority.hpp>
#include <souk/messages/json.hpp>
#include <souk/messages/market_records.hpp>

namespace souk {

namespace {

std::filesystem::path account_file(const node_config& c) { return c.directory / "account.json"; }

} // namespace

std::optional<hosted_account> account_of(const node_config& c) {
    if (!std::filesystem::exists(account_file(c))) return std::nullopt;
    const auto known = from_json(tls::read_file(account_file(c)));
    if (!known || !is_did(known->text("did"))) throw std::runtime_error(account_file(c).string() + " is damaged");
    hosted_account a{std::string(known->text("did")), std::string(known->text("handle")), std::string(known->text("host")),
                     known->text("login") == "oauth" ? login_kind::oauth : login_kind::password};
    if (a.host != c.pds_host) throw std::runtime_error(account_file(c).string() + ": the account is at " + a.host + ", and [pds] says " + c.pds_host);
    return a;
}

void keep_account(const node_config& c, const hosted_account& a) {
    tls::write_secret(account_file(c), to_json(value(value::map{{"did", a.did}, {"handle", a.handle}, {"host", a.host}, {"login", a.login == login_kind::oauth ? "oauth" : "password"}})));
}

std::filesystem::path password_file(const node_config& c) { return c.pds_password.empty() ? c.directory / "keys" / "pds-password" : c.pds_password; }
std::unique_ptr<kept_file> session_file(const node_config& c, login_kind how) { return make_kept_file(c.directory / "keys" / (how == login_kind::oauth ? "pds-oauth" : "pds-session")); }

std::unique_ptr<pds::session> session_of(http::client& web, const node_config& c, const hosted_account& a, kept_file& tokens, std::function<instant()> now) {
    if (a.login == login_kind::oauth) return std::make_unique<pds::oauth_session>(web, c.pds_host, a.did, tokens, c.directory / "keys" / "pds-oauth.lock", std::move(now));
    return std::make_unique<pds::password_session>(web, login_of(c, a.did), tokens, std::move(now));
}

pds::account login_of(const node_config& c, const std::string& did) {
    return {c.pds_host, c.pds_identifier, did, [file = password_file(c)]() -> result<crypto::secret> {
                try {
                    auto text = tls::read_file(file, 4096);
                    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
                    return crypto::secret(std::move(text));
                } catch (const std::exception& e) {
                    return refusal{"pds_login", e.what()};
                }
            }};
}

pds::joining joining_of(const node_config& c, const keyring& keys, std::function<instant()> now) {
    pds::joining j;
    j.host = c.pds_host, j.handle = c.pds_identifier;
    if (c.handle != c.pds_identifier) j.also = c.handle;
    j.plc_directory = c.plc_directory, j.plc_log = c.directory / "plc.json";
    j.signing = keys.signing_public();
    j.now = std::move(now), j.say = [](const std::string&) {};
    return j;
}

std::vector<std::string> copied_collections() {
    std::vector<std::string> all;
    boost::mp11::mp_for_each<boost::mp11::mp_transform<boost::mp11::mp_identity, boost::mp11::mp_append<all_records, later_records>>>([&](auto which) { all.emplace_back(decltype(which)::type::nsid); });
    all.emplace_back(policy::association_nsid);
    return all;
}

} // namespace souk
