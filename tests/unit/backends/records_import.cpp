// Somebody's whole repository, read as it comes: what is believed of it, and that nothing of it stays.
#include "../messages/repository.hpp"
#include "loopback.hpp"

#include <algorithm>
#include <random>

#include <souk/backends/records/repo_import.hpp>

using namespace souk;
using namespace souk::internal;
using namespace loopback;

namespace {

std::string path_of(unsigned n) { return "com.example.note/" + to_tid(1'000'000 + std::uint64_t(n) * 37, 1); }

std::map<std::string, value> posts(unsigned from, unsigned until) {
    std::map<std::string, value> all;
    for (auto n = from; n < until; ++n) all[path_of(n)] = repository::post(static_cast<int>(n));
    return all;
}

struct imported {
    result<verified_repo> said = refusal{"nothing", ""};
    std::size_t seen = 0;
    bool in_order = true;
    std::string code() const { return said ? "" : said.error().code; }
};

struct importing {
    directory home;
    import_limits limits;

    imported read(const repository& r, const std::vector<std::string>& pieces) const { return read(r.did, r.keys(), pieces); }
    imported read(const std::string& did, const std::vector<crypto::verifier>& keys, const std::vector<std::string>& pieces) const {
        imported out;
        repo_import into(home.path(), limits);
        for (const auto& piece : pieces)
            if (const auto fed = into.feed(piece); !fed) return out.said = fed.error(), out;
        std::string last;
        out.said = into.finish(did, keys, [&](std::string_view path, const cid& id, std::string_view bytes, value&) -> result<void> {
            ++out.seen, out.in_order = out.in_order && last < path && cid::of_dag_cbor(bytes) == id;
            last = path;
            return {};
        });
        return out;
    }
    std::string code(const repository& r, const std::string& car) const { return read(r, {car}).code(); }
};

std::vector<std::string> cut(const std::string& all, std::size_t size) {
    std::vector<std::string> pieces;
    for (std::size_t at = 0; at < all.size(); at += size) pieces.push_back(all.substr(at, size));
    return pieces;
}

// The same blocks in another order, the commit among them anywhere.
std::string shuffled(const repository& r) {
    const auto head = encode_commit(r.head);
    std::vector<std::pair<cid, std::string>> all(r.blocks.begin(), r.blocks.end());
    all.emplace_back(cid::of_dag_cbor(head), head);
    std::shuffle(all.begin(), all.end(), std::mt19937(7));
    auto out = car_header({cid::of_dag_cbor(head)});
    for (const auto& [id, bytes] : all) append_car_block(out, id, bytes);
    return out;
}

} // namespace

TEST_SUITE("repository import") {

TEST_CASE_FIXTURE(importing, "a hundred thousand records are read from a stream, and no file stays") {
    constexpr unsigned many = 100'000;
    repository r;
    r.commit(posts(0, many));
    const auto got = read(r, cut(r.car(), 16 * 1024));
    REQUIRE_MESSAGE(got.said, got.code());
    CHECK(got.said->records == many);
    CHECK(got.seen == many);
    CHECK(got.in_order);
    CHECK(got.said->commit == r.head);
    CHECK(std::filesystem::is_empty(home.path()));
}

TEST_CASE_FIXTURE(importing, "blocks come in any order and in any pieces") {
    repository r;
    r.commit(posts(0, 500));
    for (const std::size_t size : {1u, 7u, 36u, 4096u, 1u << 20}) {
        const auto got = read(r, cut(shuffled(r), size));
        CHECK(got.code() == "");
        CHECK(got.seen == 500);
        CHECK(got.in_order);
    }
}

TEST_CASE_FIXTURE(importing, "a stream that ends early is not the repository, wherever it ends") {
    repository r;
    r.commit(posts(0, 40));
    const auto whole = r.car();
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const auto said = code(r, whole.substr(0, size));
        CAPTURE(size);
        const bool refused = said == "car_truncated" || said == "bad_root" || said == "mst_missing_block" || said == "missing_record";
        CHECK(refused);
    }
    CHECK(code(r, whole) == "");
}

TEST_CASE_FIXTURE(importing, "a root that nobody signed, or that is not there, leads nowhere") {
    repository r;
    r.commit(posts(0, 20));
    CHECK(code(r, car_header({})) == "bad_root");
    CHECK(code(r, car_header({cid::of_dag_cbor("\xa0")}) + r.car().substr(car_header({cid::of_dag_cbor("\xa0")}).size())) == "bad_root");
    const repository other;
    CHECK(read(r.did, other.keys(), {r.car()}).code() == "bad_signature");
    CHECK(read("did:plc:bobbobbobbobbobbobbobbob", r.keys(), {r.car()}).code() == "wrong_did");
    auto forged = r.head; // the tree of before, under the signature of now
    r.commit(posts(20, 30));
    forged.sig = r.head.sig;
    CHECK(code(r, r.car(forged)) == "bad_signature");
}

