// A private certificate authority: for the cluster (souk cluster init), and for development doors. P-256, X.509 v3.
#pragma once
#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include <souk/messages/result.hpp>

namespace souk::tls {

struct identity { // PEM
    std::string certificate, key;
};
struct leaf {
    std::string common_name;               // the node's name, in a cluster
    std::vector<std::string> dns, ips;     // subjectAltName
    bool server = true, client = false;    // extendedKeyUsage
    std::chrono::hours valid{24 * 365};
};

identity make_authority(const std::string& common_name, std::chrono::hours valid = std::chrono::hours{24 * 3650});
identity issue(const identity& authority, const leaf&);
// For enrolment: the key never leaves the node that made it.
std::string make_request(std::string& key_pem, const std::string& common_name);
result<std::string> sign_request(const identity& authority, const std::string& csr_pem, const leaf&); // the CSR's key, our names
std::string fingerprint(const std::string& certificate_pem); // SHA-256, hex
std::string subject_hash(const std::string& certificate_pem); // as `openssl x509 -hash`, 8 hex digits

void write_secret(const std::filesystem::path&, std::string_view); // 0600, fsynced, renamed into place
std::string read_file(const std::filesystem::path&, std::size_t largest = 1 << 20); // throws std::runtime_error

} // namespace souk::tls
