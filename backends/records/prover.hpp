// Internal. Records that a host listed, proven: that each is in the repository, by a commit that its account signed. Few by a proof each
// (com.atproto.sync.getRecord), many by the whole repository (getRepo), which shows besides that nothing was left out.
#pragma once
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include <souk/backends/records/identity.hpp>
#include <souk/backends/records/repository.hpp>

namespace souk::internal {

class prover : public std::enable_shared_from_this<prover> {
public:
    using list_teller = std::function<void(result<std::vector<stored_record>>)>;
    static constexpr std::size_t most_single = 64; // records; of more the repository is read

    // What is given outlives `close`. Exports wait in `directory` while they are verified.
    prover(identity_resolver&, http::client&, std::filesystem::path directory, std::function<instant()> now);
    ~prover() { close(); }
    void close(); // nothing is told any more, and nobody asked

    // One refused refuses all: "record_not_proven" (its text says why), "record_unreachable", "not_now" (four repositories are being read, and many wait),
    // "record_list_too_large". What was proven within the hour is not proven again.
    void prove(const did_document& author, const std::string& collection, std::vector<stored_record> listed, list_teller);

private:
    struct job;
    void next_single(const std::shared_ptr<job>&);
    void heard_single(const std::shared_ptr<job>&, std::size_t at, const result<http::response>&);
    void read_all(const std::shared_ptr<job>&);
    void give_back(job&); // its place among the exports, to the next that waits
    void verify_all(const std::shared_ptr<job>&);
    bool once_more(const std::shared_ptr<job>&, const refusal&);
    void begin(const std::shared_ptr<job>&);
    void end(const std::shared_ptr<job>&, result<std::vector<stored_record>>);
    bool known(const stored_record&);
    void note(const stored_record&);
    void work();

    static constexpr std::size_t at_once = 8, most_exports = 4, most_waiting = 256, most_known = 50'000;
    static constexpr std::chrono::hours holds{1};

    identity_resolver& who_;
    http::client& client_;
    const std::filesystem::path directory_;
    const std::function<instant()> now_;

    std::recursive_mutex guard_; // over what follows; held where others are asked, so that nobody is after `close`
    bool closed_ = false;
    std::map<std::string, std::pair<std::string, instant>> known_; // by URI: CID, and when it was proven
    std::size_t exports_ = 0;
    std::deque<std::shared_ptr<job>> waiting_; // for a place

    std::mutex queue_guard_;
    std::condition_variable filled_;
    std::deque<std::shared_ptr<job>> queue_; // repositories that have come
    bool stopped_ = false;
    std::thread worker_;
};

} // namespace souk::internal
