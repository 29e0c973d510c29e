#include <souk/backends/records/repository.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <span>
#include <thread>

#include <souk/backends/records/sync_reader.hpp>
#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/time.hpp>

namespace souk {

namespace {

constexpr const char* set_up =
    // AUTOINCREMENT remembers the largest time_us ever used, so that no removal brings one back.
    "CREATE TABLE IF NOT EXISTS record(time_us INTEGER PRIMARY KEY AUTOINCREMENT, collection TEXT NOT NULL, rkey TEXT NOT NULL,"
    " cid BLOB NOT NULL, updated INTEGER NOT NULL, bytes BLOB NOT NULL, UNIQUE(collection, rkey));"
    // What was removed, and when: for streams that are read again. Nobody who was away longer than these are kept is told.
    "CREATE TABLE IF NOT EXISTS gone(time_us INTEGER PRIMARY KEY, collection TEXT NOT NULL, rkey TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS about(what TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;";

constexpr std::string_view after_every_rkey = "\x7f"; // a record key is ASCII without this
constexpr std::size_t most_in_one_commit = 512;
constexpr std::int64_t most_frame_bytes = std::int64_t{256} << 20;
constexpr std::int64_t removals_kept_us = std::int64_t{30} * 24 * 3600 * 1'000'000;

std::int64_t now_us() {
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

refusal disk_refusal(const sqlite::failure& e) {
    if (e.full()) return {"disk_full", "the record was not kept: there is no room left"};
    return {"disk_error", std::string("the record was not kept: ") + e.what()};
}

struct write : record_write {
    std::string bytes;
    souk::cid cid;
    result<stored_record> answer = refusal{"disk_error", "the record was not kept"};
    bool changed = false, valid = false;
};
struct unit { // what the disk takes as a whole
    std::vector<write> writes;
    repository::written then;
};

} // namespace

result<checked_write> check_write(const record_write& w, std::size_t record_bytes) {
    if (w.how == record_write::kind::remove) return checked_write{};
    if (!is_nsid(w.collection)) return refusal{"bad_record", "not the name of a collection: " + w.collection.substr(0, 100)};
    if (!w.rkey.empty() && !is_record_key(w.rkey)) return refusal{"bad_record", "not a record key"};
    if (!w.what.as<value::map>()) return refusal{"bad_record", "a record is a map"};
    auto bytes = encode_dag_cbor(w.what);
    if (bytes.size() > record_bytes)
        return refusal{"record_too_large", "a record has at most " + std::to_string(record_bytes) + " bytes, not " + std::to_string(bytes.size())};
    auto name = cid::of_dag_cbor(bytes);
    return checked_write{std::move(bytes), std::move(name)};
}

class sqlite_repository final : public synced_repository {
public:
    sqlite_repository(const std::filesystem::path& file, std::string did, crypto::secret key, repository_limits limits)
        : did_(std::move(did)), limits_(limits), owner_(file), db_(file, limits.file_bytes) {
        if (!is_did(did_)) throw std::runtime_error("not a DID: " + did_);
        db_.run(set_up);
        own(file);
        sqlite::statement last(db_, "SELECT max(ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'record'), 0), ifnull((SELECT max(time_us) FROM gone), 0))");
        if (last.row()) last_us_ = last.number(0);
        last.reset();
        sqlite::statement(db_, "DELETE FROM gone WHERE time_us < ?").bind(now_us() - removals_kept_us).row();
        log_.emplace(db_, did_, std::move(key), clock_id_, std::min(most_frame_bytes, limits_.file_bytes / 8), now_us());
        at_.emplace(db_), reader_.emplace(file), synced_.emplace(file);
        last_frame_ = log_->last_seq();
        writer_ = std::thread([this] { write_until_stopped(); });
    }
    ~sqlite_repository() override { // what was handed in is written first
        {
            const std::lock_guard hold(queue_guard_);
            stopped_ = true;
        }
        filled_.notify_one();
        writer_.join();
    }

    const std::string& did() const override { return did_; }

    result<stored_record> create(const std::string& collection, const std::string& rkey, const value& what) override {
        return wait_for({record_write::kind::create, collection, rkey, what});
    }
    result<stored_record> put(const std::string& collection, const std::string& rkey, const value& what) override {
        return wait_for({record_write::kind::put, collection, rkey, what});
    }
    result<void> remove(const std::string& collection, const std::string& rkey) override {
        if (auto gone = wait_for({record_write::kind::remove, collection, rkey, {}}); !gone) return gone.error();
        return {};
    }
    void apply(std::vector<record_write> all, written then) override {
        unit u{{}, std::move(then)};
        for (auto& w : all) u.writes.push_back(prepared(std::move(w)));
        {
            const std::lock_guard hold(queue_guard_);
            queue_.push_back(std::move(u));
        }
        filled_.notify_one();
    }

