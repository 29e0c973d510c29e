#include <souk/backends/pds/outbox.hpp>

#include <souk/messages/dag_cbor.hpp>

namespace souk::pds {

namespace {

constexpr const char* set_up = "CREATE TABLE IF NOT EXISTS waiting(id INTEGER PRIMARY KEY AUTOINCREMENT, how INTEGER NOT NULL, collection TEXT NOT NULL, rkey TEXT NOT NULL,"
                               " bytes BLOB NOT NULL);";

} // namespace

outbox::outbox(const std::filesystem::path& file, std::int64_t file_bytes) : db_(file, file_bytes) {
    db_.run(set_up);
    sqlite::statement count(db_, "SELECT count(*), ifnull(max(id), 0) FROM waiting");
    if (count.row()) size_ = static_cast<std::size_t>(count.number(0)), last_ = count.number(1);
}

result<std::vector<std::int64_t>> outbox::add(const std::vector<record_write>& all) {
    const std::lock_guard hold(guard_);
    if (size_ + all.size() > most) return refusal{"outbox_full", "too much waits for the account's host already"};
    try {
        std::vector<std::int64_t> ids;
        sqlite::transaction t(db_);
        sqlite::statement insert(db_, "INSERT INTO waiting(how, collection, rkey, bytes) VALUES(?, ?, ?, ?) RETURNING id");
        for (const auto& w : all) {
            const auto bytes = w.how == record_write::kind::remove ? std::string() : encode_dag_cbor(w.what);
            if (insert.bind(static_cast<std::int64_t>(w.how), w.collection, w.rkey, sqlite::blob{bytes}).row()) ids.push_back(insert.number(0));
            insert.reset();
        }
        t.commit();
        size_ += ids.size();
        if (!ids.empty()) last_ = ids.back();
        return ids;
    } catch (const sqlite::failure& e) {
        return refusal{e.full() ? "disk_full" : "disk_error", std::string("what is to be published was not kept: ") + e.what()};
    }
}

std::vector<waiting_write> outbox::first(std::size_t count, std::size_t bytes) {
    const std::lock_guard hold(guard_);
    std::vector<waiting_write> found;
    sqlite::statement next(db_, "SELECT id, how, collection, rkey, bytes FROM waiting ORDER BY id LIMIT ?");
    next.bind(static_cast<std::int64_t>(count));
    for (std::size_t size = 0; size < bytes && next.row();) {
        waiting_write w{next.number(0), {static_cast<record_write::kind>(next.number(1)), next.text(2), next.text(3), {}}, {}};
        if (w.what.how != record_write::kind::remove) {
            const auto record = next.text(4);
            auto content = decode_dag_cbor(record);
            if (!content) throw std::runtime_error("what waits to be published is damaged: " + w.what.collection + '/' + w.what.rkey);
            w.what.what = std::move(*content), w.cid = cid::of_dag_cbor(record);
            size += record.size();
        }
        found.push_back(std::move(w));
    }
    return found;
}

void outbox::done(const std::vector<std::int64_t>& ids) {
    const std::lock_guard hold(guard_);
    sqlite::transaction t(db_);
    sqlite::statement gone(db_, "DELETE FROM waiting WHERE id = ?");
    for (const auto id : ids) gone.bind(id).row();
    t.commit();
    size_ -= ids.size();
}

std::size_t outbox::size() const {
    const std::lock_guard hold(guard_);
    return size_;
}
std::int64_t outbox::last_id() const {
    const std::lock_guard hold(guard_);
    return last_;
}

} // namespace souk::pds
