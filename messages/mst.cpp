#include <souk/messages/mst.hpp>

#include <algorithm>

namespace souk {

namespace {

// The first entry whose key is not before this one.
std::size_t place(const mst_node& n, std::string_view key) {
    const auto at = std::ranges::lower_bound(n.entries, key, {}, [](const mst_entry& e) { return std::string_view(e.key); });
    return static_cast<std::size_t>(at - n.entries.begin());
}

bool holds(const mst_node& n, std::size_t at, std::string_view key) { return at < n.entries.size() && n.entries[at].key == key; }

// The link before an entry; before the one past the last, the last link.
mst_link& link_before(mst_node& n, std::size_t at) { return at == 0 ? n.left : n.entries[at - 1].right; }
const mst_link& link_before(const mst_node& n, std::size_t at) { return at == 0 ? n.left : n.entries[at - 1].right; }

mst_link fresh(unsigned height, mst_link left, std::vector<mst_entry> entries) {
    if (left.empty() && entries.empty()) return {};
    return {{}, std::make_shared<mst_node>(mst_node{height, std::move(left), std::move(entries)})};
}

// Nodes without keys lead down from `to` to what is at `from`.
mst_link lift(mst_link l, unsigned from, unsigned to) {
    if (l.empty()) return l;
    for (; from < to; ++from) l = fresh(from + 1, std::move(l), {});
    return l;
}

} // namespace

// -- reading --------------------------------------------------------------------------------------------------------

mst::mst() { root_.at = std::make_shared<node>(); }
mst::mst(const cid& root, const block_source& from, const mst_limits& limits) : from_(&from), limits_(limits) { root_.id = root; }

result<mst_node> mst::read(const cid& id, meter* read) const {
    const auto bytes = from_ ? from_->get(id) : std::nullopt;
    if (!bytes) return refusal{"mst_missing_block", "the node " + id.text() + " is not there"};
    if (read && (++read->nodes > limits_.nodes || (read->bytes += bytes->size()) > limits_.bytes))
        return refusal{"mst_too_large", "a tree of more nodes or bytes than are taken"};
    return decode_mst_node(*bytes, limits_.node);
}

result<mst::node_ptr> mst::fit(node n, const gap& where) {
    n.height = where.height;
    const auto low = [&](const link& child) { return where.height > 0 || child.empty(); };
    bool fits = low(n.left);
    for (const auto& e : n.entries) fits = fits && low(e.right) && mst_height(e.key) == where.height;
    if (!fits) return refusal{"mst_bad_height", "a key or a subtree at a height that is not its own"};
    if (!n.entries.empty() &&
        ((!where.from.empty() && n.entries.front().key <= where.from) || (!where.until.empty() && n.entries.back().key >= where.until)))
        return refusal{"mst_bad_order", "a subtree with keys that are not between its parent's"};
    return std::make_shared<node>(std::move(n));
}

result<mst::node_ptr> mst::load(const link& l, const gap& where, meter* reads) const {
    if (l.at) return l.at;
    auto n = read(l.id, reads);
    if (!n) return n.error();
    if (n->entries.empty() && n->left.empty()) return refusal{"mst_bad_node", "a node without keys and without a subtree"};
    return fit(std::move(*n), where);
}

// The root's height is its keys'; the empty tree is the one node that has neither keys nor subtrees.
result<mst::node_ptr> mst::load_root(meter* reads) const {
    if (!broken_.code.empty()) return broken_;
    if (root_.at) return root_.at;
    auto n = read(root_.id, reads);
    if (!n) return n.error();
    if (n->entries.empty() && !n->left.empty()) return refusal{"mst_bad_node", "a root without keys above a subtree"};
    const auto height = n->entries.empty() ? 0 : mst_height(n->entries.front().key);
    if (height > limits_.depth) return refusal{"mst_too_deep", "a higher tree than is taken"};
    return fit(std::move(*n), {height, {}, {}});
}

result<void> mst::open(link& l, const gap& where) const {
    if (l.at) return {};
    auto n = load(l, where);
    if (!n) return n.error();
    l.at = std::move(*n);
    return {};
}

result<std::optional<cid>> mst::look(node_ptr n, std::string_view key, bool keep) const {
    if (auto ok = check_mst_key(key); !ok) return ok.error();
    const auto height = mst_height(key);
    gap where{n->height, {}, {}};
    // The bounds are views of keys of nodes above, which these keep.
    std::vector<node_ptr> above;
    while (n->height >= height) {
        const auto at = place(*n, key);
        if (holds(*n, at, key)) return std::optional(n->entries[at].value);
        auto& down = link_before(*n, at);
        if (n->height == height || down.empty()) break;
        if (at > 0) where.from = n->entries[at - 1].key;
        if (at < n->entries.size()) where.until = n->entries[at].key;
        --where.height;
        auto next = load(down, where);
        if (!next) return next.error();
        if (keep) down.at = *next;
        above.push_back(std::exchange(n, std::move(*next)));
    }
    return std::optional<cid>();
}

result<std::optional<cid>> mst::get(std::string_view key) const {
    auto n = load_root();
    if (!n) return n.error();
    return look(std::move(*n), key, false);
}

result<std::optional<cid>> mst::find(std::string_view key) {
    auto n = load_root();
    if (!n) return n.error();
    root_.at = *n;
    return look(std::move(*n), key, true);
}

result<bool> mst::walk(const node& n, const gap& where, const mst_range& range, const visitor& visit, meter& read) const {
    const auto size = n.entries.size();
    const auto first = range.from.empty() ? 0 : place(n, range.from), last = range.until.empty() ? size : place(n, range.until);
    // From the link before `first` to the link before `last`, the keys between.
    for (std::size_t step = 0; step <= last - first; ++step) {
        const auto at = range.backwards ? last - step : first + step;
        const auto key = [&]() -> const mst_entry* {
            if (range.backwards) return at > first ? &n.entries[at - 1] : nullptr;
            return at < last ? &n.entries[at] : nullptr;
        }();
        const auto& down = link_before(n, at);
        if (!down.empty() && !(at == first && holds(n, at, range.from))) { // before the first key asked for is nothing that was
            const gap below{where.height - 1, at > 0 ? std::string_view(n.entries[at - 1].key) : where.from,
                            at < size ? std::string_view(n.entries[at].key) : where.until};
            const auto child = load(down, below, &read);
            if (!child) return child.error();
            const auto more = walk(**child, below, range, visit, read);
            if (!more || !*more) return more;
        }
        if (key && !visit(key->key, key->value)) return false;
    }
    return true;
}

result<void> mst::walk(const visitor& visit, const mst_range& range) const {
    meter read;
    const auto n = load_root(&read);
    if (!n) return n.error();
    if (!range.until.empty() && range.until <= range.from) return {};
    const auto all = walk(**n, {(*n)->height, {}, {}}, range, visit, read);
    if (!all) return all.error();
    return {};
}

// -- changing -------------------------------------------------------------------------------------------------------

mst_node& mst::mine(link& l) {
    if (!l.id.empty()) dropped_.insert(std::exchange(l.id, {}));
    if (l.at.use_count() > 1) l.at = std::make_shared<node>(*l.at);
    return *l.at;
}

result<std::optional<cid>> mst::put(std::string_view key, const cid& value) {
    auto before = find(key);
    if (!before || *before == value) return before;
    const auto height = mst_height(key);
    if (height > limits_.depth) return refusal{"mst_too_deep", "a key higher than is taken"};
    if (auto done = insert(key, value, height); !done) return broken_ = done.error();
    return before;
}

result<void> mst::insert(std::string_view key, const cid& value, unsigned height) {
    if (root_.at->entries.empty()) {
        mine(root_) = node{height, {}, {{std::string(key), value, {}}}};
        return {};
    }
    if (const auto top = root_.at->height; height > top) {
        auto halves = split(root_, {top, {}, {}}, key);
        if (!halves) return halves.error();
        root_ = fresh(height, lift(std::move(halves->first), top, height - 1),
                      {{std::string(key), value, lift(std::move(halves->second), top, height - 1)}});
        return {};
    }
    auto* l = &root_;
    gap where{root_.at->height, {}, {}};
    for (;;) {
        auto& n = mine(*l); // `find` has opened it
        const auto at = place(n, key);
        if (holds(n, at, key)) {
            n.entries[at].value = value;
            return {};
        }
        auto& down = link_before(n, at);
        where = {n.height, at > 0 ? std::string_view(n.entries[at - 1].key) : where.from,
                 at < n.entries.size() ? std::string_view(n.entries[at].key) : where.until};
        if (n.height == height) {
            auto halves = down.empty() ? std::pair<link, link>() : split(down, {n.height - 1, where.from, where.until}, key);
            if (!halves) return halves.error();
            down = std::move(halves->first);
            n.entries.insert(n.entries.begin() + static_cast<std::ptrdiff_t>(at), {std::string(key), value, std::move(halves->second)});
            return {};
        }
        if (down.empty()) {
            down = lift(fresh(height, {}, {{std::string(key), value, {}}}), height, n.height - 1);
            return {};
        }
        l = &down;
    }
}

// Two nodes of the same height out of one: what is before the key, and what is after it. One that need not be cut stays as it is.
result<std::pair<mst_link, mst_link>> mst::split(link l, const gap& where, std::string_view key) {
    using halves = std::pair<link, link>;
    if (l.empty()) return halves();
    if (auto opened = open(l, where); !opened) return opened.error();
    const auto& seen = *l.at;
    const auto at = place(seen, key), size = seen.entries.size();
    auto parts = link_before(seen, at).empty() ? halves()
                                               : split(link_before(seen, at),
                                                       {where.height - 1, at > 0 ? std::string_view(seen.entries[at - 1].key) : where.from,
                                                        at < size ? std::string_view(seen.entries[at].key) : where.until},
                                                       key);
    if (!parts) return parts.error();
    if (at == size && parts->second.empty()) return halves(std::move(l), {});
    if (at == 0 && parts->first.empty()) return halves({}, std::move(l));
    auto& n = mine(l);
    const auto cut_at = n.entries.begin() + static_cast<std::ptrdiff_t>(at);
    std::vector<mst_entry> after(std::make_move_iterator(cut_at), std::make_move_iterator(n.entries.end()));
    n.entries.erase(cut_at, n.entries.end());
    auto right = fresh(where.height, std::move(parts->second), std::move(after));
    link_before(n, at) = std::move(parts->first);
    return halves(std::move(l), std::move(right));
}

result<std::optional<cid>> mst::remove(std::string_view key) {
    auto before = find(key);
    if (!before || !*before) return before;
    if (auto done = cut(root_, {root_.at->height, {}, {}}, key, mst_height(key)); !done) return broken_ = done.error();
    if (auto done = trim(); !done) return broken_ = done.error();
    return before;
}

result<void> mst::cut(link& l, const gap& where, std::string_view key, unsigned height) {
    auto& n = mine(l);
    const auto at = place(n, key);
    auto& down = link_before(n, at);
    gap below{where.height - 1, at > 0 ? std::string_view(n.entries[at - 1].key) : where.from,
              at < n.entries.size() ? std::string_view(n.entries[at].key) : where.until};
    if (n.height == height) {
        below.until = at + 1 < n.entries.size() ? std::string_view(n.entries[at + 1].key) : where.until;
        auto joined = merge(down, n.entries[at].right, below, key);
        if (!joined) return joined.error();
        down = std::move(*joined);
        n.entries.erase(n.entries.begin() + static_cast<std::ptrdiff_t>(at));
    } else if (auto done = cut(down, below, key, height); !done) {
        return done;
    }
    if (n.entries.empty() && n.left.empty()) l = {};
    return {};
}

// One node out of two neighbours of the same height.
result<mst_link> mst::merge(link a, link b, const gap& where, std::string_view between) {
    if (a.empty()) return b;
    if (b.empty()) return a;
    if (auto opened = open(a, {where.height, where.from, between}); !opened) return opened.error();
    if (auto opened = open(b, {where.height, between, where.until}); !opened) return opened.error();
    const auto& l = *a.at;
    const auto& r = *b.at;
    const auto size = l.entries.size();
    auto middle = where.height == 0 ? result<link>(link())
                                    : merge(link_before(l, size), r.left,
                                            {where.height - 1, size > 0 ? std::string_view(l.entries.back().key) : where.from,
                                             r.entries.empty() ? where.until : std::string_view(r.entries.front().key)},
                                            between);
    if (!middle) return middle.error();
    auto& left = mine(a);
    auto& right = mine(b);
    link_before(left, size) = std::move(*middle);
    left.entries.insert(left.entries.end(), std::make_move_iterator(right.entries.begin()), std::make_move_iterator(right.entries.end()));
    return a;
}

// What has no keys left at the top is taken off.
result<void> mst::trim() {
    if (root_.empty()) root_.at = std::make_shared<node>();
    while (root_.at->entries.empty() && !root_.at->left.empty()) {
        auto& top = mine(root_);
        auto& below = top.left;
        if (auto opened = open(below, {top.height - 1, {}, {}}); !opened) return opened;
        auto next = below;
        root_ = std::move(next);
    }
    return {};
}

// -- writing --------------------------------------------------------------------------------------------------------

cid mst::save(const link& l, mst_changes* out) const {
    if (!l.id.empty()) return l.id;
    auto bytes = encode_mst_node(*l.at, [&](const link& child) { return save(child, out); });
    const auto id = cid::of_dag_cbor(bytes);
    if (out) out->added.emplace_back(id, std::move(bytes));
    return id;
}

cid mst::root() const { return save(root_, nullptr); }

mst_changes mst::write(const block_source* from) {
    mst_changes out;
    out.root = save(root_, &out);
    // What was changed and changed back is neither new nor gone.
    std::erase_if(out.added, [&](const auto& block) { return dropped_.erase(block.first) > 0; });
    out.dropped.assign(dropped_.begin(), dropped_.end());
    dropped_.clear();
    if (from) from_ = from;
    root_ = {out.root, nullptr};
    return out;
}

// -- comparing ------------------------------------------------------------------------------------------------------

// Goes through a tree key by key and link by link, and enters a link only when told to.
class mst_cursor {
public:
    mst_cursor(const mst& tree, mst::meter& read) : tree_(tree), read_(read) {}

