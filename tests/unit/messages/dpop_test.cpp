#include <doctest/doctest.h>

#include <souk/messages/bytes.hpp>
#include <souk/messages/dpop.hpp>
#include <souk/messages/jwt.hpp>
#include <souk/messages/p256.hpp>

using namespace souk;

namespace {

// The key that RFC 9449 shows in its examples.
crypto::public_key rfc_key() {
    const auto x = from_base64url("l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs").value(), y = from_base64url("9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA").value();
    return {crypto::curve::p256, ((y.back() & 1) ? "\x03" : "\x02") + x};
}

} // namespace

TEST_CASE("a key is named as RFC 9449 names its example's") {
    const auto jwk = dpop::jwk_of(rfc_key());
    REQUIRE(jwk.has_value());
    CHECK(jwk->text("kty") == "EC");
    CHECK(jwk->text("crv") == "P-256");
    CHECK(jwk->text("x") == "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs");
    CHECK(jwk->text("y") == "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA");
    CHECK(dpop::thumbprint_of(rfc_key()).value() == "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    CHECK(dpop::jwk_of({crypto::curve::k256, rfc_key().compressed}).error().code == "bad_key");
    CHECK(dpop::jwk_of({crypto::curve::p256, std::string(33, '\xff')}).error().code == "bad_key");
    CHECK(dpop::jwk_of({crypto::curve::p256, "\x02"}).error().code == "bad_key");
}

TEST_CASE("a proof says which request it is for, when, and with which token; and its key signs it") {
    const auto key = crypto::generate(crypto::curve::p256);
    const auto known = crypto::public_of(crypto::curve::p256, key).value();
    const auto made = dpop::prove(key, {"POST", "https://pds.example/xrpc/a.b.c?x=1#y", "one", "a nonce", "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU", instant(std::chrono::milliseconds(1'562'262'616'900))});
    REQUIRE(made.has_value());
    const auto parts = jwt::split(*made);
    REQUIRE(parts.has_value());
    CHECK(parts->header.text("typ") == "dpop+jwt");
    CHECK(parts->header.text("alg") == "ES256");
    CHECK((*parts->header.find("jwk") == dpop::jwk_of(known).value()));
    CHECK(parts->claims.text("htm") == "POST");
    CHECK(parts->claims.text("htu") == "https://pds.example/xrpc/a.b.c");
    CHECK(parts->claims.text("jti") == "one");
    CHECK(parts->claims.text("nonce") == "a nonce");
    CHECK((*parts->claims.find("iat") == value(1'562'262'616)));
    CHECK(parts->claims.text("ath") == "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"); // as RFC 9449 has it for this token
    CHECK(crypto::verify(known, parts->signed_bytes, parts->signature).has_value());
    const auto bare = jwt::split(dpop::prove(key, {"GET", "https://pds.example/", "two", "", "", {}}).value()).value();
    CHECK(!bare.claims.find("nonce"));
    CHECK(!bare.claims.find("ath"));
    CHECK(dpop::prove(crypto::secret("short"), {}).error().code == "bad_key");
}

TEST_CASE("what a challenge says is wrong is found among whatever else it says, and nowhere else") {
    CHECK(dpop::challenge_error(R"(DPoP error="use_dpop_nonce", error_description="nonce, please")") == "use_dpop_nonce");
    CHECK(dpop::challenge_error(R"(DPoP algs="ES256 ES384", error = invalid_token)") == "invalid_token");
    CHECK(dpop::challenge_error(R"(Bearer realm="x, DPoP error=no", error="bearer", dpop ERROR="a\"b")") == "a\"b");
    CHECK(dpop::challenge_error(R"(DPoP algs="ES256", Bearer error="other")").empty());
    CHECK(dpop::challenge_error(R"(Negotiate YWJj==, DPoP error="use_dpop_nonce)") == "use_dpop_nonce"); // not closed
    for (const auto* nothing : {"", "DPoP", "DPoP error", "DPoP error=", ",,,=\"\\", "\"DPoP error=x", "error=\"x\""}) CHECK(dpop::challenge_error(nothing).empty());
    CHECK(dpop::challenge_error("DPoP error=" + std::string(1 << 20, 'x')).size() == 100);
}
