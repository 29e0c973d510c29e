// How it went with each seller before, out of this node's own journal: what rules about history are told.
#pragma once
#include <deque>
#include <map>
#include <mutex>
#include <set>

#include <souk/actors/requester/purchase.hpp>
#include <souk/backends/store/journal.hpp>

namespace souk {

// From any thread. The journal must outlive it; it is read at the first question, the newest thousand purchases of it.
class past_dealings {
public:
    explicit past_dealings(journal& log) : log_(log) {}
    dealings with(const std::string& did);
    void note(const std::string& key, const purchase::state&);

private:
    void count(const std::string& key, const purchase::state&);

    static constexpr std::size_t most_read = 1'000, most_evidence = 8;
    journal& log_;
    std::mutex guard_;
    bool read_ = false;
    std::map<std::string, dealings> by_; // whom
    std::set<std::string> counted_;      // purchases
};

} // namespace souk
