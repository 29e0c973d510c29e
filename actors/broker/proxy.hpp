// The workload-identity reverse proxy: a machine's token, then the account's RBAC records, then their schema, then the account's grant.
// Lives in one thread: everything comes back by `post`. Its refusals are HTTP answers {error, message, source: "souk"}.
#pragma once
#include <souk/actors/broker/grants.hpp>
#include <souk/actors/broker/issuer_keys.hpp>
#include <souk/backends/records/network.hpp>
#include <souk/messages/actors.hpp>
#include <souk/messages/rbac.hpp>

namespace souk {

// The parts of a workload token that say where to look before it can be verified. Nothing is believed yet.
struct unverified_token {
    std::string issuer, audience;
    std::string account; // DID in the audience
};
// Codes "bad_token", "bad_audience", "wrong_issuer" (it names none).
result<unverified_token> peek(std::string_view token);

// The records that can be read; the others grant nothing.
std::vector<rbac> readable(const std::vector<stored_record>&);
// Whether some role names this issuer. Only such an issuer is ever asked for keys, and only for its own tokens.
bool is_candidate(const std::vector<rbac>&, std::string_view issuer);

class write_proxy {
public:
    struct ports {
        post_to_self post;
        record_network& records;
        http::fetcher fetch;
        const grant_book& grants;
        const crypto::secret& signing; // this relay's
        std::string did;               // this relay's
        std::function<instant()> now;
        std::chrono::milliseconds issuer_cache{std::chrono::minutes{5}};
        bool allow_http = false;
    };
    using reply = std::function<void(proxied_answer)>;

    static constexpr std::size_t most_under_way = 256; // writes
    static constexpr std::size_t largest_body = 256 * 1024;

    explicit write_proxy(ports);
    void handle(proxied_write, reply);

private:
    struct job;
    using shared = std::shared_ptr<job>;

    void load_rbac(const shared&);
    void verify(const shared&, const value& jwks, bool may_ask_again);
    void authorise(const shared&, const std::string& subject);
    void find_host(const shared&, const credential::grant&);
    void forward(const shared&, const std::string& host, const std::string& grant_token);

    ports out_;
    issuer_keys keys_;
    std::size_t under_way_ = 0;
};

} // namespace souk
