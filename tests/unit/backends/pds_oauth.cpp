#include "loopback.hpp"

#include <atomic>
#include <set>

#include <souk/backends/http/server.hpp>
#include <souk/backends/pds/oauth_login.hpp>
#include <souk/backends/store/file_lock.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/dpop.hpp>
#include <souk/messages/json.hpp>
#include <souk/messages/jwt.hpp>

using namespace souk;
using namespace loopback;
using namespace souk::pds;

namespace {

const std::string alice = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa", eve = "did:plc:eeeeeeeeeeeeeeeeeeeeeeee";

// A PDS that is its own authorization server, as strict as the profile, and made to misbehave by the test. The reference one is met in tests/pds.
struct provider {
    std::mutex guard;
    value::map about_host, about_server; // of the two documents, what differs from what is right; null: not there
    std::string sub = alice, granted = "atproto transition:generic", type = "DPoP", issuer_in_answer, state_in_answer;
    std::string nonce;                    // that proofs must have; empty: none
    bool new_nonce_each_time = false, never_content = false, nonce_in_challenge_alone = false, lose_answer = false, gives_renewal = true;
    std::string push_error, token_error, resource_error;
    unsigned token_status = 400;
    std::int64_t lasts = 3600;
    std::size_t padding = 0;              // of answers
    int pushes = 0, turns = 0, token_calls = 0, exchanges = 0, renewals = 0, calls = 0, revoked = 0, generation = 0;
    std::set<std::string> ids;            // of proofs
    std::map<std::string, http::request> pushed;
    std::string thumbprint, challenge;
    bool over = false;                    // the session: a token was used twice
    std::function<void()> in_renewal;     // while it is being answered
    std::unique_ptr<http::server> door;

    provider() {
        http::handler h;
        h.answer = [this](http::request r, http::responder say) { say(answer(r)); };
        http::server_options o;
        o.threads = 4;
        door = std::make_unique<http::server>(o, h);
    }
    std::string url() const { return "http://127.0.0.1:" + std::to_string(door->port()); }
    std::string token(const char* what) const { return std::string(what) + std::to_string(generation); }

