// Who vouches for and who denounces whom, as one account sees it. Pure: marks in, standing out.
//
//   The circle   self; whom those of the circle vouch for; and so on, as many steps as are asked for. Whoever is denounced from within
//                the reach, by somebody no farther away than himself, leads no further.
//   A veto       a denouncement, or a record that cannot be read, by somebody of the circle within `reach` steps. 0: only self's own.
//   A chain      of vouches from self, at most `depth` of them. Each leaves its weight, each but the first `decay` percent of the rest.
//                Nobody with a veto on him carries one on. The best chain counts; no number of chains adds up to a better one.
//
// What is said of oneself, and in another's name, is nothing. A mark that has expired is nothing.
#pragma once
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include <souk/messages/actors.hpp>

namespace souk::policy {

// The kinds of a mark. A record that cannot be read is a mark too: it may have been meant as a denouncement.
inline constexpr const char* vouched_for = "vouch";
inline constexpr const char* denounced = "denounce";
inline constexpr const char* unreadable = "unreadable";

inline constexpr unsigned deepest = 8; // steps: of a chain, and of a veto's reach

struct vouching { // how far a vouch carries
    unsigned depth = 1;  // steps, 1 to 8
    unsigned decay = 50; // percent that each step after the first leaves
    unsigned least = 1;  // percent that has to arrive
    bool operator==(const vouching&) const = default;
};

inline bool holds(const trust_mark& m, instant now) { return !m.expires || *m.expires > now; }

class trust_graph {
public:
    static constexpr std::size_t most_marks = 100'000, most_people = 10'000;
    static constexpr std::int64_t whole = 1'000'000; // a score of 100 percent

    trust_graph() = default;
    explicit trust_graph(const std::vector<trust_mark>&);
    trust_graph(trust_graph&& o) noexcept : by_(std::move(o.by_)), marks_(o.marks_) {}
    trust_graph& operator=(trust_graph&& o) noexcept {
        by_ = std::move(o.by_), marks_ = o.marks_;
        known_.clear();
        return *this;
    }

    // All that `by` says now, instead of what he said. False: it is more than is held, and nothing of his is held now.
    bool replace(const std::string& by, std::vector<trust_mark>);
    void forget(const std::string& by);
    const std::vector<trust_mark>& of(const std::string& by) const;
    std::size_t marks() const { return marks_; }
    std::size_t people() const { return by_.size(); } // who said something

    // Those of the circle, by steps: [0] is self. Vetoes count from within `reach`.
    std::vector<std::vector<std::string>> circle(const std::string& self, unsigned steps, unsigned reach, instant now) const;
    // Closest first; none: nobody within the reach denounced him. Good until the next `replace` or `forget`, as all pointers here.
    std::vector<const trust_mark*> vetoes(const std::string& self, const std::string& about, unsigned reach, instant now) const;
    struct chain {
        std::int64_t score = 0; // of `whole`; 0: there is none
        std::vector<const trust_mark*> marks; // from self to him
    };
    chain best(const std::string& self, const std::string& about, const vouching&, unsigned reach, instant now) const;
    // What lies on some way of at most `steps` vouches from self to him, then what is said of him, then what he says.
    std::vector<trust_mark> around(const std::string& self, const std::string& about, unsigned steps, instant now) const;

private:
    struct sweep; // what follows from the marks for everybody at once, kept until they change or one of them expires
    const sweep& swept(const std::string& self, unsigned depth, unsigned decay, unsigned reach, instant now) const;
    static constexpr std::size_t most_sweeps = 16;

    std::map<std::string, std::vector<trust_mark>> by_;
    std::size_t marks_ = 0;
    mutable std::vector<std::shared_ptr<sweep>> known_;
};

} // namespace souk::policy
