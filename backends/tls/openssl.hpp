// Internal. OpenSSL's objects with owners, its PEM texts as strings, and its errors as exceptions.
#pragma once
#include <memory>
#include <stdexcept>
#include <string>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

namespace souk::tls::internal {

template <auto Free>
struct freed {
    template <class T>
    void operator()(T* p) const {
        Free(p);
    }
};
using certificate = std::unique_ptr<X509, freed<X509_free>>;
using signing_request = std::unique_ptr<X509_REQ, freed<X509_REQ_free>>;
using name = std::unique_ptr<X509_NAME, freed<X509_NAME_free>>;
using extension = std::unique_ptr<X509_EXTENSION, freed<X509_EXTENSION_free>>;
using key = std::unique_ptr<EVP_PKEY, freed<EVP_PKEY_free>>;
using bio = std::unique_ptr<BIO, freed<BIO_free_all>>;

[[noreturn]] inline void fail(const std::string& what) {
    char why[256] = "no reason given";
    if (const auto code = ERR_get_error()) ERR_error_string_n(code, why, sizeof why);
    ERR_clear_error();
    throw std::runtime_error(what + ": " + why);
}
template <class T>
T must(T good, const char* what) {
    if (!good) fail(what);
    return good;
}

inline bio reading(const std::string& text) {
    return bio(must(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), "BIO"));
}
template <class Write>
std::string pem_of(Write write) {
    const bio out(must(BIO_new(BIO_s_mem()), "BIO"));
    must(write(out.get()) == 1, "PEM");
    char* data = nullptr;
    const auto size = BIO_get_mem_data(out.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

// Never asks a terminal for a passphrase.
inline int no_passphrase(char*, int, int, void*) { return 0; }

} // namespace souk::tls::internal