    static http::response no(unsigned status, const std::string& error, const std::string& text = "no") {
        return http::json_response(status, to_json(value::map{{"error", error}, {"error_description", text}, {"message", text}}));
    }
    http::response yes(unsigned status, value::map m) const {
        if (padding) m.emplace("padding", std::string(padding, 'x'));
        return http::json_response(status, to_json(value(std::move(m))));
    }
    static value::map merged(value::map base, const value::map& other) {
        for (const auto& [key, one] : other)
            if (one.is_null()) base.erase(key);
            else base.insert_or_assign(key, one);
        return base;
    }
    // Of a form, as of a query.
    static std::string field(const std::string& body, const std::string& name) {
        const auto all = '&' + body + '&';
        const auto at = all.find('&' + name + '=');
        if (at == all.npos) return {};
        const auto start = at + name.size() + 2;
        return http::percent_decode(all.substr(start, all.find('&', start) - start)).value();
    }
    // What is wrong with a proof; "" where nothing is.
    std::string proof_error(const http::request& r, const std::string& shown_token) {
        const auto p = jwt::split(r.head.get("dpop"));
        if (!p || p->header.text("typ") != "dpop+jwt" || p->header.text("alg") != "ES256") return "invalid_dpop_proof";
        const auto& jwk = *p->header.find("jwk");
        const auto x = from_base64url(jwk.text("x")).value(), y = from_base64url(jwk.text("y")).value();
        const crypto::public_key key{crypto::curve::p256, ((y.back() & 1) ? "\x03" : "\x02") + x};
        if (!crypto::verify(key, p->signed_bytes, p->signature)) return "invalid_dpop_proof";
        const auto* iat = p->claims.find("iat");
        if (p->claims.text("htm") != r.method || p->claims.text("htu") != url() + r.path || !iat || !iat->as<std::int64_t>()) return "invalid_dpop_proof";
        if (!ids.insert(std::string(p->claims.text("jti"))).second) return "invalid_dpop_proof";
        if (p->claims.text("ath") != (shown_token.empty() ? "" : to_base64url(crypto::sha256(shown_token)))) return "invalid_dpop_proof";
        thumbprint = dpop::thumbprint_of(key).value();
        if (never_content || (!nonce.empty() && p->claims.text("nonce") != nonce)) return "use_dpop_nonce";
        return {};
    }
    http::response answer(const http::request& r) {
        http::response said;
        {
            const std::lock_guard hold(guard);
            said = decided(r);
            if (new_nonce_each_time) nonce = "n" + std::to_string(++turns);
            if (!nonce.empty()) said.head.set("DPoP-Nonce", nonce);
        }
        return said;
    }
    http::response decided(const http::request& r) {
        if (r.path == "/.well-known/oauth-protected-resource")
            return yes(200, merged({{"resource", url()}, {"authorization_servers", value::list{url()}}}, about_host));
        if (r.path == "/.well-known/oauth-authorization-server")
            return yes(200, merged({{"issuer", url()}, {"authorization_endpoint", url() + "/authorize"}, {"token_endpoint", url() + "/token"},
                                    {"pushed_authorization_request_endpoint", url() + "/par"}, {"revocation_endpoint", url() + "/revoke"},
                                    {"response_types_supported", value::list{"code"}}, {"grant_types_supported", value::list{"authorization_code", "refresh_token"}},
                                    {"code_challenge_methods_supported", value::list{"S256"}}, {"token_endpoint_auth_methods_supported", value::list{"none"}},
                                    {"dpop_signing_alg_values_supported", value::list{"RS256", "ES256"}}, {"scopes_supported", value::list{"atproto"}},
                                    {"authorization_response_iss_parameter_supported", true}, {"require_pushed_authorization_requests", true}, {"client_id_metadata_document_supported", true}},
                                   about_server));
        if (r.path.starts_with("/xrpc/")) return resource(r);
        if (const auto wrong = proof_error(r, ""); !wrong.empty()) return no(400, wrong);
        if (r.path == "/par") {
            ++pushes;
            if (!push_error.empty()) return no(400, push_error);
            for (const auto* name : {"client_id", "redirect_uri", "state", "code_challenge", "dpop_jkt", "login_hint"})
                if (field(r.body, name).empty()) return no(400, "invalid_request", name);
            if (field(r.body, "code_challenge_method") != "S256" || field(r.body, "response_type") != "code" || field(r.body, "dpop_jkt") != thumbprint) return no(400, "invalid_request");
            challenge = field(r.body, "code_challenge");
            pushed["urn:ticket"] = r;
            return yes(201, {{"request_uri", "urn:ticket"}, {"expires_in", 60}});
        }
        if (r.path == "/revoke") return ++revoked, yes(200, {});
        if (r.path != "/token") return no(404, "not_found");
        ++token_calls;
        if (!token_error.empty()) return no(token_status, token_error);
        if (field(r.body, "client_id") != oauth::client_id) return no(400, "invalid_client");
        if (field(r.body, "grant_type") == "authorization_code") {
            ++exchanges;
            if (field(r.body, "code") != "the code" || to_base64url(crypto::sha256(field(r.body, "code_verifier"))) != challenge) return no(400, "invalid_grant");
        } else {
            ++renewals;
            if (in_renewal) in_renewal();
            if (field(r.body, "refresh_token") != token("renew")) over = true; // used before: nobody's any more
            if (over) return no(400, "invalid_grant", "replayed");
            ++generation;
            if (std::exchange(lose_answer, false)) return {500, {}, ""};
        }
        value::map m{{"access_token", token("access")}, {"token_type", type}, {"sub", sub}, {"scope", granted}, {"expires_in", lasts}};
        if (gives_renewal) m.emplace("refresh_token", token("renew"));
        return yes(200, m);
    }
    http::response resource(const http::request& r) {
        ++calls;
        const std::string shown(r.head.get("authorization"));
        const auto refuse = [&](const std::string& error) {
            auto said = no(401, nonce_in_challenge_alone ? "AuthenticationRequired" : error);
            said.head.set("WWW-Authenticate", "DPoP algs=\"ES256\", error=\"" + error + '"');
            return said;
        };
        if (!resource_error.empty()) return refuse(resource_error);
        if (!shown.starts_with("DPoP ")) return refuse("invalid_token");
        if (const auto wrong = proof_error(r, shown.substr(5)); !wrong.empty()) return refuse(wrong);
        if (over || shown != "DPoP " + token("access")) return refuse("invalid_token");
        return yes(200, {{"ok", true}});
    }
};

// A node that logs in there, and its owner's browser.
struct node {
    provider& at;
    directory home;
    http::client web{[] { http::client_options o; o.allow_private = true; return o; }()};
    std::unique_ptr<kept_file> file = make_kept_file(home / "grant");
    std::atomic<std::int64_t> skip_s{0};
    std::string who = alice, pds;
    std::vector<std::string> handles{"alice.example"};
    std::function<void(const std::string& url, std::uint16_t port)> browse; // instead of the owner who says yes
    std::vector<std::string> pages;
    std::chrono::milliseconds patience{30'000};

    explicit node(provider& p) : at(p), pds(p.url()) {}
    instant now() const { return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now()) + std::chrono::seconds(skip_s); }
    std::string come_back(std::uint16_t port, const std::string& query) {
        http::call c;
        c.url = "http://127.0.0.1:" + std::to_string(port) + "/?" + query;
        return web.fetch_now(c).value().body;
    }
    std::string state() { return provider::field(at.pushed["urn:ticket"].body, "state"); }
    std::string redirect() { return provider::field(at.pushed["urn:ticket"].body, "redirect_uri"); }
    result<oauth::grant> log_in(std::string identifier = "alice.example", std::string did = "") {
        oauth::login l;
        l.host = at.url(), l.identifier = std::move(identifier), l.did = std::move(did), l.patience = patience, l.now = [this] { return now(); };
        std::thread owner;
        l.show = [&](const std::string& url, std::uint16_t port) {
            owner = std::thread([this, url, port] {
                if (browse) return browse(url, port);
                const auto issuer = at.issuer_in_answer.empty() ? at.url() : at.issuer_in_answer;
                try { // a door that closes as soon as it has heard is no matter
                    pages.push_back(come_back(port, "iss=" + http::percent_encode(issuer) + "&state=" + state() + "&code=the%20code"));
                } catch (const std::exception&) {
                }
            });
        };
        l.identify = [this](const std::string& did_) -> result<did_document> {
            did_document d;
            d.did = did_, d.pds = pds, d.handles = handles;
            return d;
        };
        auto said = oauth::log_in(web, l);
        if (owner.joinable()) owner.join();
        if (said) file->replace(oauth::to_text(*said), [](const result<void>&) {});
        return said;
    }
    std::unique_ptr<oauth_session> session() { return std::make_unique<oauth_session>(web, at.url(), alice, *file, home / "lock", [this] { return now(); }); }
    oauth::grant kept() const { return oauth::read_grant(*file->read(1 << 16)).value(); }
};

const request look{"com.atproto.sync.getLatestCommit", "did=x", std::nullopt};
std::string code_of(const auto& r) { return r ? "" : r.error().code; }

} // namespace