    result<void> start() {
        auto n = tree_.load_root(&read_);
        if (!n) return n.error();
        stack_.push_back({std::move(*n), 0, {}, {}});
        settle();
        return {};
    }
    bool done() const { return stack_.empty(); }
    // What is next: a link, or else a key.
    const mst_link* link() const { return !done() && top().step % 2 == 0 ? &link_before(*top().n, top().step / 2) : nullptr; }
    const mst_entry* entry() const { return !done() && top().step % 2 == 1 ? &top().n->entries[top().step / 2] : nullptr; }
    unsigned height() const { return top().n->height; }
    void pass() {
        ++stack_.back().step;
        settle();
    }
    result<void> enter() {
        auto& t = stack_.back();
        const auto at = t.step / 2;
        // Views of keys in nodes that the stack keeps.
        const auto from = at > 0 ? std::string_view(t.n->entries[at - 1].key) : t.from;
        const auto until = at < t.n->entries.size() ? std::string_view(t.n->entries[at].key) : t.until;
        auto n = tree_.load(*link(), {t.n->height - 1, from, until}, &read_);
        if (!n) return n.error();
        ++t.step;
        stack_.push_back({std::move(*n), 0, from, until});
        settle();
        return {};
    }

private:
    struct frame {
        std::shared_ptr<const mst_node> n;
        std::size_t step; // link, key, link, ...
        std::string_view from, until;
    };
    const frame& top() const { return stack_.back(); }
    void settle() { // at something
        while (!stack_.empty()) {
            if (top().step > 2 * top().n->entries.size())
                stack_.pop_back();
            else if (link() && link()->empty())
                ++stack_.back().step;
            else
                return;
        }
    }

