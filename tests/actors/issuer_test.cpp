#include "stage.hpp"
#include "virtual_time.hpp"

#include <souk/actors/issuer/issuer.hpp>
#include <souk/actors/issuer/tokens.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/json.hpp>

using namespace souk;

namespace {

const std::string uri = "https://issuer.bob.example:8443", actx = "4959ec0923473bf22bddd7bec2caf58a294ee007";
const std::string alice = "did:plc:5svqtrhheairglgiiyvutzik", alice_key = "5svqtrhheairglgiiyvutzik";
const std::string subject = "actx:" + actx + ":plc:" + alice_key + ":role:my-cool-role";
const std::string for_alice = "api://ATProto?actx=" + alice;

struct with_issuer : virtual_time {
    issuer_actor issuer = keep(spawn_issuer(sys, {uri, actx, 900s, 3600s, clock()}, stage::rsa()));

    token_answer boot(const std::string& sub = subject) { return answer<token_answer>(issuer, boot_token_request{"machine-1", sub}); }
    token_answer exchange(const std::string& token, const std::string& aud = for_alice, const std::string& sub = subject, std::int64_t ttl = 3600) {
        return answer<token_answer>(issuer, token_exchange{token, aud, sub, ttl});
    }
    static value claims(const std::string& token) { return jwt::split(token).value().claims; }
    std::string minted(value::map c, int key = 0) {
        const auto t = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch()).count();
        c.try_emplace("iat", t);
        c.try_emplace("exp", t + 600);
        return jwt::sign_rs256(std::move(c), stage::rsa(key)).value();
    }
    std::string boot_audience() { return "api://DigitalOcean?actx=" + actx; }
};

} // namespace

TEST_CASE_FIXTURE(with_issuer, "a machine exchanges its boot token for one that its tenant's account will take") {
    const auto first = boot();
    REQUIRE(code(first.refused) == "good");
    CHECK(first.issuer_uri == uri);
    CHECK(first.actx == actx);
    CHECK(claims(first.token).text("machine") == "machine-1");
    CHECK(claims(first.token).text("aud") == "api://DigitalOcean?actx=" + actx);

    const auto second = exchange(first.token);
    REQUIRE(code(second.refused) == "good");
    const auto view = answer<issuer_view>(issuer, issuer_query{});
    jwt::expected e;
    e.issuer = uri, e.audience = for_alice, e.now = now;
    const auto verified = jwt::verify_rs256(second.token, from_json(view.jwks).value(), e);
    REQUIRE(code(verified) == "good");
    CHECK(verified->text("sub") == subject);
    CHECK(verified->find("machine") == nullptr); // nothing is copied but the subject
}

TEST_CASE_FIXTURE(with_issuer, "the published documents lead from the issuer to its keys") {
    const auto view = answer<issuer_view>(issuer, issuer_query{});
    const auto found = from_json(view.discovery).value();
    CHECK(found.text("issuer") == uri);
    CHECK(found.text("jwks_uri") == uri + "/.well-known/jwks");
    CHECK(*found.find("id_token_signing_alg_values_supported") == value(value::list{"RS256"}));
    const auto keys = from_json(view.jwks).value();
    REQUIRE(keys.find("keys")->as<value::list>()->size() == 1);
    const auto& key = keys.find("keys")->as<value::list>()->front();
    CHECK(key.text("kid") == jwt::split(boot().token).value().header.text("kid"));
    for (const char* secret : {"d", "p", "q", "dp", "dq", "qi"}) CHECK(key.find(secret) == nullptr);
}

TEST_CASE_FIXTURE(with_issuer, "a machine cannot become another machine's subject") {
    const auto token = boot().token;
    CHECK(code(exchange(token, for_alice, subject + "-2").refused) == "wrong_subject");
    CHECK(code(exchange(token, for_alice, "").refused) == "wrong_subject");
    CHECK(code(exchange(token, for_alice, subject.substr(0, subject.size() - 1)).refused) == "wrong_subject");
}