    std::optional<stored_record> get(const std::string& collection, const std::string& rkey) const override {
        return reader_->get(did_, collection, rkey);
    }
    std::vector<stored_record> list(const std::string& collection, std::size_t most, const std::string& cursor,
                                    bool oldest_first) const override {
        return reader_->list(did_, collection, most, cursor, oldest_first);
    }
    std::optional<stored_record> newest(const std::string& collection) const override { return reader_->newest(did_, collection); }
    std::vector<std::string> collections() const override { return reader_->collections(); }
    std::vector<stored_record> since(std::int64_t cursor, std::size_t most, std::size_t bytes) const override {
        return reader_->since(did_, cursor, most, bytes);
    }

    std::shared_ptr<void> listen(listener tell) override { return listen_to(ears_, std::move(tell)); }

    repository_head head() const override { return synced_->head(); }
    result<car_pieces> export_car(const std::string& since) const override { return synced_->export_car(since); }
    result<std::string> prove(const std::string& collection, const std::string& rkey) const override { return synced_->prove(collection + '/' + rkey); }
    std::vector<std::pair<souk::cid, std::string>> blocks(const std::vector<souk::cid>& wanted) const override { return synced_->blocks(wanted); }
    std::vector<sync_frame> frames(std::int64_t seq, std::size_t most, std::size_t bytes) const override { return synced_->frames(seq, most, bytes); }
    std::int64_t oldest_frame() const override { return synced_->oldest_frame(); }
    std::int64_t last_frame() const override { return last_frame_; }
    std::shared_ptr<void> listen_frames(std::function<void()> tell) override { return listen_to(frame_ears_, std::move(tell)); }

private:
    template <class Tell>
    struct ear {
        std::recursive_mutex guard; // a listener may end itself
        Tell tell;
        bool ended = false;
    };
    template <class Tell>
    using ears = std::vector<std::weak_ptr<ear<Tell>>>;

    // Reads have their own connection: they do not wait while a commit waits for the disk.
    class reader {
    public:
        explicit reader(const std::filesystem::path& file) : db_(file) {}

        std::optional<stored_record> get(const std::string& did, const std::string& collection, const std::string& rkey) {
            const std::lock_guard hold(guard_);
            if (!one_.bind(collection, rkey).row()) return std::nullopt;
            auto found = take(did, one_);
            one_.reset();
            return found;
        }
        std::optional<stored_record> newest(const std::string& did, const std::string& collection) {
            const std::lock_guard hold(guard_);
            if (!newest_.bind(collection).row()) return std::nullopt;
            auto found = take(did, newest_);
            newest_.reset();
            return found;
        }
        std::vector<stored_record> list(const std::string& did, const std::string& collection, std::size_t most,
                                        const std::string& cursor, bool up) {
            const std::lock_guard hold(guard_);
            const auto limit = static_cast<std::int64_t>(most);
            if (up) return all(did, up_.bind(collection, cursor, limit));
            return all(did, down_.bind(collection, cursor.empty() ? after_every_rkey : std::string_view(cursor), limit));
        }
        std::vector<stored_record> since(const std::string& did, std::int64_t cursor, std::size_t most, std::size_t bytes) {
            const std::lock_guard hold(guard_);
            return all(did, since_.bind(cursor, static_cast<std::int64_t>(most)), bytes);
        }
        std::vector<std::string> collections() {
            const std::lock_guard hold(guard_);
            std::vector<std::string> found;
            for (std::string last;;) { // a step of the index each, however many records there are
                const bool more = next_.bind(last).row();
                if (more) found.push_back(last = next_.text(0));
                next_.reset();
                if (!more) return found;
            }
        }

    private:
        static constexpr std::int64_t gone = 2; // in place of `updated`
        static stored_record take(const std::string& did, sqlite::statement& s, std::size_t* size = nullptr) {
            if (s.number(4) == gone) return {{did, s.text(1), s.text(2)}, {}, {}, s.number(0), false, true};
            auto cid = cid::from_bytes(s.text(3));
            const auto bytes = s.text(5);
            auto what = decode_dag_cbor(bytes);
            if (size) *size += bytes.size();
            if (!cid || !what) throw std::runtime_error("a record in the repository is damaged: " + s.text(1) + '/' + s.text(2));
            return {{did, s.text(1), s.text(2)}, std::move(*cid), std::move(*what), s.number(0), s.number(4) != 0, false};
        }
        static std::vector<stored_record> all(const std::string& did, sqlite::statement& s, std::size_t bytes = SIZE_MAX) {
            std::vector<stored_record> found;
            for (std::size_t size = 0; s.row();) {
                found.push_back(take(did, s, &size));
                if (size < bytes) continue;
                s.reset(); // the rest waits until it is asked for
                break;
            }
            return found;
        }