TEST_CASE_FIXTURE(importing, "a tree that lies is refused, though each of its blocks has its CID and its owner signed it") {
    repository r;
    r.commit(posts(0, 60));
    const auto with_root = [&](const mst_node& n) {
        auto lie = r;
        const auto bytes = encode_mst_node(n);
        lie.head.data = cid::of_dag_cbor(bytes);
        lie.blocks.put(lie.head.data, bytes);
        lie.head = sign_commit(lie.head, crypto::curve::k256, *r.own).value();
        return code(r, lie.car());
    };
    const auto honest = decode_mst_node(*r.blocks.get(r.head.data)).value();
    CHECK(with_root(honest) == "");
    const auto child = [&]() -> cid {
        if (!honest.left.empty()) return honest.left.id;
        for (const auto& e : honest.entries)
            if (!e.right.empty()) return e.right.id;
        return {};
    }();
    REQUIRE(!child.empty());

    auto n = honest; // the same subtree on both sides of a key
    n.left.id = child, n.entries.front().right.id = child;
    CHECK(with_root(n) == "mst_bad_order");
    n = honest, n.left.id = cid::of_dag_cbor("\xa0"); // a subtree that is not there
    CHECK(with_root(n) == "mst_missing_block");
    n = honest, n.entries.back().value = cid::of_dag_cbor("\xa1");
    CHECK(with_root(n) == "missing_record");
    n = honest, n.entries.back().value = r.head.data.empty() ? cid() : child; // a node is a map as records are: it is one, and no harm
    CHECK(with_root(n) == "");
    n = {}, n.left.id = r.head.data; // another level, without a key to say which
    CHECK(with_root(n) == "mst_bad_node");
}

TEST_CASE_FIXTURE(importing, "larger than what is taken is refused, and while it comes") {
    repository r;
    r.commit(posts(0, 600));
    const auto all = r.car();
    const auto refused_with = [&](import_limits l) {
        limits = l;
        return code(r, all);
    };
    CHECK(refused_with({}) == "");
    CHECK(refused_with({.car = {.bytes = all.size() - 1}}) == "car_too_large");
    CHECK(refused_with({.car = {.block = 40}}) == "car_block_too_large");
    CHECK(refused_with({.car = {.blocks = r.blocks.size()}}) == "car_too_many_blocks");
    CHECK(refused_with({.tree = {.depth = 1}}) == "mst_too_deep");
    CHECK(refused_with({.tree = {.nodes = 10}}) == "mst_too_large");
    CHECK(refused_with({.tree = {.bytes = 1000}}) == "mst_too_large");
    CHECK(refused_with({.tree = {.node = 100}}) == "mst_bad_node");
}

TEST_CASE_FIXTURE(importing, "a block under a CID that is not its own is refused as it comes") {
    repository r;
    r.commit(posts(0, 5));
    auto swapped = r;
    swapped.blocks.put(cid_of(repository::post(1)), encode_dag_cbor(repository::post(2)));
    CHECK(code(r, swapped.car()) == "cid_mismatch");
}

TEST_CASE("a tree that leads back to itself ends, even where a source says that it has such nodes") {
    repository r;
    r.commit(posts(0, 200));
    for (const auto& [id, bytes] : block_map(r.blocks)) { // each node in turn has the root below it
        auto n = decode_mst_node(bytes);
        if (!n || id == r.head.data || n->entries.empty()) continue;
        auto lie = r;
        n->left.id = r.head.data;
        lie.blocks.put(id, encode_mst_node(*n)); // under the CID of another: no import takes that
        lie.blocks.put(cid::of_dag_cbor(encode_commit(r.head)), encode_commit(r.head));
        const auto said = verify_repo(cid::of_dag_cbor(encode_commit(r.head)), lie.blocks, r.did, r.keys(), {});
        REQUIRE(said.has_error());
        const bool seen = said.error().code == "mst_bad_height" || said.error().code == "mst_bad_order";
        CHECK(seen);
    }
}

TEST_CASE("a proof of one record says what the signed tree says, and nothing else") {
    repository r;
    r.commit(posts(0, 50));
    const auto proof_of = [&](const std::string& path, const repo_commit& c) {
        block_map nodes;
        REQUIRE(mst_proof(c.data, r.blocks, path, nodes));
        const auto head = encode_commit(c);
        auto out = car_header({cid::of_dag_cbor(head)});
        append_car_block(out, cid::of_dag_cbor(head), head);
        for (const auto& [id, bytes] : nodes) append_car_block(out, id, bytes);
        if (const auto there = mst(c.data, r.blocks).get(path).value()) append_car_block(out, *there, *r.blocks.get(*there));
        return out;
    };
    const auto said = [&](const std::string& car, const std::string& path) { return verify_record(car, r.did, r.keys(), path); };
    const auto code = [](const auto& outcome) { return outcome.has_error() ? outcome.error().code : ""; };
    const auto there = said(proof_of(path_of(7), r.head), path_of(7));
    REQUIRE(there);
    CHECK(there->id == cid_of(repository::post(7)));
    CHECK(there->bytes == encode_dag_cbor(repository::post(7)));
    CHECK(said(proof_of(path_of(999), r.head), path_of(999))->id.empty()); // proven not to be there
    auto forged = r.head;
    forged.rev = to_tid(++r.at, 7);
    CHECK(code(said(proof_of(path_of(7), forged), path_of(7))) == "bad_signature");
    CHECK(code(verify_record(proof_of(path_of(7), r.head), "did:plc:bobbobbobbobbobbobbobbob", r.keys(), path_of(7))) == "wrong_did");
    CHECK(code(said(car_header({}), path_of(7))) == "bad_root");
    CHECK(code(said("", path_of(7))) == "car_truncated");
    CHECK(code(said(proof_of(path_of(7), r.head), "nonsense")) == "bad_path");
    const auto head = encode_commit(r.head);
    auto bare = car_header({cid::of_dag_cbor(head)});
    append_car_block(bare, cid::of_dag_cbor(head), head);
    CHECK(code(said(bare, path_of(7))) == "mst_missing_block");
    auto less = proof_of(path_of(7), r.head);
    less.resize(less.size() - car_block_size(encode_dag_cbor(repository::post(7))));
    CHECK(code(said(less, path_of(7))) == "missing_record");
}

} // TEST_SUITE
