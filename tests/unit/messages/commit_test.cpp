#include <doctest/doctest.h>

#include <souk/messages/bytes.hpp>
#include <souk/messages/commit.hpp>

#include "repository.hpp"

using namespace souk;

namespace {

std::string code(const auto& r) { return r.has_error() ? r.error().code : ""; }

std::string verified(const repository& r, const std::string& car, const record_visitor& visit = {}) {
    return code(verify_repo(car, r.did, r.keys(), visit));
}

} // namespace

TEST_CASE("a commit is signed over its canonical bytes, and read back as it was") {
    for (const auto on : {crypto::curve::k256, crypto::curve::p256}) {
        const auto key = crypto::generate(on);
        const repo_commit plain{"did:plc:alice", to_tid(5, 1), mst().root(), {}, {}};
        const auto c = sign_commit(plain, on, key).value();
        const auto bytes = encode_commit(c);
        CHECK(decode_commit(bytes).value() == c);
        CHECK(decode_dag_cbor(bytes).value().find("prev")->is_null()); // there, and null
        const std::vector<crypto::verifier> keys{
            crypto::verifier::of(crypto::public_of(crypto::curve::k256, crypto::generate(crypto::curve::k256)).value()).value(),
            crypto::verifier::of(crypto::public_of(on, key).value()).value()};
        CHECK(code(verify_commit(c, "did:plc:alice", keys)) == "");
        CHECK(code(verify_commit(c, "did:plc:alice", std::span(keys).first(1))) == "bad_signature");
        CHECK(code(verify_commit(c, "did:plc:alice", {})) == "no_keys");
        CHECK(code(verify_commit(c, "did:plc:bob", keys)) == "wrong_did");
        for (std::size_t at = 0; at < bytes.size(); ++at) { // no byte can be changed unseen
            auto changed = bytes;
            changed[at] = static_cast<char>(changed[at] ^ 1);
            const auto d = decode_commit(changed);
            CHECK((d.has_error() || verify_commit(*d, "did:plc:alice", keys).has_error()));
        }
    }
}

TEST_CASE("what is no commit of version 3 is refused") {
    const auto key = crypto::generate(crypto::curve::k256);
    const auto c = sign_commit({"did:plc:alice", to_tid(5, 1), mst().root(), {}, {}}, crypto::curve::k256, key).value();
    const auto with = [&](const std::string& name, const value& v) {
        auto m = *decode_dag_cbor(encode_commit(c)).value().as<value::map>();
        m[name] = v;
        return code(decode_commit(encode_dag_cbor(m)));
    };
    CHECK(with("version", 3) == "");
    CHECK(with("prev", c.data) == "");
    CHECK(with("version", 2) == "commit_version");
    CHECK(with("version", "3") == "bad_commit");
    CHECK(with("did", "alice") == "bad_commit");
    CHECK(with("rev", "1") == "bad_commit");
    CHECK(with("rev", null_t()) == "bad_commit");
    CHECK(with("data", cid::of_raw("x")) == "bad_commit");
    CHECK(with("data", null_t()) == "bad_commit");
    CHECK(with("prev", 1) == "bad_commit");
    CHECK(with("sig", octets(std::string(63, 'x'))) == "bad_commit");
    CHECK(with("sig", std::string(64, 'x')) == "bad_commit");
    CHECK(with("more", 1) == "bad_commit");
    for (const char* name : {"did", "rev", "sig", "data", "prev", "version"}) {
        auto m = *decode_dag_cbor(encode_commit(c)).value().as<value::map>();
        m.erase(name);
        CHECK(code(decode_commit(encode_dag_cbor(m))) == "bad_commit");
    }
    CHECK(code(decode_commit("")) == "bad_commit");
    CHECK(code(decode_commit("\x80")) == "bad_commit");
    CHECK(code(decode_commit(encode_commit(c) + "x")) == "bad_commit");
    CHECK(code(sign_commit({"alice", to_tid(5, 1), mst().root(), {}, {}}, crypto::curve::k256, key)) == "bad_commit");
    CHECK(code(sign_commit({"did:plc:alice", "x", mst().root(), {}, {}}, crypto::curve::k256, key)) == "bad_commit");
    CHECK(code(sign_commit({"did:plc:alice", to_tid(5, 1), {}, {}, {}}, crypto::curve::k256, key)) == "bad_commit");
}

