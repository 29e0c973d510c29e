#include <souk/backends/book/store.hpp>

#include <algorithm>
#include <limits>
#include <map>

#include <souk/backends/sqlite/database.hpp>

namespace souk::book {

using namespace std::chrono_literals;

namespace {

constexpr auto gathers = 50ms;  // what comes within this is kept together
constexpr auto tries_again = 1s;
constexpr std::size_t most_in_one_commit = 2'000;

constexpr const char* set_up =
    "CREATE TABLE IF NOT EXISTS asset(n INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
    "CREATE TABLE IF NOT EXISTS entry(n INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, what INTEGER NOT NULL, subject TEXT NOT NULL, contract TEXT NOT NULL,"
    " party TEXT NOT NULL, why TEXT NOT NULL, tx TEXT NOT NULL, at INTEGER NOT NULL, until INTEGER NOT NULL);"
    "CREATE INDEX IF NOT EXISTS by_time ON entry(at);"
    "CREATE TABLE IF NOT EXISTS posting(entry INTEGER NOT NULL, account INTEGER NOT NULL, asset INTEGER NOT NULL, amount INTEGER NOT NULL,"
    " PRIMARY KEY(entry, account, asset)) WITHOUT ROWID;"
    // Of each subject what is to come or to go, with the entry that it began with; at zero the row is gone.
    "CREATE TABLE IF NOT EXISTS open(subject TEXT NOT NULL, account INTEGER NOT NULL, asset INTEGER NOT NULL, amount INTEGER NOT NULL, first INTEGER NOT NULL,"
    " PRIMARY KEY(subject, account, asset)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS label(subject TEXT PRIMARY KEY, contract TEXT NOT NULL, party TEXT NOT NULL, own TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS mark(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;";

// Entries with what their labels add: a payment's label says its contract, and the contract's says who it is with. Gas is paid to the chain.
#define SOUK_NAMED_CONTRACT "coalesce(nullif(a.contract, ''), e.contract)"
#define SOUK_NAMED_PARTY "CASE WHEN e.what = 6 THEN e.party ELSE coalesce(nullif(b.party, ''), nullif(a.party, ''), e.party) END"
#define SOUK_NAMED_OWN "coalesce(nullif(b.own, ''), nullif(a.own, ''), '')"
#define SOUK_LABELS " LEFT JOIN label a ON a.subject = e.contract LEFT JOIN label b ON b.subject = a.contract"
#define SOUK_CHOSEN " WHERE e.at >= ?1 AND e.at < ?2 AND (?3 = '' OR substr(" SOUK_NAMED_PARTY ", 1, length(?3)) = ?3)" \
                    " AND (?4 = '' OR substr(" SOUK_NAMED_CONTRACT ", 1, length(?4)) = ?4 OR substr(" SOUK_NAMED_OWN ", 1, length(?4)) = ?4)"
// Sums of any number of 64 bit amounts, as two that fit.
#define SOUK_SUM(x) "sum((" x ") / 1000000000), sum((" x ") % 1000000000)"

static_assert(static_cast<int>(kind::gas) == 6, "the queries say so");

wide sum_at(const sqlite::statement& s, int column) { return static_cast<wide>(s.number(column)) * 1'000'000'000 + s.number(column + 1); }
std::int64_t ms(instant t) { return t.time_since_epoch().count(); }
instant at(std::int64_t t) { return instant{std::chrono::milliseconds{t}}; }

} // namespace

class sqlite_store::database {
public:
    explicit database(const std::filesystem::path& file) : owner_(file), db_(file, largest_file) {
        db_.run(set_up);
        at_.emplace(db_);
        for (at_->all_marks.bind(); at_->all_marks.row();) marks[at_->all_marks.text(0)] = at_->all_marks.number(1);
        for (at_->all_assets.bind(); at_->all_assets.row();) assets_[at_->all_assets.text(1)] = at_->all_assets.number(0);
    }