        std::mutex guard_;
        sqlite::database db_;
        sqlite::statement one_{
            db_, "SELECT time_us, collection, rkey, cid, updated, bytes FROM record WHERE collection = ? AND rkey = ?"};
        sqlite::statement newest_{
            db_, "SELECT time_us, collection, rkey, cid, updated, bytes FROM record WHERE +collection = ? ORDER BY time_us DESC LIMIT 1"};
        sqlite::statement up_{db_,
                              "SELECT time_us, collection, rkey, cid, updated, bytes FROM record WHERE collection = ? AND rkey > ?"
                              " ORDER BY rkey LIMIT ?"};
        sqlite::statement down_{
            db_,
            "SELECT time_us, collection, rkey, cid, updated, bytes FROM record WHERE collection = ? AND rkey < ?"
            " ORDER BY rkey DESC LIMIT ?"};
        sqlite::statement since_{
            db_, "SELECT time_us, collection, rkey, cid, updated, bytes FROM record WHERE time_us > ?1"
                 " UNION ALL SELECT time_us, collection, rkey, x'', 2, x'' FROM gone WHERE time_us > ?1 ORDER BY time_us LIMIT ?2"};
        sqlite::statement next_{db_, "SELECT collection FROM record WHERE collection > ? ORDER BY collection LIMIT 1"};
    };

    struct statements {
        explicit statements(sqlite::database& db)
            : find(db, "SELECT time_us, cid, updated FROM record WHERE collection = ? AND rkey = ?"),
              insert(db, "INSERT INTO record(time_us, collection, rkey, cid, updated, bytes, rev) VALUES(?, ?, ?, ?, ?, ?, ?)"),
              remove(db, "DELETE FROM record WHERE collection = ? AND rkey = ?"),
              bury(db, "INSERT INTO gone(time_us, collection, rkey) VALUES(?, ?, ?)") {}
        sqlite::statement find, insert, remove, bury;
    };

    void own(const std::filesystem::path& file) {
        sqlite::statement find(db_, "SELECT text FROM about WHERE what = 'did'");
        if (!find.row()) {
            sqlite::statement(db_, "INSERT INTO about VALUES('did', ?)").bind(did_).row();
            return;
        }
        if (find.text(0) != did_)
            throw std::runtime_error("the repository " + file.string() + " is that of " + find.text(0) + ", not of " + did_);
    }

    result<stored_record> wait_for(record_write what) {
        if (std::this_thread::get_id() == writer_.get_id()) return refusal{"would_block", "a listener of the repository cannot wait for a write of its own"};
        std::promise<result<stored_record>> answer;
        std::vector<record_write> one;
        one.push_back(std::move(what));
        apply(std::move(one), [&](std::vector<result<stored_record>> r) { answer.set_value(std::move(r.front())); });
        return answer.get_future().get();
    }
    // All that can be said and done before the writer's turn.
    write prepared(record_write what) const {
        write w{std::move(what), {}, {}};
        if (auto checked = check_write(w, limits_.record_bytes)) w.bytes = std::move(checked->bytes), w.cid = std::move(checked->cid), w.valid = true;
        else w.answer = checked.error();
        return w;
    }

