// The grants that accounts gave to this relay, kept in one file (JSON, 0600) so that a restart keeps them. They are credentials: they go
// into that file and to the account's own host, nowhere else. Lives in one thread: what the file says comes back by `post`.
#pragma once
#include <map>
#include <vector>

#include <souk/actors/broker/credential.hpp>
#include <souk/actors/common/turn.hpp>
#include <souk/backends/store/kept_file.hpp>

namespace souk {

class grant_book {
public:
    using key = std::pair<std::string, std::string>; // account, collection
    using book = std::map<key, credential::grant>;
    using told = std::function<void(result<void>)>;

    static constexpr std::size_t most = 10'000; // each is a few hundred bytes, and the file is written anew each time
    static constexpr std::size_t most_waiting = 1'000; // for a write that is under way: they are written together after it

    static book read(const kept_file&); // throws std::runtime_error where it is there and cannot be read
    grant_book(kept_file& file, book known, post_to_self post) : file_(file), post_(std::move(post)), all_(std::move(known)) {}

    // Durable, and found from then on, when `then` says so. Of two for the same account and collection the later expiry stays, whichever
    // came first. Codes "not_kept" (the disk), "too_many_grants", "not_now".
    void keep(credential::grant, instant now, told then);
    const credential::grant* find(const std::string& account, const std::string& collection, instant now) const;
    std::size_t size() const { return all_.size(); }

private:
    struct wish {
        credential::grant what;
        told then;
    };
    void write(instant now);
    void written(book next, const std::vector<told>& all, const result<void>& how, instant now);

    kept_file& file_;
    post_to_self post_;
    book all_; // as the file has it
    std::vector<wish> waiting_;
    bool writing_ = false;
};

} // namespace souk
