// The tunnel broker's mind: who may log in, who owns which public name, and what a machine may write through this relay. Its doors (SSH,
// HTTPS) are backends/tunnel's.
#pragma once
#include <souk/actors/broker/issuer_keys.hpp>
#include <souk/backends/keys/keyring.hpp>
#include <souk/backends/records/network.hpp>
#include <souk/backends/store/journal.hpp>
#include <souk/backends/store/kept_file.hpp>
#include <souk/messages/actors.hpp>

namespace souk {

struct broker_options {
    std::string did;                // this relay's
    std::string domain;             // names are https://LABEL.domain:https_port/
    std::uint16_t https_port = 443;
    std::chrono::milliseconds issuer_cache{std::chrono::minutes{5}};
    std::function<instant()> now;
    std::function<void(const std::string& did)> close_account; // ends the tunnels of an account; from any thread
    bool allow_http = false;        // development: issuers and accounts' hosts without TLS
};

// What a broker stands on. All of it must outlive the actor and answer each call once, from any thread.
struct broker_world {
    journal& log;
    kept_file& grants; // that the accounts' credentials are kept in
    record_network& records;
    std::function<void(const std::string& handle, std::function<void(result<did_document>)>)> resolve_handle;
    std::function<void(const std::string& did)> forget; // a document that may be out of date
    http::fetcher fetch;
    const crypto::secret& signing;
};

// Throws std::runtime_error where the file of grants cannot be read.
broker_actor spawn_broker(caf::actor_system&, broker_options, broker_world);
broker_actor spawn_broker(caf::actor_system&, broker_options, journal&, kept_file& grants, record_network&, identity_resolver&, http::client&, const keyring&);

} // namespace souk
