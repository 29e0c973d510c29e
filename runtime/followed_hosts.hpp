// Hosts whose streams are followed because they asked for it (com.atproto.sync.requestCrawl): who may, how many, and which, across restarts.
#pragma once
#include <filesystem>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include <souk/backends/http/message.hpp>
#include <souk/messages/result.hpp>

namespace souk {

class followed_hosts {
public:
    static constexpr std::size_t most = 64;

    struct options {
        std::filesystem::path file;      // a JSON list of names
        std::vector<std::string> allowed; // names, ".example.com" for all below it, "*" for any; empty: nobody may ask
        std::set<std::string> known;     // followed by configuration, and this node's own: asking for them changes nothing
        bool development = false;        // localhost and the like, with ports, are names too
    };
    // Reads the file; names in it that may not be followed any more are let go. Throws std::runtime_error: it is damaged.
    explicit followed_hosts(options);

    std::vector<std::string> all() const; // "https://name[:port]"
    // True: it is new, and kept. Codes "InvalidRequest" (no name of a host), "HostBanned" (may not), "not_now" (so many are followed already; the disk).
    result<bool> ask(const std::string& hostname);

private:
    bool may(const std::string& hostname) const;
    result<void> check(const std::string& hostname) const;
    bool keep() const;

    const options options_;
    mutable std::mutex guard_;
    std::set<std::string> all_;
};

// POST com.atproto.sync.requestCrawl {hostname}: 200, or the above. `follow` is told of each that is new.
http::response answer_request_crawl(followed_hosts&, const http::request&, const std::function<void(const std::string& host)>& follow);

} // namespace souk
