// The streams of others' records that this node reads: hosts that it watches (Jetstream's frames), hosts whose commits it verifies, those that asked to be
// followed; and what a stream does not tell, which is read in the repositories. All of it goes to the node's roles by one feed.
#pragma once
#include <memory>
#include <mutex>

#include <souk/backends/http/client.hpp>
#include <souk/backends/records/network.hpp>
#include <souk/runtime/back_fill.hpp>
#include <souk/runtime/cursor_file.hpp>
#include <souk/runtime/followed_hosts.hpp>
#include <souk/runtime/note_feed.hpp>

namespace souk {

struct record_streams_options {
    std::string name;                       // of this node, in its log
    std::filesystem::path directory;        // cursors, and accounts that are still to be read
    std::vector<std::string> watch, relays; // https://host
    std::vector<std::string> wanted;        // collections
    bool sellers = false;                   // lists of accounts are asked for offerings
    std::string own_host;                   // that relays are asked to read; "": our records are signed elsewhere
    std::chrono::seconds look_every{3600};  // at those lists
    std::function<instant()> now;
};

class record_streams {
public:
    // All of these must outlive it; `followed` may be none. Nothing is read before `start`.
    record_streams(record_streams_options, http::client_options, http::client&, identity_resolver&, record_network&, note_feed&, followed_hosts* followed);
    ~record_streams();

    void start();
    void follow_too(const std::string& host); // it asked for it. What it says is verified like all streams; what it costs is one connection and a cursor
    void look_again();                        // at the lists, when that is due
    void end();                               // whoever asks for the state meanwhile finds none, and nothing new is followed
    value::list relays() const;               // how far each is

private:
    void read_commits(const std::string& host, bool asks);
    void look_for_sellers();
    void list_sellers_of(const std::string& host);
    void follow(const stored_record&, const std::shared_ptr<cursor_file>&);
    void hand_over(const stored_record&, std::function<void()> taken);
    void ask_to_crawl(const std::string& host);

    const record_streams_options options_;
    const http::client_options web_options_;
    http::client& web_;
    identity_resolver& identities_;
    record_network& network_;
    note_feed& feed_;
    followed_hosts* followed_;

    mutable std::mutex guard_; // over all that follows
    bool started_ = false, ending_ = false;
    std::vector<std::unique_ptr<record_watch>> watches_;
    std::vector<std::unique_ptr<back_fill>> fills_, lists_; // before those that ask them
    std::chrono::steady_clock::time_point looked_;          // at the lists of hosts
    std::vector<std::unique_ptr<sync_watch>> relays_;
    std::vector<std::string> relay_hosts_; // one for each of these
};

} // namespace souk
