#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>

#include <souk/messages/bytes.hpp>
#include <souk/messages/crypto.hpp>
#include <souk/messages/mst.hpp>
#include <souk/messages/time.hpp>

using namespace souk;

namespace {

using records = std::map<std::string, cid>;
using random_source = std::mt19937_64;

cid some_cid(std::uint64_t n) { return cid::of_dag_cbor("record " + std::to_string(n)); }

// The CID that the published root CIDs are about.
const auto published = cid::parse("bafyreie5cvv4h45feadgeuwhbcutmh6t2ceseocckahdoe6uat64zmz454").value();

std::string path(std::uint64_t n) {
    static const char* const collections[] = {"app.bsky.feed.post", "app.bsky.feed.like", "com.example.a", "com.example.ab", "com.example"};
    return std::string(collections[n % 5]) + '/' + to_tid(n * 7919, 1);
}

mst tree_of(const records& all) {
    mst t;
    for (const auto& [key, value] : all) t.put(key, value).value();
    return t;
}

void keep(block_map& store, const mst_changes& c) {
    for (const auto& [id, bytes] : c.added) store.put(id, bytes);
    for (const auto& id : c.dropped) store.drop(id);
}

records all_of(const mst& t, const mst_range& range = {}) {
    records out;
    t.walk([&](std::string_view key, const cid& value) { return out.emplace(key, value), true; }, range).value();
    return out;
}

std::string code(const cid& root, const block_source& from, const mst_limits& limits = {}) {
    const auto all = mst(root, from, limits).walk([](std::string_view, const cid&) { return true; });
    return all ? "" : all.error().code;
}

// A tree of hand-made nodes; each value is a record's.
struct forest {
    block_map blocks;
    cid put(const mst_node& n) {
        const auto bytes = encode_mst_node(n);
        const auto id = cid::of_dag_cbor(bytes);
        blocks.put(id, bytes);
        return id;
    }
};
mst_entry entry(const std::string& key, const cid& right = {}) { return {key, published, {right, {}}}; }
mst_node leaf(std::initializer_list<std::string> keys) {
    mst_node n;
    for (const auto& k : keys) n.entries.push_back(entry(k));
    return n;
}

std::string key(const std::string& middle) { return "com.example.record/3jqfcqzm" + middle + "2j"; }

} // namespace

TEST_CASE("a key's height is what the network computes") {
    const std::pair<const char*, unsigned> known[] = {{"", 0},
                                                      {"asdf", 0},
                                                      {"blue", 1},
                                                      {"2653ae71", 0},
                                                      {"88bfafc7", 2},
                                                      {"2a92d355", 4},
                                                      {"884976f5", 6},
                                                      {"app.bsky.feed.post/454397e440ec", 4},
                                                      {"app.bsky.feed.post/9adeb165882c", 8}};
    for (const auto& [k, height] : known) {
        const auto& key = k; // clang 14 captures no structured binding
        CAPTURE(key);
        CHECK(mst_height(k) == height);
    }
}

TEST_CASE("a key is a collection and a record key") {
    for (const char* k : {"coll/3jui7kd54zh2y", "coll/self", "com.example/rkey", "coll/~1.2-3_", "coll/pre:fix", "coll/_"}) CHECK(is_mst_key(k));
    for (const char* k : {"", "asdf", "nested/collection/asdf", "coll/", "/rkey", "/", "coll/jalape\xc3\xb1oA", "coll/key$", "coll/key+",
                          "coll/@handle", "coll/any space", "coll/#extra", "coll/dHJ1ZQ==", "coll/\"quote\""}) {
        CAPTURE(k);
        CHECK(!is_mst_key(k));
        CHECK(mst().put(k, published).error().code == "mst_bad_key");
    }
    CHECK(is_mst_key("coll/" + std::string(1019, 'x')));
    CHECK(!is_mst_key("coll/" + std::string(1020, 'x')));
}

