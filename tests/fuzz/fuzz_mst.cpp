// A node by itself; and a tree of hostile blocks, under whatever names: the source does not check, so that any node may hang anywhere.
#include <map>

#include <souk/messages/mst.hpp>

#include "fuzz.hpp"

using namespace souk;

namespace {

// Blocks after lengths of two bytes; the first is the root. A link whose digest begins with the number of a block leads to that.
struct forest : block_source {
    std::vector<std::string> blocks;
    explicit forest(std::string_view bytes) {
        while (bytes.size() > 2 && blocks.size() < 64) {
            const auto n = std::min<std::size_t>(
                bytes.size() - 2, static_cast<std::size_t>(static_cast<unsigned char>(bytes[0])) << 8 | static_cast<unsigned char>(bytes[1]));
            blocks.emplace_back(bytes.substr(2, n));
            bytes.remove_prefix(2 + n);
        }
    }
    std::optional<std::string> get(const cid& c) const override {
        const auto n = static_cast<unsigned char>(c.bytes()[4]);
        return n < blocks.size() ? std::optional(blocks[n]) : std::nullopt;
    }
};

const cid first = cid::from_bytes(std::string("\x01\x71\x12\x20", 4) + std::string(32, '\0')).value();
constexpr mst_limits small{.depth = 8, .node = 4096, .nodes = 256, .bytes = 64 << 10};

} // namespace

FUZZ {
    if (const auto node = decode_mst_node(bytes, 4096)) must(encode_mst_node(*node) == bytes, "one node has one encoding");

    const forest hostile(bytes);
    std::map<std::string, cid> seen;
    std::string last;
    const auto walked = mst(first, hostile, small).walk([&](std::string_view key, const cid& value) {
        must(last < key && is_mst_key(key), "keys are names, and in order");
        return seen.emplace(last = key, value), true;
    });
    mst tree(first, hostile, small);
    if (walked) {
        mst again;
        for (const auto& [key, value] : seen) {
            again.put(key, value).value();
            must(tree.get(key).value() == value, "what is walked over is found");
        }
        must(mst::diff(again, tree, [](auto, const auto&, const auto&) { must(false, "a tree of the same records differs from none"); }).has_value(),
             "a good tree is compared");
        for (const auto& [key, value] : seen) must(tree.remove(key).value() == value, "what is found is taken away");
        must(seen.empty() || tree.root() == mst().root(), "and nothing is left"); // a root that nothing was changed of keeps the name it came by
    } else {
        must(!walked.error().code.empty(), "a refusal has a code");
        for (const auto& [key, value] : seen) {
            (void)tree.put(key + "x", value);
            (void)tree.remove(key);
        }
        block_map proof;
        (void)mst_covering_proof(first, hostile, "com.example.a/1", proof, small);
        (void)mst_invert(first, hostile, {{"com.example.a/1", {}, first}, {"com.example.a/2", first, {}}}, small);
    }
}
