#include <doctest/doctest.h>

#include <souk/messages/bytes.hpp>
#include <souk/messages/json.hpp>
#include <souk/messages/jwt.hpp>

using namespace souk;
using crypto::curve;
using std::chrono::seconds;

namespace {

constexpr std::int64_t now = 1'778'312'530;
const std::string issuer = "https://bob.example", audience = "api://ATProto?actx=did:plc:alice";

jwt::expected wanted() {
    jwt::expected e;
    e.issuer = issuer;
    e.audience = audience;
    e.now = instant(seconds(now));
    return e;
}

value::map claims() {
    return {{"iss", issuer}, {"aud", audience}, {"sub", "actx:x:plc:y:role:z"}, {"iat", now - 5}, {"exp", now + 3600}};
}
value::map claims(const std::string& key, value x) {
    auto c = claims();
    c.insert_or_assign(key, std::move(x));
    return c;
}

const jwt::rsa_key& rsa() {
    static const auto one = jwt::rsa_key::generate(2048);
    return one;
}
value set_of(value::list keys) { return value::map{{"keys", std::move(keys)}}; }

template <class T>
std::string code(const result<T>& r) {
    return r ? "good" : r.error().code;
}

std::string part(const char* json) { return to_base64url(json); }

} // namespace

TEST_CASE("a workload token verifies by the issuer's published key, and by no other") {
    const auto token = jwt::sign_rs256(claims(), rsa()).value();
    const auto jwk = jwt::jwk_of(rsa());
    CHECK(jwk.text("alg") == "RS256");
    CHECK(jwt::verify_rs256(token, set_of({jwk}), wanted()).value() == value(claims()));
    CHECK(code(jwt::verify_rs256(token, set_of({}), wanted())) == "unknown_key");
    CHECK(code(jwt::verify_rs256(token, value("text"), wanted())) == "unknown_key");
    auto other = jwt::jwk_of(jwt::rsa_key::generate(2048));
    CHECK(code(jwt::verify_rs256(token, set_of({other}), wanted())) == "unknown_key");
    other.as<value::map>()->insert_or_assign("kid", jwk.text("kid"));
    CHECK(code(jwt::verify_rs256(token, set_of({other}), wanted())) == "bad_signature");
    auto changed = token;
    changed[token.find('.') + 5] = changed[token.find('.') + 5] == 'A' ? 'B' : 'A';
    CHECK(code(jwt::verify_rs256(changed, set_of({jwk}), wanted())) != "good");
    for (const auto& [key, x] :
         {std::pair<const char*, value>{"alg", "RS512"}, {"use", "enc"}, {"kty", "EC"}, {"n", "AQAB"}, {"e", "AQ"}, {"n", "!"}}) {
        auto bad = jwk;
        bad.as<value::map>()->insert_or_assign(key, x);
        CHECK(code(jwt::verify_rs256(token, set_of({bad}), wanted())) == "unknown_key");
    }
}

TEST_CASE("an RSA key under 2048 bits is refused") {
    const auto weak = jwt::rsa_key::generate(1024);
    CHECK(code(jwt::verify_rs256(jwt::sign_rs256(claims(), weak).value(), set_of({jwt::jwk_of(weak)}), wanted())) == "unknown_key");
    CHECK(code(jwt::sign_rs256(claims(), {"nonsense"})) == "bad_key");
}

TEST_CASE("a key's id is its RFC 7638 thumbprint") {
    const auto jwk = jwt::jwk_of(rsa());
    const auto text = R"({"e":")" + std::string(jwk.text("e")) + R"(","kty":"RSA","n":")" + std::string(jwk.text("n")) + "\"}";
    CHECK(jwk.text("kid") == to_base64url(crypto::sha256(text)));
}