TEST_CASE("an exported repository gives its records, one after the other") {
    repository r;
    std::map<std::string, value> all;
    for (int n = 0; n < 300; ++n) all["app.bsky.feed.post/" + to_tid(1000 + static_cast<std::uint64_t>(n) * 31, 1)] = repository::post(n);
    r.commit(all);
    std::map<std::string, value> seen;
    std::string last;
    const auto repo =
        verify_repo(r.car(), r.did, r.keys(), [&](std::string_view path, const cid& id, std::string_view bytes, value& v) -> result<void> {
            CHECK(last < path);
            CHECK(cid::of_dag_cbor(bytes) == id);
            seen[last = path] = std::move(v);
            return {};
        });
    REQUIRE(repo.has_value());
    CHECK(seen == all);
    CHECK(repo->records == all.size());
    CHECK(repo->commit == r.head);
    CHECK(repo->id == cid::of_dag_cbor(encode_commit(r.head)));
    CHECK(verified(r, r.car(), [](auto, const auto&, auto, auto&) -> result<void> { return refusal{"enough", "no more"}; }) == "enough");
    CHECK(verified(repository(), r.car()) == "bad_signature");
    r.commit({{"com.example.x/self", value(value::map{})}});
    CHECK(verified(r, r.car()) == "");

    repository empty;
    empty.commit({});
    CHECK(verified(empty, empty.car()) == "");
}

TEST_CASE("an export that is not whole, or that holds what is no record, is refused") {
    repository r;
    r.commit({{"com.example.a/1", repository::post(1)}, {"com.example.a/2", repository::post(2)}});
    const auto one = cid_of(repository::post(1));
    auto less = r;
    less.blocks.drop(one);
    CHECK(verified(r, less.car()) == "missing_record");
    less = r;
    less.blocks.drop(r.head.data);
    CHECK(verified(r, less.car()) == "mst_missing_block");
    auto forged = r.head;
    forged.data = mst().root();
    CHECK(verified(r, r.car(forged)) == "bad_signature");
    CHECK(verified(r, car_header({})) == "bad_root");
    CHECK(verified(r, car_header({one})) == "bad_root");
    auto other = car_header({one});
    append_car_block(other, one, encode_dag_cbor(repository::post(1)));
    CHECK(verified(r, other) == "bad_commit");
    CHECK(verified(r, r.car().substr(0, 200)) == "car_truncated");

    const auto with = [&](const std::string& path, const cid& id, const std::string& bytes) {
        auto bad = r;
        bad.blocks.put(id, bytes);
        bad.tree.put(path, id).value();
        bad.commit({});
        return verified(r, bad.car());
    };
    const std::string real("\xfb\x3f\xf0\0\0\0\0\0\0", 9), list("\x80");
    CHECK(with("com.example.a/3", cid::of_dag_cbor("\xa0"), "\xa0") == "");
    CHECK(with("com.example.a/3", cid::of_dag_cbor(real), real) == "bad_record");
    CHECK(with("com.example.a/3", cid::of_dag_cbor(list), list) == "bad_record");
    CHECK(with("com.example.a/3", cid::of_raw("\xa0"), "\xa0") == "bad_record");
    CHECK(with("a/3", cid::of_dag_cbor("\xa0"), "\xa0") == "bad_path");
    CHECK(with("com.example.a/..", cid::of_dag_cbor("\xa0"), "\xa0") == "bad_path");
}
