#include <souk/backends/tunnel/name_certificates.hpp>

#include <openssl/pem.h>

#include <algorithm>

namespace souk::tunnel {

namespace {

bool is_label(std::string_view s) {
    return !s.empty() && s.size() <= 63 && std::all_of(s.begin(), s.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

} // namespace

name_certificates::name_certificates(const std::filesystem::path& authority, std::string domain)
    : authority_{tls::read_file(authority.string() + ".crt"), tls::read_file(authority.string() + ".key")}, domain_(std::move(domain)) {}

name_certificates::~name_certificates() {
    for (auto& [host, p] : made_) X509_free(p.certificate), EVP_PKEY_free(p.key);
}

void name_certificates::serve(SSL_CTX* context) {
    SSL_CTX_set_tlsext_servername_callback(context, choose);
    SSL_CTX_set_tlsext_servername_arg(context, this);
}

int name_certificates::choose(SSL* ssl, int*, void* self) {
    const char* host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (const auto* p = host ? static_cast<name_certificates*>(self)->find(host) : nullptr) {
        SSL_use_certificate(ssl, p->certificate);
        SSL_use_PrivateKey(ssl, p->key);
    }
    return SSL_TLSEXT_ERR_OK;
}

const name_certificates::pair* name_certificates::find(const std::string& host) {
    const auto dot = host.find('.');
    if (dot == std::string::npos || host.substr(dot + 1) != domain_ || !is_label(host.substr(0, dot))) return nullptr;
    const std::lock_guard hold(guard_);
    if (const auto known = made_.find(host); known != made_.end()) return &known->second;
    if (made_.size() >= most) return nullptr;
    tls::leaf l;
    l.common_name = host.size() <= 64 ? host : host.substr(0, 64), l.dns = {host}, l.valid = std::chrono::hours{24 * 7};
    const auto id = tls::issue(authority_, l);
    pair p;
    BIO* in = BIO_new_mem_buf(id.certificate.data(), static_cast<int>(id.certificate.size()));
    p.certificate = PEM_read_bio_X509(in, nullptr, nullptr, nullptr);
    BIO_free(in);
    in = BIO_new_mem_buf(id.key.data(), static_cast<int>(id.key.size()));
    p.key = PEM_read_bio_PrivateKey(in, nullptr, nullptr, nullptr);
    BIO_free(in);
    if (!p.certificate || !p.key) return X509_free(p.certificate), EVP_PKEY_free(p.key), nullptr;
    return &made_.emplace(host, p).first->second;
}

} // namespace souk::tunnel
