// Reads the marks of whoever stands close enough to count: self's first, then those of his circle, a step at a time, each repository by itself
// and kept for a while. In its actor's own turn; it has no thread and no clock.
#pragma once
#include <array>
#include <deque>
#include <set>

#include <souk/actors/common/turn.hpp>
#include <souk/actors/policy/chain.hpp>
#include <souk/backends/records/network.hpp>

namespace souk::policy {

struct reading {
    std::string self;
    std::function<instant()> now;
    std::chrono::milliseconds own, others; // how long what was read is believed
    std::chrono::milliseconds within;      // of one batch of questions
    std::size_t at_once = 16;              // repositories
    std::size_t most = 2'000;              // of one circle; the marks of the rest count as unread
};

class mark_reader {
public:
    using later = std::function<void(std::chrono::milliseconds, std::function<void()>)>;
    using then = std::function<void(const result<void>&)>;
    static constexpr std::size_t most_waiting = 10'000; // questions

    mark_reader(reading r, record_network& net, post_to_self post, later after);

    // What was read, and of whom it could not be. Its other members are the asker's.
    facts known;
    // Runs `f` when everybody within so many steps of self has been looked at, or cannot be: at once where that is known. The refusal says
    // that not even self's own marks are known.
    void look(unsigned steps, then f);
    // He wrote something, or took it back.
    void forget(const std::string& did);

private:
    struct page {
        std::optional<instant> read, failed;
        std::uint64_t batch = 0; // in which it was read, or could not be
        bool under_way = false, stale = false;
    };
    bool fresh(const std::string& did) const;
    std::vector<std::string> missing() const;
    void advance();
    void pump();
    void start(const std::string& did);
    void heard(const std::string& did, const result<std::vector<stored_record>>&);
    void time_is_over();
    void release(const result<void>&);

    static constexpr std::chrono::milliseconds failure_holds{5'000};
    static constexpr std::size_t most_pages = 8'000; // four circles: what is older goes, and is read again where it counts
    static constexpr std::size_t most_records = 1'000; // as many as record_network::list gives: there may be more

    reading how_;
    record_network& net_;
    post_to_self post_;
    later after_;
    std::map<std::string, page> pages_;
    std::vector<then> waiting_;
    unsigned steps_ = 0; // of those that wait
    std::deque<std::string> queue_;
    std::size_t under_way_ = 0;
    std::uint64_t batch_ = 1; // an answer to an earlier one, already given up, is not believed
    std::array<std::optional<instant>, deepest + 1> complete_until_; // by steps: nobody has to be looked at before that
};

} // namespace souk::policy
