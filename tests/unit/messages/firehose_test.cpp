#include <doctest/doctest.h>

#include <random>

#include <souk/messages/bytes.hpp>

#include "repository.hpp"

using namespace souk;
using namespace souk::firehose;

namespace {

std::string code(const auto& r) { return r.has_error() ? r.error().code : ""; }

constexpr const char* now = "2026-05-09T07:42:10.123Z";

std::string path(std::uint64_t n) { return (n % 3 ? "app.bsky.feed.post/" : "com.example.a/") + to_tid(1000 + n * 31, 1); }

// A repository, and the frame's event of its last commit.
struct told {
    repository r;
    repo_state before;
    commit_event event;

    explicit told(int records = 60) {
        std::map<std::string, value> all;
        for (int n = 0; n < records; ++n) all[path(static_cast<std::uint64_t>(n))] = repository::post(n);
        r.commit(all);
        tell({{path(2), repository::post(1000)},
              {path(7), null_t()},
              {path(9), null_t()},
              {path(500), repository::post(500)},
              {path(501), repository::post(7)}});
    }
    void tell(const std::map<std::string, value>& changes) {
        before = {r.head.rev, r.head.data};
        const auto ops = r.commit(changes);
        event = announce(r.head, before.rev, before.data, ops, r.blocks, now).value();
        event.seq = 77;
    }
    std::string verified(const commit_event& e, const verify_options& options = {}) const { return code(verify(e, r.keys(), options)); }
};

std::vector<event> one_of_each() {
    return {told().event,
            sync_event{5, "did:plc:alice", to_tid(5, 1), "blocks", now},
            identity_event{6, "did:plc:alice", now, "alice.example"},
            identity_event{6, "did:plc:alice", now, std::nullopt},
            account_event{7, "did:plc:alice", now, false, "takendown"},
            account_event{7, "did:plc:alice", now, true, std::nullopt},
            info_event{"OutdatedCursor", "from the beginning"},
            error_event{"FutureCursor", std::nullopt},
            error_event{"ConsumerTooSlow", "hurry"},
            unknown_event{1, "#later", 9},
            unknown_event{2, "#commit", 0}};
}

// A frame of fields that are any.
std::string frame(const value& head, const value& body) { return encode_dag_cbor(head) + encode_dag_cbor(body); }
const value message = value::map{{"op", 1}, {"t", "#commit"}};

value body_of(const commit_event& e) {
    const auto bytes = encode(e).value();
    return decode_dag_cbor(std::string_view(bytes).substr(encode_dag_cbor(message).size()), {.bytes = largest_frame}).value();
}

} // namespace

TEST_CASE("every frame is read as it was written") {
    for (const auto& e : one_of_each()) {
        const auto bytes = encode(e).value();
        CAPTURE(e.index());
        CHECK(decode(bytes).value() == e);
        CHECK(encode(decode(bytes).value()).value() == bytes);
        const auto seen = glance(bytes, wanted()).value();
        CHECK(seen.worth);
        for (std::size_t n = 0, step = bytes.size() > 2000 ? 97 : 1; n < bytes.size(); n += step) {
            CHECK(code(decode(bytes.substr(0, n))) == "bad_frame");
            (void)glance(bytes.substr(0, n), wanted()); // may know enough already
        }
        CHECK(code(decode(bytes + "x")) == "bad_frame");
    }
    CHECK(to_hex(encode(error_event{"FutureCursor", std::nullopt}).value()) == "a1626f7020a1656572726f726c467574757265437572736f72");
    CHECK(to_hex(encode(info_event{"A", "b"}).value()) == "a261746523696e666f626f7001a2646e616d656141676d6573736167656162");
    CHECK(encode(told().event).value().starts_with(encode_dag_cbor(message)));
}

