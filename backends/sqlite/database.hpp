// Internal. SQLite with owners and exceptions, for files of one node that must survive a crash.
#pragma once
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace souk::sqlite {

struct failure : std::runtime_error {
    failure(int c, const std::string& text) : std::runtime_error(text), code(c) {}
    bool full() const; // no room left: what was begun is undone, and what there was is still there
    int code;
};

class database {
public:
    // Opened or made 0600, in WAL with synchronous=FULL: what a commit has answered survives a loss of power.
    explicit database(const std::filesystem::path& file, std::int64_t largest_file = 0); // 0: no limit of its own
    database(database&&) = delete;
    ~database();
    void run(const char* sql);
    bool in_transaction() const;
    sqlite3* raw() const { return raw_; }

private:
    sqlite3* raw_ = nullptr;
};

// Keeps a second process off the files of the first. Throws when another has it.
class sole_owner {
public:
    explicit sole_owner(const std::filesystem::path& file); // locks FILE.lock
    sole_owner(sole_owner&&) = delete;
    ~sole_owner();

private:
    int fd_;
};

struct blob {
    std::string_view bytes;
};

// A prepared statement. `bind` resets it; texts and bytes are used in place, so they must live until the last `row`.
class statement {
public:
    statement(database&, const char* sql);
    statement(const statement&) = delete;
    ~statement();

    template <class... Ts>
    statement& bind(const Ts&... xs) {
        reset();
        int at = 0;
        (bind_one(++at, xs), ...);
        return *this;
    }
    bool row(); // false: no more, and it is ready for its next use
    void reset();
    std::int64_t number(int column) const;
    std::string text(int column) const; // or bytes

private:
    void bind_one(int at, std::int64_t n);
    void bind_one(int at, std::string_view s); // as text
    void bind_one(int at, blob b);

    sqlite3* db_;
    sqlite3_stmt* raw_ = nullptr;
};

// Rolled back unless committed.
class transaction {
public:
    explicit transaction(database& db) : db_(db) { db_.run("BEGIN IMMEDIATE"); }
    transaction(const transaction&) = delete;
    ~transaction();
    void commit() { db_.run("COMMIT"); }

private:
    database& db_;
};

} // namespace souk::sqlite
