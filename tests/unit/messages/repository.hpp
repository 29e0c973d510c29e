// A repository in memory, for tests: blocks, a tree, commits.
#pragma once
#include <map>
#include <memory>

#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/firehose.hpp>
#include <souk/messages/time.hpp>

struct repository {
    // A secret only moves, and tests copy repositories.
    std::shared_ptr<souk::crypto::secret> own = std::make_shared<souk::crypto::secret>(souk::crypto::generate(souk::crypto::curve::k256));
    std::string did = "did:plc:alicealicealicealicealic";
    souk::block_map blocks;
    souk::mst tree;
    souk::repo_commit head;
    std::vector<souk::cid> added;             // nodes, by the last commit
    std::uint64_t at = 1'700'000'000'000'000; // microseconds

    std::vector<souk::crypto::verifier> keys() const {
        return {souk::crypto::verifier::of(souk::crypto::public_of(souk::crypto::curve::k256, *own).value()).value()};
    }

    static souk::value post(int n) { return souk::value::map{{"$type", "app.bsky.feed.post"}, {"text", "post " + std::to_string(n)}}; }

    // Sets records, deletes those that are null, and signs. What was done, as a commit says it.
    std::vector<souk::firehose::op> commit(const std::map<std::string, souk::value>& changes) {
        using souk::firehose::op_action;
        std::vector<souk::firehose::op> ops;
        for (const auto& [path, v] : changes) {
            const auto bytes = v.is_null() ? "" : souk::encode_dag_cbor(v);
            const auto id = v.is_null() ? souk::cid() : souk::cid::of_dag_cbor(bytes);
            if (!v.is_null()) blocks.put(id, bytes);
            const auto was = (v.is_null() ? tree.remove(path) : tree.put(path, id)).value();
            ops.push_back({!was ? op_action::create : v.is_null() ? op_action::remove : op_action::update, path, id, was.value_or(souk::cid())});
        }
        const auto written = tree.write(&blocks);
        added.clear();
        for (const auto& [id, bytes] : written.added) blocks.put(id, bytes), added.push_back(id);
        for (const auto& id : written.dropped) blocks.drop(id);
        head = souk::sign_commit({did, souk::to_tid(++at, 7), written.root, {}, {}}, souk::crypto::curve::k256, *own).value();
        return ops;
    }

    // All of it, as a host exports it.
    std::string car(const souk::repo_commit& c) const {
        const auto bytes = souk::encode_commit(c);
        auto out = souk::car_header({souk::cid::of_dag_cbor(bytes)});
        souk::append_car_block(out, souk::cid::of_dag_cbor(bytes), bytes);
        for (const auto& [id, b] : blocks) souk::append_car_block(out, id, b);
        return out;
    }
    std::string car() const { return car(head); }
};
