#include <souk/backends/sqlite/database.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <unistd.h>

namespace souk::sqlite {

namespace {

constexpr int busy_ms = 5'000; // a predecessor that is just dying

[[noreturn]] void fail(sqlite3* db) { throw failure(sqlite3_extended_errcode(db), sqlite3_errmsg(db)); }

} // namespace

bool failure::full() const { return (code & 0xff) == SQLITE_FULL; }

database::database(const std::filesystem::path& file, std::int64_t largest_file) {
    // Made here, so that it is nobody else's from its first moment; SQLite gives its companions the same mode.
    const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) throw std::runtime_error("cannot open " + file.string() + ": " + std::strerror(errno));
    ::close(fd);
    const int rc = sqlite3_open_v2(file.c_str(), &raw_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
    try {
        if (rc != SQLITE_OK) fail(raw_);
        sqlite3_busy_timeout(raw_, busy_ms);
        run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;");
        if (largest_file) {
            statement size(*this, "PRAGMA page_size");
            if (!size.row()) fail(raw_);
            run(("PRAGMA max_page_count=" + std::to_string(std::max<std::int64_t>(1, largest_file / size.number(0)))).c_str());
        }
    } catch (const std::exception& e) {
        const std::string why = e.what();
        sqlite3_close(raw_);
        throw std::runtime_error("cannot open " + file.string() + ": " + why);
    }
}
database::~database() { sqlite3_close(raw_); }

void database::run(const char* sql) {
    if (sqlite3_exec(raw_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail(raw_);
}
bool database::in_transaction() const { return sqlite3_get_autocommit(raw_) == 0; }

sole_owner::sole_owner(const std::filesystem::path& file) {
    const auto name = file.string() + ".lock";
    fd_ = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd_ < 0) throw std::runtime_error("cannot open " + name + ": " + std::strerror(errno));
    if (::flock(fd_, LOCK_EX | LOCK_NB) == 0) return;
    ::close(fd_);
    throw std::runtime_error("cannot open " + file.string() + ": another process has it open");
}
sole_owner::~sole_owner() { ::close(fd_); }

statement::statement(database& db, const char* sql) : db_(db.raw()) {
    if (sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT, &raw_, nullptr) != SQLITE_OK) fail(db_);
}
statement::~statement() { sqlite3_finalize(raw_); }

bool statement::row() {
    const int rc = sqlite3_step(raw_);
    if (rc == SQLITE_ROW) return true;
    const int code = sqlite3_extended_errcode(db_);
    const std::string why = rc == SQLITE_DONE ? "" : sqlite3_errmsg(db_);
    sqlite3_reset(raw_);
    if (rc != SQLITE_DONE) throw failure(code, why);
    return false;
}
void statement::reset() { sqlite3_reset(raw_); }
std::int64_t statement::number(int column) const { return sqlite3_column_int64(raw_, column); }
std::string statement::text(int column) const {
    const auto* data = static_cast<const char*>(sqlite3_column_blob(raw_, column));
    return {data ? data : "", static_cast<std::size_t>(sqlite3_column_bytes(raw_, column))};
}
void statement::bind_one(int at, std::int64_t n) { sqlite3_bind_int64(raw_, at, n); }
void statement::bind_one(int at, std::string_view s) {
    sqlite3_bind_text64(raw_, at, s.data() ? s.data() : "", s.size(), SQLITE_STATIC, SQLITE_UTF8);
}
void statement::bind_one(int at, blob b) {
    sqlite3_bind_blob64(raw_, at, b.bytes.data() ? b.bytes.data() : "", b.bytes.size(), SQLITE_STATIC);
}

transaction::~transaction() {
    if (db_.in_transaction())
        sqlite3_exec(db_.raw(), "ROLLBACK", nullptr, nullptr, nullptr); // a failed one undoes what there is to undo
}

} // namespace souk::sqlite