    void write(const std::deque<writing>& all) {
        try {
            sqlite::transaction t(db_);
            for (const auto& w : all) {
                for (const auto& e : w.entries) enter(e);
                for (const auto& l : w.labels) at_->label.bind(l.subject, l.contract, l.party, l.own).row();
                for (const auto& [name, value] : w.marks) at_->mark.bind(name, value).row();
            }
            t.commit();
        } catch (...) {
            assets_.clear(); // some may have been numbered in what is undone
            for (at_->all_assets.bind(); at_->all_assets.row();) assets_[at_->all_assets.text(1)] = at_->all_assets.number(0);
            throw;
        }
    }

    page read(const query& q) {
        page p;
        const std::int64_t from = q.from ? ms(*q.from) : std::numeric_limits<std::int64_t>::min(), to = q.to ? ms(*q.to) : std::numeric_limits<std::int64_t>::max();
        for (at_->open.bind(q.party, q.contract); at_->open.row();)
            p.open.push_back({details_in(at_->open), at_->open.text(8), static_cast<account>(at_->open.number(9)), at_->open.text(10), at_->open.number(11)});
        p.entries = one(at_->number_of_all.bind());
        if (!q.sums) return p;
        p.before = balances(std::numeric_limits<std::int64_t>::min(), from, q);
        p.within = balances(from, to, q);
        p.all = balances(std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max(), {});
        p.in_window = count(from, to, q);
        const auto dealings = [&](sqlite::statement& s, std::vector<dealing>& into) {
            for (s.bind(from, to, q.party, q.contract); s.row();) into.push_back({s.text(0), s.text(1), sum_at(s, 2), sum_at(s, 4), s.number(6)});
        };
        dealings(at_->moved, p.moved);
        dealings(at_->dealings, p.dealings);
        std::vector<std::int64_t> numbers;
        for (at_->lines.bind(from, to, q.party, q.contract, static_cast<std::int64_t>(q.most)); at_->lines.row();) {
            p.lines.push_back({details_in(at_->lines), at_->lines.text(8), {}});
            numbers.push_back(at_->lines.number(9));
        }
        std::reverse(p.lines.begin(), p.lines.end()), std::reverse(numbers.begin(), numbers.end());
        for (std::size_t i = 0; i < numbers.size(); ++i)
            for (at_->postings.bind(numbers[i]); at_->postings.row();)
                p.lines[i].postings.push_back({static_cast<account>(at_->postings.number(0)), at_->postings.text(1), at_->postings.number(2)});
        return p;
    }

