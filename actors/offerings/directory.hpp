// Everyone's offerings as far as this node knows them: one an author, bounded, the newest that was proved. Pure.
#pragma once
#include <map>

#include <souk/actors/offerings/terms.hpp>

namespace souk::offerings {

class directory {
public:
    explicit directory(std::size_t most = 4'096) : most_(most) {}

    enum class took { kept, older, no_room };
    // `rev` is of the commit that it was proved by, `host` where its author's records are. What was proved by a later commit is not displaced, nor what
    // was taken back by one ("older"). Where all places are taken, the host whose authors hold most gives one up, if the newcomer's holds fewer:
    // whoever runs a host of a million authors keeps nobody out but himself.
    took put(offering_view, std::string rev, std::string host, instant now);
    // It is in its author's repository no more.
    void remove(const std::string& did, instant now);
    void forget_old(instant now); // those whose time is over

    const offering_view* find(const std::string& did) const;
    std::vector<const offering_view*> all(instant now) const; // those that count, by DID
    std::size_t size() const { return all_.size(); }
    std::int64_t given_up() const { return given_up_; }
    std::int64_t turned_away() const { return turned_away_; }

private:
    struct entry {
        offering_view what;
        std::string rev, host;
        bool removed = false; // remembered for a while, so that an old host does not bring it back
    };
    void drop(std::map<std::string, entry>::iterator);
    bool make_room(const std::string& host, instant now);

    std::size_t most_;
    std::map<std::string, entry> all_;         // by DID
    std::map<std::string, std::size_t> hosts_; // entries of each
    std::int64_t given_up_ = 0, turned_away_ = 0;
};

} // namespace souk::offerings