TEST_CASE("a service token verifies by one of the caller's keys") {
    const auto key = crypto::generate(curve::k256), other = crypto::generate(curve::k256);
    const auto open = crypto::public_of(curve::k256, key).value(), others = crypto::public_of(curve::k256, other).value();
    const auto p256 = crypto::public_of(curve::p256, crypto::generate(curve::p256)).value();
    auto c = claims("lxm", "com.example.method");
    const auto token = jwt::sign_es256k(c, key).value();
    auto e = wanted();
    e.method = "com.example.method";
    CHECK(jwt::verify_es256k(token, {p256, others, open}, e).value() == value(c));
    CHECK(code(jwt::verify_es256k(token, {others}, e)) == "bad_signature");
    CHECK(code(jwt::verify_es256k(token, {p256}, e)) == "unknown_key");
    e.method = "com.example.other";
    CHECK(code(jwt::verify_es256k(token, {open}, e)) == "wrong_method");
    CHECK(code(jwt::verify_rs256(token, set_of({jwt::jwk_of(rsa())}), wanted())) == "bad_token"); // the header does not choose
    CHECK(code(jwt::verify_es256k(jwt::sign_rs256(claims(), rsa()).value(), {open}, wanted())) == "bad_token");
}

TEST_CASE("claims must be for us, from them, and for now") {
    const auto check = [](const value::map& c) { return code(jwt::check_claims(value(c), wanted())); };
    CHECK(check(claims()) == "good");
    CHECK(check(claims("exp", now - 29)) == "good"); // within the leeway
    CHECK(check(claims("exp", now - 30)) == "token_expired");
    CHECK(check(claims("iat", now + 30)) == "good");
    CHECK(check(claims("iat", now + 31)) == "token_not_yet");
    CHECK(check(claims("nbf", now + 31)) == "token_not_yet");
    CHECK(check(claims("exp", now - 5 + 24 * 3600 + 1)) == "token_too_long_lived");
    CHECK(check(claims("iss", "https://eve.example")) == "wrong_issuer");
    CHECK(check(claims("iss", issuer + "/")) == "wrong_issuer");
    CHECK(check(claims("aud", "api://ATProto?actx=did:plc:eve")) == "wrong_audience");
    CHECK(check(claims("aud", value::list{audience})) == "wrong_audience");
    for (value bad : {value("1"), value(), value(-1), value(std::int64_t(1) << 60)}) {
        CHECK(check(claims("exp", bad)) == "bad_token");
        CHECK(check(claims("iat", bad)) == "bad_token");
    }
    auto none = claims();
    none.erase("exp");
    CHECK(check(none) == "bad_token");
    none = claims();
    none.erase("iat");
    CHECK(check(none) == "good");
    none.insert_or_assign("exp", now + 24 * 3600 + 1);
    CHECK(check(none) == "token_too_long_lived");
    none.erase("aud");
    CHECK(check(none) != "good");
}

TEST_CASE("what is no token is refused before any key is looked at") {
    for (const std::string& bad : {std::string(), std::string("a.b"), std::string("a.b.c.d"), std::string(".."),
                                   part("{}") + ".." + part("x"), part("[]") + '.' + part("{}") + '.',
                                   part("{}") + '.' + part("1") + '.', part("{\"a\":1,\"a\":2}") + '.' + part("{}") + '.',
                                   part("{}") + "=." + part("{}") + '.', part("{\"crit\":[\"b64\"]}") + '.' + part("{}") + '.',
                                   std::string(8193, 'a'), part("{}") + '.' + part("{\"exp\":1.5}") + '.'}) {
        CAPTURE(bad.substr(0, 60));
        CHECK(code(jwt::split(bad)) == "bad_token");
    }
    const auto unsigned_token = part(R"({"alg":"none"})") + '.' + part("{}") + '.';
    CHECK(code(jwt::split(unsigned_token)) == "good");
    CHECK(code(jwt::verify_rs256(unsigned_token, set_of({jwt::jwk_of(rsa())}), wanted())) == "bad_token");
    CHECK(code(jwt::verify_es256k(unsigned_token, {}, wanted())) == "bad_token");
}