    std::map<std::string, std::int64_t> marks; // when it was opened

private:
    struct statements {
        explicit statements(sqlite::database& db)
            : entry(db, "INSERT OR IGNORE INTO entry(id, what, subject, contract, party, why, tx, at, until) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)"),
              number(db, "SELECT n FROM entry WHERE id = ?"), changes(db, "SELECT changes()"),
              posting(db, "INSERT INTO posting VALUES(?, ?, ?, ?)"),
              owe(db, "INSERT INTO open VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET amount = amount + ?4, first = min(first, ?5)"),
              even(db, "DELETE FROM open WHERE subject = ? AND account = ? AND asset = ? AND amount = 0"),
              asset(db, "INSERT INTO asset(name) VALUES(?)"), new_asset(db, "SELECT n FROM asset WHERE name = ?"), all_assets(db, "SELECT n, name FROM asset"),
              label(db, "INSERT INTO label VALUES(?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET contract = coalesce(nullif(?2, ''), contract),"
                        " party = coalesce(nullif(?3, ''), party), own = coalesce(nullif(?4, ''), own)"),
              mark(db, "INSERT INTO mark VALUES(?1, ?2) ON CONFLICT DO UPDATE SET value = ?2"), all_marks(db, "SELECT name, value FROM mark"),
              balances(db, "SELECT p.account, s.name, " SOUK_SUM("p.amount") " FROM entry e JOIN posting p ON p.entry = e.n JOIN asset s ON s.n = p.asset" SOUK_LABELS SOUK_CHOSEN
                           " GROUP BY p.account, p.asset"),
              number_of_all(db, "SELECT count(*) FROM entry"), count(db, "SELECT count(*) FROM entry e" SOUK_LABELS SOUK_CHOSEN),
              dealings(db, "SELECT " SOUK_NAMED_PARTY " AS who, s.name, " SOUK_SUM("max(p.amount, 0)") ", " SOUK_SUM("max(-p.amount, 0)") ", count(*)"
                           " FROM entry e JOIN posting p ON p.entry = e.n AND p.account = 0 JOIN asset s ON s.n = p.asset" SOUK_LABELS SOUK_CHOSEN " GROUP BY who, p.asset ORDER BY count(*) DESC, who LIMIT 1000"),
              moved(db, "SELECT '', s.name, " SOUK_SUM("max(p.amount, 0)") ", " SOUK_SUM("max(-p.amount, 0)") ", count(*)"
                        " FROM entry e JOIN posting p ON p.entry = e.n AND p.account = 0 JOIN asset s ON s.n = p.asset" SOUK_LABELS SOUK_CHOSEN " GROUP BY p.asset"),
              lines(db, "SELECT e.what, e.subject, " SOUK_NAMED_CONTRACT ", " SOUK_NAMED_PARTY ", e.why, e.tx, e.at, e.until, " SOUK_NAMED_OWN ", e.n FROM entry e" SOUK_LABELS SOUK_CHOSEN
                        " ORDER BY e.at DESC, e.n DESC LIMIT ?5"),
              postings(db, "SELECT p.account, s.name, p.amount FROM posting p JOIN asset s ON s.n = p.asset WHERE p.entry = ? ORDER BY p.account"),
              open(db, "SELECT e.what, e.subject, " SOUK_NAMED_CONTRACT ", " SOUK_NAMED_PARTY ", e.why, e.tx, e.at, e.until, " SOUK_NAMED_OWN ", o.account, s.name, o.amount"
                       " FROM open o JOIN entry e ON e.n = o.first JOIN asset s ON s.n = o.asset" SOUK_LABELS
                       " WHERE (?1 = '' OR substr(" SOUK_NAMED_PARTY ", 1, length(?1)) = ?1)"
                       " AND (?2 = '' OR substr(" SOUK_NAMED_CONTRACT ", 1, length(?2)) = ?2 OR substr(" SOUK_NAMED_OWN ", 1, length(?2)) = ?2) ORDER BY e.at LIMIT 1000") {}
        sqlite::statement entry, number, changes, posting, owe, even, asset, new_asset, all_assets, label, mark, all_marks, balances, number_of_all, count, dealings, moved, lines, postings, open;
    };

    void enter(const entry& e) {
        const auto& w = e.what();
        const auto id = e.id();
        at_->entry.bind(sqlite::blob{id}, static_cast<std::int64_t>(w.what), w.subject, w.contract, w.party, w.why, w.transaction, ms(w.at), ms(w.until)).row();
        if (one(at_->changes.bind()) == 0) return; // it is there
        const auto number = one(at_->number.bind(sqlite::blob{id}));
        for (const auto& p : e.postings()) {
            const auto asset = number_of(p.asset), in = static_cast<std::int64_t>(p.in);
            at_->posting.bind(number, in, asset, p.value).row();
            if (p.in != account::receivable && p.in != account::payable) continue;
            at_->owe.bind(w.subject, in, asset, p.value, number).row();
            at_->even.bind(w.subject, in, asset).row();
        }
    }
    std::int64_t number_of(const std::string& asset) {
        if (const auto known = assets_.find(asset); known != assets_.end()) return known->second;
        at_->asset.bind(asset).row();
        return assets_[asset] = one(at_->new_asset.bind(asset));
    }
    static std::int64_t one(sqlite::statement& s) {
        s.row();
        const auto n = s.number(0);
        s.reset();
        return n;
    }
    std::vector<balance> balances(std::int64_t from, std::int64_t to, const query& q) {
        std::vector<balance> all;
        for (at_->balances.bind(from, to, q.party, q.contract); at_->balances.row();)
            all.push_back({static_cast<account>(at_->balances.number(0)), at_->balances.text(1), sum_at(at_->balances, 2)});
        return all;
    }
    std::int64_t count(std::int64_t from, std::int64_t to, const query& q) { return one(at_->count.bind(from, to, q.party, q.contract)); }
    static details details_in(const sqlite::statement& s) {
        return {static_cast<kind>(s.number(0)), s.text(1), s.text(2), s.text(3), s.text(4), s.text(5), at(s.number(6)), at(s.number(7))};
    }

