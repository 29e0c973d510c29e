// Proofs out of Merkle search trees (mst.hpp): of one key, of changes, and changes undone.
#include <set>

#include <souk/messages/mst.hpp>

namespace souk {

namespace {

struct recorder : block_source {
    const block_source& from;
    block_map& out;
    recorder(const block_source& f, block_map& o) : from(f), out(o) {}
    std::optional<std::string> get(const cid& c) const override {
        auto bytes = from.get(c);
        if (bytes) out.put(c, *bytes);
        return bytes;
    }
};

result<void> way_to(const mst& t, std::string_view key) {
    // A walk over nothing but the key goes down to where it would be even below its height, as readers that know no heights do.
    return t.walk([](std::string_view, const cid&) { return false; }, {std::string(key), std::string(key) + '\0'});
}

} // namespace

result<void> mst_proof(const cid& root, const block_source& from, std::string_view key, block_map& out, const mst_limits& limits) {
    if (auto ok = check_mst_key(key); !ok) return ok;
    const recorder seen(from, out);
    return way_to(mst(root, seen, limits), key);
}

result<void> mst_covering_proof(const cid& root, const block_source& from, std::string_view key, block_map& out, const mst_limits& limits) {
    if (auto own = mst_proof(root, from, key, out, limits); !own) return own;
    const recorder seen(from, out);
    const mst t(root, seen, limits);
    const auto first = [](std::string_view, const cid&) { return false; };
    if (auto before = t.walk(first, {{}, std::string(key), true}); !before) return before;
    return t.walk(first, {std::string(key) + '\0', {}});
}

result<cid> mst_invert(const cid& root, const block_source& from, const std::vector<mst_op>& ops, const mst_limits& limits) {
    std::set<std::string_view> paths;
    for (const auto& op : ops)
        if ((op.value.empty() && op.prev.empty()) || !paths.insert(op.path).second)
            return refusal{"mst_bad_ops", "an operation that changes nothing, or a path twice: " + op.path};
    mst t(root, from, limits);
    // What was deleted comes back first, as the network's other readers do it: no host's proofs have to hold more for this one.
    for (const bool deleted : {true, false})
        for (const auto& op : ops) {
            if (op.value.empty() != deleted) continue;
            const auto was = op.prev.empty() ? t.remove(op.path) : t.put(op.path, op.prev);
            if (!was) return was.error();
            if (was->value_or(cid()) != op.value) return refusal{"ops_mismatch", "the tree does not say what was done to " + op.path};
        }
    return t.root();
}

} // namespace souk
