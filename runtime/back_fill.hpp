// Reads in repositories what a stream did not tell: after a gap, or where a host says that an account's state is another than what was told. What is
// found goes the way of what streams tell, twice does no harm.
#pragma once
#include <deque>
#include <functional>
#include <set>
#include <thread>

#include <souk/backends/http/called_off.hpp>
#include <souk/backends/records/network.hpp>

namespace souk {

class back_fill {
public:
    static constexpr std::size_t most_accounts = 10'000; // that wait, and of one host's list; what is beyond is passed over, and counted
    struct options {
        std::string host;                     // whose stream it was: https://host[:port]
        std::vector<std::string> collections;
        std::chrono::hours how_far{24};       // records whose keys are times before that are old news
        std::function<instant()> now;
    };
    struct counters {
        std::uint64_t accounts = 0, records = 0, unread = 0, passed_over = 0;
    };

    // `tell` is called on a thread of its own; it may wait. What is given outlives it.
    back_fill(http::client&, record_network&, options, std::function<void(const stored_record&)> tell);
    ~back_fill();

    void account(const std::string& did); // this one's
    // Everyone's of whom the host has one of the collections: com.atproto.sync.listReposByCollection, and where it does not have that, listRepos.
    void everyone();
    counters so_far() const;

private:
    void work();
    void list_accounts();
    bool list_accounts(const std::string& query, const std::string& nsid);
    void read(const std::string& did);

    http::client& web_;
    record_network& net_;
    const options options_;
    const std::function<void(const stored_record&)> tell_;

    const std::shared_ptr<http::call_off> gate_ = std::make_shared<http::call_off>(); // guards what follows, too
    std::deque<std::string> waiting_;
    std::set<std::string> known_; // those that wait
    bool everyone_ = false;
    counters count_;
    std::thread worker_; // last: it uses all of the above
};

} // namespace souk