// -- logging in ---------------------------------------------------------------------------------------------------------------------------
TEST_CASE("an owner who says yes lets the node in, and calls show a token with a proof of its key") {
    provider p;
    node n(p);
    std::string opened;
    const auto g = n.log_in();
    REQUIRE(g);
    CHECK(g->did == alice);
    CHECK(g->issuer == p.url());
    CHECK(provider::field(p.pushed["urn:ticket"].body, "client_id") == "http://localhost?redirect_uri=http%3A%2F%2F127.0.0.1%2F&scope=atproto%20transition%3Ageneric");
    CHECK(n.redirect().starts_with("http://127.0.0.1:"));
    CHECK(n.redirect().ends_with("/"));
    CHECK(n.pages.front().find("has its answer") != std::string::npos);
    const auto s = n.session();
    CHECK(s->call(look)->body.find("ok"));
    CHECK(s->did() == alice);
    CHECK(s->call({"com.atproto.repo.createRecord", "", value(value::map{{"a", 1}})})->well());
    CHECK(p.renewals == 0);
    CHECK(std::filesystem::status(n.home / "grant").permissions() == (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
}

TEST_CASE("the owner is sent to the server's page, with no more than the client's name and the ticket") {
    provider p;
    node n(p);
    std::string opened;
    n.patience = 100ms;
    n.browse = [&](const std::string& url, std::uint16_t) { opened = url; };
    CHECK(code_of(n.log_in()) == "pds_login_timeout");
    CHECK(opened == p.url() + "/authorize?client_id=" + http::percent_encode(oauth::client_id) + "&request_uri=urn%3Aticket");
    CHECK(p.exchanges == 0);
}

TEST_CASE("a host or server that does not speak the whole profile is not logged in to, and it is said what is missing") {
    const auto said = [](value::map host, value::map server) {
        provider p;
        p.about_host = std::move(host), p.about_server = std::move(server);
        node n(p);
        const auto r = n.log_in();
        CHECK(p.pushes == 0);
        CHECK(code_of(r) == "pds_no_oauth");
        return r ? "" : r.error().text;
    };
    said({{"resource", "https://other.example"}}, {});
    said({{"authorization_servers", value::list{}}}, {});
    said({{"authorization_servers", value::list{"https://a.example", "https://b.example"}}}, {});
    said({{"authorization_servers", value::list{"http://evil.example"}}}, {});
    said({{"authorization_servers", value::list{"http://127.0.0.1:1@evil.example"}}}, {});
    said({{"authorization_servers", value::list{"https://a.example/path"}}}, {});
    CHECK(said({}, {{"issuer", "https://other.example"}}).find("another issuer") != std::string::npos);
    for (const auto* flag : {"authorization_response_iss_parameter_supported", "require_pushed_authorization_requests", "client_id_metadata_document_supported"})
        CHECK(said({}, {{flag, false}}).find(flag) != std::string::npos);
    for (const auto* list : {"response_types_supported", "grant_types_supported", "code_challenge_methods_supported", "token_endpoint_auth_methods_supported", "dpop_signing_alg_values_supported",
                             "scopes_supported"})
        CHECK(said({}, {{list, value::list{"other"}}}).find(list) != std::string::npos);
    said({}, {{"token_endpoint", "http://evil.example/token"}});
    said({}, {{"authorization_endpoint", "javascript:alert(1)"}});
    said({}, {{"pushed_authorization_request_endpoint", null_t{}}});
}

TEST_CASE("a host with TLS leads to a server with TLS, and to nothing on this machine") {
    for (const std::string issuer : {"https://as.example", "http://localhost:1", "http://127.0.0.1:1", "http://127.0.0.1.evil.example"}) {
        std::vector<std::string> asked;
        const auto said = oauth::discover(
            [&](http::call c) -> result<http::response> {
                asked.push_back(c.url);
                if (asked.size() > 1) return refusal{"pds_unreachable", "away"};
                return http::json_response(200, to_json(value::map{{"resource", "https://pds.example"}, {"authorization_servers", value::list{issuer}}}));
            },
            "https://pds.example");
        CHECK(asked.front() == "https://pds.example/.well-known/oauth-protected-resource");
        if (!issuer.starts_with("https://")) CHECK((code_of(said) == "pds_no_oauth" && asked.size() == 1));
        else CHECK((code_of(said) == "pds_unreachable" && asked.back() == issuer + "/.well-known/oauth-authorization-server"));
    }
}

TEST_CASE("a request that the server refuses ends the login, in its words") {
    provider p;
    p.push_error = "invalid_scope";
    node n(p);
    const auto r = n.log_in();
    CHECK(code_of(r) == "pds_refused");
    CHECK(r.error().text.find("invalid_scope") != std::string::npos);
}

TEST_CASE("an answer without this login's state changes nothing; one by another issuer ends it; so does a no") {
    provider p;
    node n(p);
    n.browse = [&](const std::string&, std::uint16_t port) {
        const auto iss = "iss=" + http::percent_encode(p.url());
        CHECK(n.come_back(port, iss + "&state=guessed&code=the%20code").find("not the answer") != std::string::npos);
        CHECK(n.come_back(port, iss + "&code=the%20code").find("not the answer") != std::string::npos);
        CHECK(n.come_back(port, iss + "&state=" + n.state() + "&state=" + n.state() + "&code=the%20code").find("no answer") != std::string::npos);
        CHECK(n.come_back(port, "code=" + std::string(3000, 'x')).find("no answer") != std::string::npos);
        CHECK(p.exchanges == 0);
        n.come_back(port, iss + "&state=" + n.state() + "&code=the%20code");
    };
    CHECK(n.log_in());
    CHECK(p.exchanges == 1);

    n.browse = nullptr, p.issuer_in_answer = "https://other.example";
    CHECK(code_of(n.log_in()) == "pds_login");
    CHECK(p.exchanges == 1);
    n.browse = [&](const std::string&, std::uint16_t port) {
        n.come_back(port, "iss=" + http::percent_encode(p.url()) + "&state=" + n.state() + "&error=access_denied&error_description=no%0Away");
    };
    CHECK(code_of(n.log_in()) == "pds_refused");
    CHECK(p.exchanges == 1);
}

TEST_CASE("a login of somebody else, or of an identity that lives elsewhere, is not taken, and what was granted is given back") {
    provider p;
    node n(p);
    CHECK(code_of(n.log_in(alice)) == "");
    CHECK(p.revoked == 0);
    p.sub = eve;
    CHECK(code_of(n.log_in("alice.example", alice)) == "pds_login");
    CHECK(code_of(n.log_in(alice)) == "pds_login");
    CHECK(p.revoked == 2);
    p.sub = alice, n.handles = {"eve.example"};
    CHECK(code_of(n.log_in()) == "pds_login");
    n.handles = {"alice.example"}, n.pds = "https://elsewhere.example";
    CHECK(code_of(n.log_in()) == "pds_login");
    n.pds = p.url(), p.granted = "atproto";
    CHECK(code_of(n.log_in()) == "pds_login");
    p.granted = "atproto transition:generic", p.type = "Bearer";
    CHECK(code_of(n.log_in()) == "pds_login");
    p.type = "DPoP", p.sub = "nobody";
    CHECK(code_of(n.log_in()) == "pds_login");
    CHECK(p.revoked == 7);
}

TEST_CASE("answers larger than they may be are not read") {
    provider p;
    node n(p);
    p.padding = 100'000;
    CHECK(code_of(n.log_in()) == "pds_unreachable");
    CHECK(p.pushes == 0);
    n.browse = [](const std::string&, std::uint16_t) {}, n.patience = 1ms, p.padding = 60'000;
    CHECK(code_of(n.log_in()) == "pds_login_timeout"); // what is within the bound is
    p.padding = 0, n.browse = nullptr, n.patience = patience;
    REQUIRE(n.log_in());
    n.skip_s = 4000, p.padding = 100'000;
    CHECK(code_of(n.session()->call(look)) == "pds_unreachable"); // of the renewal nothing is known
    CHECK(n.kept().asked);
}

TEST_CASE("a nonce that the server wants is shown, a few times another one, but not for ever") {
    provider p;
    p.nonce = "first";
    node n(p);
    CHECK(n.log_in());
    CHECK(p.pushes == 1);
    provider moving;
    moving.new_nonce_each_time = true, moving.nonce = "n";
    CHECK(node(moving).log_in());
    provider endless;
    endless.new_nonce_each_time = true, endless.never_content = true;
    CHECK(code_of(node(endless).log_in()) == "pds_unreachable");
    CHECK(endless.ids.size() == 3);
}

// -- calls --------------------------------------------------------------------------------------------------------------------------------
TEST_CASE("a nonce that the host wants in a proof is shown from then on, and the call is made once more when it changes") {
    for (const bool alone : {false, true}) {
        provider p;
        p.nonce_in_challenge_alone = alone;
        node n(p);
        REQUIRE(n.log_in());
        p.nonce = "a";
        const auto s = n.session();
        CHECK(s->call(look)->well());
        CHECK(p.calls == 2);
        CHECK(s->call(look)->well());
        CHECK(p.calls == 3);
        p.nonce = "b";
        CHECK(s->call(look)->well());
        CHECK(p.calls == 5);
        CHECK(p.renewals == 0);
    }
}

TEST_CASE("a host that is content with nothing is not asked for ever, and nothing is spent on it") {
    provider p;
    node n(p);
    REQUIRE(n.log_in());
    const auto s = n.session();
    for (const auto* error : {"use_dpop_nonce", "invalid_dpop_proof"}) {
        p.resource_error = error, p.nonce = "same", p.calls = 0;
        CHECK(code_of(s->call(look)) == "pds_unreachable");
        CHECK(p.calls == 2);
    }
    p.new_nonce_each_time = true, p.resource_error = "use_dpop_nonce", p.calls = 0;
    CHECK(code_of(s->call(look)) == "pds_unreachable");
    CHECK(p.calls == 3);
    CHECK(p.renewals == 0);
    p.new_nonce_each_time = false, p.nonce.clear(), p.resource_error = "invalid_token";
    CHECK(code_of(s->call(look)) == "pds_login"); // the one that it has just given too
    CHECK(p.renewals == 1);
    p.resource_error = "AccountTakedown"; // is about the account: the caller's to see
    CHECK(s->call(look)->error == "AccountTakedown");
    CHECK(p.renewals == 1);
}

TEST_CASE("a token is renewed before it ends, and when the host says that it has; the new one is kept before it is used") {
    provider p;
    node n(p);
    REQUIRE(n.log_in());
    auto s = n.session();
    n.skip_s = 3590;
    CHECK(s->call(look)->well());
    CHECK(p.renewals == 1);
    CHECK(n.kept().access.view() == "access1");
    CHECK(n.kept().renew.view() == "renew1");
    CHECK(!n.kept().asked);
    ++p.generation; // the host has ended it before its time
    CHECK(code_of(s->call(look)) == "pds_login_needed"); // and with it what it is renewed with
    provider q;
    node m(q);
    REQUIRE(m.log_in());
    auto t = m.session();
    REQUIRE(t->call(look)->well());
    q.resource_error = "invalid_token", q.in_renewal = [&] { q.resource_error.clear(); };
    CHECK(t->call(look)->well());
    CHECK(q.renewals == 1);
}

TEST_CASE("two who use one login renew it once") {
    provider p;
    node n(p);
    REQUIRE(n.log_in());
    n.skip_s = 4000;
    std::vector<std::thread> all;
    std::atomic<int> well{0};
    for (int i = 0; i < 6; ++i) all.emplace_back([&] { well += n.session()->call(look).has_value(); });
    for (auto& one : all) one.join();
    CHECK(well == 6);
    CHECK(p.renewals == 1);
    CHECK(!p.over);
}

TEST_CASE("a renewal whose answer is lost is known; asked again, it is over, and that is said once and for all, until somebody logs in") {
    provider p;
    node n(p);
    REQUIRE(n.log_in());
    n.skip_s = 4000, p.lose_answer = true;
    auto s = n.session();
    CHECK(code_of(s->call(look)) == "pds_unreachable");
    CHECK(n.kept().asked);
    CHECK(n.kept().over.empty());
    s = n.session(); // the node is started again
    const auto said = s->call(look);
    CHECK(code_of(said) == "pds_login_needed");
    CHECK(said.error().text.find("lost") != std::string::npos);
    CHECK(said.error().text.find("souk account login --oauth") != std::string::npos);
    CHECK(n.kept().renew.empty());
    const auto asked = p.renewals;
    for (int i = 0; i < 5; ++i) CHECK(code_of(s->call(look)) == "pds_login_needed");
    CHECK(code_of(n.session()->call(look)) == "pds_login_needed");
    CHECK(p.renewals == asked);
    p.over = false;
    REQUIRE(n.log_in()); // beside the node, which takes it up
    CHECK(s->call(look)->well());
}

TEST_CASE("a renewal that was written down and never sent is made when the node runs again") {
    provider p;
    node n(p);
    REQUIRE(n.log_in());
    auto g = n.kept();
    g.asked = n.now();
    n.file->replace(oauth::to_text(g), [](const result<void>&) {});
    CHECK(n.session()->call(look)->well());
    CHECK(p.renewals == 1);
    CHECK(n.kept().access.view() == "access1");
}

TEST_CASE("nothing is spent that cannot be written down first") {
    provider p;
    node n(p);
    REQUIRE(n.log_in());
    n.skip_s = 4000;
    struct full final : kept_file {
        kept_file& real;
        bool refuses = true;
        explicit full(kept_file& r) : real(r) {}
        std::string name() const override { return "a full disk"; }
        std::optional<std::string> read(std::size_t most) const override { return real.read(most); }
        void replace(std::string bytes, done then) override { refuses ? then(refusal{"not_kept", "no room"}) : real.replace(std::move(bytes), std::move(then)); }
    } disk(*n.file);
    oauth_session s(n.web, p.url(), alice, disk, n.home / "lock", [&] { return n.now(); });
    CHECK(code_of(s.call(look)) == "pds_unreachable");
    CHECK(p.renewals == 0);
    disk.refuses = false;
    p.in_renewal = [&] { disk.refuses = true; }; // between the intent and the answer
    CHECK(s.call(look)->well());
    CHECK(n.kept().renew.view() == "renew0");
    disk.refuses = false, p.in_renewal = nullptr;
    CHECK(s.call(look)->well()); // and with the next call it is kept
    CHECK(n.kept().renew.view() == "renew1");
    CHECK(p.renewals == 1);
}

TEST_CASE("a refusal that is not the token's fault is asked about less and less often, and ends nothing") {
    provider p;
    node n(p);
    REQUIRE(n.log_in());
    n.skip_s = 4000;
    p.token_error = "invalid_dpop_proof";
    auto s = n.session();
    CHECK(code_of(s->call(look)) == "pds_login");
    p.token_error = "invalid_client", p.token_calls = 0;
    for (int i = 0; i < 5; ++i) CHECK(code_of(s->call(look)) == "pds_login");
    CHECK(p.token_calls == 0);
    n.skip_s = 4031;
    for (int i = 0; i < 5; ++i) CHECK(code_of(s->call(look)) == "pds_login");
    CHECK(p.token_calls == 1);
    s->try_again();
    CHECK(code_of(s->call(look)) == "pds_login");
    CHECK(p.token_calls == 2);
    p.token_error = "slow_down", p.token_status = 429, n.skip_s = 4300;
    CHECK(code_of(s->call(look)) == "pds_paused");
    p.token_error.clear(), n.skip_s = 4600;
    CHECK(s->call(look)->well());
    CHECK(p.renewals == 1);
}

TEST_CASE("a renewal that lets in somebody else is not taken") {
    provider p;
    node n(p);
    REQUIRE(n.log_in());
    n.skip_s = 4000, p.sub = eve;
    CHECK(code_of(n.session()->call(look)) == "pds_login_needed");
    CHECK(p.calls == 0);
}

TEST_CASE("no login, a damaged one, or another account's or host's: a person is asked for, and nobody else") {
    provider p;
    node n(p);
    CHECK(code_of(n.session()->call(look)) == "pds_login_needed");
    n.file->replace("{\"did\":1}", [](const result<void>&) {});
    CHECK(code_of(n.session()->call(look)) == "pds_login_needed");
    REQUIRE(n.log_in());
    CHECK(code_of(oauth_session(n.web, p.url(), eve, *n.file, n.home / "lock", [&] { return n.now(); }).call(look)) == "pds_login_needed");
    CHECK(code_of(oauth_session(n.web, "http://127.0.0.1:1", alice, *n.file, n.home / "lock", [&] { return n.now(); }).call(look)) == "pds_login_needed");
    CHECK(p.calls == 0);
}

TEST_CASE("a session that is stopped answers at once, also while another holds the lock") {
    provider p;
    node n(p);
    REQUIRE(n.log_in());
    n.skip_s = 4000;
    auto s = n.session();
    const auto held = file_lock::take(n.home / "lock", 1s, [] { return false; });
    REQUIRE(held);
    const auto begun = std::chrono::steady_clock::now();
    std::thread later([&] { s->stop(); });
    CHECK(code_of(s->call(look)) == "pds_stopped");
    CHECK(std::chrono::steady_clock::now() - begun < patience); // and not when the lock is given up
    later.join();
    CHECK(p.renewals == 0);
}
