// The tunnel broker's two doors: SSH (libssh) for machines that open reverse tunnels, HTTPS for visitors of their names.
// protocol: ssh -NnT -p 2222 -R SERVICE:80:127.0.0.1:8080 HANDLE@relay ; https://SERVICE--HANDLE.domain/
#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <souk/backends/limits.hpp>
#include <souk/messages/result.hpp>

namespace souk::tunnel {

struct grant { // what an account may open with one key
    std::string did;
    std::vector<std::string> services; // exact names; "*": any
};

struct route_change {
    std::string label;            // "cfb3c8d2--alice-example"
    std::string did, handle, service;
    bool up = false;
};

struct broker_options {
    std::string address = "127.0.0.1";
    std::uint16_t ssh_port = 0, https_port = 0;      // 0: any
    std::filesystem::path host_key;                  // Ed25519; made 0600 when absent, kept
    std::filesystem::path certificate, key;          // PEM for *.domain
    std::string domain;                              // "localhost": names are LABEL.domain
    std::filesystem::path names_authority;           // development: makes a certificate a name; see name_certificates.hpp
    unsigned threads = 2;
    broker_limits limits;
    // The three are called on the broker's own threads: whoever blocks there blocks tunnels.
    // Who may log in as `user` (a handle or DID) with the key `blob` of `type`? Answered later, on any thread. Never cache "nobody":
    // the machine's key record may be a moment old.
    std::function<void(const std::string& user, const std::string& type, const std::string& blob,
                       std::function<void(result<grant>)>)> authorise;
    // A machine asks for a name. False: it belongs to another account. First come, first served, by DID, remembered by the caller.
    std::function<void(const route_change&, std::function<void(bool)>)> claim;
    std::function<void(const route_change&)> changed; // up or down
};

struct broker_counters {
    std::uint64_t logins = 0, refused_logins = 0, tunnels = 0, visitors = 0, refused_visitors = 0, bytes_up = 0, bytes_down = 0;
};

class broker {
public:
    explicit broker(broker_options); // listens; throws std::runtime_error
    ~broker();
    std::uint16_t ssh_port() const;
    std::uint16_t https_port() const;
    std::string host_key() const; // "ssh-ed25519 AAAA..."
    broker_counters so_far() const;
    void close_account(const std::string& did); // a grant was withdrawn

private:
    class impl;
    std::shared_ptr<impl> impl_;
};

} // namespace souk::tunnel
