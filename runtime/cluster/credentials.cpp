#include <souk/runtime/cluster/credentials.hpp>

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include <openssl/err.h>
#include <openssl/x509v3.h>

namespace souk::carrier {

namespace {

std::string last_error() {
    const auto code = ERR_peek_last_error();
    const char* why = code ? ERR_reason_error_string(code) : nullptr;
    std::string text = why ? why : code && ERR_SYSTEM_ERROR(code) ? std::strerror(static_cast<int>(ERR_GET_REASON(code))) : "unknown error";
    ERR_clear_error();
    return text;
}
[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what + ": " + last_error()); }

std::string text_of(const ASN1_STRING* s) {
    return s ? std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(s)), static_cast<std::size_t>(ASN1_STRING_length(s))) : std::string{};
}

std::string common_name(X509* c) {
    auto* subject = X509_get_subject_name(c);
    const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0) return {};
    return text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

struct free_names {
    void operator()(GENERAL_NAMES* n) const { GENERAL_NAMES_free(n); }
};

std::string name_of(X509* c) {
    const std::unique_ptr<GENERAL_NAMES, free_names> names(static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(c, NID_subject_alt_name, nullptr, nullptr)));
    ERR_clear_error();
    std::string found;
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
        int kind = 0;
        const auto* value = static_cast<ASN1_STRING*>(GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &kind));
        if (kind != GEN_DNS) continue;
        if (!found.empty()) return {};
        found = text_of(value);
        if (found.empty() || found.find('\0') != found.npos) return {};
    }
    return found.empty() ? common_name(c) : found;
}

// Refuses a good certificate of a node that is not on the list, while the handshake can still say so to the other side.
int on_the_list(int so_far, X509_STORE_CTX* store) {
    if (so_far != 1 || X509_STORE_CTX_get_error_depth(store) != 0) return so_far;
    auto* s = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    const auto* may = static_cast<const std::set<std::string>*>(SSL_get_app_data(s));
    if (may->contains(name_of(X509_STORE_CTX_get_current_cert(store)))) return 1;
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
}

// What the other nodes will do with our certificate, done here at start, where somebody reads the error.
void check_own(SSL_CTX* context, const std::string& node, const std::string& file) {
    X509* own = SSL_CTX_get0_certificate(context);
    if (const auto name = name_of(own); name != node) throw std::runtime_error("the certificate in " + file + " names " + (name.empty() ? "no single node" : name) + ", not this node, " + node);
    for (const int purpose : {X509_PURPOSE_SSL_SERVER, X509_PURPOSE_SSL_CLIENT}) {
        const std::unique_ptr<X509_STORE_CTX, decltype(&X509_STORE_CTX_free)> check(X509_STORE_CTX_new(), &X509_STORE_CTX_free);
        if (!check || X509_STORE_CTX_init(check.get(), SSL_CTX_get_cert_store(context), own, nullptr) != 1) fail("cannot check " + file);
        X509_STORE_CTX_set_purpose(check.get(), purpose);
        if (X509_verify_cert(check.get()) != 1)
            throw std::runtime_error("the certificate in " + file + " is not good here: " + X509_verify_cert_error_string(X509_STORE_CTX_get_error(check.get())));
    }
    ERR_clear_error();
}

} // namespace

credentials::credentials(const std::string& node, const std::filesystem::path& certificate, const std::filesystem::path& key,
                         const std::filesystem::path& authority, std::set<std::string> may_dial_us)
    : may_dial_us_(std::move(may_dial_us)) {
    ERR_clear_error();
    context_.reset(SSL_CTX_new(TLS_method()));
    auto* c = context_.get();
    if (!c || SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION) != 1) fail("TLS 1.3 is not to be had");
    SSL_CTX_set_options(c, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_num_tickets(c, 0); // no resumption: every link shows its certificate
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(c, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    SSL_CTX_set_default_passwd_cb(c, [](char*, int, int, void*) { return 0; });
    if (SSL_CTX_load_verify_locations(c, authority.c_str(), nullptr) != 1) fail("cannot read the authority's certificate " + authority.string());
    if (SSL_CTX_use_certificate_chain_file(c, certificate.c_str()) != 1) fail("cannot read the certificate " + certificate.string());
    if (SSL_CTX_use_PrivateKey_file(c, key.c_str(), SSL_FILETYPE_PEM) != 1) fail("cannot use the private key " + key.string());
    if (SSL_CTX_check_private_key(c) != 1) fail("the private key " + key.string() + " is not that of " + certificate.string());
    check_own(c, node, certificate.string());
}

session credentials::dialling(int fd, const std::string& node) const {
    ERR_clear_error();
    session s(SSL_new(context_.get()));
    if (!s || SSL_set_fd(s.get(), fd) != 1 || SSL_set1_host(s.get(), node.c_str()) != 1) return nullptr;
    SSL_set_hostflags(s.get(), X509_CHECK_FLAG_NO_WILDCARDS);
    SSL_set_connect_state(s.get());
    return s;
}

session credentials::accepting(int fd) const {
    ERR_clear_error();
    session s(SSL_new(context_.get()));
    if (!s || SSL_set_fd(s.get(), fd) != 1) return nullptr;
    SSL_set_app_data(s.get(), const_cast<std::set<std::string>*>(&may_dial_us_));
    SSL_set_verify(s.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, &on_the_list);
    SSL_set_accept_state(s.get());
    return s;
}

std::string peer_name(SSL* s) {
    X509* c = SSL_get0_peer_certificate(s);
    return c ? name_of(c) : std::string{};
}

std::string tls_failure(SSL* s, int returned, bool& by_name) {
    const int system = errno;
    const auto verdict = SSL_get_verify_result(s);
    by_name = verdict == X509_V_ERR_APPLICATION_VERIFICATION || verdict == X509_V_ERR_HOSTNAME_MISMATCH;
    const int kind = SSL_get_error(s, returned);
    const auto queued = ERR_peek_error();
    auto detail = queued ? last_error() : std::string{};
    ERR_clear_error();
    if (verdict == X509_V_ERR_APPLICATION_VERIFICATION) return "the certificate's name is not on the list of nodes that may dial us";
    if (verdict == X509_V_ERR_HOSTNAME_MISMATCH) return "the certificate is another node's";
    if (verdict != X509_V_OK) return std::string("the certificate is refused: ") + X509_verify_cert_error_string(verdict);
    if (kind == SSL_ERROR_ZERO_RETURN) return "the other side ended the link";
    if (!detail.empty()) return "TLS: " + detail;
    if (kind == SSL_ERROR_SYSCALL && system != 0) return std::strerror(system);
    return "the connection was closed";
}

} // namespace souk::carrier
