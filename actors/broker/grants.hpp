// The grants that accounts gave to this relay, kept in one file (JSON, 0600) so that a restart keeps them. They are credentials: they go
// into that file and to the account's own host, nowhere else.
#pragma once
#include <filesystem>
#include <map>

#include <souk/actors/broker/credential.hpp>

namespace souk {

class grant_book {
public:
    static constexpr std::size_t most = 10'000; // each is a few hundred bytes, and the file is written anew each time

    explicit grant_book(std::filesystem::path file); // throws std::runtime_error where it is there and cannot be read

    // Durable when it returns. Of two for the same account and collection the later expiry stays, whichever came first.
    // Codes "not_kept" (the disk), "too_many_grants".
    result<void> keep(credential::grant, instant now);
    const credential::grant* find(const std::string& account, const std::string& collection, instant now) const;
    std::size_t size() const { return all_.size(); }

private:
    using key = std::pair<std::string, std::string>; // account, collection
    using book = std::map<key, credential::grant>;

    void read();
    result<void> write(const book&) const;

    std::filesystem::path file_;
    book all_;
};

} // namespace souk
