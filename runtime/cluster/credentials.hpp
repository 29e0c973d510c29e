// Internal. This node's certificate and the cluster's authority, loaded once; every TLS session of the carrier is made here.
#pragma once
#include <filesystem>
#include <memory>
#include <set>
#include <string>

#include <openssl/ssl.h>

namespace souk::carrier {

struct free_tls {
    void operator()(SSL* s) const { SSL_free(s); }
    void operator()(SSL_CTX* c) const { SSL_CTX_free(c); }
};
using session = std::unique_ptr<SSL, free_tls>;

class credentials {
public:
    // Throws std::runtime_error that says which file and why: unreadable, expired, of another authority, of another node.
    credentials(const std::string& node, const std::filesystem::path& certificate, const std::filesystem::path& key,
                const std::filesystem::path& authority, std::set<std::string> may_dial_us);

    // TLS 1.3 only, both sides show a certificate of the authority. Dialling: it must name `node`. Accepting: a node that may dial us.
    session dialling(int fd, const std::string& node) const;
    session accepting(int fd) const;

private:
    std::unique_ptr<SSL_CTX, free_tls> context_;
    std::set<std::string> may_dial_us_;
};

// The one name in the peer's certificate: its only DNS name, or its common name when it has none. "" when there is no single one.
std::string peer_name(SSL*);
// Why the last call on this session failed, in words; `by_name`: for the sake of the certificate's name. Clears OpenSSL's error queue.
std::string tls_failure(SSL*, int returned, bool& by_name);

} // namespace souk::carrier
