// Where facts are kept: one append-only stream an entity, made durable before anyone is told.
#pragma once
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include <souk/messages/time.hpp>

namespace souk {

struct fact {
    instant at; // when it was handed over, by the writer's clock; for people
    std::string bytes;
};

// Everything known of a stream. `facts` follow the snapshot.
struct history {
    std::uint64_t snapshot_at = 0; // facts folded into `snapshot`; 0: none
    instant snapshot_made;         // when, by the writer's clock; for people
    std::string snapshot;
    std::vector<fact> facts;
    std::uint64_t last() const { return snapshot_at + facts.size(); }
};

struct append_request {
    std::string stream;                // kind '/' key
    std::uint64_t expected = 0;        // events that the writer believes are there
    instant at;                        // now
    std::vector<std::string> events;   // may be empty: then it only asks whether `expected` is true
    bool closes = false;               // the last word: not loaded at start any more, but never forgotten
    std::optional<std::string> snapshot; // the state after `events`
};

// `unknown`: the disk did not confirm. What it holds will be seen after a restart; the writer must not go on from memory.
enum class stored : std::uint8_t { yes, conflict, unknown };

struct append_answer {
    stored how = stored::unknown;
    history found; // when `conflict`: what is there instead
};

// Narrow on purpose: the simulator has its own, which tears writes and fails to sync.
class journal {
public:
    using done = std::function<void(append_answer)>;
    using visitor = std::function<void(std::string key, history)>;

    virtual ~journal() = default;
    // Answers once, after the bytes are durable, from any thread.
    virtual void append(append_request, done) = 0;
    // Every open stream of a kind, in no order. At any time: a shard may start again while others write.
    virtual void open_streams(std::string_view kind, const visitor&) = 0;
    // Whether so much waits to be written that new work had better be refused.
    virtual bool crowded() const { return false; }
    // For people's questions: the past of one stream, whole (no snapshot) unless some of it was compacted, and the newest streams of a
    // kind, ended ones too.
    virtual history past(std::string_view kind, const std::string& key) = 0;
    virtual std::vector<std::string> newest(std::string_view kind, std::size_t most) = 0;
    // Streams that have ended, in the order in which they did: those of these kinds among the next `most` after `mark`, as `past` has them,
    // visited by their whole name. The mark to go on from, the same one where there are no more; no end ever comes before it.
    virtual std::uint64_t ended(const std::vector<std::string_view>& kinds, std::uint64_t mark, std::size_t most, const visitor&) = 0;
};

// One file, one writer thread. Everything that arrives while a transaction is syncing goes into the next one.
class sqlite_journal final : public journal {
public:
    struct figures {
        std::uint64_t transactions = 0, events = 0;
    };
    static constexpr std::size_t most_waiting = 20'000; // appends; with more than that it is crowded

    explicit sqlite_journal(const std::filesystem::path& file); // throws std::runtime_error
    ~sqlite_journal() override;                                 // after all that was handed over is written
    void append(append_request, done) override;
    void open_streams(std::string_view kind, const visitor&) override;
    bool crowded() const override;
    history past(std::string_view kind, const std::string& key) override;
    std::vector<std::string> newest(std::string_view kind, std::size_t most) override;
    std::uint64_t ended(const std::vector<std::string_view>& kinds, std::uint64_t mark, std::size_t most, const visitor&) override;
    figures so_far() const;
    // Forgets the facts that a snapshot made before `older_than` stands for, of at most so many streams, in one transaction; how many it
    // were. The room is used again by later facts: a journal grows with what is open and with what is young, and by about a kilobyte
    // for each thing that ever ended. Between two calls appends go on; killed in the middle, it is done or not.
    std::size_t compact(instant older_than, std::size_t most = 64);
    bool sound() const; // false once a write failed: every later answer is `unknown`, and only a new process can go on

private:
    struct job {
        append_request what;
        journal::done tell;
        append_answer answer;
    };
    class database;

    void write_until_stopped();
    bool write(std::vector<job>& batch); // one transaction; false: nothing is known of it, nor will be of any later one

    mutable std::mutex connection_; // guards the two below: held through a transaction
    std::unique_ptr<database> db_;
    std::atomic<bool> sound_ = true; // until the first failure: after it every append is answered `unknown`
    mutable std::mutex guard_; // guards the three below
    std::vector<job> waiting_;
    figures figures_;
    bool stopping_ = false;
    std::condition_variable arrived_;
    std::thread writer_;
};

} // namespace souk
