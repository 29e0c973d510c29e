#include <souk/backends/tls/authority.hpp>

#include <fmt/format.h>
#include <openssl/ec.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <souk/backends/tls/openssl.hpp>
#include <souk/messages/bytes.hpp>

namespace souk::tls {

using namespace internal;

namespace {

constexpr std::size_t largest_request = 16 * 1024;
constexpr long backdated = 300; // seconds: a peer's clock may be behind ours
constexpr std::size_t most_names = 64;

key make_key() { return key(must(EVP_EC_gen("P-256"), "cannot make a P-256 key")); }
std::string key_pem(EVP_PKEY* k) {
    return pem_of([&](BIO* out) { return PEM_write_bio_PKCS8PrivateKey(out, k, nullptr, nullptr, 0, nullptr, nullptr); });
}
std::string certificate_pem(X509* c) {
    return pem_of([&](BIO* out) { return PEM_write_bio_X509(out, c); });
}
certificate read_certificate(const std::string& pem) {
    return certificate(must(PEM_read_bio_X509(reading(pem).get(), nullptr, no_passphrase, nullptr), "not a certificate in PEM"));
}
key read_key(const std::string& pem) {
    return key(must(PEM_read_bio_PrivateKey(reading(pem).get(), nullptr, no_passphrase, nullptr), "not a private key in PEM"));
}

name make_name(const std::string& common_name) {
    if (common_name.empty() || common_name.size() > 64)
        throw std::invalid_argument("a certificate's common name has 1 to 64 characters");
    name n(must(X509_NAME_new(), "name"));
    must(X509_NAME_add_entry_by_NID(n.get(), NID_commonName, MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(common_name.data()),
                                    static_cast<int>(common_name.size()), -1, 0) == 1,
         "the common name is not valid text");
    return n;
}

void add(X509* to, X509* issuer, int nid, const std::string& text) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, to, nullptr, nullptr, 0);
    const extension made(must(X509V3_EXT_conf_nid(nullptr, &context, nid, text.c_str()), "cannot make a certificate extension"));
    must(X509_add_ext(to, made.get(), -1) == 1, "cannot add a certificate extension");
}

// Names come from configuration and from joining nodes: they are put in as data, never through OpenSSL's little language.
void add_alternative_names(X509* to, const leaf& what) {
    if (what.dns.empty() && what.ips.empty()) return;
    if (what.dns.size() + what.ips.size() > most_names) throw std::invalid_argument("a certificate with more than 64 names");
    const std::unique_ptr<GENERAL_NAMES, freed<GENERAL_NAMES_free>> all(must(sk_GENERAL_NAME_new_null(), "names"));
    const auto push = [&](int kind, ASN1_OCTET_STRING* text) { // takes the text
        GENERAL_NAME* one = must(GENERAL_NAME_new(), "name");
        GENERAL_NAME_set0_value(one, kind, text);
        must(sk_GENERAL_NAME_push(all.get(), one) > 0, "names");
    };
    for (const auto& dns : what.dns) {
        if (dns.empty() || dns.size() > 253 ||
            dns.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_*") != dns.npos)
            throw std::invalid_argument("not a DNS name for a certificate: " + dns);
        auto* text = must(ASN1_IA5STRING_new(), "name");
        must(ASN1_STRING_set(text, dns.data(), static_cast<int>(dns.size())) == 1, "name");
        push(GEN_DNS, text);
    }
    for (const auto& ip : what.ips) {
        auto* bytes = a2i_IPADDRESS(ip.c_str());
        if (!bytes) throw std::invalid_argument("not an IP address for a certificate: " + ip);
        push(GEN_IPADD, bytes);
    }
    must(X509_add1_ext_i2d(to, NID_subject_alt_name, all.get(), 0, X509V3_ADD_DEFAULT) == 1, "cannot add names to a certificate");
}

certificate blank(const std::string& common_name, std::chrono::hours valid, EVP_PKEY* public_key) {
    certificate c(must(X509_new(), "certificate"));
    must(X509_set_version(c.get(), X509_VERSION_3) == 1, "certificate");
    unsigned char serial[16]; // 127 random bits: never negative, never twice
    must(RAND_bytes(serial, sizeof serial) == 1, "no random bytes");
    serial[0] = static_cast<unsigned char>((serial[0] & 0x7f) | 0x40);
    const std::unique_ptr<BIGNUM, freed<BN_free>> number(must(BN_bin2bn(serial, sizeof serial, nullptr), "serial"));
    must(BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(c.get())), "serial");
    const auto seconds = static_cast<long>(std::chrono::seconds(valid).count());
    must(X509_gmtime_adj(X509_getm_notBefore(c.get()), -backdated), "validity");
    must(X509_time_adj_ex(X509_getm_notAfter(c.get()), static_cast<int>(seconds / 86400), seconds % 86400, nullptr), "validity");
    must(X509_set_subject_name(c.get(), make_name(common_name).get()) == 1, "subject");
    must(X509_set_pubkey(c.get(), public_key) == 1, "public key");
    return c;
}