TEST_CASE("known sets of keys have the published roots") {
    CHECK(mst().root().text() == "bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm");
    const auto root = [](std::initializer_list<const char*> middles) {
        mst t;
        for (const char* m : middles) t.put(key(m), published).value();
        return t.root().text();
    };
    CHECK(root({"3fo"}) == "bafyreibj4lsc3aqnrvphp5xmrnfoorvru4wynt6lwidqbm2623a6tatzdu");
    CHECK(root({"3fx"}) == "bafyreih7wfei65pxzhauoibu3ls7jgmkju4bspy4t2ha2qdjnzqvoy33ai");
    CHECK(root({"3fp", "3fr", "3fs", "3ft", "4fc"}) == "bafyreicmahysq4n6wfuxo522m6dpiy7z7qzym3dzs756t5n7nfdgccwq7m");
    CHECK(root({"3fo", "3fp", "3fr", "3fs", "3ft", "3fz", "4fc", "4fd", "4ff", "4fg", "4fh"}) ==
          "bafyreiettyludka6fpgp33stwxfuwhkzlur6chs4d2v4nkmq2j3ogpdjem");
    CHECK(root({"3fx", "3fz", "4fd", "3ft"}) == "bafyreig4jv3vuajbsybhyvb7gggvpwh2zszwfyttjrj6qwvcsp24h6popu");
}

TEST_CASE("what goes away leaves the published roots behind") {
    const auto with_and_without = [](std::initializer_list<const char*> middles, const char* last, const char* without, const char* with) {
        mst t;
        for (const char* m : middles) t.put(key(m), published).value();
        CHECK(t.root().text() == without);
        CHECK(t.put(key(last), published).value() == std::nullopt);
        CHECK(t.root().text() == with);
        CHECK(t.remove(key(last)).value() == published);
        CHECK(t.root().text() == without);
        CHECK(t.remove(key(last)).value() == std::nullopt);
    };
    // The top goes; a key splits what is two nodes below it; a root two higher than the one before.
    with_and_without({"3fn", "3fo", "3fp", "3ft", "3fu"}, "3fs", "bafyreie4kjuxbwkhzg2i5dljaswcroeih4dgiqq6pazcmunwt2byd725vi",
                     "bafyreifnqrwbk6ffmyaz5qtujqrzf5qmxf7cbxvgzktl4e3gabuxbtatv4");
    with_and_without({"3fo", "3fp", "3fr", "3fs", "3ft", "3fz", "4fc", "4fd", "4ff", "4fg", "4fh"}, "3fx",
                     "bafyreiettyludka6fpgp33stwxfuwhkzlur6chs4d2v4nkmq2j3ogpdjem", "bafyreid2x5eqs4w4qxvc5jiwda4cien3gw2q6cshofxwnvv7iucrmfohpm");
    with_and_without({"3ft", "3fz"}, "3fx", "bafyreidfcktqnfmykz2ps3dbul35pepleq7kvv526g47xahuz3rqtptmky",
                     "bafyreiavxaxdz7o7rbvr3zg2liox2yww46t7g6hkehx4i4h3lwudly7dhy");
    with_and_without({"3ft", "3fx", "3fz"}, "4fd", "bafyreiavxaxdz7o7rbvr3zg2liox2yww46t7g6hkehx4i4h3lwudly7dhy",
                     "bafyreig4jv3vuajbsybhyvb7gggvpwh2zszwfyttjrj6qwvcsp24h6popu");
}

