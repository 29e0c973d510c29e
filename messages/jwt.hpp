// JSON Web Tokens: RS256 for workload identity (issuers), ES256K for service authentication between AT Protocol hosts.
// Limit: 8 KiB. A token's "alg" never chooses the algorithm: each function here takes one and refuses the others.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <souk/messages/crypto.hpp>
#include <souk/messages/time.hpp>
#include <souk/messages/value.hpp>

namespace souk::jwt {

struct parts { // split and decoded, nothing believed
    value header, claims;
    std::string signed_bytes, signature;
};
result<parts> split(std::string_view token); // code "bad_token"

struct expected {
    std::string issuer;                  // exact; empty: not checked (a caller that matched it already)
    std::string audience;                // exact; arrays of audiences are refused
    std::optional<std::string> method;   // "lxm"
    instant now;
    std::chrono::seconds leeway{30};     // for exp, nbf, iat
    std::chrono::seconds longest{24 * 3600}; // exp - iat
};
// Codes "token_expired", "token_not_yet", "wrong_issuer", "wrong_audience", "wrong_method", "token_too_long_lived", "bad_token".
result<void> check_claims(const value& claims, const expected&);

// -- ES256K ---------------------------------------------------------------------------------------------------------
result<std::string> sign_es256k(value::map claims, const crypto::secret& key);
result<value> verify_es256k(std::string_view token, const std::vector<crypto::public_key>& any_of, const expected&);

// -- RS256 ----------------------------------------------------------------------------------------------------------
struct rsa_key {
    std::string pem;                    // private, PKCS#8
    static rsa_key generate(int bits = 2048); // a quarter of the work of 3072, and enough for tokens that live for minutes
};
value jwk_of(const rsa_key&);           // {kty,n,e,use,alg,kid}; kid: RFC 7638 thumbprint
// A key that signs often: reading it costs as much as many signatures. From any thread.
class rs256_signer {
public:
    explicit rs256_signer(const rsa_key&); // throws std::invalid_argument: no private RSA key
    std::string sign(value::map claims) const;
    const value& jwk() const { return jwk_; }

private:
    std::shared_ptr<void> key_;
    value jwk_;
};
result<std::string> sign_rs256(value::map claims, const rsa_key&); // once; code "bad_key"
// `jwks` as served at jwks_uri. Keys under 2048 bits are refused; the token's "alg" must be RS256. "unknown_key", "bad_signature".
result<value> verify_rs256(std::string_view token, const value& jwks, const expected&);

} // namespace souk::jwt