TEST_CASE_FIXTURE(with_issuer, "a machine's token is for its own tenant's account and for no other audience") {
    const auto token = boot().token;
    CHECK(code(exchange(token, "api://ATProto?actx=did:plc:eve").refused) == "wrong_account");
    CHECK(code(exchange(token, "api://ATProto?actx=did:web:" + alice_key).refused) == "wrong_account");
    CHECK(code(exchange(token, "api://ATProto?actx=" + alice_key).refused) == "bad_audience");
    CHECK(code(exchange(token, "api://DigitalOcean?actx=" + actx).refused) == "bad_audience");
    CHECK(code(exchange(token, "https://bank.example").refused) == "bad_audience");
}

TEST_CASE_FIXTURE(with_issuer, "only an unexpired boot token of this issuer is exchanged") {
    const auto token = boot().token;
    const value::map good{{"iss", uri}, {"aud", boot_audience()}, {"sub", subject}};
    REQUIRE(code(exchange(minted(good)).refused) == "good"); // so the refusals below are for what they change
    const auto with = [&](const char* key, value v) {
        auto c = good;
        c.insert_or_assign(key, std::move(v));
        return c;
    };
    CHECK(code(exchange("").refused) == "bad_token");
    CHECK(code(exchange(minted(good, 1)).refused) == "unknown_key"); // another's key
    CHECK(code(exchange(minted(with("iss", "https://eve.example"))).refused) == "wrong_issuer");
    CHECK(code(exchange(minted(with("aud", "api://DigitalOcean?actx=other"))).refused) == "wrong_audience");
    CHECK(code(exchange(minted(with("aud", value::list{boot_audience()}))).refused) == "wrong_audience");
    CHECK(code(exchange(exchange(token, for_alice, subject, 600).token).refused) == "wrong_audience"); // an exchanged token is no boot token
    const auto none = to_base64url(R"({"alg":"none","typ":"JWT"})") + token.substr(token.find('.'));
    CHECK(code(exchange(none.substr(0, none.rfind('.') + 1)).refused) == "bad_token");
    now += 16min;
    CHECK(code(exchange(token).refused) == "token_expired");
}

TEST_CASE_FIXTURE(with_issuer, "a token lives no longer than this issuer allows, whatever is asked for") {
    const auto life = [&](std::int64_t ttl) {
        const auto c = claims(exchange(boot().token, for_alice, subject, ttl).token);
        return *c.find("exp")->as<std::int64_t>() - *c.find("iat")->as<std::int64_t>();
    };
    CHECK(life(60) == 60);
    CHECK(life(3600) == 3600);
    CHECK(life(std::int64_t{1} << 62) == 3600);
    CHECK(code(exchange(boot().token, for_alice, subject, 0).refused) == "bad_ttl");
    CHECK(code(exchange(boot().token, for_alice, subject, -5).refused) == "bad_ttl");
}

TEST_CASE_FIXTURE(with_issuer, "delimiter injection in subjects: a role cannot smuggle any in") {
    CHECK(code(boot(subject + ":role:admin").refused) == "bad_subject");     // a name twice
    CHECK(code(boot(subject + ":x").refused) == "bad_subject");              // a name without value
    CHECK(code(boot(subject + " ").refused) == "bad_subject");
    CHECK(code(boot("actx:" + actx + ":plc::role:r").refused) == "bad_subject");
    CHECK(code(boot("actx:" + actx + ":role:r").refused) == "bad_subject");  // of nobody
    CHECK(code(boot("actx:other:plc:" + alice_key + ":role:r").refused) == "bad_subject"); // of another provider
    CHECK(code(boot("").refused) == "bad_subject");
    CHECK(code(answer<token_answer>(issuer, boot_token_request{"", subject}).refused) == "bad_machine");
}

TEST_CASE_FIXTURE(with_issuer, "two tokens are never the same token") {
    const auto one = boot().token, two = boot().token;
    CHECK(claims(one).text("jti") != claims(two).text("jti"));
    CHECK(claims(one).text("jti").size() == 22);
}

TEST_CASE_FIXTURE(virtual_time, "an issuer with a name that cannot stand in a token does not start") {
    for (const char* bad : {"", "issuer.example", "https://issuer.example/", "ftp://issuer.example"})
        CHECK_THROWS_AS(spawn_issuer(sys, {bad, actx, 900s, 3600s, clock()}, stage::rsa()), std::invalid_argument);
    for (const char* bad : {"", "did:plc:bob", "a b"})
        CHECK_THROWS_AS(spawn_issuer(sys, {uri, bad, 900s, 3600s, clock()}, stage::rsa()), std::invalid_argument);
}
