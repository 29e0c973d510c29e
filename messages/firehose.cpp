#include <souk/messages/firehose.hpp>

#include <algorithm>

#include <souk/messages/at.hpp>
#include <souk/messages/cbor.hpp>
#include <souk/messages/time.hpp>

namespace souk::firehose {

namespace {

constexpr std::size_t longest_text = 4 * 1024; // a DID is at most 2 KiB; of messages for people no more is read
constexpr std::size_t most_items = 32 * most_ops + most_blobs + 256;

// -- writing --------------------------------------------------------------------------------------------------------

std::string head(std::int64_t op, std::string_view type) {
    std::string out;
    cbor_writer w(out);
    w.map(type.empty() ? 1 : 2);
    if (!type.empty()) w.key("t"), w.text(type);
    w.key("op"), w.integer(op);
    return out;
}

std::string_view name_of(op_action a) { return a == op_action::create ? "create" : a == op_action::update ? "update" : "delete"; }

void write_link(cbor_writer& w, const cid& c) { c.empty() ? w.null() : w.link(c); }

struct frame_writer {
    std::string operator()(const commit_event& e) const {
        auto out = head(1, "#commit");
        out.reserve(out.size() + e.blocks.size() + 160 * e.ops.size() + 512);
        cbor_writer w(out);
        w.map(e.prev_data.empty() ? 11 : 12);
        w.key("ops"), w.list(e.ops.size());
        for (const auto& o : e.ops) {
            w.map(o.prev.empty() ? 3 : 4);
            w.key("cid"), write_link(w, o.id);
            w.key("path"), w.text(o.path);
            if (!o.prev.empty()) w.key("prev"), w.link(o.prev);
            w.key("action"), w.text(name_of(o.action));
        }
        w.key("rev"), w.text(e.rev);
        w.key("seq"), w.integer(e.seq);
        w.key("repo"), w.text(e.repo);
        w.key("time"), w.text(e.time);
        w.key("blobs"), w.list(e.blobs.size());
        for (const auto& b : e.blobs) w.link(b);
        w.key("since"), e.since ? w.text(*e.since) : w.null();
        w.key("blocks"), w.bytes(e.blocks);
        w.key("commit"), w.link(e.commit);
        w.key("rebase"), w.boolean(e.rebase);
        w.key("tooBig"), w.boolean(e.too_big);
        if (!e.prev_data.empty()) w.key("prevData"), w.link(e.prev_data);
        return out;
    }
    std::string operator()(const sync_event& e) const {
        auto out = head(1, "#sync");
        cbor_writer w(out);
        w.map(5);
        w.key("did"), w.text(e.did);
        w.key("rev"), w.text(e.rev);
        w.key("seq"), w.integer(e.seq);
        w.key("time"), w.text(e.time);
        w.key("blocks"), w.bytes(e.blocks);
        return out;
    }
    std::string operator()(const identity_event& e) const {
        auto out = head(1, "#identity");
        cbor_writer w(out);
        w.map(e.handle ? 4 : 3);
        w.key("did"), w.text(e.did);
        w.key("seq"), w.integer(e.seq);
        w.key("time"), w.text(e.time);
        if (e.handle) w.key("handle"), w.text(*e.handle);
        return out;
    }
    std::string operator()(const account_event& e) const {
        auto out = head(1, "#account");
        cbor_writer w(out);
        w.map(e.status ? 5 : 4);
        w.key("did"), w.text(e.did);
        w.key("seq"), w.integer(e.seq);
        w.key("time"), w.text(e.time);
        w.key("active"), w.boolean(e.active);
        if (e.status) w.key("status"), w.text(*e.status);
        return out;
    }
    std::string operator()(const info_event& e) const { return said(head(1, "#info"), "name", e.name, e.message); }
    std::string operator()(const error_event& e) const { return said(head(-1, ""), "error", e.error, e.message); }
    std::string operator()(const unknown_event& e) const {
        auto out = head(e.op, e.type);
        cbor_writer w(out);
        w.map(e.seq == 0 ? 0 : 1);
        if (e.seq != 0) w.key("seq"), w.integer(e.seq);
        return out;
    }

