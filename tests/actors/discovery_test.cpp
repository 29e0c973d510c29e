#include "virtual_time.hpp"

#include <souk/actors/broker/discovery.hpp>
#include <souk/messages/json.hpp>

using namespace souk;

namespace {

std::string keys_of(const char* issuer, const char* said, const char* uri, bool http = false) {
    const auto doc = to_json(value::map{{"issuer", said}, {"jwks_uri", uri}});
    return code(oidc::jwks_uri_in(doc, issuer, http));
}

} // namespace

TEST_CASE("an origin is scheme, host and port, however it is written") {
    const auto origin = [](std::string_view url) { return oidc::origin_of(url, false).value(); };
    CHECK(origin("https://A.example") == "https://a.example:443");
    CHECK(origin("https://a.example:443/x") == "https://a.example:443");
    CHECK(origin("https://a.example:8443/") == "https://a.example:8443");
    CHECK(origin("https://[::1]/x") == "https://[::1]:443");
    CHECK(origin("https://[::1]:8443/x") == "https://[::1]:8443");
    for (const char* bad : {"", "a.example", "http://a.example", "https://", "https:///x", "https://a.example:/", "https://a.example:port/", "https://u@a.example/",
                            "https://a.example\\@b.example/", "https://a.example/?x", "https://a.example/#x", "https://a.example/ x", "ftp://a.example",
                            "https://a.example\n", "file:///etc/passwd"}) {
        CAPTURE(bad);
        CHECK(!oidc::origin_of(bad, false));
    }
    CHECK(oidc::origin_of("http://127.0.0.1:8080/x", true).value() == "http://127.0.0.1:8080");
    CHECK(!oidc::origin_of("http://127.0.0.1:8080/x", false));
}

TEST_CASE("a discovery document speaks for the very issuer that was asked, and its keys lie there") {
    CHECK(keys_of("https://bob.example", "https://bob.example", "https://bob.example/.well-known/jwks") == "good");
    CHECK(keys_of("https://bob.example", "https://bob.example", "https://bob.example:443/keys") == "good");
    CHECK(keys_of("https://bob.example", "https://eve.example", "https://bob.example/keys") == "bad_discovery");
    CHECK(keys_of("https://bob.example", "https://bob.example/", "https://bob.example/keys") == "bad_discovery");
    CHECK(keys_of("https://bob.example", "https://bob.example", "https://eve.example/keys") == "bad_discovery");
    CHECK(keys_of("https://bob.example", "https://bob.example", "https://bob.example.eve.example/keys") == "bad_discovery");
    CHECK(keys_of("https://bob.example", "https://bob.example", "https://bob.example:8443/keys") == "bad_discovery");
    CHECK(keys_of("https://bob.example", "https://bob.example", "http://bob.example:443/keys", true) == "bad_discovery");
    CHECK(keys_of("https://bob.example", "https://bob.example", "") == "bad_discovery");
    CHECK(code(oidc::jwks_uri_in("<html>", "https://bob.example", false)) == "bad_discovery");
    CHECK(code(oidc::jwks_uri_in("[]", "https://bob.example", false)) == "bad_discovery");
}

TEST_CASE("where discovery is, for an issuer with a path or a slash") {
    CHECK(oidc::discovery_url("https://bob.example", false).value() == "https://bob.example/.well-known/openid-configuration");
    CHECK(oidc::discovery_url("https://bob.example/", false).value() == "https://bob.example/.well-known/openid-configuration");
    CHECK(oidc::discovery_url("https://bob.example/a", false).value() == "https://bob.example/a/.well-known/openid-configuration");
    CHECK(code(oidc::discovery_url("https://bob.example/?x=", false)) == "bad_issuer");
}

TEST_CASE("a key set is bounded") {
    CHECK(code(oidc::jwks_in(R"({"keys":[]})")) == "good");
    CHECK(code(oidc::jwks_in(R"({"keys":{}})")) == "bad_jwks");
    CHECK(code(oidc::jwks_in(R"([])")) == "bad_jwks");
    CHECK(code(oidc::jwks_in(to_json(value::map{{"keys", value::list(65, value(value::map{}))}}))) == "bad_jwks");
    CHECK(code(oidc::jwks_in(std::string(100'000, ' ') + R"({"keys":[]})")) == "bad_jwks");
}
