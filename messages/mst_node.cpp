// The nodes of a Merkle search tree (mst.hpp) as bytes, and the keys that they hold.
#include <algorithm>

#include <souk/messages/cbor.hpp>
#include <souk/messages/crypto.hpp>
#include <souk/messages/mst.hpp>

namespace souk {

namespace {

constexpr std::size_t longest_key = 1024;

std::size_t common_prefix(std::string_view a, std::string_view b) {
    return static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

} // namespace

unsigned mst_height(std::string_view key) {
    unsigned pairs = 0;
    for (const char c : crypto::sha256(key)) {
        const auto b = static_cast<unsigned char>(c);
        if (b == 0) {
            pairs += 4;
            continue;
        }
        return pairs + (b < 4 ? 3 : b < 16 ? 2 : b < 64 ? 1 : 0);
    }
    return pairs;
}

bool is_mst_key(std::string_view key) {
    const auto slash = key.find('/');
    if (key.size() > longest_key || slash == 0 || slash == std::string_view::npos || slash + 1 == key.size()) return false;
    for (std::size_t i = 0; i < key.size(); ++i) {
        const char c = key[i];
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && i != slash && std::string_view("_~:.-").find(c) == std::string_view::npos) return false;
    }
    return true;
}
result<void> check_mst_key(std::string_view key) {
    if (!is_mst_key(key)) return refusal{"mst_bad_key", "a record's path is collection/rkey"};
    return {};
}

namespace {

// Reads a node from the left; false, and why, at the first thing that is not as it should be.
class node_reader {
public:
    node_reader(std::string_view bytes, std::size_t most) : in_(bytes, {.bytes = most, .depth = 3, .items = most / 8}) {}

    result<mst_node> read() {
        mst_node n;
        cbor_item list;
        if (!(map(2) && field("e") && item(list, cbor_kind::list))) return why();
        n.entries.resize(list.count);
        std::string_view before;
        for (auto& e : n.entries) {
            if (!entry(e, before)) return why();
            before = e.key;
        }
        in_.close();
        if (!field("l", "e") || !link(n.left)) return why();
        in_.close();
        if (!in_.end()) return why();
        return n;
    }

private:
    bool refuse(const char* code, const char* text) {
        if (why_.code.empty()) why_ = {code, text};
        return false;
    }
    refusal why() const { return in_.failed() ? refusal{"mst_bad_node", in_.why().code + ": " + in_.why().text} : why_; }

    bool item(cbor_item& i, cbor_kind kind) { return in_.next(i) && (i.kind == kind || refuse("mst_bad_node", "a field of another type")); }
    bool map(std::size_t fields) {
        cbor_item i;
        return item(i, cbor_kind::map) && (i.count == fields || refuse("mst_bad_node", "more or fewer fields than a node has"));
    }
    bool field(std::string_view name, std::string_view before = {}) {
        auto key = before;
        return in_.key(key, before.empty()) && (key == name || refuse("mst_bad_node", "a field that a node does not have"));
    }
    bool link(mst_link& l) {
        cbor_item i;
        if (!in_.next(i)) return false;
        if (i.kind == cbor_kind::null) return true;
        if (i.kind != cbor_kind::link) return refuse("mst_bad_node", "a field of another type");
        l.id = *cid::from_bytes(i.data);
        return i.data[1] == dag_cbor_codec || refuse("mst_bad_node", "a subtree that is not DAG-CBOR");
    }
    bool entry(mst_entry& e, std::string_view before) {
        cbor_item k, p, v;
        if (!(map(4) && field("k") && item(k, cbor_kind::bytes) && field("p", "k") && item(p, cbor_kind::number))) return false;
        if (p.number < 0 || static_cast<std::uint64_t>(p.number) > before.size())
            return refuse("mst_bad_node", "a prefix longer than the key before");
        if (k.data.size() > longest_key) return refuse("mst_bad_node", "a longer key than there may be");
        const auto shared = static_cast<std::size_t>(p.number);
        e.key.reserve(shared + k.data.size());
        e.key = before.substr(0, shared);
        e.key += k.data;
        if (!is_mst_key(e.key)) return refuse("mst_bad_node", "a key that is no record's path");
        if (e.key <= before) return refuse("mst_bad_order", "keys that are not in order");
        if (common_prefix(before, e.key) != shared) return refuse("mst_bad_node", "a prefix shorter than it could be");
        if (!(field("t", "p") && link(e.right) && field("v", "t") && item(v, cbor_kind::link))) return false;
        e.value = *cid::from_bytes(v.data);
        in_.close();
        return true;
    }

    static constexpr char dag_cbor_codec = 0x71;
    cbor_reader in_;
    refusal why_;
};

} // namespace

result<mst_node> decode_mst_node(std::string_view bytes, std::size_t most) { return node_reader(bytes, most).read(); }

std::string encode_mst_node(const mst_node& n) {
    return encode_mst_node(n, [](const mst_link& l) { return l.id; });
}
std::string encode_mst_node(const mst_node& n, const std::function<cid(const mst_link&)>& id_of) {
    std::string out;
    out.reserve(64 + 96 * n.entries.size());
    cbor_writer w(out);
    const auto link = [&](const mst_link& l) { l.empty() ? w.null() : w.link(id_of(l)); };
    w.map(2);
    w.key("e"), w.list(n.entries.size());
    std::string_view before;
    for (const auto& e : n.entries) {
        const auto shared = common_prefix(before, e.key);
        w.map(4);
        w.key("k"), w.bytes(std::string_view(e.key).substr(shared));
        w.key("p"), w.integer(static_cast<std::int64_t>(shared));
        w.key("t"), link(e.right);
        w.key("v"), w.link(e.value);
        before = e.key;
    }
    w.key("l"), link(n.left);
    return out;
}

} // namespace souk
