// Where a node's books are kept: entries, each once, for ever; what moves no more than a promise beside them.
#pragma once
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include <souk/messages/book.hpp>

namespace souk::book {

// What is entered together, or not at all.
struct writing {
    std::vector<entry> entries; // one that is there already, by its id, is left as it is
    std::vector<label> labels;  // what they leave empty stays as it was
    std::vector<std::pair<std::string, std::int64_t>> marks; // how far those got who bring this
    std::function<void(result<void>)> kept;                  // when it is durable; may be empty. From any thread
    bool empty() const { return entries.empty() && labels.empty() && marks.empty(); }
};

struct query {
    std::optional<instant> from, to; // from then on; before then
    std::string party, contract;     // what these begin with; of a contract its CID, or what it is called here
    std::size_t most = 1'000;        // lines, the newest
    bool sums = true;                // else only what is open, and how many entries there are
};
struct line { // an entry with its labels
    details what;
    std::string own; // what the contract is called here
    std::vector<posting> postings;
};
struct balance {
    account in = account::wallet;
    std::string asset;
    wide sum = 0;
};
struct dealing { // all with one party in one asset, as far as it moved the wallet
    std::string party, asset;
    wide in = 0, out = 0;
    std::int64_t entries = 0;
};
struct outstanding {
    details what; // of the entry that it began with
    std::string own;
    account in = account::receivable;
    std::string asset;
    wide sum = 0; // positive: it is to come
};
struct page {
    std::vector<balance> before, within, all; // before the window, in it, and of all that was ever entered; each account and asset once
    std::vector<line> lines;                  // in it, the oldest first
    std::int64_t in_window = 0, entries = 0;  // how many, lines or not; and ever
    std::vector<dealing> moved;               // in it, with everybody together
    std::vector<dealing> dealings;            // with each; the thousand with the most entries
    std::vector<outstanding> open;            // now
    bool behind = false;                      // some were passed over while too many waited: they are entered at the next start at the latest
};

// Narrow on purpose: the simulator has one of its own, which loses what was not durable.
class store {
public:
    virtual ~store() = default;
    // In the order of the calls. Returns at once, unless `may_wait` and too much waits already. Without it what is too much is passed over.
    virtual void write(writing, bool may_wait) = 0;
    virtual std::int64_t mark(const std::string& name) const = 0; // as durable when it was opened; 0: none
    // After all that was given before, on any thread. Codes "books_unreadable".
    virtual void read(query, std::function<void(result<page>)>) = 0;
};

// One file, 0600; one thread writes, many in a commit: nobody's order waits for it, and the disk is asked a few times a second at most. While there
// is no room on it what is to be entered waits.
class sqlite_store final : public store {
public:
    static constexpr std::size_t most_waiting = 50'000;   // entries
    static constexpr std::int64_t largest_file = std::int64_t{8} << 30; // some twenty million entries

    explicit sqlite_store(const std::filesystem::path& file, std::function<void(const std::string&)> trouble = {}); // throws std::runtime_error
    ~sqlite_store() override; // after all that was given is kept, or could not be
    void write(writing, bool may_wait) override;
    std::int64_t mark(const std::string& name) const override;
    void read(query, std::function<void(result<page>)>) override;

private:
    class database;
    struct question {
        query what;
        std::function<void(result<page>)> tell;
        std::size_t after = 0; // so many of those that wait come before it
    };
    void work();
    bool commit(std::deque<writing>&);

    std::unique_ptr<database> db_;
    const std::function<void(const std::string&)> trouble_;
    mutable std::mutex guard_; // over the rest
    std::condition_variable arrived_, taken_;
    std::deque<writing> waiting_;
    std::size_t entries_ = 0;
    std::deque<question> asked_;
    bool hurry_ = false, stopping_ = false, behind_ = false;
    std::thread writer_;
};

} // namespace souk::book
