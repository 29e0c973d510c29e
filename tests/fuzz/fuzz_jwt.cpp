#include <souk/messages/json.hpp>
#include <souk/messages/jwt.hpp>

#include "fuzz.hpp"

using namespace souk;

namespace {

const auto rsa_keys = [] { return value(value::map{{"keys", value::list{jwt::jwk_of(jwt::rsa_key::generate(2048))}}}); }();
const std::vector<crypto::public_key> k256_keys{
    crypto::public_of(crypto::curve::k256, crypto::generate(crypto::curve::k256)).value()};

jwt::expected wanted() {
    jwt::expected e;
    e.audience = "a";
    e.now = instant(std::chrono::seconds(1'800'000'000));
    return e;
}

} // namespace

FUZZ {
    // A token, or claims, or keys.
    must(jwt::verify_rs256(bytes, rsa_keys, wanted()).has_error(), "nobody signs without the key");
    must(jwt::verify_es256k(bytes, k256_keys, wanted()).has_error(), "nobody signs without the key");
    if (const auto p = jwt::split(bytes)) (void)jwt::check_claims(p->claims, wanted());
    const auto v = from_json(bytes);
    if (!v) return;
    if (jwt::check_claims(*v, wanted())) must(v->text("aud") == "a" && v->find("exp"), "claims that hold are for us and end");
    static const auto token = jwt::sign_rs256({}, jwt::rsa_key::generate(2048)).value();
    must(jwt::verify_rs256(token, *v, wanted()).has_error(), "other keys did not sign this");
}