TEST_CASE("whatever led to a set of records, its tree is the same, and what is written is exactly what is new") {
    random_source random(11);
    for (int round = 0; round < 30; ++round) {
        CAPTURE(round);
        records now;
        block_map store;
        mst t;
        keep(store, t.write(&store));
        for (int commit = 0; commit < 25; ++commit) {
            const auto was = now;
            const auto before = t;
            for (std::uint64_t op = 0, ops = 1 + random() % (commit % 5 == 0 ? 60 : 4); op < ops; ++op) {
                const auto k = path(random() % 300);
                if (random() % 3 == 0) {
                    const auto old = now.find(k);
                    CHECK(t.remove(k).value() == (old == now.end() ? std::nullopt : std::optional(old->second)));
                    now.erase(k);
                } else {
                    t.put(k, now[k] = some_cid(random() % 50)).value();
                }
            }
            // Old and new at once, one of them not written yet, say what a map says.
            std::map<std::string, std::pair<std::optional<cid>, std::optional<cid>>> told, expected;
            mst::diff(before, t, [&](std::string_view k, const auto& a, const auto& b) { told.emplace(k, std::pair(a, b)); }).value();
            for (const auto& [k, v] : was) expected[k].first = v;
            for (const auto& [k, v] : now) expected[k].second = v;
            std::erase_if(expected, [](const auto& e) { return e.second.first == e.second.second; });
            CHECK(told == expected);

            auto fresh = tree_of(now);
            const auto whole = fresh.write();
            const auto changes = t.write();
            CHECK(changes.root == whole.root);
            for (const auto& [id, bytes] : changes.added) CHECK((!store.has(id) && cid::of_dag_cbor(bytes) == id));
            for (const auto& id : changes.dropped) CHECK(store.has(id));
            keep(store, changes);
            // Neither a block too few nor one too many.
            CHECK(store.size() == whole.added.size());
            for (const auto& [id, bytes] : whole.added) CHECK(store.get(id) == bytes);
        }
        CHECK(all_of(t) == now);
        CHECK(t.get(path(1)).value() == (now.contains(path(1)) ? std::optional(now[path(1)]) : std::nullopt));
    }
}

TEST_CASE("a copy is another tree") {
    records all;
    for (std::uint64_t n = 0; n < 200; ++n) all[path(n)] = some_cid(n);
    auto a = tree_of(all);
    auto b = a;
    b.remove(path(3)).value();
    b.put(path(1000), some_cid(1)).value();
    CHECK(all_of(a) == all);
    CHECK(a.write().root == tree_of(all).root());
    all.erase(path(3)), all[path(1000)] = some_cid(1);
    CHECK(b.write().root == tree_of(all).root());
}

TEST_CASE("a walk goes from a key, over a collection, either way, and stops when told") {
    records all;
    for (std::uint64_t n = 0; n < 500; ++n) all[path(n)] = some_cid(n);
    block_map store;
    auto t = tree_of(all);
    keep(store, t.write(&store));
    for (const char* name : {"app.bsky.feed.post", "com.example.a", "com.example", "com.example.b", "zzz.none.here"}) {
        CAPTURE(name);
        auto expected = all;
        std::erase_if(expected, [&](const auto& e) { return !e.first.starts_with(std::string(name) + '/'); });
        CHECK(all_of(t, mst_range::collection(name)) == expected);
    }
    random_source random(5);
    for (int i = 0; i < 200; ++i) {
        mst_range range{path(random() % 600), path(random() % 600), random() % 2 == 0};
        if (random() % 4 == 0) range.until.clear();
        std::vector<std::string> seen, expected;
        t.walk([&](std::string_view k, const cid&) { return seen.emplace_back(k), true; }, range).value();
        for (const auto& [k, v] : all)
            if (k >= range.from && (range.until.empty() || k < range.until)) expected.push_back(k);
        if (range.backwards) std::ranges::reverse(expected);
        CHECK(seen == expected);
    }
    int seen = 0;
    t.walk([&](std::string_view, const cid&) { return ++seen < 7; }).value();
    CHECK(seen == 7);
}

namespace {

struct counted : block_source {
    block_map blocks;
    mutable std::size_t reads = 0;
    std::optional<std::string> get(const cid& c) const override { return ++reads, blocks.get(c); }
};

} // namespace

