// Reads in repositories what a stream did not tell: after a gap, where a host says that an account's state is another than what was told, or where an
// author could not be resolved when he spoke. Whoever cannot be read is tried again, later each time. What is found goes the way of what streams
// tell, twice does no harm.
#pragma once
#include <functional>
#include <thread>

#include <souk/backends/http/called_off.hpp>
#include <souk/backends/records/network.hpp>
#include <souk/runtime/unread_accounts.hpp>

namespace souk {

class back_fill {
public:
    static constexpr std::size_t most_accounts = 10'000; // that wait, and of one host's list; what is beyond is passed over, and counted
    struct options {
        std::string host;                     // whose stream it was: https://host[:port]
        std::vector<std::string> collections;
        std::chrono::hours how_far{24};       // records whose keys are times before that are old news
        std::function<instant()> now;
        std::filesystem::path file = {};      // who is still to be read, over a restart; empty: forgotten then
        std::function<void(const std::string& did)> found = {}; // of an account: told instead of reading it here. May be empty
        std::size_t pages_of_all = 100; // of a thousand accounts each, where the host knows no list by collection
    };
    struct counters {
        std::uint64_t accounts = 0, records = 0, unread = 0; // read; told; could not be read, each time that it was tried
        std::uint64_t passed_over = 0, given_up = 0;         // for want of room; because what they said is old news by now
        std::uint64_t waiting = 0, failing = 0;              // now
    };

    // `tell` is called on a thread of its own; it may wait. What is given outlives it.
    back_fill(http::client&, record_network&, options, std::function<void(const stored_record&)> tell);
    ~back_fill();

    void account(const std::string& did); // this one's
    // Everyone's of whom the host has one of the collections: com.atproto.sync.listReposByCollection, and where it does not have that, listRepos.
    void everyone();
    void look(); // the clock was moved: somebody's turn may have come
    counters so_far() const;

private:
    void work();
    void list_accounts();
    bool list_accounts(const std::string& query, const std::string& nsid, std::size_t most_pages);
    bool read(const std::string& did); // false: try again later

    http::client& web_;
    record_network& net_;
    const options options_;
    const std::function<void(const stored_record&)> tell_;

    const std::shared_ptr<http::call_off> gate_ = std::make_shared<http::call_off>(); // guards what follows, too
    unread_accounts accounts_;
    counters count_;
    std::thread worker_; // last: it uses all of the above
};

} // namespace souk
