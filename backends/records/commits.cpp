#include <souk/backends/records/commits.hpp>

#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/time.hpp>

namespace souk::internal {

namespace {

// Of one commit, so that its frame is one that every host takes: blocks of 2,000,000 bytes, of which the tree's part is small.
constexpr std::size_t most_record_bytes = 1'400'000;
// Frames are kept for who comes back after a while; then it has to read the repository anew.
constexpr std::int64_t frames_kept = 200'000, dropped_at_once = 256;
constexpr std::uint64_t reload_every = 4'096; // commits: what the tree has read by then is let go

template <class T>
T or_throw(result<T> r, const char* what) {
    if (!r) throw std::runtime_error(std::string(what) + ": " + r.error().code + ": " + r.error().text);
    if constexpr (!std::is_void_v<T>) return std::move(*r);
}

} // namespace

std::optional<std::string> stored_blocks::get(const cid& c) const {
    for (auto* one : {&node_, &record_, &head_}) {
        if (!one->bind(sqlite::blob{c.bytes()}).row()) continue;
        auto bytes = one->text(0);
        one->reset();
        return bytes;
    }
    return std::nullopt;
}

std::optional<std::string> recent_blocks::get(const cid& c) const {
    if (auto here = recent_.get(c)) return here;
    auto bytes = stored_.get(c);
    if (bytes) put(c, *bytes);
    return bytes;
}
// By its CID a block is the same for ever: when they are too much, all can go.
void recent_blocks::put(const cid& c, std::string bytes) const {
    if (bytes.size() > small) return;
    if ((bytes_ += bytes.size()) > most_bytes) recent_ = {}, bytes_ = bytes.size();
    recent_.put(c, std::move(bytes));
}

commit_log::commit_log(sqlite::database& db, const std::string& did, crypto::secret signing_key, unsigned clock_id, std::int64_t most_frame_bytes, std::int64_t now_us)
    : db_(db), key_(std::move(signing_key)), clock_id_(clock_id), most_frame_bytes_(most_frame_bytes) {
    set_up();
    blocks_.emplace(db_);
    put_node_.emplace(db_, "INSERT OR REPLACE INTO node(cid, rev, bytes) VALUES(?, ?, ?)");
    drop_node_.emplace(db_, "DELETE FROM node WHERE cid = ?");
    put_head_.emplace(db_, "INSERT OR REPLACE INTO head(one, cid, rev, us, bytes) VALUES(1, ?, ?, ?, ?)");
    put_frame_.emplace(db_, "INSERT INTO frame(seq, bytes) VALUES(?, ?)");
    old_frames_.emplace(db_, "SELECT seq, length(bytes) FROM frame ORDER BY seq LIMIT ?");
    drop_frames_.emplace(db_, "DELETE FROM frame WHERE seq <= ?");
    load(did, now_us);
}

void commit_log::set_up() {
    db_.run("CREATE TABLE IF NOT EXISTS node(cid BLOB PRIMARY KEY, rev TEXT NOT NULL, bytes BLOB NOT NULL) WITHOUT ROWID;"
            "CREATE TABLE IF NOT EXISTS head(one INTEGER PRIMARY KEY CHECK(one = 1), cid BLOB NOT NULL, rev TEXT NOT NULL, us INTEGER NOT NULL, bytes BLOB NOT NULL);"
            "CREATE TABLE IF NOT EXISTS frame(seq INTEGER PRIMARY KEY AUTOINCREMENT, bytes BLOB NOT NULL);");
    sqlite::statement has_rev(db_, "SELECT 1 FROM pragma_table_info('record') WHERE name = 'rev'");
    if (!has_rev.row()) db_.run("ALTER TABLE record ADD COLUMN rev TEXT NOT NULL DEFAULT '';"); // a file of before there were commits
    db_.run("CREATE INDEX IF NOT EXISTS record_by_cid ON record(cid);");
}

void commit_log::load(const std::string& did, std::int64_t now_us) {
    sqlite::statement last(db_, "SELECT seq FROM sqlite_sequence WHERE name = 'frame'");
    if (last.row()) last_seq_ = last.number(0);
    sqlite::statement frames(db_, "SELECT ifnull(sum(length(bytes)), 0), ifnull(min(seq), 1) - 1 FROM frame");
    if (frames.row()) durable_.frame_bytes = frames.number(0), durable_.oldest_frame = frames.number(1);
    frames.reset();
    sqlite::statement head(db_, "SELECT bytes, us FROM head");
    if (head.row()) {
        durable_.commit = or_throw(decode_commit(head.text(0)), "the repository's commit is damaged");
        durable_.last_us = head.number(1);
        durable_.tree = mst(durable_.commit.data, *blocks_);
        head.reset();
        sign_anew(now_us);
        return;
    }
    durable_.commit.did = did;
    durable_.tree = mst();
    adopt_records(now_us);
}

// With another key than the last commit's, the same is signed once more: who reads the repository looks for the key of today.
void commit_log::sign_anew(std::int64_t now_us) {
    const auto open = or_throw(crypto::public_of(crypto::curve::k256, key_), "the signing key is none");
    const std::vector<crypto::verifier> keys{or_throw(crypto::verifier::of(open), "the signing key is none")};
    if (verify_commit(durable_.commit, durable_.commit.did, keys)) return;
    sqlite::transaction t(db_);
    begin(now_us);
    sign_state();
    t.commit();
    kept();
}

// The first commit: of nothing, or of what was there before this file had commits.
void commit_log::adopt_records(std::int64_t now_us) {
    sqlite::transaction t(db_);
    begin(now_us);
    sqlite::statement all(db_, "SELECT collection, rkey, cid FROM record");
    while (all.row()) or_throw(now_.tree.put(all.text(0) + '/' + all.text(1), or_throw(cid::from_bytes(all.text(2)), "a record is damaged")), "the tree cannot be made");
    sqlite::statement(db_, "UPDATE record SET rev = ?").bind(rev_).row();
    const auto changes = now_.tree.write(&*blocks_);
    for (const auto& [id, bytes] : changes.added) put_node_->bind(sqlite::blob{id.bytes()}, rev_, sqlite::blob{bytes}).row(), blocks_->put(id, bytes);
    now_.commit.data = changes.root;
    sign_state();
    t.commit();
    kept();
}

// A commit that is told as a state, not as what changed.
void commit_log::sign_state() {
    now_.commit.rev = rev_, now_.commit.sig.clear();
    now_.commit = or_throw(sign_commit(now_.commit, crypto::curve::k256, key_), "the commit cannot be signed");
    const auto bytes = encode_commit(now_.commit);
    put_head_->bind(sqlite::blob{cid::of_dag_cbor(bytes).bytes()}, rev_, now_.last_us, sqlite::blob{bytes}).row();
    auto told = firehose::announce_state(now_.commit, to_datetime(instant{std::chrono::milliseconds{now_.last_us / 1000}}));
    told.seq = ++seq_;
    put_frame(or_throw(firehose::encode(told), "the commit cannot be told"));
}

void commit_log::next_rev() {
    now_.last_us = std::max(now_us_, now_.last_us + 1);
    rev_ = to_tid(static_cast<std::uint64_t>(now_.last_us), clock_id_);
}

void commit_log::begin(std::int64_t now_us) {
    if (++sealed_ % reload_every == 0) durable_.tree = mst(durable_.commit.data, *blocks_);
    now_ = durable_, now_us_ = now_us, seq_ = last_seq_;
    ops_.clear(), paths_.clear(), op_bytes_ = 0;
    next_rev();
}

void commit_log::room_for(const std::string& path, std::size_t bytes) {
    if (ops_.size() >= firehose::most_ops || (!ops_.empty() && op_bytes_ + bytes > most_record_bytes) || paths_.contains(path)) seal();
}

void commit_log::change(const std::string& path, const cid& before, const cid& after, std::string_view bytes) {
    const auto was = after.empty() ? now_.tree.remove(path) : now_.tree.put(path, after);
    const auto there = or_throw(was, "the tree is damaged");
    if (there.value_or(cid()) != before) throw std::runtime_error("the tree and the records differ at " + path);
    const auto how = after.empty() ? firehose::op_action::remove : before.empty() ? firehose::op_action::create : firehose::op_action::update;
    ops_.push_back({how, path, after, before});
    paths_.insert(path), op_bytes_ += bytes.size();
    if (!after.empty()) blocks_->put(after, std::string(bytes));
}

void commit_log::seal() {
    if (ops_.empty()) return;
    const auto since = now_.commit.rev;
    const auto before = now_.commit.data;
    const auto changes = now_.tree.write(&*blocks_);
    for (const auto& id : changes.dropped) drop_node_->bind(sqlite::blob{id.bytes()}).row();
    for (const auto& [id, bytes] : changes.added) put_node_->bind(sqlite::blob{id.bytes()}, rev_, sqlite::blob{bytes}).row(), blocks_->put(id, bytes);
    now_.commit.data = changes.root, now_.commit.rev = rev_, now_.commit.sig.clear();
    now_.commit = or_throw(sign_commit(now_.commit, crypto::curve::k256, key_), "the commit cannot be signed");
    const auto bytes = encode_commit(now_.commit);
    put_head_->bind(sqlite::blob{cid::of_dag_cbor(bytes).bytes()}, rev_, now_.last_us, sqlite::blob{bytes}).row();
    auto told = or_throw(firehose::announce(now_.commit, since, before, std::move(ops_), *blocks_, to_datetime(instant{std::chrono::milliseconds{now_.last_us / 1000}})),
                         "the commit cannot be told");
    told.seq = ++seq_;
    put_frame(or_throw(firehose::encode(told), "the commit cannot be told"));
    ops_.clear(), paths_.clear(), op_bytes_ = 0;
    next_rev();
}

void commit_log::put_frame(const std::string& bytes) {
    put_frame_->bind(seq_, sqlite::blob{bytes}).row();
    now_.frame_bytes += static_cast<std::int64_t>(bytes.size());
    drop_old_frames();
}

void commit_log::kept() { durable_ = std::move(now_), last_seq_ = seq_; }
void commit_log::undone() { now_ = {}, ops_.clear(), paths_.clear(), op_bytes_ = 0; }

void commit_log::drop_old_frames() {
    while (now_.frame_bytes > most_frame_bytes_ || seq_ - now_.oldest_frame >= frames_kept) {
        old_frames_->bind(dropped_at_once);
        auto upto = now_.oldest_frame;
        while ((now_.frame_bytes > most_frame_bytes_ || seq_ - upto >= frames_kept) && old_frames_->row()) upto = old_frames_->number(0), now_.frame_bytes -= old_frames_->number(1);
        old_frames_->reset();
        if (upto == now_.oldest_frame) return;
        drop_frames_->bind(upto).row();
        now_.oldest_frame = upto;
    }
}

} // namespace souk::internal
