#include <souk/backends/records/sync_reader.hpp>

namespace souk::internal {

namespace {

constexpr std::size_t piece_bytes = 128 * 1024;
constexpr std::size_t most_exports = 4; // at once: each holds the file as it was when it began, and so keeps the log from being cut

// The file as it is at this moment, for as long as it takes to read it.
class snapshot {
public:
    explicit snapshot(const std::filesystem::path& file, std::atomic<std::size_t>& count) : count_(count), db_(file) {
        db_.run("BEGIN");
        ++count_;
    }
    ~snapshot() { --count_; }
    sqlite::database& db() { return db_; }

private:
    std::atomic<std::size_t>& count_;
    sqlite::database db_; // closed, its transaction ends
};

// The commit, then the tree from the root down, each node before what it leads to, each record behind the node that names it. What is not
// newer than `since` is left out with all that hangs below: a node's revision is that of the commit that first had it.
class exporter {
public:
    exporter(std::shared_ptr<snapshot> from, const cid& commit, std::string commit_bytes, const cid& root, std::string since)
        : from_(std::move(from)),
          node_(from_->db(), "SELECT rev, bytes FROM node WHERE cid = ?"),
          record_(from_->db(), "SELECT rev, bytes FROM record WHERE cid = ? ORDER BY rev LIMIT 1"),
          since_(std::move(since)) {
        out_ = car_header({commit});
        append_car_block(out_, commit, commit_bytes);
        ahead_.push_back({root, true});
    }

    result<std::string> next() {
        while (!ahead_.empty() && out_.size() < piece_bytes) {
            const auto [id, is_node] = std::move(ahead_.back());
            ahead_.pop_back();
            auto& find = is_node ? node_ : record_;
            if (!find.bind(sqlite::blob{id.bytes()}).row()) return refusal{"disk_error", "a block of the repository is missing"};
            const auto rev = find.text(0), bytes = find.text(1);
            find.reset();
            if (!since_.empty() && rev <= since_) continue;
            append_car_block(out_, id, bytes);
            if (!is_node) continue;
            const auto node = decode_mst_node(bytes);
            if (!node) return node.error();
            for (auto e = node->entries.rbegin(); e != node->entries.rend(); ++e) {
                if (!e->right.empty()) ahead_.push_back({e->right.id, true});
                ahead_.push_back({e->value, false});
            }
            if (!node->left.empty()) ahead_.push_back({node->left.id, true});
        }
        return std::exchange(out_, {});
    }

private:
    std::shared_ptr<snapshot> from_;
    sqlite::statement node_, record_;
    const std::string since_;
    std::string out_;
    std::vector<std::pair<cid, bool>> ahead_; // by depth first: few more than one node's entries for each level
};

cid cid_in(const std::string& bytes) {
    auto c = cid::from_bytes(bytes);
    if (!c) throw std::runtime_error("the repository's file is damaged: " + c.error().text);
    return std::move(*c);
}

std::atomic<std::size_t> exports{0};

} // namespace

sync_reader::sync_reader(std::filesystem::path file) : file_(std::move(file)), db_(file_), at_(db_) {}

repository_head sync_reader::head() const {
    const std::lock_guard hold(guard_);
    if (!at_.head.row()) return {};
    repository_head h{cid_in(at_.head.text(0)), at_.head.text(1)};
    at_.head.reset();
    return h;
}

std::vector<std::pair<cid, std::string>> sync_reader::blocks(const std::vector<cid>& wanted) const {
    const std::lock_guard hold(guard_);
    std::vector<std::pair<cid, std::string>> found;
    for (const auto& c : wanted)
        if (auto bytes = at_.blocks.get(c)) found.emplace_back(c, std::move(*bytes));
    return found;
}

result<std::string> sync_reader::prove(const std::string& path) const {
    const std::lock_guard hold(guard_);
    db_.run("BEGIN"); // commit, nodes and record of one moment
    struct undo {
        sqlite::database& db;
        ~undo() { db.run("COMMIT"); }
    } end{db_};
    if (!at_.head.row()) return refusal{"record_not_found", "the repository is empty"};
    const auto id = cid_in(at_.head.text(0));
    const auto bytes = at_.head.text(2);
    at_.head.reset();
    const auto commit = decode_commit(bytes);
    if (!commit) return commit.error();
    block_map proof;
    if (auto ok = mst_proof(commit->data, at_.blocks, path, proof); !ok) return ok.error();
    const auto there = mst(commit->data, at_.blocks).get(path);
    if (!there) return there.error();
    std::string out = car_header({id});
    append_car_block(out, id, bytes);
    for (const auto& [c, b] : proof) append_car_block(out, c, b);
    if (*there) {
        const auto record = at_.blocks.get(**there);
        if (!record) return refusal{"disk_error", "a record of the repository is missing"};
        append_car_block(out, **there, *record);
    }
    return out;
}

std::vector<sync_frame> sync_reader::frames(std::int64_t after, std::size_t most, std::size_t bytes) const {
    const std::lock_guard hold(guard_);
    std::vector<sync_frame> found;
    std::size_t total = 0;
    at_.frames.bind(after, static_cast<std::int64_t>(most));
    while (total < bytes && at_.frames.row()) {
        found.push_back({at_.frames.number(0), std::make_shared<const std::string>(at_.frames.text(1))});
        total += found.back().bytes->size();
    }
    at_.frames.reset();
    return found;
}

std::int64_t sync_reader::oldest_frame() const {
    const std::lock_guard hold(guard_);
    const auto oldest = at_.oldest.row() ? at_.oldest.number(0) : 0;
    at_.oldest.reset();
    return oldest;
}

result<car_pieces> sync_reader::export_car(const std::string& since) const {
    if (exports >= most_exports) return refusal{"not_now", "the repository is being exported to others; try again later"};
    auto from = std::make_shared<snapshot>(file_, exports);
    sqlite::statement head(from->db(), "SELECT cid, bytes FROM head");
    if (!head.row()) return refusal{"disk_error", "the repository has no commit"};
    const auto id = cid_in(head.text(0));
    auto bytes = head.text(1);
    head.reset();
    const auto commit = decode_commit(bytes);
    if (!commit) return commit.error();
    return car_pieces([one = std::make_shared<exporter>(from, id, std::move(bytes), commit->data, since)] { return one->next(); });
}

} // namespace souk::internal