    static std::string said(std::string out, std::string_view key, const std::string& name, const std::optional<std::string>& message) {
        cbor_writer w(out);
        w.map(message ? 2 : 1);
        const auto write_name = [&] { w.key(key), w.text(name); };
        const auto write_message = [&] {
            if (message) w.key("message"), w.text(*message);
        };
        write_name(), write_message(); // both names are shorter than "message"
        return out;
    }
};

result<void> fit(const event& e) {
    const auto* c = std::get_if<commit_event>(&e);
    const auto* s = std::get_if<sync_event>(&e);
    if (c && (c->ops.size() > most_ops || c->blobs.size() > most_blobs))
        return refusal{"too_many_ops", "more operations or blobs than a commit may have"};
    if ((c && c->blocks.size() > largest_blocks) || (s && s->blocks.size() > largest_sync_blocks))
        return refusal{"blocks_too_large", "more bytes of blocks than a frame may have"};
    return {};
}

} // namespace

result<std::string> encode(const event& e) {
    if (auto fits = fit(e); !fits) return fits.error();
    auto out = std::visit(frame_writer{}, e);
    if (out.size() > largest_frame) return refusal{"frame_too_large", "more bytes than a frame may have"};
    return out;
}

result<commit_event> announce(const repo_commit& c, const std::optional<std::string>& since, const cid& prev_data, std::vector<op> ops,
                              const block_source& blocks, std::string time) {
    const auto head = encode_commit(c);
    commit_event e;
    e.repo = c.did, e.rev = c.rev, e.since = since, e.prev_data = prev_data, e.ops = std::move(ops), e.time = std::move(time);
    e.commit = cid::of_dag_cbor(head);
    if (e.ops.size() > most_ops) return refusal{"too_many_ops", "more operations than a commit may have"};
    block_map carried;
    for (const auto& o : e.ops) {
        if (auto proof = mst_covering_proof(c.data, blocks, o.path, carried); !proof) return proof.error();
        if (o.id.empty()) continue;
        auto record = blocks.get(o.id);
        if (!record) return refusal{"missing_record", "the record of " + o.path + " is not there"};
        carried.put(o.id, std::move(*record));
    }
    e.blocks = car_header({e.commit});
    append_car_block(e.blocks, e.commit, head);
    for (const auto& [id, bytes] : carried) append_car_block(e.blocks, id, bytes);
    if (auto fits = fit(e); !fits) return fits.error();
    return e;
}

sync_event announce_state(const repo_commit& c, std::string time) {
    const auto head = encode_commit(c);
    const auto id = cid::of_dag_cbor(head);
    sync_event e{0, c.did, c.rev, car_header({id}), std::move(time)};
    append_car_block(e.blocks, id, head);
    return e;
}

// -- reading --------------------------------------------------------------------------------------------------------

wanted::wanted(std::vector<std::string> collections) {
    for (auto& c : collections) {
        if (c.ends_with(".*"))
            c.pop_back(), beginnings_.push_back(std::move(c));
        else
            names_.push_back(std::move(c));
    }
    std::ranges::sort(names_);
}

bool wanted::has(std::string_view collection) const {
    if (names_.empty() && beginnings_.empty()) return true;
    return std::ranges::binary_search(names_, collection, std::less<>()) ||
           std::ranges::any_of(beginnings_, [&](const std::string& b) { return collection.starts_with(b); });
}

namespace {

// Reads a frame from the left. Everything returns false at the first thing that is not as it should be, and `why` says what.
class reader {
public:
    explicit reader(std::string_view frame) : in_(frame, {.bytes = largest_frame, .depth = 16, .items = most_items}) {}

    std::int64_t op = 0;
    std::string_view type;

