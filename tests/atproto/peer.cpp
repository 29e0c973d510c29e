// Souk's side of tests/atproto: makes repositories, and reads those of others. One JSON object a line, in and out.
//   atproto_peer make PREFIX               {"did", "key"}, then {"path", "record" or null} and {"commit": true}, to PREFIX.car, the export, and
//                                          PREFIX.N.frame for each commit
//   atproto_peer import CAR DID DIDKEY     what the export says, and the data CID of its records in a tree of their own
//   atproto_peer follow DIDKEY FRAME...    frames of one repository, each of which must follow on the one before
#include <fstream>
#include <iostream>
#include <random>
#include <sstream>

#include <souk/messages/bytes.hpp>
#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/firehose.hpp>
#include <souk/messages/json.hpp>
#include <souk/messages/time.hpp>

using namespace souk;

namespace {

std::string read(const std::string& name) {
    std::ifstream in(name, std::ios::binary);
    if (!in) throw std::runtime_error("cannot read " + name);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

void write(const std::string& name, const std::string& bytes) {
    std::ofstream out(name, std::ios::binary);
    if (!(out << bytes).flush()) throw std::runtime_error("cannot write " + name);
}

std::vector<crypto::verifier> keys_of(const std::string& did_key) {
    return {crypto::verifier::of(crypto::public_key::from_did_key(did_key).value()).value()};
}

value records_of(const mst& t) {
    value::map out;
    t.walk([&](std::string_view path, const cid& id) { return out.emplace(path, id.text()), true; }).value();
    return out;
}

void say(const value& v) { std::cout << to_json(v) << '\n'; }

int make(const std::string& prefix) {
    block_map blocks;
    mst tree;
    repo_commit head;
    crypto::secret key;
    std::vector<firehose::op> ops;
    int commits = 0;
    std::uint64_t at = 1'750'000'000'000'000;
    for (std::string line; std::getline(std::cin, line);) {
        const auto v = from_json(line, json_form::atproto).value();
        if (v.find("key")) {
            head.did = v.text("did");
            key = crypto::secret(from_hex(v.text("key")).value());
        } else if (v.find("commit")) {
            const auto before = head;
            const auto written = tree.write(&blocks);
            for (const auto& [id, bytes] : written.added) blocks.put(id, bytes);
            for (const auto& id : written.dropped) blocks.drop(id);
            head.rev = to_tid(++at, 3), head.data = written.root;
            head = sign_commit(std::move(head), crypto::curve::k256, key).value();
            const auto since = before.rev.empty() ? std::nullopt : std::optional(before.rev);
            const auto prev_data = commits == 0 ? mst().root() : before.data;
            auto event = firehose::announce(head, since, prev_data, std::exchange(ops, {}), blocks, "2026-05-09T07:42:10.123Z").value();
            event.seq = ++commits;
            write(prefix + '.' + std::to_string(commits) + ".frame", firehose::encode(event).value());
        } else {
            const std::string path(v.text("path"));
            const auto* record = v.find("record");
            const bool gone = record->is_null();
            const auto bytes = gone ? "" : encode_dag_cbor(*record);
            const auto id = gone ? cid() : cid::of_dag_cbor(bytes);
            if (!gone) blocks.put(id, bytes);
            const auto was = (gone ? tree.remove(path) : tree.put(path, id)).value();
            const auto action = !was ? firehose::op_action::create : gone ? firehose::op_action::remove : firehose::op_action::update;
            ops.push_back({action, path, id, was.value_or(cid())});
        }
    }
    const auto bytes = encode_commit(head);
    auto car = car_header({cid::of_dag_cbor(bytes)});
    append_car_block(car, cid::of_dag_cbor(bytes), bytes);
    // What an export holds: the nodes and the records that are there now.
    block_map held;
    mst all(head.data, blocks);
    const auto hold = [&](std::string_view path, const cid& id) {
        mst_proof(head.data, blocks, path, held).value();
        held.put(id, blocks.get(id).value());
        return true;
    };
    all.walk(hold).value();
    if (held.size() == 0) held.put(head.data, blocks.get(head.data).value());
    for (const auto& [id, b] : held) append_car_block(car, id, b);
    write(prefix + ".car", car);
    say(value::map{{"root", cid::of_dag_cbor(bytes).text()}, {"rev", head.rev}, {"data", head.data.text()}, {"records", records_of(all)}});
    return 0;
}

int import(const std::string& name, const std::string& did, const std::string& did_key) {
    value::map records;
    std::vector<std::pair<std::string, cid>> all;
    const auto repo =
        verify_repo(read(name), did, keys_of(did_key), [&](std::string_view path, const cid& id, std::string_view bytes, value& v) -> result<void> {
            if (encode_dag_cbor(v) != bytes) return refusal{"changed", "a record that is written otherwise than it was read"};
            records.emplace(path, id.text());
            all.emplace_back(path, id);
            return {};
        });
    if (!repo) return say(value::map{{"refused", repo.error().code}}), 1;
    std::shuffle(all.begin(), all.end(), std::mt19937_64(all.size()));
    mst rebuilt;
    for (const auto& [path, id] : all) rebuilt.put(path, id).value();
    say(value::map{{"root", repo->id.text()},
                   {"rev", repo->commit.rev},
                   {"data", repo->commit.data.text()},
                   {"rebuilt", rebuilt.root().text()},
                   {"records", std::move(records)}});
    return 0;
}

int follow(const std::string& did_key, int frames, char** names) {
    const auto keys = keys_of(did_key);
    firehose::verify_options options;
    for (int i = 0; i < frames; ++i) {
        const auto frame = read(names[i]);
        const auto event = firehose::decode(frame);
        if (!event) return say(value::map{{"frame", names[i]}, {"refused", event.error().code}, {"why", event.error().text}}), 1;
        const auto& e = std::get<firehose::commit_event>(*event);
        const auto c = firehose::verify(e, keys, options);
        if (!c) return say(value::map{{"frame", names[i]}, {"refused", c.error().code}, {"why", c.error().text}}), 1;
        options.known = {c->commit.rev, c->commit.data};
        value::map ops;
        for (const auto& o : c->ops) ops.emplace(o.what.path, o.what.id.text());
        say(value::map{
            {"rev", c->commit.rev}, {"data", c->commit.data.text()}, {"same", firehose::encode(*event).value() == frame}, {"ops", std::move(ops)}});
    }
    return 0;
}

} // namespace

int main(int argc, char** argv) try {
    const std::string what = argc > 1 ? argv[1] : "";
    if (what == "make" && argc == 3) return make(argv[2]);
    if (what == "import" && argc == 5) return import(argv[2], argv[3], argv[4]);
    if (what == "follow" && argc > 3) return follow(argv[2], argc - 3, argv + 3);
    return std::cerr << "usage: atproto_peer make PREFIX | import CAR DID DIDKEY | follow DIDKEY FRAME...\n", 2;
} catch (const std::exception& e) {
    return std::cerr << "atproto_peer: " << e.what() << '\n', 1;
}
