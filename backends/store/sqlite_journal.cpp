#include <souk/backends/store/journal.hpp>

#include <algorithm>
#include <utility>

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

namespace souk {

namespace {

// A prepared statement, reset after each use. Any answer but ROW and DONE is thrown.
class statement {
public:
    statement(sqlite3* db, const char* sql) : db_(db) {
        if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &raw_, nullptr) != SQLITE_OK) fail();
    }
    statement(const statement&) = delete;
    statement& operator=(const statement&) = delete;
    ~statement() { sqlite3_finalize(raw_); }

    template <class... Ts>
    statement& bind(const Ts&... xs) {
        reset();
        int at = 0;
        (bind_one(++at, xs), ...);
        return *this;
    }
    bool row() { // false: no more, and the statement is ready for its next use
        const int rc = sqlite3_step(raw_);
        if (rc == SQLITE_ROW) return true;
        sqlite3_reset(raw_);
        if (rc != SQLITE_DONE) fail();
        return false;
    }
    void reset() { sqlite3_reset(raw_); }
    std::uint64_t number(int column) const { return static_cast<std::uint64_t>(sqlite3_column_int64(raw_, column)); }
    std::string bytes(int column) const {
        const auto* data = static_cast<const char*>(sqlite3_column_blob(raw_, column));
        return {data ? data : "", static_cast<std::size_t>(sqlite3_column_bytes(raw_, column))};
    }

private:
    void bind_one(int at, std::uint64_t n) { sqlite3_bind_int64(raw_, at, static_cast<sqlite3_int64>(n)); }
    void bind_one(int at, std::string_view s) { sqlite3_bind_blob64(raw_, at, s.data(), s.size(), SQLITE_STATIC); }
    [[noreturn]] void fail() const { throw std::runtime_error(sqlite3_errmsg(db_)); }

    sqlite3* db_;
    sqlite3_stmt* raw_ = nullptr;
};

std::uint64_t milliseconds_of(instant t) { return static_cast<std::uint64_t>(t.time_since_epoch().count()); }
instant instant_of(std::uint64_t milliseconds) { return instant{std::chrono::milliseconds{static_cast<std::int64_t>(milliseconds)}}; }

constexpr std::uint64_t layout = 1; // of the tables below

struct closer {
    void operator()(sqlite3* db) const { sqlite3_close(db); }
};
std::unique_ptr<sqlite3, closer> open(const std::filesystem::path& file) {
    // Its owner's alone, whatever the umask: SQLite makes the log beside it with the same mode.
    if (const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600); fd >= 0) ::fchmod(fd, 0600), ::close(fd);
    sqlite3* raw = nullptr;
    const int rc = sqlite3_open_v2(file.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
    std::unique_ptr<sqlite3, closer> db(raw);
    // The exclusive lock keeps a second node off the same journal, and spares WAL its shared memory. Facts go to the end of
    // one table and point back at the one before: a table clustered by stream dirties a page for each writing entity.
    const char* set_up = "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                         "PRAGMA wal_autocheckpoint=4000;"
                         "CREATE TABLE IF NOT EXISTS stream(id INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE,"
                         " last INTEGER NOT NULL, newest INTEGER NOT NULL, closed INTEGER NOT NULL);"
                         "CREATE TABLE IF NOT EXISTS event(id INTEGER PRIMARY KEY, before INTEGER NOT NULL, at INTEGER NOT NULL, bytes BLOB NOT NULL);"
                         // Of the facts up to `at`, those up to `dropped` are no longer there.
                         "CREATE TABLE IF NOT EXISTS snapshot(stream INTEGER PRIMARY KEY, at INTEGER NOT NULL, made INTEGER NOT NULL,"
                         " dropped INTEGER NOT NULL, bytes BLOB NOT NULL);"
                         // What a start reads, however much has ended; and what compaction will find.
                         "CREATE INDEX IF NOT EXISTS open_stream ON stream(name) WHERE closed = 0;"
                         "CREATE INDEX IF NOT EXISTS to_compact ON snapshot(made) WHERE dropped < at;"
                         // Those that ended, in the order of their last facts.
                         "CREATE INDEX IF NOT EXISTS ended_stream ON stream(newest) WHERE closed = 1;";
    if (rc != SQLITE_OK || sqlite3_exec(raw, set_up, nullptr, nullptr, nullptr) != SQLITE_OK)
        throw std::runtime_error("cannot open journal " + file.string() + ": " + (raw ? sqlite3_errmsg(raw) : "no memory"));
    statement written_by(raw, "PRAGMA user_version");
    if (!written_by.row() || written_by.number(0) > layout) throw std::runtime_error("cannot open journal " + file.string() + ": a newer program has written it");
    written_by.reset();
    statement(raw, ("PRAGMA user_version = " + std::to_string(layout)).c_str()).row();
    return db;
}

} // namespace

