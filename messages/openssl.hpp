// OpenSSL's objects as owners. Private to the sources of this room.
#pragma once
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

namespace souk::openssl {

template <auto Free>
struct freed {
    template <class T>
    void operator()(T* p) const {
        Free(p);
    }
};
using bignum = std::unique_ptr<BIGNUM, freed<BN_clear_free>>;
using bn_context = std::unique_ptr<BN_CTX, freed<BN_CTX_free>>;
using group = std::unique_ptr<EC_GROUP, freed<EC_GROUP_free>>;
using point = std::unique_ptr<EC_POINT, freed<EC_POINT_clear_free>>;
using ecdsa_sig = std::unique_ptr<ECDSA_SIG, freed<ECDSA_SIG_free>>;
using pkey = std::unique_ptr<EVP_PKEY, freed<EVP_PKEY_free>>;
using pkey_context = std::unique_ptr<EVP_PKEY_CTX, freed<EVP_PKEY_CTX_free>>;
using digest_context = std::unique_ptr<EVP_MD_CTX, freed<EVP_MD_CTX_free>>;

// For calls that fail only for want of memory or by a bug of ours.
inline void must(bool ok, const char* what) {
    if (!ok) throw std::runtime_error(std::string("OpenSSL: ") + what);
}

inline const unsigned char* in(std::string_view s) { return reinterpret_cast<const unsigned char*>(s.data()); }
inline unsigned char* out(std::string& s) { return reinterpret_cast<unsigned char*>(s.data()); }

} // namespace souk::openssl
