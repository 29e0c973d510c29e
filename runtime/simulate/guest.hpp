// What a tenant's document does inside of a machine: trades the boot token, writes the machine's key through the relay, opens a tunnel and opens
// it again. Whoever has a key in a repository of his own may do the last of that without a machine.
#pragma once
#include <souk/backends/compute/backend.hpp>
#include <souk/runtime/simulate/relay.hpp>

namespace souk::simulate {

class guest : public std::enable_shared_from_this<guest> {
public:
    // A line of a document that this one understands.
    static std::string document(const std::string& service, const std::string& handle, const std::string& account);

    guest(universe& u, books& b, relay& at, std::string machine, std::string tenant, life alive);
    void boot(const compute::order&);                      // by the order's document and files
    void serve(std::string user, std::string service);     // from now on, with this key
    value key_record(const std::string& service) const;

    // Told of a write that is not a machine's to make, and was let through.
    std::function<void(const std::string& what)> trespassed;

private:
    using again = void (guest::*)();
    void exchange();
    void publish();
    void trespass();
    void knock();
    void retry(again what);
    void post(const std::string& url, const std::string& token, value body, std::function<void(unsigned status, const value&)> then);

    universe& u_;
    books& books_;
    relay& relay_;
    http::fetcher web_;
    std::string machine_, tenant_;
    life alive_;
    std::string blob_; // of its public key
    std::string account_, user_, service_;
    std::string issuer_, boot_token_, token_;
    unsigned tries_ = 0;
};

} // namespace souk::simulate