    // Writers that come while a commit waits for the disk go into the next one together.
    void write_until_stopped() {
        std::vector<unit> batch;
        for (;;) {
            {
                std::unique_lock hold(queue_guard_);
                filled_.wait(hold, [this] { return stopped_ || !queue_.empty(); });
                if (queue_.empty()) return;
                std::size_t count = 0, writes = 0;
                while (count < queue_.size() && writes < most_in_one_commit) writes += queue_[count++].writes.size();
                batch.assign(std::make_move_iterator(queue_.begin()), std::make_move_iterator(queue_.begin() + static_cast<std::ptrdiff_t>(count)));
                queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(count));
            }
            if (!commit(batch) && batch.size() > 1) // one that found no room does not take the others with it
                for (auto& u : batch) commit({&u, 1});
            const auto last = log_->last_seq();
            const bool more = last_frame_.exchange(last) != last; // before the answers: who has one finds its frame
            for (auto& u : batch) answer(u);
            if (more) tell_all(frame_ears_);
        }
    }
    bool commit(std::span<unit> batch) {
        const auto before = last_us_;
        try {
            sqlite::transaction t(db_);
            log_->begin(now_us());
            for (auto& u : batch)
                for (auto& w : u.writes)
                    if (w.valid) apply(w);
            log_->seal();
            t.commit();
            log_->kept();
            return true;
        } catch (const sqlite::failure& e) {
            log_->undone();
            last_us_ = before;
            for (auto& u : batch)
                for (auto& w : u.writes)
                    if (w.valid) w.answer = disk_refusal(e), w.changed = false;
            return false;
        }
    }
    void answer(unit& u) {
        std::vector<result<stored_record>> said;
        for (auto& w : u.writes) {
            if (w.answer && w.changed) tell_all(ears_, *w.answer);
            said.push_back(std::move(w.answer));
        }
        u.then(std::move(said));
    }
    void apply(write& w) {
        w.changed = false;
        const auto time = std::max(now_us(), last_us_ + 1);
        if (w.how == record_write::kind::remove) return take_away(w, time);
        const auto rkey = w.rkey.empty() ? to_tid(static_cast<std::uint64_t>(time), clock_id_) : w.rkey;
        auto record = stored_record{{did_, w.collection, rkey}, w.cid, w.what, time, false, false};
        cid before;
        if (at_->find.bind(w.collection, rkey).row()) {
            before = *cid::from_bytes(at_->find.text(1));
            record.time_us = at_->find.number(0), record.updated = at_->find.number(2) != 0;
            at_->find.reset();
            if (before == w.cid) {
                w.answer = std::move(record);
                return;
            }
            if (w.how == record_write::kind::create) {
                w.answer = refusal{"record_exists", "another record is kept as " + record.uri.text()};
                return;
            }
            record.time_us = time, record.updated = true;
        }
        const auto path = w.collection + '/' + rkey;
        log_->room_for(path, w.bytes.size());
        if (record.updated) at_->remove.bind(w.collection, rkey).row();
        at_->insert.bind(time, w.collection, rkey, sqlite::blob{w.cid.bytes()}, std::int64_t{record.updated}, sqlite::blob{w.bytes}, log_->rev()).row();
        log_->change(path, before, w.cid, w.bytes);
        last_us_ = time;
        w.answer = std::move(record), w.changed = true;
    }
    void take_away(write& w, std::int64_t time) {
        w.answer = stored_record{{did_, w.collection, w.rkey}, {}, {}, time, false, true};
        if (!at_->find.bind(w.collection, w.rkey).row()) return;
        const auto before = *cid::from_bytes(at_->find.text(1));
        at_->find.reset();
        const auto path = w.collection + '/' + w.rkey;
        log_->room_for(path, 0);
        at_->remove.bind(w.collection, w.rkey).row();
        at_->bury.bind(time, w.collection, w.rkey).row();
        log_->change(path, before, {}, {});
        last_us_ = time, w.changed = true;
    }
    template <class Tell>
    std::shared_ptr<void> listen_to(ears<Tell>& all, Tell tell) {
        const auto one = std::make_shared<ear<Tell>>();
        one->tell = std::move(tell);
        const std::lock_guard hold(ears_guard_);
        all.push_back(one);
        return {one.get(), [one](void*) { // keeps the ear for as long as the token
                    const std::lock_guard quiet(one->guard);
                    one->ended = true;
                }};
    }
    template <class Tell, class... What>
    void tell_all(ears<Tell>& whom, const What&... what) {
        std::vector<std::shared_ptr<ear<Tell>>> all;
        {
            const std::lock_guard hold(ears_guard_);
            std::erase_if(whom, [&](const std::weak_ptr<ear<Tell>>& weak) {
                if (auto one = weak.lock()) all.push_back(std::move(one));
                return weak.expired();
            });
        }
        for (const auto& one : all) {
            const std::lock_guard hold(one->guard);
            if (!one->ended) one->tell(what...);
        }
    }

    const std::string did_;
    const repository_limits limits_;
    const unsigned clock_id_ = static_cast<unsigned>(std::hash<std::string>{}(did_) % 1024);
    sqlite::sole_owner owner_;
    sqlite::database db_; // the writer's
    std::optional<internal::commit_log> log_;
    std::optional<statements> at_;
    mutable std::optional<reader> reader_;
    std::optional<internal::sync_reader> synced_;
    std::atomic<std::int64_t> last_frame_{0};
    std::int64_t last_us_ = 0;

    std::mutex queue_guard_;
    std::condition_variable filled_;
    std::deque<unit> queue_;
    bool stopped_ = false;

    std::mutex ears_guard_;
    ears<listener> ears_;
    ears<std::function<void()>> frame_ears_;
    std::thread writer_; // last: it uses all of the above
};

std::unique_ptr<synced_repository> open_repository(const std::filesystem::path& file, std::string did, crypto::secret signing_key, repository_limits limits) {
    return std::make_unique<sqlite_repository>(file, std::move(did), std::move(signing_key), limits);
}

} // namespace souk
