// The keys of workload issuers, fetched when first needed and kept for a while. Lives in one thread: everything comes back by `post`.
#pragma once
#include <map>

#include <souk/actors/common/turn.hpp>
#include <souk/backends/http/client.hpp>

namespace souk {

class issuer_keys {
public:
    struct ports {
        post_to_self post;
        http::fetcher fetch;
        std::function<instant()> now;
        std::chrono::milliseconds cache{std::chrono::minutes{5}};
        bool allow_http = false; // development
    };
    using then = std::function<void(const result<value>& jwks)>;

    static constexpr std::size_t most_issuers = 256;
    static constexpr std::chrono::milliseconds again_after{10'000}; // fetched anew for an unknown key at most this often

    explicit issuer_keys(ports p) : out_(std::move(p)) {}

    // Codes "bad_issuer", "bad_discovery", "bad_jwks", "issuer_unreachable", "not_now".
    void get(const std::string& issuer, then);
    // A token names a key that is not in the set that we have: there may be a newer one.
    void get_newer(const std::string& issuer, then);

private:
    struct entry {
        std::optional<value> jwks;
        instant fetched;
        std::vector<then> waiting; // not empty: a fetch is under way
    };

    entry* room_for(const std::string& issuer);
    void start(const std::string& issuer, entry&, then);
    void fetch(const std::string& issuer, std::string url, void (issuer_keys::*next)(const std::string&, const http::response&));
    void discovered(const std::string& issuer, const http::response&);
    void fetched(const std::string& issuer, const http::response&);
    void finish(const std::string& issuer, result<value>);

    ports out_;
    std::map<std::string, entry> all_;
};

} // namespace souk
