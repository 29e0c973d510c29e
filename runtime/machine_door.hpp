// What a machine finds at a node's open door: the issuer's documents and exchange, and the way for its records. The same for the node's door
// and for whoever else carries requests to it.
#pragma once
#include <functional>

#include <souk/backends/http/server.hpp>
#include <souk/backends/keys/keyring.hpp>
#include <souk/backends/records/identity.hpp>
#include <souk/backends/records/repository.hpp>
#include <souk/messages/actors.hpp>

namespace souk {

class machine_door {
public:
    struct parts { // what is absent answers that it is
        caf::actor_system* sys = nullptr;
        std::function<instant()> now;
        std::string did;
        const keyring* keys = nullptr;
        repository* own = nullptr;
        std::function<void(const std::string& did, std::function<void(result<did_document>)>)> resolve;
        issuer_actor issuer;
        broker_actor broker;
    };
    explicit machine_door(parts p) : p_(std::make_shared<parts>(std::move(p))) {}

    //   GET  /.well-known/{openid-configuration,jwks}       workload tokens can be verified
    //   POST /v1/oidc/issue                                 a boot token for another audience's
    //   POST /xrpc/com.atproto.repo.createRecord            a machine's record: by its workload token (relay), or by a relay with our grant
    static bool is_one(const http::request&);
    void answer(const http::request&, http::responder) const;

private:
    void issuer_document(const http::request&, http::responder) const;
    void exchange(const http::request&, http::responder) const;
    void create_record(const http::request&, http::responder) const;
    void granted_write(const http::request&, http::responder) const;

    std::shared_ptr<const parts> p_; // kept by answers that are on their way
};

} // namespace souk