class sqlite_journal::database {
public:
    explicit database(const std::filesystem::path& file) : db_(open(file)) {}

    void begin() { begin_.row(); }
    void commit() { commit_.row(); }
    void roll_back() noexcept { sqlite3_exec(db_.get(), "ROLLBACK", nullptr, nullptr, nullptr); }

    append_answer append(const append_request& what) {
        const bool known = find_.bind(what.stream).row();
        const auto id = known ? find_.number(0) : 0, last = known ? find_.number(1) : 0;
        auto newest = known ? find_.number(2) : 0;
        find_.reset();
        if (last != what.expected) return {stored::conflict, read(folded(id), last, newest)};
        if (what.events.empty()) return {stored::yes, {}};
        for (const auto& bytes : what.events) event_.bind(newest, milliseconds_of(what.at), bytes).row(), newest = inserted();
        const std::uint64_t now_last = last + what.events.size(), closed = what.closes;
        if (known) update_.bind(now_last, newest, closed, id).row();
        else insert_.bind(what.stream, now_last, newest, closed).row();
        if (what.snapshot) snapshot_.bind(known ? id : inserted(), now_last, milliseconds_of(what.at), *what.snapshot).row();
        return {stored::yes, {}};
    }
    // The facts after what `h` begins with.
    history read(history h, std::uint64_t last, std::uint64_t newest) {
        for (auto seq = last; seq > h.snapshot_at; --seq) {
            if (!one_.bind(newest).row()) throw std::runtime_error("the journal lacks a fact that it once kept");
            newest = one_.number(0);
            h.facts.push_back({instant_of(one_.number(1)), one_.bytes(2)});
            one_.reset();
        }
        std::reverse(h.facts.begin(), h.facts.end());
        return h;
    }
    void open_streams(std::string_view kind, const visitor& visit) {
        const std::string from = std::string(kind) + '/', to = std::string(kind) + '0'; // '0' follows '/'
        for (open_.bind(from, to); open_.row();) {
            history h;
            if (const auto at = open_.number(3); at > 0) h = {at, instant_of(open_.number(4)), open_.bytes(5), {}};
            visit(open_.bytes(0).substr(from.size()), read(std::move(h), open_.number(1), open_.number(2)));
        }
    }
    history past(const std::string& stream) {
        const bool known = find_.bind(stream).row();
        const auto id = known ? find_.number(0) : 0, last = known ? find_.number(1) : 0, newest = known ? find_.number(2) : 0;
        find_.reset();
        if (!known) return {};
        const bool whole = !folded_.bind(id).row() || folded_.number(3) == 0;
        folded_.reset();
        return read(whole ? history{} : folded(id), last, newest);
    }
    std::size_t compact(instant older_than, std::size_t most) {
        std::vector<std::uint64_t> streams;
        for (foldable_.bind(milliseconds_of(older_than), static_cast<std::uint64_t>(most)); foldable_.row();) streams.push_back(foldable_.number(0));
        for (const auto id : streams) {
            if (!whole_.bind(id).row()) throw std::runtime_error("the journal lacks a stream that it has a snapshot of");
            const auto last = whole_.number(0), at = whole_.number(2), dropped = whole_.number(3);
            auto newest = whole_.number(1);
            whole_.reset();
            for (auto seq = last; seq > dropped; --seq) {
                if (!before_.bind(newest).row()) throw std::runtime_error("the journal lacks a fact that it once kept");
                const auto one = std::exchange(newest, before_.number(0));
                before_.reset();
                if (seq <= at) drop_.bind(one).row();
            }
            dropped_.bind(id).row();
        }
        return streams.size();
    }
    std::vector<std::string> newest(std::string_view kind, std::size_t most) {
        const std::string from = std::string(kind) + '/', to = std::string(kind) + '0';
        std::vector<std::string> found;
        for (newest_.bind(from, to, static_cast<std::uint64_t>(most)); newest_.row();) found.push_back(newest_.bytes(0).substr(from.size()));
        return found;
    }
    std::uint64_t ended(const std::vector<std::string_view>& kinds, std::uint64_t mark, std::size_t most, const visitor& visit) {
        struct end { std::string name; std::uint64_t newest; };
        std::vector<end> all;
        for (ended_.bind(mark, static_cast<std::uint64_t>(most)); ended_.row();) all.push_back({ended_.bytes(0), ended_.number(1)});
        for (auto& one : all) {
            const auto kind = std::string_view(one.name).substr(0, one.name.find('/'));
            if (std::find(kinds.begin(), kinds.end(), kind) != kinds.end()) visit(one.name, past(one.name));
            mark = one.newest;
        }
        return mark;
    }

private:
    history folded(std::uint64_t id) {
        history h;
        if (folded_.bind(id).row()) h = {folded_.number(0), instant_of(folded_.number(1)), folded_.bytes(2), {}};
        folded_.reset();
        return h;
    }
    std::uint64_t inserted() const { return static_cast<std::uint64_t>(sqlite3_last_insert_rowid(db_.get())); }

