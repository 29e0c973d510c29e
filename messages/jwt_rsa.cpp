// RS256 (jwt.hpp).
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <souk/messages/bytes.hpp>
#include <souk/messages/jwt_parts.hpp>
#include <souk/messages/openssl.hpp>

namespace souk::jwt {

namespace {

using namespace openssl;
using bio = std::unique_ptr<BIO, freed<BIO_free>>;

constexpr int smallest_key = 2048, largest_key = 8192;
constexpr std::size_t longest_exponent = 8, most_keys = 64;

pkey private_key(const rsa_key& key) {
    bio in_memory(BIO_new_mem_buf(key.pem.data(), static_cast<int>(key.pem.size())));
    must(in_memory != nullptr, "BIO_new_mem_buf");
    return pkey(PEM_read_bio_PrivateKey(in_memory.get(), nullptr, nullptr, nullptr));
}

std::string number_of(const EVP_PKEY* key, const char* name) {
    BIGNUM* n = nullptr;
    must(EVP_PKEY_get_bn_param(key, name, &n) > 0, name);
    bignum owned(n);
    std::string bytes(static_cast<std::size_t>(BN_num_bytes(n)), '\0');
    BN_bn2bin(n, out(bytes));
    return bytes;
}

value jwk_of(const EVP_PKEY* key) {
    const auto n = to_base64url(number_of(key, OSSL_PKEY_PARAM_RSA_N)), e = to_base64url(number_of(key, OSSL_PKEY_PARAM_RSA_E));
    const auto thumbprint =
        crypto::sha256("{\"e\":\"" + e + "\",\"kty\":\"RSA\",\"n\":\"" + n + "\"}"); // RFC 7638: no spaces, sorted
    return value::map{{"kty", "RSA"}, {"n", n}, {"e", e}, {"use", "sig"}, {"alg", "RS256"}, {"kid", to_base64url(thumbprint)}};
}

// Null where the numbers make no key that is taken here.
pkey public_key(const value& jwk) {
    const auto n = from_base64url(jwk.text("n")), e = from_base64url(jwk.text("e"));
    if (jwk.text("kty") != "RSA" || !n || !e || n->empty() || e->empty() || n->size() > largest_key / 8 ||
        e->size() > longest_exponent)
        return nullptr;
    const bignum modulus(BN_bin2bn(in(*n), static_cast<int>(n->size()), nullptr)),
        exponent(BN_bin2bn(in(*e), static_cast<int>(e->size()), nullptr));
    must(modulus && exponent, "BN_bin2bn");
    if (BN_num_bits(modulus.get()) < smallest_key || !BN_is_odd(modulus.get()) || !BN_is_odd(exponent.get()) ||
        BN_is_one(exponent.get()))
        return nullptr;
    std::unique_ptr<OSSL_PARAM_BLD, freed<OSSL_PARAM_BLD_free>> build(OSSL_PARAM_BLD_new());
    must(build && OSSL_PARAM_BLD_push_BN(build.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get()) &&
             OSSL_PARAM_BLD_push_BN(build.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get()),
         "OSSL_PARAM_BLD");
    std::unique_ptr<OSSL_PARAM, freed<OSSL_PARAM_free>> params(OSSL_PARAM_BLD_to_param(build.get()));
    pkey_context context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
    must(params && context && EVP_PKEY_fromdata_init(context.get()) > 0, "EVP_PKEY_fromdata_init");
    EVP_PKEY* key = nullptr;
    if (EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) <= 0) return nullptr;
    return pkey(key);
}

// The set's key of this id; without an id, its only one.
const value* choose(const value& jwks, const value& header) {
    const auto* keys = jwks.find("keys");
    const auto* list = keys ? keys->as<value::list>() : nullptr;
    if (!list || list->size() > most_keys) return nullptr;
    if (!header.find("kid")) return list->size() == 1 ? &list->front() : nullptr;
    const auto kid = header.text("kid");
    for (const auto& jwk : *list)
        if (!kid.empty() && jwk.text("kid") == kid) return &jwk;
    return nullptr;
}

} // namespace

rsa_key rsa_key::generate(int bits) {
    const pkey key(EVP_RSA_gen(static_cast<unsigned>(bits)));
    bio memory(BIO_new(BIO_s_secmem()));
    must(key && memory && PEM_write_bio_PKCS8PrivateKey(memory.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr), "RSA key");
    char* text = nullptr;
    const long n = BIO_get_mem_data(memory.get(), &text);
    return {std::string(text, static_cast<std::size_t>(n))};
}

value jwk_of(const rsa_key& key) {
    const auto parsed = private_key(key);
    if (!parsed || !EVP_PKEY_is_a(parsed.get(), "RSA")) throw std::invalid_argument("not the PEM of a private RSA key");
    return jwk_of(parsed.get());
}

rs256_signer::rs256_signer(const rsa_key& key) {
    auto parsed = private_key(key);
    if (!parsed || !EVP_PKEY_is_a(parsed.get(), "RSA")) throw std::invalid_argument("not the PEM of a private RSA key");
    jwk_ = jwk_of(parsed.get());
    key_ = std::shared_ptr<EVP_PKEY>(std::move(parsed));
}

std::string rs256_signer::sign(value::map claims) const {
    auto* key = static_cast<EVP_PKEY*>(key_.get());
    auto input = signing_input({{"typ", "JWT"}, {"alg", "RS256"}, {"kid", jwk_.text("kid")}}, std::move(claims));
    digest_context d(EVP_MD_CTX_new());
    std::string signature(static_cast<std::size_t>(EVP_PKEY_get_size(key)), '\0');
    std::size_t n = signature.size();
    must(d && EVP_DigestSignInit(d.get(), nullptr, EVP_sha256(), nullptr, key) > 0, "EVP_DigestSignInit");
    must(EVP_DigestSign(d.get(), out(signature), &n, in(input), input.size()) > 0, "EVP_DigestSign");
    signature.resize(n);
    return input + '.' + to_base64url(signature);
}

result<std::string> sign_rs256(value::map claims, const rsa_key& key) {
    try {
        return rs256_signer(key).sign(std::move(claims));
    } catch (const std::invalid_argument& e) {
        return refusal{"bad_key", e.what()};
    }
}

result<value> verify_rs256(std::string_view token, const value& jwks, const expected& e) {
    auto p = split_for(token, "RS256");
    if (!p) return p.error();
    const auto* jwk = choose(jwks, p->header);
    if (!jwk) return refusal{"unknown_key", "the issuer publishes no key of this id"};
    const bool other_use = (jwk->find("alg") && jwk->text("alg") != "RS256") || (jwk->find("use") && jwk->text("use") != "sig");
    const auto key = other_use ? nullptr : public_key(*jwk);
    if (!key) return refusal{"unknown_key", "the issuer's key is no RSA signing key of 2048 to 8192 bits"};
    digest_context d(EVP_MD_CTX_new());
    must(d && EVP_DigestVerifyInit(d.get(), nullptr, EVP_sha256(), nullptr, key.get()) > 0, "EVP_DigestVerifyInit");
    if (EVP_DigestVerify(d.get(), in(p->signature), p->signature.size(), in(p->signed_bytes), p->signed_bytes.size()) != 1)
        return refusal{"bad_signature", "the signature is not by the issuer's key"};
    if (auto well = check_claims(p->claims, e); !well) return well.error();
    return std::move(p->claims);
}

} // namespace souk::jwt