TEST_CASE("a glance tells what a frame is about, and whether it is worth reading") {
    const told t;
    const auto bytes = encode(t.event).value();
    const auto worth = [&](std::vector<std::string> collections) { return glance(bytes, wanted(std::move(collections))).value().worth; };
    CHECK(worth({}));
    CHECK(worth({"com.example.a"}));
    CHECK(worth({"com.example.b", "app.bsky.feed.post"}));
    CHECK(worth({"app.bsky.*"}));
    CHECK(!worth({"com.example.b"}));
    CHECK(!worth({"com.example"}));
    CHECK(!worth({"app.bsk.*", "com.example.aa"}));
    const auto seen = glance(bytes, wanted({"com.example.b"})).value();
    CHECK(seen.type == "#commit");
    CHECK(seen.seq == 77);
    CHECK(seen.repo == t.r.did);
    CHECK(seen.rev == t.r.head.rev);
    auto quiet = t.event; // signed anew, or too much to say: whoever wants anything must look
    quiet.ops.clear();
    CHECK(glance(encode(quiet).value(), wanted({"com.example.b"})).value().worth);
    // It does not look at what comes after.
    const auto blocks_at = bytes.find("blocks");
    CHECK(!glance(bytes.substr(0, blocks_at), wanted({"com.example.b"})).value().worth);
    CHECK(glance(encode(account_event{7, "did:plc:alice", now, true, std::nullopt}).value(), wanted({"com.example.b"})).value().seq == 7);
    CHECK(glance(encode(account_event{7, "did:plc:alice", now, true, std::nullopt}).value(), wanted({"com.example.b"})).value().worth);
    CHECK(glance(encode(error_event{"FutureCursor", "x"}).value(), wanted({"com.example.b"})).value().worth);
    const auto later = frame(value::map{{"op", 1}, {"t", "#identity"}}, value::map{{"rev", 5}, {"seq", 8}});
    CHECK(glance(later, wanted()).value().seq == 8);
    CHECK(glance(frame(value::map{{"op", 1}, {"t", "#later"}}, value::map{{"", 3}}), wanted()).value().worth);
    CHECK(code(glance("", wanted())) == "bad_frame");
    CHECK(code(glance(frame(message, value::map{{"seq", 1}}), wanted())) == "bad_frame");
}

