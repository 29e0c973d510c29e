// Certificates for public names, made as visitors ask for them, by a private authority: for development domains, where no wildcard
// certificate is valid ("*.localhost" is none). With a real domain the broker has a wildcard certificate and needs none of this.
#pragma once
#include <openssl/ssl.h>

#include <filesystem>
#include <map>
#include <mutex>
#include <string>

#include <souk/backends/tls/authority.hpp>

namespace souk::tunnel {

class name_certificates {
public:
    static constexpr std::size_t most = 1000; // kept; past that, visitors see the broker's own certificate

    // `authority`: path of PEM files less ".crt" and ".key". Throws std::runtime_error.
    name_certificates(const std::filesystem::path& authority, std::string domain);
    ~name_certificates();
    // Has the context present, to each visitor, a certificate for the name that it asks for. Must outlive the context.
    void serve(SSL_CTX*);

private:
    struct pair {
        X509* certificate = nullptr;
        EVP_PKEY* key = nullptr;
    };
    static int choose(SSL*, int*, void* self);
    const pair* find(const std::string& host);

    tls::identity authority_;
    std::string domain_;
    std::mutex guard_;
    std::map<std::string, pair> made_;
};

} // namespace souk::tunnel
