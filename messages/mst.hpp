// The Merkle search tree of an AT Protocol repository: record paths in order, each with the CID of its record.
// Format: https://atproto.com/specs/repository#mst-structure. One set of records has one tree, whatever led to it.
//
// A key's height is how many pairs of zero bits its SHA-256 begins with. A node holds keys of one height, in order, and between
// them links to nodes one lower; a node without keys is there only to lead down. The root has keys, or the tree is empty.
#pragma once
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <souk/messages/blocks.hpp>

namespace souk {

unsigned mst_height(std::string_view key);
// "collection/rkey" of [A-Za-z0-9_~:.-], at most 1024: what the network's trees may hold. Whether both parts are names is at.hpp's.
bool is_mst_key(std::string_view);
result<void> check_mst_key(std::string_view); // the same, with the code "mst_bad_key"

struct mst_limits {
    unsigned depth = 32;        // the root's height: a higher one takes 2^64 hashes
    std::size_t node = 1 << 20; // bytes of one node
    // Of one walk or one comparison.
    std::size_t nodes = 4'000'000;
    std::size_t bytes = std::size_t(1) << 30;
};

// -- one node -------------------------------------------------------------------------------------------------------

struct mst_node;

struct mst_link {
    cid id;                       // none: changed and not written yet, or no link at all
    std::shared_ptr<mst_node> at; // when it is in memory
    bool empty() const { return id.empty() && !at; }
};

struct mst_entry {
    std::string key;
    cid value;
    mst_link right; // what is between this key and the next
};

struct mst_node {
    unsigned height = 0; // not on the wire
    mst_link left;
    std::vector<mst_entry> entries;
};

// What one node shows by itself: its shape, its keys' syntax, order and compression. Codes "mst_bad_node", "mst_bad_order".
result<mst_node> decode_mst_node(std::string_view bytes, std::size_t most = mst_limits().node);
std::string encode_mst_node(const mst_node&); // its links have CIDs
std::string encode_mst_node(const mst_node&, const std::function<cid(const mst_link&)>& id_of); // or get them here, each once

// -- the tree -------------------------------------------------------------------------------------------------------

struct mst_range { // from <= key < until, an empty `until` being no end
    std::string from, until;
    bool backwards = false;
    static mst_range collection(std::string_view nsid) { return {std::string(nsid) + '/', std::string(nsid) + '0'}; } // '0' follows '/'
};

struct mst_changes {
    cid root;
    std::vector<std::pair<cid, std::string>> added; // children before parents
    std::vector<cid> dropped;                       // nodes that this tree has no more use for
};

// Nodes are read when they are needed and never believed: whatever is read is checked against where it hangs. So walking the whole
// tree verifies it, and a change reads and writes O(log n) nodes. A copy is cheap and independent; one thread at a time.
// Codes of all: "mst_missing_block", "mst_bad_node" (shape, an empty node, prefixes), "mst_bad_order" (also a key outside of its
// parent's gap), "mst_bad_height", "mst_too_deep", "mst_too_large", "mst_bad_key" (the caller's).
// A change that was refused for a block leaves a tree that refuses everything: load it again.
class mst {
public:
    using visitor = std::function<bool(std::string_view key, const cid&)>; // false: enough

    mst(); // the empty tree
    mst(const cid& root, const block_source& from, const mst_limits& limits = {}); // `from` outlives it and its copies

    result<std::optional<cid>> get(std::string_view key) const;
    // The same, and keeps what it read for the changes that follow.
    result<std::optional<cid>> find(std::string_view key);
    // What was there before.
    result<std::optional<cid>> put(std::string_view key, const cid& value);
    result<std::optional<cid>> remove(std::string_view key);
    result<void> walk(const visitor&, const mst_range& = {}) const;

    cid root() const; // hashes what was changed
    // What was changed since it was loaded or written. From then on it reads the new nodes from its source too: put them there first
    // thing. (A tree made without one is given one here.)
    mst_changes write(const block_source* from = nullptr);

    // Old and new of each key that differs, in order; one of them is none. Nodes that both have are not read.
    using difference = std::function<void(std::string_view key, const std::optional<cid>& before, const std::optional<cid>& after)>;
    static result<void> diff(const mst& before, const mst& after, const difference&);

private:
    friend class mst_cursor;
    using link = mst_link;
    using node = mst_node;
    using node_ptr = std::shared_ptr<node>;
    struct meter { // what a walk has read
        std::size_t nodes = 0, bytes = 0;
    };
    struct gap { // where a node hangs
        unsigned height;
        std::string_view from, until; // its keys are between the two; empty: no bound
    };

    result<node> read(const cid&, meter*) const;
    static result<node_ptr> fit(node, const gap&); // checks it against where it hangs
    result<node_ptr> load(const link&, const gap&, meter* = nullptr) const;
    result<node_ptr> load_root(meter* = nullptr) const;
    result<void> open(link&, const gap&) const; // loads and keeps
    node& mine(link&);                          // to be changed: no longer what was stored, and nobody else's
    result<std::optional<cid>> look(node_ptr at, std::string_view key, bool keep) const;
    result<void> insert(std::string_view key, const cid& value, unsigned height);
    result<void> cut(link&, const gap&, std::string_view key, unsigned height);
    result<void> trim();
    result<std::pair<link, link>> split(link, const gap&, std::string_view key);
    result<link> merge(link, link, const gap&, std::string_view between);
    result<bool> walk(const node&, const gap&, const mst_range&, const visitor&, meter&) const;
    cid save(const link&, mst_changes*) const;

    const block_source* from_ = nullptr;
    mst_limits limits_;
    link root_;
    std::set<cid> dropped_;
    refusal broken_;
};

// -- proofs ---------------------------------------------------------------------------------------------------------

// The blocks on the way to a key, or to where it would be: who has them and the root knows whether it is there, and its CID.
result<void> mst_proof(const cid& root, const block_source&, std::string_view key, block_map& out, const mst_limits& = {});
// And those to its neighbours: enough to undo a change of the key (see `mst_invert`), together with those of the other changed keys.
result<void> mst_covering_proof(const cid& root, const block_source&, std::string_view key, block_map& out, const mst_limits& = {});

struct mst_op {
    std::string path;
    cid value, prev; // after and before: no value, it was deleted; no prev, it was created
};

// The root that a tree had before the operations, from the tree after them, of which only the proofs' blocks need be there.
// Codes "mst_bad_ops" (nothing changed, or a path twice), "ops_mismatch" (the tree does not say what the operations say).
result<cid> mst_invert(const cid& root, const block_source&, const std::vector<mst_op>&, const mst_limits& = {});

} // namespace souk