    std::unique_ptr<sqlite3, closer> db_;
    statement begin_{db_.get(), "BEGIN IMMEDIATE"};
    statement commit_{db_.get(), "COMMIT"};
    statement find_{db_.get(), "SELECT id, last, newest FROM stream WHERE name = ?"};
    statement insert_{db_.get(), "INSERT INTO stream(name, last, newest, closed) VALUES(?, ?, ?, ?)"};
    statement update_{db_.get(), "UPDATE stream SET last = ?, newest = ?, closed = ? WHERE id = ?"};
    statement event_{db_.get(), "INSERT INTO event(before, at, bytes) VALUES(?, ?, ?)"};
    statement one_{db_.get(), "SELECT before, at, bytes FROM event WHERE id = ?"};
    statement snapshot_{db_.get(), "INSERT INTO snapshot(stream, at, made, dropped, bytes) VALUES(?, ?, ?, 0, ?)"
                                   " ON CONFLICT(stream) DO UPDATE SET at = excluded.at, made = excluded.made, bytes = excluded.bytes"};
    statement folded_{db_.get(), "SELECT at, made, bytes, dropped FROM snapshot WHERE stream = ?"};
    statement open_{db_.get(), "SELECT name, last, newest, at, made, bytes FROM stream INDEXED BY open_stream LEFT JOIN snapshot ON snapshot.stream = stream.id"
                               " WHERE name >= ? AND name < ? AND closed = 0"};
    statement foldable_{db_.get(), "SELECT stream FROM snapshot INDEXED BY to_compact WHERE made < ? AND dropped < at LIMIT ?"};
    statement whole_{db_.get(), "SELECT last, newest, at, dropped FROM stream JOIN snapshot ON snapshot.stream = stream.id WHERE stream.id = ?"};
    statement before_{db_.get(), "SELECT before FROM event WHERE id = ?"};
    // Never the last of all: its number would be given to another, and who reads on from an end that he has seen would miss that one.
    statement drop_{db_.get(), "DELETE FROM event WHERE id = ? AND id < (SELECT max(id) FROM event)"};
    statement dropped_{db_.get(), "UPDATE snapshot SET dropped = at WHERE stream = ?"};
    statement ended_{db_.get(), "SELECT name, newest FROM stream INDEXED BY ended_stream WHERE closed = 1 AND newest > ? ORDER BY newest LIMIT ?"};
    statement newest_{db_.get(), "SELECT name FROM stream WHERE name >= ? AND name < ? ORDER BY id DESC LIMIT ?"};
};

