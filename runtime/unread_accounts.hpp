// Whose repository is still to be read: new ones first, those that could not be read again after doubling pauses, until it is no use any more. Kept in a
// file, so that a restart forgets nobody. No clock and no thread of its own.
#pragma once
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <string>

#include <souk/messages/time.hpp>

namespace souk {

class unread_accounts {
public:
    struct options {
        std::filesystem::path file;         // empty: nothing is kept
        std::chrono::milliseconds no_use{}; // after so long somebody is given up
        std::size_t most = 10'000;          // beyond that, whoever has been tried most often makes room
    };
    struct counters {
        std::size_t waiting = 0, failing = 0; // now: all, and of those the ones that could not be read when they were tried
        std::uint64_t given_up = 0, passed_over = 0; // for their age; for want of room
    };
    unread_accounts(options, instant now);

    void add(const std::string& did, instant now); // in the file when it returns
    void add_everyone();                           // of the host, to be listed
    std::optional<std::string> take(instant now);  // whose turn it is, until `read` or `failed` is said of him. "": everyone
    void read(const std::string& did);
    void failed(const std::string& did, instant now);
    std::optional<instant> next() const; // when it will be somebody's turn; none: nobody waits
    counters so_far() const;

private:
    static constexpr std::chrono::milliseconds first_pause{5'000}, longest_pause{600'000};
    struct account {
        instant since, next;
        std::chrono::milliseconds pause{0}; // 0: not tried yet
        bool out = false;                   // taken
        bool again = false;                 // and named once more since then
    };
    void load(instant now);
    void line(char what, const std::string& did, instant since);
    void write_anew();
    void drop(std::map<std::string, account>::iterator);
    bool make_room();

    const options options_;
    std::map<std::string, account> all_;
    std::deque<std::string> fresh_;                         // not tried yet; some may be gone
    std::set<std::pair<instant, std::string>> tried_;       // by their next turn: the last has been tried most often, near enough
    bool everyone_ = false;
    counters count_;
    std::ofstream out_;
    std::size_t lines_ = 0;
};

} // namespace souk