TEST_CASE("a frame of another form is refused") {
    const auto good = *body_of(told().event).as<value::map>();
    const auto with = [&](const std::string& name, const value& v) {
        auto m = good;
        m[name] = v;
        return code(decode(frame(message, m)));
    };
    const auto op_with = [&](const value::map& o) { return with("ops", value::list{o}); };
    const value::map op{{"cid", cid::of_dag_cbor("x")}, {"path", "a.b.c/1"}, {"action", "create"}};
    const auto changed = [&](const std::string& name, const value& v) {
        auto o = op;
        o[name] = v;
        return op_with(o);
    };
    CHECK(with("later", value::map{{"a", value::list{1, 2}}}) == ""); // a field of a later protocol
    CHECK(op_with(op) == "");
    CHECK(changed("prev", null_t()) == "");
    CHECK(changed("action", "update") == "");
    CHECK(changed("action", "delete") == "bad_frame"); // and says what is there
    CHECK(changed("action", "destroy") == "bad_frame");
    CHECK(changed("cid", null_t()) == "bad_frame");
    CHECK(changed("cid", "bafy") == "bad_frame");
    CHECK(changed("prev", cid::of_dag_cbor("y")) == "bad_frame"); // created, and there before
    CHECK(changed("path", 1) == "bad_frame");
    CHECK(changed("path", "") == "bad_frame");
    CHECK(op_with({{"path", "a.b.c/1"}, {"action", "create"}}) == "bad_frame");
    for (const char* name : {"ops", "rev", "seq", "repo", "blocks", "commit"}) {
        auto m = good;
        m.erase(name);
        CHECK(code(decode(frame(message, m))) == "bad_frame");
        CHECK(with(name, true) == "bad_frame");
    }
    CHECK(with("seq", -1) == "bad_frame");
    CHECK(with("repo", "alice") == "bad_frame");
    CHECK(with("rev", "1") == "bad_frame");
    CHECK(with("since", "1") == "bad_frame");
    CHECK(with("since", null_t()) == "");
    CHECK(with("tooBig", 1) == "bad_frame");
    CHECK(with("time", std::string(5000, 'x')) == "bad_frame");
    CHECK(with("ops", value::list(200, op)) == "");
    CHECK(with("ops", value::list(201, op)) == "too_many_ops");
    CHECK(with("blobs", value::list(4001, cid::of_raw("x"))) == "too_many_ops");
    CHECK(with("blocks", octets(std::string(2'000'000, 'x'))) == "");
    CHECK(with("blocks", octets(std::string(2'000'001, 'x'))) == "blocks_too_large");
    CHECK(with("later", octets(std::string(5'000'000, 'x'))) == "frame_too_large");
    CHECK(code(glance(frame(message, value::map{{"ops", value::list(201, op)}}), wanted())) == "too_many_ops");
    CHECK(code(decode(frame(value::map{{"t", "#commit"}}, good))) == "bad_frame");
    CHECK(code(decode(frame(1, good))) == "bad_frame");
    CHECK(code(decode(frame(message, 1))) == "bad_frame");
    CHECK(code(decode(frame(value::map{{"op", -1}}, value::map{{"message", "x"}}))) == "bad_frame");

    auto e = told().event;
    e.ops.resize(201);
    CHECK(code(encode(e)) == "too_many_ops");
    e = told().event;
    e.blocks.resize(2'000'001);
    CHECK(code(encode(e)) == "blocks_too_large");
    CHECK(code(encode(sync_event{1, "did:plc:alice", to_tid(1, 1), std::string(10'001, 'x'), now})) == "blocks_too_large");
}

TEST_CASE("a commit's frame alone shows what was done, by whom, and to what") {
    const told t;
    const auto v = verify(t.event, t.r.keys()).value();
    CHECK(v.inductive);
    CHECK(v.commit == t.r.head);
    REQUIRE(v.ops.size() == t.event.ops.size());
    for (std::size_t i = 0; i < v.ops.size(); ++i) {
        const auto& o = v.ops[i];
        CHECK(o.what == t.event.ops[i]);
        if (!o.what.id.empty()) CHECK((cid_of(o.record) == o.what.id && cid::of_dag_cbor(o.bytes) == o.what.id));
    }
    CHECK(t.verified(t.event, {.known = t.before}) == "");
    CHECK(t.verified(t.event, {.not_after = t.event.rev}) == "");
    const wanted none({"com.example.b"}), some({"com.example.a"});
    CHECK(verify(t.event, t.r.keys(), {.only = &none}).value().ops[0].bytes.empty());
    for (const auto& o : verify(t.event, t.r.keys(), {.only = &some}).value().ops)
        CHECK(o.bytes.empty() == (o.what.id.empty() || !o.what.path.starts_with("com.example.a/")));
}

TEST_CASE("what a host changes in a commit's frame is noticed") {
    const told t;
    const auto with = [&](auto change, const verify_options& options = {}) {
        auto e = t.event;
        change(e);
        return t.verified(e, options);
    };
    using event_t = commit_event;
    CHECK(with([](event_t& e) { e.too_big = true; }) == "too_big");
    CHECK(with([](event_t& e) { e.rev = to_tid(9'000'000'000'000'000, 1); }) == "commit_mismatch");
    CHECK(with([](event_t& e) { e.since = e.rev; }) == "rev_not_newer");
    CHECK(with([](event_t& e) { e.repo = "did:plc:bob"; }) == "wrong_did");
    CHECK(with([](event_t& e) { e.commit = cid::of_dag_cbor("x"); }) == "bad_root");
    CHECK(with([](event_t& e) { e.prev_data = cid::of_dag_cbor("x"); }) == "prev_data_mismatch");
    CHECK(with([](event_t& e) { e.prev_data = {}; }) == "no_prev_data");
    CHECK(with([](event_t& e) { e.prev_data = {}; }, {.need_prev_data = false}) == "");
    CHECK(with([](event_t& e) { e.prev_data = {}, e.ops[0].id = e.ops[4].id, e.ops[4].id = {}; }, {.need_prev_data = false}) == "ops_mismatch");
    CHECK(with([](event_t& e) { e.ops[0].path = "nonsense"; }) == "bad_path");
    CHECK(with([](event_t& e) { e.ops.pop_back(); }) == "prev_data_mismatch"); // something is kept quiet
    CHECK(with([](event_t& e) { e.ops.push_back(e.ops.back()); }) == "mst_bad_ops");
    CHECK(with([](event_t& e) { e.ops[0].id = e.ops[0].prev; }) == "ops_mismatch");
    for (std::size_t i = 0; i < t.event.ops.size(); ++i) {
        CAPTURE(i);
        CHECK(with([&](event_t& e) { e.ops[i].prev = e.ops[i].prev.empty() ? cid::of_dag_cbor("x") : cid(); }) == "bad_ops");
        if (!t.event.ops[i].prev.empty()) CHECK(with([&](event_t& e) { e.ops[i].prev = cid::of_dag_cbor("x"); }) == "prev_data_mismatch");
    }
    CHECK(with([](event_t& e) { e.blocks[e.blocks.size() - 3] ^= 1; }) == "cid_mismatch");
    CHECK(with([](event_t& e) { e.blocks.resize(e.blocks.size() - 3); }) == "car_truncated");
    CHECK(with([](event_t& e) { e.blocks = car_header({e.commit}); }) == "bad_root");
    CHECK(with([](event_t&) {}, {.known = repo_state{t.event.rev, t.before.data}}) == "rev_not_newer");
    CHECK(with([](event_t&) {}, {.known = repo_state{to_tid(1, 1), t.before.data}}) == "commit_gap");
    CHECK(with([](event_t&) {}, {.known = repo_state{t.before.rev, cid::of_dag_cbor("x")}}) == "commit_gap");
    CHECK(with([](event_t&) {}, {.not_after = t.before.rev}) == "rev_in_future");
    CHECK(code(verify(t.event, repository().keys())) == "bad_signature");
}

TEST_CASE("a commit's frame carries every new node and record, and without one it is not believed") {
    std::mt19937_64 random(9);
    told t(150);
    for (int round = 0; round < 40; ++round) {
        CAPTURE(round);
        std::map<std::string, value> changes;
        for (std::uint64_t n = 0, all = 1 + random() % 8; n < all; ++n)
            changes[path(random() % 300)] = random() % 3 ? repository::post(static_cast<int>(random() % 1000)) : value(null_t());
        std::erase_if(changes, [&](const auto& c) { return c.second.is_null() && !t.r.tree.get(c.first).value(); });
        t.tell(changes);
        CHECK(t.verified(t.event, {.known = t.before}) == "");
        CHECK(verify(std::get<commit_event>(decode(encode(t.event).value()).value()), t.r.keys()).value().inductive);
        // Every new node is among them: who has the tree before can follow.
        const auto carried = car_view::read(t.event.blocks).value();
        for (const auto& id : t.r.added) CHECK(carried.view(id));
        for (const auto& o : t.event.ops) {
            if (o.id.empty()) continue;
            commit_event less = t.event;
            less.blocks = car_header({t.event.commit});
            car_reader all([&](const cid& c, std::string_view b) -> result<void> {
                if (c != o.id) append_car_block(less.blocks, c, b);
                return {};
            });
            all.feed(t.event.blocks).value();
            CHECK(t.verified(less) == "missing_record");
        }
    }
}

TEST_CASE("the state of a repository is said in one frame") {
    const told t;
    const auto e = announce_state(t.r.head, now);
    CHECK(std::get<sync_event>(decode(encode(e).value()).value()) == e);
    CHECK(verify(e, t.r.keys()).value() == t.r.head);
    CHECK(code(verify(e, repository().keys())) == "bad_signature");
    CHECK(code(verify(e, t.r.keys(), t.before.rev)) == "rev_in_future");
    auto other = e;
    other.rev = t.before.rev;
    CHECK(code(verify(other, t.r.keys())) == "commit_mismatch");
    other = e;
    other.did = "did:plc:bob";
    CHECK(code(verify(other, t.r.keys())) == "wrong_did");
    other = e;
    other.blocks.pop_back();
    CHECK(code(verify(other, t.r.keys())) == "car_truncated");
}

TEST_CASE("what cannot be proved is not announced") {
    told t;
    const auto ops = t.event.ops;
    auto less = t.r.blocks;
    less.drop(ops.back().id.empty() ? ops.front().id : ops.back().id);
    CHECK(code(announce(t.r.head, t.before.rev, t.before.data, ops, less, now)) == "missing_record");
    CHECK(code(announce(t.r.head, t.before.rev, t.before.data, ops, block_map(), now)) == "mst_missing_block");
    CHECK(code(announce(t.r.head, t.before.rev, t.before.data, std::vector<op>(201), t.r.blocks, now)) == "too_many_ops");
    std::map<std::string, value> large;
    for (std::uint64_t n = 0; n < 3; ++n) large[path(900 + n)] = value::map{{"text", std::string(900'000, static_cast<char>('a' + n))}};
    const auto big = t.r.commit(large);
    CHECK(code(announce(t.r.head, t.before.rev, t.before.data, big, t.r.blocks, now)) == "blocks_too_large");
}