void sign(X509* c, EVP_PKEY* with) { must(X509_sign(c, with, EVP_sha256()) > 0, "cannot sign a certificate"); }

std::string issue_for(const identity& authority, const leaf& what, EVP_PKEY* public_key) {
    const auto issuer = read_certificate(authority.certificate);
    const auto issuer_key = read_key(authority.key);
    const auto c = blank(what.common_name, what.valid, public_key);
    must(X509_set_issuer_name(c.get(), X509_get_subject_name(issuer.get())) == 1, "issuer");
    add(c.get(), issuer.get(), NID_basic_constraints, "critical,CA:FALSE");
    add(c.get(), issuer.get(), NID_key_usage, "critical,digitalSignature");
    const std::string use = what.server && what.client ? "serverAuth,clientAuth"
                            : what.client              ? "clientAuth"
                            : what.server              ? "serverAuth"
                                                       : "";
    if (use.empty()) throw std::invalid_argument("a certificate that is neither a server's nor a client's");
    add(c.get(), issuer.get(), NID_ext_key_usage, use);
    add(c.get(), issuer.get(), NID_subject_key_identifier, "hash");
    add(c.get(), issuer.get(), NID_authority_key_identifier, "keyid:always");
    add_alternative_names(c.get(), what);
    sign(c.get(), issuer_key.get());
    return certificate_pem(c.get());
}

} // namespace

identity make_authority(const std::string& common_name, std::chrono::hours valid) {
    const auto k = make_key();
    const auto c = blank(common_name, valid, k.get());
    must(X509_set_issuer_name(c.get(), X509_get_subject_name(c.get())) == 1, "issuer");
    add(c.get(), c.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
    add(c.get(), c.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
    add(c.get(), c.get(), NID_subject_key_identifier, "hash");
    sign(c.get(), k.get());
    return {certificate_pem(c.get()), key_pem(k.get())};
}

identity issue(const identity& authority, const leaf& what) {
    const auto k = make_key();
    return {issue_for(authority, what, k.get()), key_pem(k.get())};
}

std::string make_request(std::string& key_text, const std::string& common_name) {
    const auto k = make_key();
    const signing_request r(must(X509_REQ_new(), "request"));
    must(X509_REQ_set_version(r.get(), X509_REQ_VERSION_1) == 1, "request");
    must(X509_REQ_set_subject_name(r.get(), make_name(common_name).get()) == 1, "subject");
    must(X509_REQ_set_pubkey(r.get(), k.get()) == 1, "public key");
    must(X509_REQ_sign(r.get(), k.get(), EVP_sha256()) > 0, "cannot sign a request");
    key_text = key_pem(k.get());
    return pem_of([&](BIO* out) { return PEM_write_bio_X509_REQ(out, r.get()); });
}

result<std::string> sign_request(const identity& authority, const std::string& csr, const leaf& what) {
    if (csr.size() > largest_request) return refusal{"bad_request", "a certificate request of more than 16 KiB"};
    const signing_request r(PEM_read_bio_X509_REQ(reading(csr).get(), nullptr, no_passphrase, nullptr));
    ERR_clear_error();
    if (!r) return refusal{"bad_request", "not a certificate request in PEM"};
    EVP_PKEY* asked = X509_REQ_get0_pubkey(r.get());
    const bool proven = asked && X509_REQ_verify(r.get(), asked) == 1;
    ERR_clear_error();
    if (!proven) return refusal{"bad_request", "the request is not signed by its own key"};
    char group[32] = {};
    std::size_t size = 0;
    if (EVP_PKEY_get_base_id(asked) != EVP_PKEY_EC || EVP_PKEY_get_group_name(asked, group, sizeof group, &size) != 1 ||
        std::string_view(group, size) != "prime256v1")
        return refusal{"bad_request", "the request's key is not on P-256"};
    return issue_for(authority, what, asked);
}

std::string fingerprint(const std::string& pem) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    must(X509_digest(read_certificate(pem).get(), EVP_sha256(), digest, &size) == 1, "digest");
    return to_hex({reinterpret_cast<const char*>(digest), size});
}

std::string subject_hash(const std::string& pem) {
    return fmt::format("{:08x}", X509_subject_name_hash(read_certificate(pem).get()));
}

} // namespace souk::tls