    sqlite::sole_owner owner_;
    sqlite::database db_;
    std::optional<statements> at_;
    std::map<std::string, std::int64_t> assets_;
};

sqlite_store::sqlite_store(const std::filesystem::path& file, std::function<void(const std::string&)> trouble)
    : db_(std::make_unique<database>(file)), trouble_(std::move(trouble)), writer_([this] { work(); }) {}

sqlite_store::~sqlite_store() {
    {
        const std::lock_guard hold(guard_);
        stopping_ = true;
    }
    arrived_.notify_one(), taken_.notify_all();
    writer_.join();
}

void sqlite_store::write(writing w, bool may_wait) {
    if (w.empty() && !w.kept) return;
    std::unique_lock hold(guard_);
    const auto n = w.entries.size() + 1;
    if (may_wait) taken_.wait(hold, [this] { return entries_ < most_waiting || stopping_; });
    if (entries_ >= most_waiting) {
        behind_ = true;
        hold.unlock();
        if (w.kept) w.kept(refusal{"books_busy", "too much waits to be entered"});
        return;
    }
    hurry_ = hurry_ || static_cast<bool>(w.kept);
    entries_ += n;
    waiting_.push_back(std::move(w));
    if (waiting_.size() == 1 || hurry_) arrived_.notify_one();
}

std::int64_t sqlite_store::mark(const std::string& name) const {
    const auto found = db_->marks.find(name);
    return found == db_->marks.end() ? 0 : found->second;
}

void sqlite_store::read(query q, std::function<void(result<page>)> tell) {
    const std::lock_guard hold(guard_);
    asked_.push_back({std::move(q), std::move(tell), waiting_.size()});
    hurry_ = true;
    arrived_.notify_one();
}

void sqlite_store::work() {
    std::unique_lock hold(guard_);
    for (;;) {
        arrived_.wait(hold, [this] { return stopping_ || !waiting_.empty() || !asked_.empty(); });
        if (!hurry_ && !stopping_) arrived_.wait_for(hold, gathers, [this] { return hurry_ || stopping_; });
        if (waiting_.empty() && asked_.empty()) {
            if (stopping_) return;
            continue;
        }
        std::deque<writing> batch;
        std::size_t taken = 0;
        while (!waiting_.empty() && batch.size() < most_in_one_commit) {
            taken += waiting_.front().entries.size() + 1;
            batch.push_back(std::move(waiting_.front()));
            waiting_.pop_front();
        }
        for (auto& a : asked_) a.after -= std::min(a.after, batch.size());
        hurry_ = !asked_.empty();
        hold.unlock();
        const bool kept = batch.empty() || commit(batch);
        hold.lock();
        if (kept) {
            entries_ -= taken;
            taken_.notify_all();
        } else if (!stopping_) {
            for (auto& a : asked_) a.after += batch.size();
            while (!batch.empty()) waiting_.push_front(std::move(batch.back())), batch.pop_back();
            arrived_.wait_for(hold, tries_again, [this] { return stopping_; });
        }
        while (!asked_.empty() && (asked_.front().after == 0 || !kept)) {
            auto q = std::move(asked_.front());
            asked_.pop_front();
            const bool behind = behind_ || !kept;
            hold.unlock();
            try {
                auto p = db_->read(q.what);
                p.behind = behind;
                q.tell(std::move(p));
            } catch (const sqlite::failure& e) {
                q.tell(refusal{"books_unreadable", e.what()});
            }
            hold.lock();
        }
        hurry_ = !asked_.empty();
    }
}

bool sqlite_store::commit(std::deque<writing>& batch) {
    try {
        db_->write(batch);
        for (auto& w : batch)
            if (w.kept) w.kept({});
        return true;
    } catch (const sqlite::failure& e) {
        if (trouble_) trouble_(std::string("the books cannot be written now: ") + e.what());
        for (auto& w : batch) // whoever waits for it hears that it is not kept, and it may be all the same
            if (w.kept) std::exchange(w.kept, {})(refusal{"not_kept", e.what()});
        return false;
    }
}

} // namespace souk::book