    bool head() {
        bool known = false;
        const auto whole = fields([&](std::string_view key, bool& took) {
            took = true;
            if (key == "t") return text(type);
            if (key == "op") return known = true, number(op);
            took = false;
            return true;
        });
        return whole && (known || refuse("a header without op"));
    }

    // Each field of a map to `take`, which says whether it took the value; what it did not take is passed over.
    template <class F>
    bool fields(F&& take) {
        cbor_item map;
        if (!item(map, cbor_kind::map)) return false;
        std::string_view key;
        for (std::size_t i = 0; i < map.count; ++i) {
            bool took = false;
            if (!in_.key(key, i == 0) || !take(key, took)) return false;
            if (!took && !in_.skip()) return false;
            if (enough_) return true;
        }
        in_.close();
        return true;
    }
    void enough() { enough_ = true; } // the rest of what is being read is of no interest

    bool item(cbor_item& i, cbor_kind kind) { return in_.next(i) && (i.kind == kind || refuse("a field of another type")); }
    bool number(std::int64_t& n) {
        cbor_item i;
        return item(i, cbor_kind::number) && (n = i.number, true);
    }
    bool seq(std::int64_t& n) { return number(n) && (n >= 0 || refuse("a sequence number below zero")); }
    bool flag(bool& b) {
        cbor_item i;
        return item(i, cbor_kind::boolean) && (b = i.flag, true);
    }
    bool text(std::string_view& t) {
        cbor_item i;
        return item(i, cbor_kind::text) && (t = i.data, t.size() <= longest_text || refuse("a longer text than is taken"));
    }
    bool text(std::string& t) {
        std::string_view v;
        return text(v) && (t = v, true);
    }
    bool did(std::string& t) { return text(t) && (is_did(t) || refuse("a repository that is no DID")); }
    bool rev(std::string& t) { return text(t) && (is_tid(t) || refuse("a revision that is no TID")); }
    bool maybe(std::optional<std::string>& t) { // null is absent
        cbor_item i;
        if (!in_.next(i)) return false;
        if (i.kind == cbor_kind::null) return t.reset(), true;
        if (i.kind != cbor_kind::text || i.data.size() > longest_text) return refuse("a text that is none, or longer than is taken");
        return t = std::string(i.data), true;
    }
    bool link(cid& c, bool may_be_null) {
        cbor_item i;
        if (!in_.next(i)) return false;
        if (i.kind == cbor_kind::null && may_be_null) return c = {}, true;
        if (i.kind != cbor_kind::link) return refuse("a link that is none");
        return c = *cid::from_bytes(i.data), true;
    }
    bool blocks(std::string& b, std::size_t most) {
        cbor_item i;
        if (!item(i, cbor_kind::bytes)) return false;
        if (i.data.size() > most) return refuse("more bytes of blocks than a frame may have", "blocks_too_large");
        return b = i.data, true;
    }
    bool list(std::size_t& n, std::size_t most) {
        cbor_item i;
        if (!item(i, cbor_kind::list)) return false;
        n = i.count;
        return n <= most || refuse("more operations or blobs than a commit may have", "too_many_ops");
    }
    void close() { in_.close(); }
    bool end() { return in_.end(); }