    const mst& tree_;
    mst::meter& read_;
    std::vector<frame> stack_;
};

result<void> mst::diff(const mst& before, const mst& after, const difference& tell) {
    if (before.root() == after.root()) return {};
    meter read;
    mst_cursor a(before, read), b(after, read);
    if (auto started = a.start(); !started) return started;
    if (auto started = b.start(); !started) return started;
    while (!a.done() || !b.done()) {
        const auto *la = a.link(), *lb = b.link();
        if (la && lb && ((la->at && la->at == lb->at) || (!la->id.empty() && la->id == lb->id))) {
            a.pass(), b.pass();
            continue;
        }
        if (la || lb) { // the higher one first, so that the two come to links of one height
            const bool into_a = la && (!lb || a.height() >= b.height()), into_b = lb && (!la || b.height() >= a.height());
            if (into_a)
                if (auto entered = a.enter(); !entered) return entered;
            if (into_b)
                if (auto entered = b.enter(); !entered) return entered;
            continue;
        }
        const auto *ea = a.entry(), *eb = b.entry();
        const int order = !ea ? 1 : !eb ? -1 : ea->key.compare(eb->key);
        if (order < 0)
            tell(ea->key, ea->value, std::nullopt);
        else if (order > 0)
            tell(eb->key, std::nullopt, eb->value);
        else if (ea->value != eb->value)
            tell(ea->key, ea->value, eb->value);
        if (order <= 0) a.pass();
        if (order >= 0) b.pass();
    }
    return {};
}

} // namespace souk
