// What a repository says under one name, and that a host cannot make it say another thing.
#include <doctest/doctest.h>

#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/record_proof.hpp>

using namespace souk;

namespace {

struct account {
    crypto::secret key = crypto::generate(crypto::curve::k256);
    crypto::public_key open = crypto::public_of(crypto::curve::k256, key).value();
    std::string did;
    block_map blocks;
    mst tree;

    explicit account(std::string d) : did(std::move(d)) {}
    cid add(const std::string& path, const value& v) {
        auto bytes = encode_dag_cbor(v);
        const auto id = cid::of_dag_cbor(bytes);
        blocks.put(id, std::move(bytes));
        REQUIRE(tree.put(path, id).has_value());
        return id;
    }
    // As com.atproto.sync.getRecord answers.
    std::string proof(const std::string& path, const std::string& rev = "3mlf7tjlfjr2d", bool with_record = true) {
        const auto changes = tree.write(&blocks);
        for (const auto& [id, bytes] : changes.added) blocks.put(id, bytes);
        repo_commit c;
        c.did = did, c.rev = rev, c.data = tree.root();
        c = sign_commit(c, crypto::curve::k256, key).value();
        const auto head = encode_commit(c);
        const auto root = cid::of_dag_cbor(head);
        block_map way;
        REQUIRE(mst_proof(tree.root(), blocks, path, way).has_value());
        auto out = car_header({root});
        append_car_block(out, root, head);
        for (const auto& [id, bytes] : way) append_car_block(out, id, bytes);
        if (const auto id = tree.get(path).value(); id && with_record) append_car_block(out, *id, *blocks.get(*id));
        return out;
    }
    std::vector<crypto::verifier> keys() const {
        std::vector<crypto::verifier> all;
        all.push_back(crypto::verifier::of(open).value());
        return all;
    }
};

const std::string path = "com.example.thing/one";
value record(int n) { return value::map{{"$type", "com.example.thing"}, {"n", n}}; }

template <class T>
std::string code(const result<T>& r) { return r ? "good" : r.error().code; }

} // namespace

TEST_CASE("a record is proved with its revision, and so is that there is none") {
    account a("did:plc:alice");
    const auto id = a.add(path, record(1));
    for (int i = 0; i < 50; ++i) a.add("com.example.thing/k" + std::to_string(i), record(i));
    const auto keys = a.keys();
    const auto there = verify_record_proof(a.proof(path), a.did, path, keys);
    REQUIRE(there.has_value());
    CHECK(there->rev == "3mlf7tjlfjr2d");
    REQUIRE(there->found);
    CHECK(there->found->id == id);
    CHECK(there->found->record == record(1));
    const auto absent = verify_record_proof(a.proof("com.example.thing/two"), a.did, "com.example.thing/two", keys);
    REQUIRE(absent.has_value());
    CHECK_FALSE(absent->found);
}

TEST_CASE("a proof by another, of another, or with a part left out proves nothing") {
    account a("did:plc:alice"), eve("did:plc:eve");
    for (int i = 0; i < 50; ++i) a.add("com.example.thing/k" + std::to_string(i), record(i)), eve.add("com.example.thing/k" + std::to_string(i), record(i));
    a.add(path, record(1)), eve.add(path, record(2));
    const auto good = a.proof(path);
    CHECK(code(verify_record_proof(eve.proof(path), a.did, path, a.keys())) == "wrong_did");
    eve.did = a.did; // in her name, by another's key
    CHECK(code(verify_record_proof(eve.proof(path), a.did, path, a.keys())) == "bad_signature");
    CHECK(code(verify_record_proof(good, a.did, path, {})) == "no_keys");
    CHECK(code(verify_record_proof(good, a.did, "nonsense", a.keys())) == "bad_path");
    CHECK(code(verify_record_proof(a.proof(path, "3mlf7tjlfjr2d", false), a.did, path, a.keys())) == "missing_record");
    CHECK(code(verify_record_proof(a.proof("com.example.thing/k1"), a.did, path, a.keys())) != "good"); // of another's way
    auto broken = good;
    broken.back() = static_cast<char>(broken.back() ^ 1);
    CHECK(code(verify_record_proof(broken, a.did, path, a.keys())) == "cid_mismatch");
    for (const auto cut : {std::size_t{0}, std::size_t{10}, good.size() / 2, good.size() - 1}) CHECK_FALSE(verify_record_proof(good.substr(0, cut), a.did, path, a.keys()).has_value());
    CHECK_FALSE(verify_record_proof(std::string(largest_proof + 1, 'x'), a.did, path, a.keys()).has_value());
}