sqlite_journal::sqlite_journal(const std::filesystem::path& file)
    : db_(std::make_unique<database>(file)), writer_([this] { write_until_stopped(); }) {}

sqlite_journal::~sqlite_journal() {
    {
        const std::lock_guard hold(guard_);
        stopping_ = true;
    }
    arrived_.notify_one();
    writer_.join();
}

void sqlite_journal::append(append_request what, done tell) {
    {
        const std::lock_guard hold(guard_);
        waiting_.push_back({std::move(what), std::move(tell), {}});
    }
    arrived_.notify_one();
}

void sqlite_journal::open_streams(std::string_view kind, const visitor& visit) {
    const std::lock_guard hold(connection_);
    if (!sound_) throw std::runtime_error("the journal failed to write: only a new process may read it");
    db_->open_streams(kind, visit);
}

history sqlite_journal::past(std::string_view kind, const std::string& key) {
    const std::lock_guard hold(connection_);
    if (!sound_) throw std::runtime_error("the journal failed to write: only a new process may read it");
    return db_->past(std::string(kind) + '/' + key);
}

std::vector<std::string> sqlite_journal::newest(std::string_view kind, std::size_t most) {
    const std::lock_guard hold(connection_);
    if (!sound_) throw std::runtime_error("the journal failed to write: only a new process may read it");
    return db_->newest(kind, most);
}

std::uint64_t sqlite_journal::ended(const std::vector<std::string_view>& kinds, std::uint64_t mark, std::size_t most, const visitor& visit) {
    const std::lock_guard hold(connection_);
    if (!sound_) throw std::runtime_error("the journal failed to write: only a new process may read it");
    return db_->ended(kinds, mark, most, visit);
}

std::size_t sqlite_journal::compact(instant older_than, std::size_t most) {
    const std::lock_guard hold(connection_);
    if (!sound_) return 0;
    try {
        db_->begin();
        const auto n = db_->compact(older_than, most);
        db_->commit();
        return n;
    } catch (const std::exception&) { // as in `write`
        sound_ = false;
        db_->roll_back();
        return 0;
    }
}

bool sqlite_journal::crowded() const {
    const std::lock_guard hold(guard_);
    return waiting_.size() >= most_waiting;
}

sqlite_journal::figures sqlite_journal::so_far() const {
    const std::lock_guard hold(guard_);
    return figures_;
}

bool sqlite_journal::sound() const { return sound_; }

bool sqlite_journal::write(std::vector<job>& batch) {
    const std::lock_guard hold(connection_);
    if (!sound_) return false;
    try {
        db_->begin();
        for (auto& each : batch) each.answer = db_->append(each.what);
        db_->commit();
    } catch (const std::exception&) { // disk full, I/O error, failed sync: SQLite's own state cannot be trusted either
        sound_ = false;
        db_->roll_back();
    }
    return sound_;
}

void sqlite_journal::write_until_stopped() {
    for (std::vector<job> batch;; batch.clear()) {
        {
            std::unique_lock hold(guard_);
            arrived_.wait(hold, [this] { return stopping_ || !waiting_.empty(); });
            if (waiting_.empty()) return;
            batch.swap(waiting_);
        }
        const bool kept = write(batch);
        {
            const std::lock_guard hold(guard_);
            ++figures_.transactions;
            for (const auto& each : batch) figures_.events += each.what.events.size();
        }
        for (auto& each : batch) each.tell(kept ? std::move(each.answer) : append_answer{});
    }
}

} // namespace souk