TEST_CASE("a commit of one record reads and writes few nodes of many, and so does finding out what it was") {
    counted store;
    mst t;
    for (std::uint64_t n = 0; n < 20'000; ++n) t.put(path(n), some_cid(n)).value();
    const auto first = t.write(&store);
    keep(store.blocks, first);
    auto root = first.root;
    std::size_t most_read = 0, most_written = 0, most_compared = 0;
    for (std::uint64_t n = 0; n < 300; ++n) {
        store.reads = 0;
        n % 3 == 0 ? t.remove(path(n * 31)).value() : t.put(path(n % 3 == 1 ? 20'000 + n : n * 17), some_cid(n + 1)).value();
        const auto before = root;
        const auto changes = t.write();
        most_read = std::max(most_read, store.reads), most_written = std::max(most_written, changes.added.size());
        for (const auto& [id, bytes] : changes.added) store.blocks.put(id, bytes);
        root = changes.root, store.reads = 0;
        std::size_t differ = 0;
        mst::diff(mst(before, store), mst(root, store), [&](auto, const auto&, const auto&) { ++differ; }).value();
        CHECK(differ <= 1);
        most_compared = std::max(most_compared, store.reads);
    }
    CHECK(most_read <= 30); // height 7 or so, and both edges of what is cut or joined
    CHECK(most_written <= 20);
    CHECK(most_compared <= 60);
    // What only looks keeps nothing of what it read.
    t.put(path(5), published).value();
    store.reads = 0;
    t.get(path(4)).value();
    const auto once = store.reads;
    t.get(path(4)).value();
    CHECK(store.reads == 2 * once);
    CHECK(once > 0);
}

TEST_CASE("a proof shows one key, there or not, and nothing else is needed") {
    random_source random(3);
    records all;
    for (int n = 0; n < 400; ++n) all[path(random() % 4000)] = some_cid(random());
    block_map store;
    auto t = tree_of(all);
    const auto root = t.write(&store);
    keep(store, root);
    for (int i = 0; i < 300; ++i) {
        const auto k = path(random() % 4000);
        block_map proof;
        mst_proof(root.root, store, k, proof).value();
        CHECK(proof.size() <= 8);
        const auto shown = mst(root.root, proof).get(k);
        REQUIRE(shown.has_value());
        CHECK(*shown == (all.contains(k) ? std::optional(all[k]) : std::nullopt));
        if (counted path_only; all.contains(k)) { // no more than the way to it
            path_only.blocks = store;
            mst(root.root, path_only).get(k).value();
            CHECK(proof.size() == path_only.reads);
        }
        for (const auto& [id, bytes] : proof) { // each block of it is needed
            auto less = proof;
            less.drop(id);
            block_map again;
            CHECK(mst_proof(root.root, less, k, again).error().code == "mst_missing_block");
        }
    }
}

TEST_CASE("the covering proofs of a commit's keys are enough to undo it") {
    random_source random(17);
    for (int round = 0; round < 300; ++round) {
        CAPTURE(round);
        records before;
        for (std::uint64_t n = 0, size = random() % 200; n < size; ++n) before[path(random() % 400)] = some_cid(random());
        auto after = before;
        std::vector<mst_op> ops;
        for (std::uint64_t n = 0, size = 1 + random() % 12; n < size; ++n) {
            const auto k = path(random() % 400);
            if (std::ranges::any_of(ops, [&](const mst_op& o) { return o.path == k; })) continue;
            const auto old = before.contains(k) ? before[k] : cid();
            const auto value = !old.empty() && random() % 2 == 0 ? cid() : some_cid(random());
            value.empty() ? (void)after.erase(k) : (void)(after[k] = value);
            ops.push_back({k, value, old});
        }
        block_map store, proofs;
        auto t = tree_of(after);
        const auto root = t.write(&store);
        keep(store, root);
        for (const auto& op : ops) mst_covering_proof(root.root, store, op.path, proofs).value();
        const auto undone = mst_invert(root.root, proofs, ops);
        REQUIRE(undone.has_value());
        CHECK(*undone == tree_of(before).root());

        auto lie = ops; // of what is there now; of what was there; that it was not there
        lie[0].value = some_cid(1);
        CHECK(mst_invert(root.root, proofs, lie).error().code == "ops_mismatch");
        lie = ops;
        lie[0].prev = some_cid(1);
        const auto other = mst_invert(root.root, proofs, lie);
        CHECK((other.has_error() || *other != tree_of(before).root()));
        lie.push_back(lie[0]);
        CHECK(mst_invert(root.root, proofs, lie).error().code == "mst_bad_ops");
    }
    CHECK(mst_invert(mst().root(), block_map(), {{"a/b", {}, {}}}).error().code == "mst_bad_ops");
}

TEST_CASE("a tree whose change was refused says so from then on") {
    records all;
    for (std::uint64_t n = 0; n < 300; ++n) all[path(n)] = some_cid(n);
    auto whole = tree_of(all);
    const auto written = whole.write();
    block_map store, part;
    keep(store, written);
    const auto top = std::ranges::max_element(all, {}, [](const auto& e) { return mst_height(e.first); })->first;
    mst_proof(written.root, store, top, part).value(); // not what lies on both sides of it
    mst t(written.root, part);
    CHECK(t.remove(top).error().code == "mst_missing_block");
    CHECK(t.get(top).error().code == "mst_missing_block");
    CHECK(t.put(top, published).error().code == "mst_missing_block");
}

TEST_CASE("nodes of another form are refused") {
    const auto code_of = [](const std::string& bytes) { return decode_mst_node(bytes).has_error() ? decode_mst_node(bytes).error().code : ""; };
    const auto link = [](const cid& c) { return "\xd8\x2a\x58\x25" + std::string(1, '\0') + c.bytes(); };
    const auto entry_of = [&](const std::string& k, char p, const std::string& t) {
        return "\xa4\x61k" + std::string(1, static_cast<char>(0x40 + k.size())) + k + "\x61p" + p + "\x61t" + t + "\x61v" + link(published);
    };
    const auto node_of = [](int n, const std::string& entries, const std::string& l) {
        return "\xa2\x61\x65" + std::string(1, static_cast<char>(0x80 + n)) + entries + "\x61l" + l;
    };
    const std::string none = "\xf6";
    CHECK(code_of(node_of(0, "", none)) == "");
    CHECK(code_of(node_of(2, entry_of("a/b", 0, none) + entry_of("c", 2, none), none)) == "");
    CHECK(code_of(node_of(2, entry_of("a/b", 0, none) + entry_of("/c", 1, none), none)) == "mst_bad_node"); // a longer prefix is shared
    CHECK(code_of(node_of(2, entry_of("a/b", 0, none) + entry_of("c", 4, none), none)) == "mst_bad_node");
    CHECK(code_of(node_of(1, entry_of("a/b", 1, none), none)) == "mst_bad_node");
    CHECK(code_of(node_of(2, entry_of("a/b", 0, none) + entry_of("a", 2, none), none)) == "mst_bad_order");
    CHECK(code_of(node_of(2, entry_of("a/b", 0, none) + entry_of("", 3, none), none)) == "mst_bad_order");
    CHECK(code_of(node_of(1, entry_of("ab", 0, none), none)) == "mst_bad_node");
    CHECK(code_of(node_of(1, entry_of("a/b", 0, link(cid::of_raw("x"))), none)) == "mst_bad_node");
    CHECK(code_of(node_of(1, entry_of("a/b", 0, "\x01"), none)) == "mst_bad_node");
    CHECK(code_of(node_of(1, entry_of("a/b", 0, none), link(cid::of_raw("x")))) == "mst_bad_node");
    CHECK(code_of(node_of(0, "", none) + "x") == "mst_bad_node");
    CHECK(code_of("\xa1\x61\x65\x80") == "mst_bad_node");
    CHECK(code_of("\xa3\x61\x65\x80\x61l\xf6\x61z\x01") == "mst_bad_node");
    CHECK(code_of("\x80") == "mst_bad_node");
    CHECK(code_of("") == "mst_bad_node");
    const auto large = encode_mst_node(leaf({"a/b", "a/c"}));
    CHECK(decode_mst_node(large, large.size() - 1).error().code == "mst_bad_node");
}

TEST_CASE("trees of another form are refused, each with its code") {
    // Heights: o, p, r, t, z, 4fc are 0; s, 4fd are 1; x is 2.
    forest f;
    const auto low = f.put(leaf({key("3fo"), key("3fp")}));
    CHECK(code(low, f.blocks) == "");
    mst_node s;
    s.left = {low, {}}, s.entries = {entry(key("3fs"), f.put(leaf({key("3ft")})))};
    CHECK(code(f.put(s), f.blocks) == "");

    auto wrong = s;
    wrong.entries = {entry(key("3fs"), low)}; // on the wrong side
    CHECK(code(f.put(wrong), f.blocks) == "mst_bad_order");
    wrong = {}, wrong.left = {f.put(leaf({key("3ft")})), {}}, wrong.entries = {entry(key("3fs"))};
    CHECK(code(f.put(wrong), f.blocks) == "mst_bad_order");
    CHECK(code(f.put(leaf({key("3fp"), key("3fs")})), f.blocks) == "mst_bad_height"); // two heights in one node
    wrong = leaf({key("3fp")}), wrong.left = {low, {}};                               // nothing is below height 0
    CHECK(code(f.put(wrong), f.blocks) == "mst_bad_height");
    wrong = {}, wrong.left = {low, {}}, wrong.entries = {entry(key("3fx"))}; // two lower
    CHECK(code(f.put(wrong), f.blocks) == "mst_bad_height");
    wrong = {}, wrong.left = {low, {}}; // a root that only leads down
    const auto leads = f.put(wrong);
    CHECK(code(leads, f.blocks) == "mst_bad_node");
    wrong = {}, wrong.left = {leads, {}}, wrong.entries = {entry(key("3fx"))}; // where it may
    CHECK(code(f.put(wrong), f.blocks) == "");
    const auto empty = f.put(mst_node{});
    CHECK(code(empty, f.blocks) == "");
    wrong = s, wrong.left = {empty, {}};
    CHECK(code(f.put(wrong), f.blocks) == "mst_bad_node");
    mst_node chain;
    chain.left = {empty, {}};
    wrong = {}, wrong.left = {f.put(chain), {}}, wrong.entries = {entry(key("3fx"))};
    CHECK(code(f.put(wrong), f.blocks) == "mst_bad_node");
    wrong = s, wrong.left = {cid::of_dag_cbor("gone"), {}};
    CHECK(code(f.put(wrong), f.blocks) == "mst_missing_block");
    CHECK(code(cid::of_dag_cbor("gone"), f.blocks) == "mst_missing_block");
    CHECK(code(f.put(s), f.blocks, {.nodes = 3}) == "");
    CHECK(code(f.put(s), f.blocks, {.nodes = 2}) == "mst_too_large");
    CHECK(code(f.put(s), f.blocks, {.bytes = 100}) == "mst_too_large");
    CHECK(code(f.put(s), f.blocks, {.node = 100}) == "mst_bad_node");
    CHECK(code(f.put(s), f.blocks, {.depth = 0}) == "mst_too_deep");
    CHECK(mst(f.put(s), f.blocks).get(key("3fo")).value() == published);

    // A circle of nodes cannot be made of hashes, but a source can claim one: heights end it.
    block_map circle;
    mst_node around;
    around.left = {low, {}};
    around.entries = {entry(key("3fx"))};
    circle.put(low, encode_mst_node(around));
    CHECK(code(low, circle) == "mst_bad_height");
    mst_node down;
    down.left = {leads, {}};
    circle.put(low, encode_mst_node(around)), circle.put(leads, encode_mst_node(down));
    around.left = {leads, {}};
    circle.put(low, encode_mst_node(around));
    CHECK(code(low, circle) == "mst_bad_height");
}

TEST_CASE("no byte of a node can be changed unseen") {
    random_source random(23);
    for (int round = 0; round < 20; ++round) {
        records all;
        for (int n = 0; n < 40; ++n) all[path(random() % 1000)] = some_cid(n);
        auto t = tree_of(all);
        const auto written = t.write();
        block_map store;
        keep(store, written);
        for (const auto& [id, bytes] : written.added)
            for (int i = 0; i < 40; ++i) {
                auto changed = bytes;
                auto& at = changed[random() % changed.size()];
                at = static_cast<char>(at ^ (1 << random() % 8));
                auto forged = store;
                forged.put(id, changed); // a source that did not check
                // Refused, or another tree and not this one: its nodes written again do not have this root.
                records seen;
                const auto walked = mst(written.root, forged).walk([&](std::string_view k, const cid& v) { return seen.emplace(k, v), true; });
                CHECK((walked.has_error() || tree_of(seen).root() != written.root));
            }
    }
}
