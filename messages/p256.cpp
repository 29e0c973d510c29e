#include <souk/messages/p256.hpp>

#include <souk/messages/openssl.hpp>

namespace souk::crypto::p256 {

namespace {

using namespace openssl;

constexpr int field_size = 32;

const EC_GROUP* curve_group() {
    static const group one(EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1));
    must(one != nullptr, "P-256");
    return one.get();
}

bignum number(std::string_view big_endian) {
    bignum n(BN_bin2bn(in(big_endian), static_cast<int>(big_endian.size()), nullptr));
    must(n != nullptr, "BN_bin2bn");
    return n;
}

std::string bytes_of(const BIGNUM* n) {
    std::string s(field_size, '\0');
    must(BN_bn2binpad(n, out(s), field_size) == field_size, "BN_bn2binpad");
    return s;
}

bool in_range(const BIGNUM* n) { return !BN_is_zero(n) && BN_cmp(n, EC_GROUP_get0_order(curve_group())) < 0; }

bool is_high(const BIGNUM* s) {
    bignum half(BN_dup(EC_GROUP_get0_order(curve_group())));
    must(half && BN_rshift1(half.get(), half.get()), "BN_rshift1");
    return BN_cmp(s, half.get()) > 0;
}

point times_base(const BIGNUM* k) {
    point p(EC_POINT_new(curve_group()));
    must(p && EC_POINT_mul(curve_group(), p.get(), k, nullptr, nullptr, nullptr), "EC_POINT_mul");
    return p;
}

std::string compressed(const EC_POINT* p) {
    std::string s(33, '\0');
    must(EC_POINT_point2oct(curve_group(), p, POINT_CONVERSION_COMPRESSED, out(s), s.size(), nullptr) == s.size(),
         "EC_POINT_point2oct");
    return s;
}

// `secret` may be nullptr. Null when the point is not on the curve.
pkey key_of(std::string_view point33, const BIGNUM* secret) {
    char name[] = SN_X9_62_prime256v1;
    std::unique_ptr<OSSL_PARAM_BLD, freed<OSSL_PARAM_BLD_free>> build(OSSL_PARAM_BLD_new());
    must(build && OSSL_PARAM_BLD_push_utf8_string(build.get(), OSSL_PKEY_PARAM_GROUP_NAME, name, 0) &&
             OSSL_PARAM_BLD_push_octet_string(build.get(), OSSL_PKEY_PARAM_PUB_KEY, point33.data(), point33.size()) &&
             (!secret || OSSL_PARAM_BLD_push_BN(build.get(), OSSL_PKEY_PARAM_PRIV_KEY, secret)),
         "OSSL_PARAM_BLD");
    std::unique_ptr<OSSL_PARAM, freed<OSSL_PARAM_free>> params(OSSL_PARAM_BLD_to_param(build.get()));
    pkey_context context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
    must(params && context && EVP_PKEY_fromdata_init(context.get()) > 0, "EVP_PKEY_fromdata_init");
    EVP_PKEY* key = nullptr;
    const int selection = secret ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY;
    if (EVP_PKEY_fromdata(context.get(), &key, selection, params.get()) <= 0) return nullptr;
    return pkey(key);
}

std::string to_der(const ECDSA_SIG* s) {
    std::string der(static_cast<std::size_t>(i2d_ECDSA_SIG(s, nullptr)), '\0');
    auto* at = out(der);
    i2d_ECDSA_SIG(s, &at);
    return der;
}

ecdsa_sig from_pair(bignum r, bignum s) {
    ecdsa_sig both(ECDSA_SIG_new());
    must(both && ECDSA_SIG_set0(both.get(), r.get(), s.get()), "ECDSA_SIG_set0");
    r.release(), s.release(); // now the pair's
    return both;
}

const refusal bad_key{"bad_key", "not a private key of P-256"};

} // namespace

result<void> verify(std::string_view compressed33, std::string_view message, std::string_view signature64) {
    if (signature64.size() != 2 * field_size) return refusal{"bad_signature", "a signature is 64 bytes"};
    auto r = number(signature64.substr(0, field_size)), s = number(signature64.substr(field_size));
    if (!in_range(r.get()) || !in_range(s.get())) return refusal{"bad_signature", "r or s is not below the order of the curve"};
    if (is_high(s.get())) return refusal{"high_s", "s is in the upper half: a second signature of one message"};
    const auto key = compressed33.size() == field_size + 1 ? key_of(compressed33, nullptr) : nullptr;
    if (!key) return refusal{"bad_key", "not a compressed point of P-256"};
    const auto der = to_der(from_pair(std::move(r), std::move(s)).get());
    digest_context d(EVP_MD_CTX_new());
    must(d && EVP_DigestVerifyInit(d.get(), nullptr, EVP_sha256(), nullptr, key.get()) > 0, "EVP_DigestVerifyInit");
    if (EVP_DigestVerify(d.get(), in(der), der.size(), in(message), message.size()) != 1)
        return refusal{"bad_signature", "the signature is not by this key over these bytes"};
    return {};
}

result<std::string> sign(std::string_view key32, std::string_view message) {
    if (key32.size() != field_size) return bad_key;
    const auto secret = number(key32);
    if (!in_range(secret.get())) return bad_key;
    const auto key = key_of(compressed(times_base(secret.get()).get()), secret.get());
    must(key != nullptr, "EVP_PKEY_fromdata");
    digest_context d(EVP_MD_CTX_new());
    must(d && EVP_DigestSignInit(d.get(), nullptr, EVP_sha256(), nullptr, key.get()) > 0, "EVP_DigestSignInit");
    std::string der(80, '\0');
    std::size_t n = der.size();
    must(EVP_DigestSign(d.get(), out(der), &n, in(message), message.size()) > 0, "EVP_DigestSign");
    const auto* at = in(der);
    ecdsa_sig both(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(n)));
    must(both != nullptr, "d2i_ECDSA_SIG");
    bignum s(BN_dup(ECDSA_SIG_get0_s(both.get())));
    if (is_high(s.get())) must(BN_sub(s.get(), EC_GROUP_get0_order(curve_group()), s.get()), "BN_sub");
    return bytes_of(ECDSA_SIG_get0_r(both.get())) + bytes_of(s.get());
}

result<std::string> public_of(std::string_view key32) {
    if (key32.size() != field_size) return bad_key;
    const auto secret = number(key32);
    if (!in_range(secret.get())) return bad_key;
    return compressed(times_base(secret.get()).get());
}

result<std::string> coordinates(std::string_view compressed33) {
    point p(EC_POINT_new(curve_group()));
    must(p != nullptr, "EC_POINT_new");
    if (compressed33.size() != field_size + 1 || EC_POINT_oct2point(curve_group(), p.get(), in(compressed33), compressed33.size(), nullptr) != 1)
        return refusal{"bad_key", "not a compressed point of P-256"};
    std::string s(1 + 2 * field_size, '\0');
    must(EC_POINT_point2oct(curve_group(), p.get(), POINT_CONVERSION_UNCOMPRESSED, out(s), s.size(), nullptr) == s.size(), "EC_POINT_point2oct");
    return s.substr(1);
}

} // namespace souk::crypto::p256
