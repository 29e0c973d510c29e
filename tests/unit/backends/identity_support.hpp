// What the tests of identities share: people with keys, operations of did:plc, hosts on loopback, a resolver that asks them.
#pragma once
#include "loopback.hpp"

#include <atomic>
#include <map>

#include <souk/backends/http/server.hpp>
#include <souk/backends/records/identity.hpp>
#include <souk/backends/tls/authority.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/json.hpp>

namespace identities {

using namespace souk;
using namespace loopback;
using crypto::curve;

struct person {
    crypto::secret rotation = crypto::generate(curve::k256), signing = crypto::generate(curve::k256);
    crypto::seal_pair seal = crypto::generate_seal_pair();
    plc::genesis_of about() const {
        return {crypto::public_of(curve::k256, rotation).value(), crypto::public_of(curve::k256, signing).value(),
                crypto::seal_did_key(seal.public32), "alice.example", "https://alice.example"};
    }
};

inline value signed_by(value::map operation, const crypto::secret& key) {
    operation.erase("sig");
    operation.emplace("sig", to_base64url(crypto::sign(curve::k256, key, encode_dag_cbor(operation)).value()));
    return operation;
}
inline value::map changed(const value& before, const std::string& handle) {
    auto next = *before.as<value::map>();
    next["alsoKnownAs"] = value::list{"at://" + handle};
    next["prev"] = cid_of(before).text();
    return next;
}
template <class T>
std::string code_of(const result<T>& r) {
    return r ? "fine" : r.error().code;
}

// The hosts of some identities: a door with TLS, and what each path answers.
struct hosts {
    directory home;
    std::mutex guard;
    std::map<std::string, http::response> pages; // "host/path"
    std::atomic<int> asked{0};
    std::unique_ptr<http::server> door;
    http::client_options trust;

    hosts() {
        const auto authority = tls::make_authority("Test CA");
        const auto leaf = tls::issue(authority, {"hosts", {"alice.example", "bob.example", "plc.example", "alice.test", "bob.test"}, {}});
        tls::write_secret(home / "ca.pem", authority.certificate);
        tls::write_secret(home / "pem", leaf.certificate);
        tls::write_secret(home / "key", leaf.key);
        http::server_options o;
        o.certificate = home / "pem", o.key = home / "key";
        http::handler h;
        h.answer = [this](http::request r, http::responder tell) {
            ++asked;
            const std::lock_guard hold(guard);
            const auto at = pages.find(std::string(r.head.get("Host")) + r.path);
            tell(at == pages.end() ? http::response{404, {}, ""} : at->second);
        };
        door = std::make_unique<http::server>(o, h);
        trust.ca_file = home / "ca.pem";
        for (const auto* name : {"alice.example", "bob.example", "plc.example", "alice.test", "bob.test"})
            trust.hosts[name] = "127.0.0.1:" + std::to_string(door->port());
    }
    void serve(const std::string& where, std::string body, unsigned status = 200) {
        const std::lock_guard hold(guard);
        pages[where] = {status, {}, std::move(body)};
    }
    void lead(const std::string& where, std::string location) {
        http::response r{302, {}, ""};
        r.head.set("Location", std::move(location));
        const std::lock_guard hold(guard);
        pages[where] = std::move(r);
    }
};

struct resolving {
    hosts net;
    std::atomic<std::int64_t> ms{1'000'000};
    http::client client{net.trust};
    identity_resolver resolver{client, {"https://plc.example", clock()}};
    std::function<instant()> clock() {
        return [this] { return instant(std::chrono::milliseconds(ms.load())); };
    }
    result<did_document> resolve(const std::string& did) {
        inbox<result<did_document>> told;
        resolver.resolve(did, [&](auto r) { told.put(std::move(r)); });
        return told.take();
    }
    result<shown_identity> show(const std::string& did) {
        inbox<result<shown_identity>> told;
        resolver.show(did, [&](auto r) { told.put(std::move(r)); });
        return told.take();
    }
    static result<did_document> handle(identity_resolver& who, const std::string& name) {
        inbox<result<did_document>> told;
        who.resolve_handle(name, [&](auto r) { told.put(std::move(r)); });
        return told.take();
    }
};

inline did_document document_for(const std::string& did, const person& who) {
    return {did,
            {"alice.example"},
            {crypto::public_of(curve::k256, who.signing).value()},
            crypto::seal_did_key(who.seal.public32),
            "https://alice.example"};
}

} // namespace identities