    bool refuse(const char* text, const char* code = "bad_frame") {
        if (why_.code.empty()) why_ = {code, std::string(text) + " (byte " + std::to_string(in_.at()) + ')'};
        return false;
    }
    refusal why() const {
        if (!in_.failed()) return why_;
        return {in_.why().code == "cbor_too_large" ? "frame_too_large" : "bad_frame", in_.why().code + ": " + in_.why().text};
    }

private:
    cbor_reader in_;
    bool enough_ = false;
    refusal why_;
};

bool read_op(reader& in, op& o) {
    std::string_view action;
    bool has_cid = false;
    const bool whole = in.fields([&](std::string_view key, bool& took) {
        took = true;
        if (key == "cid") return has_cid = true, in.link(o.id, true);
        if (key == "path") return in.text(o.path);
        if (key == "prev") return in.link(o.prev, true);
        if (key == "action") return in.text(action);
        took = false;
        return true;
    });
    if (!whole) return false;
    if (!has_cid || o.path.empty()) return in.refuse("an operation without cid or path");
    if (action != "create" && action != "update" && action != "delete") return in.refuse("an operation that is none");
    o.action = action == "create" ? op_action::create : action == "update" ? op_action::update : op_action::remove;
    if (o.id.empty() != (o.action == op_action::remove)) return in.refuse("an operation that does not say what is there now");
    return o.action != op_action::create || o.prev.empty() || in.refuse("something created that was there before");
}

bool read_ops(reader& in, std::vector<op>& ops) {
    std::size_t n = 0;
    if (!in.list(n, most_ops)) return false;
    ops.resize(n);
    for (auto& o : ops)
        if (!read_op(in, o)) return false;
    return in.close(), true;
}

bool read_blobs(reader& in, std::vector<cid>& blobs) {
    std::size_t n = 0;
    if (!in.list(n, most_blobs)) return false;
    blobs.resize(n);
    for (auto& b : blobs)
        if (!in.link(b, false)) return false;
    return in.close(), true;
}

bool read(reader& in, commit_event& e) {
    unsigned had = 0;
    const auto once = [&](unsigned bit) { return had |= bit, true; };
    const bool whole = in.fields([&](std::string_view key, bool& took) {
        took = true;
        if (key == "ops") return read_ops(in, e.ops) && once(1);
        if (key == "rev") return in.rev(e.rev) && once(2);
        if (key == "seq") return in.seq(e.seq) && once(4);
        if (key == "repo") return in.did(e.repo) && once(8);
        if (key == "time") return in.text(e.time);
        if (key == "blobs") return read_blobs(in, e.blobs);
        if (key == "since") return in.maybe(e.since);
        if (key == "blocks") return in.blocks(e.blocks, largest_blocks) && once(16);
        if (key == "commit") return in.link(e.commit, false) && once(32);
        if (key == "rebase") return in.flag(e.rebase);
        if (key == "tooBig") return in.flag(e.too_big);
        if (key == "prevData") return in.link(e.prev_data, true);
        took = false;
        return true;
    });
    if (!whole) return false;
    if (e.since && !is_tid(*e.since)) return in.refuse("a revision that is no TID");
    return had == 63 || in.refuse("a #commit without ops, rev, seq, repo, blocks or commit");
}

// What all events about an account have, and `own` fields of one kind; the bits of those that must be there come to `all`.
template <class E, class F>
bool read_about(reader& in, E& e, unsigned all, const char* without, F&& own) {
    unsigned had = 0;
    const bool whole = in.fields([&](std::string_view key, bool& took) {
        took = true;
        if (key == "did") return had |= 1, in.did(e.did);
        if (key == "seq") return had |= 2, in.seq(e.seq);
        if (key == "time") return in.text(e.time);
        return own(key, took, had);
    });
    return whole && (had == all || in.refuse(without));
}

bool read(reader& in, sync_event& e) {
    return read_about(in, e, 15, "a #sync without did, rev, seq or blocks", [&](std::string_view key, bool& took, unsigned& had) {
        if (key == "rev") return had |= 4, in.rev(e.rev);
        if (key == "blocks") return had |= 8, in.blocks(e.blocks, largest_sync_blocks);
        return took = false, true;
    });
}

bool read(reader& in, identity_event& e) {
    return read_about(in, e, 3, "an #identity without did or seq", [&](std::string_view key, bool& took, unsigned&) {
        if (key == "handle") return in.maybe(e.handle);
        return took = false, true;
    });
}

bool read(reader& in, account_event& e) {
    return read_about(in, e, 7, "an #account without did, seq or active", [&](std::string_view key, bool& took, unsigned& had) {
        if (key == "active") return had |= 4, in.flag(e.active);
        if (key == "status") return in.maybe(e.status);
        return took = false, true;
    });
}

bool read_said(reader& in, std::string_view name, std::string& said, std::optional<std::string>& message) {
    const bool whole = in.fields([&](std::string_view key, bool& took) {
        took = true;
        if (key == name) return in.text(said);
        if (key == "message") return in.maybe(message);
        took = false;
        return true;
    });
    return whole && (!said.empty() || in.refuse("a note without a name"));
}
bool read(reader& in, info_event& e) { return read_said(in, "name", e.name, e.message); }
bool read(reader& in, error_event& e) { return read_said(in, "error", e.error, e.message); }

bool read(reader& in, unknown_event& e) {
    e.op = in.op, e.type = in.type;
    return in.fields([&](std::string_view key, bool& took) { return key != "seq" || (took = true, in.seq(e.seq)); });
}

template <class T>
result<event> read_as(reader& in) {
    T e;
    if (!read(in, e) || !in.end()) return in.why();
    return event(std::move(e));
}

} // namespace

result<seen> glance(std::string_view frame, const wanted& collections) {
    reader in(frame);
    if (!in.head()) return in.why();
    seen out;
    if (in.op != 1) return out;
    out.type = in.type;
    const bool commit = out.type == "#commit", sync = out.type == "#sync";
    const std::string_view whose = commit ? "repo" : sync || out.type == "#identity" || out.type == "#account" ? "did" : "";
    bool touched = !commit;
    const auto look = [&](std::string_view key, bool& took) {
        took = true;
        if (key == "path") {
            std::string_view path;
            if (!in.text(path)) return false;
            touched = touched || collections.has_path(path);
            return true;
        }
        took = false;
        return true;
    };
    unsigned left = commit ? 15 : out.type == "#info" ? 0 : 4;
    if (left == 0) return out;
    const auto had = [&](unsigned bit) { return (left &= ~bit) != 0 || (in.enough(), true); };
    const bool whole = in.fields([&](std::string_view key, bool& took) {
        took = true;
        if (key == "ops" && commit) {
            std::size_t n = 0;
            if (!in.list(n, most_ops)) return false;
            touched = n == 0; // a new signature, or too much to say
            for (std::size_t i = 0; i < n; ++i)
                if (!in.fields(look)) return false;
            return in.close(), had(1);
        }
        if (key == "rev" && (commit || sync)) return in.text(out.rev) && had(2);
        if (key == "seq") return in.seq(out.seq) && had(4);
        if (!whose.empty() && key == whose) return in.text(out.repo) && had(8);
        took = false;
        return true;
    });
    if (!whole) return in.why();
    if (commit && left != 0) return refusal{"bad_frame", "a #commit without ops, rev, seq or repo"};
    out.worth = touched;
    return out;
}

result<event> decode(std::string_view frame) {
    reader in(frame);
    if (!in.head()) return in.why();
    if (in.op == -1) return read_as<error_event>(in);
    if (in.op == 1) {
        if (in.type == "#commit") return read_as<commit_event>(in);
        if (in.type == "#sync") return read_as<sync_event>(in);
        if (in.type == "#identity") return read_as<identity_event>(in);
        if (in.type == "#account") return read_as<account_event>(in);
        if (in.type == "#info") return read_as<info_event>(in);
    }
    return read_as<unknown_event>(in);
}

// -- believing ------------------------------------------------------------------------------------------------------

namespace {

result<repo_commit> verified_head(const car_view& blocks, const std::string& did, const std::string& rev, const std::string& not_after,
                                  std::span<const crypto::verifier> keys) {
    const auto head = blocks.roots().empty() ? std::nullopt : blocks.view(blocks.roots().front());
    if (!head) return refusal{"bad_root", "the first root, the commit, is not among the blocks"};
    auto c = decode_commit(*head);
    if (!c) return c;
    if (c->rev != rev) return refusal{"commit_mismatch", "the frame and its commit name two revisions"};
    if (!not_after.empty() && rev > not_after) return refusal{"rev_in_future", "a revision from the future"};
    if (auto own = verify_commit(*c, did, keys); !own) return own.error();
    return c;
}

result<void> follows(const commit_event& e, const verify_options& options) {
    if (e.since && *e.since >= e.rev) return refusal{"rev_not_newer", "a revision that is not later than the one before"};
    if (e.prev_data.empty() && options.need_prev_data) return refusal{"no_prev_data", "the host does not say which tree the commit follows on"};
    if (!options.known) return {};
    if (e.rev <= options.known->rev) return refusal{"rev_not_newer", "a revision that is not later than the one that is known"};
    if (e.since.value_or("") != options.known->rev || (!e.prev_data.empty() && e.prev_data != options.known->data))
        return refusal{"commit_gap", "it does not follow on what is known of " + e.repo + ": fetch the repository"};
    return {};
}

// What the tree says of the paths, and, undone, what it was before.
result<bool> prove(const commit_event& e, const cid& data, const car_view& blocks) {
    const bool inductive = !e.prev_data.empty();
    if (inductive) {
        std::vector<mst_op> ops;
        for (const auto& o : e.ops) {
            if (o.prev.empty() != (o.action == op_action::create)) return refusal{"bad_ops", "an operation that does not say what was at " + o.path};
            ops.push_back({o.path, o.id, o.prev});
        }
        const auto before = mst_invert(data, blocks, ops);
        if (!before) return before.error();
        if (*before != e.prev_data) return refusal{"prev_data_mismatch", "undone, the operations lead to another tree than the host says"};
        return true;
    }
    mst tree(data, blocks);
    for (const auto& o : e.ops) {
        const auto there = tree.find(o.path);
        if (!there) return there.error();
        if (there->value_or(cid()) != o.id) return refusal{"ops_mismatch", "the tree does not say what was done to " + o.path};
    }
    return false;
}

} // namespace

result<verified_commit> verify(const commit_event& e, std::span<const crypto::verifier> keys, const verify_options& options) {
    if (e.too_big) return refusal{"too_big", "the host left the operations out: fetch the repository"};
    if (auto next = follows(e, options); !next) return next.error();
    for (const auto& o : e.ops)
        if (!is_record_path(o.path)) return refusal{"bad_path", "no name of a record: " + o.path};
    const auto blocks = car_view::read(e.blocks, {.block = largest_blocks, .blocks = 50'000, .bytes = largest_blocks});
    if (!blocks) return blocks.error();
    if (blocks->roots().empty() || blocks->roots().front() != e.commit) return refusal{"bad_root", "the CAR's first root is not the commit"};
    auto head = verified_head(*blocks, e.repo, e.rev, options.not_after, keys);
    if (!head) return head.error();
    const auto proved = prove(e, head->data, *blocks);
    if (!proved) return proved.error();
    verified_commit out{std::move(*head), {}, *proved};
    out.ops.reserve(e.ops.size());
    for (const auto& o : e.ops) {
        out.ops.push_back({o, {}, {}});
        if (o.id.empty() || (options.only && !options.only->has_path(o.path))) continue;
        const auto block = blocks->view(o.id);
        if (!block) return refusal{"missing_record", "the record of " + o.path + " is not there"};
        auto record = decode_record(o.id, *block);
        if (!record) return record.error();
        out.ops.back().bytes = *block;
        out.ops.back().record = std::move(*record);
    }
    return out;
}

result<repo_commit> verify(const sync_event& e, std::span<const crypto::verifier> keys, const std::string& not_after) {
    const auto blocks = car_view::read(e.blocks, {.block = largest_sync_blocks, .blocks = 100, .bytes = largest_sync_blocks});
    if (!blocks) return blocks.error();
    return verified_head(*blocks, e.did, e.rev, not_after, keys);
}

} // namespace souk::firehose
