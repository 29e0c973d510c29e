// What a stream of commits costs: frames a second on one core that are let go after a glance, read, and verified.
// firehose_bench [FRAMES] [RECORDS]: commits of one to three records each to repositories of so many records (2000, 10000).
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>

#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/firehose.hpp>
#include <souk/messages/time.hpp>

using namespace souk;

namespace {

template <class F>
void measure(const char* what, const std::vector<std::string>& frames, std::size_t bytes, F&& each) {
    const auto from = std::chrono::steady_clock::now();
    std::size_t n = 0;
    double seconds = 0;
    do { // a second at least
        for (const auto& f : frames) each(f);
        n += frames.size();
        seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count();
    } while (seconds < 1);
    const double rounds = static_cast<double>(n) / static_cast<double>(frames.size());
    std::printf("%-44s %9.0f frames/s  %7.1f MB/s\n", what, static_cast<double>(n) / seconds, static_cast<double>(bytes) * rounds / seconds / 1e6);
}

void must(bool holds) {
    if (!holds) std::abort();
}

} // namespace

int main(int argc, char** argv) {
    const std::uint64_t count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 2000,
                        records = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 10'000;
    const auto key = crypto::generate(crypto::curve::k256);
    const std::vector<crypto::verifier> keys{crypto::verifier::of(crypto::public_of(crypto::curve::k256, key).value()).value()};
    std::mt19937_64 random(1);
    block_map blocks;
    mst tree;
    std::uint64_t at = 1'750'000'000'000'000;
    std::vector<std::string> paths;
    const auto put = [&] {
        const value v = value::map{{"$type", "app.bsky.feed.post"},
                                   {"text", std::string(100 + random() % 200, 'x') + std::to_string(random())},
                                   {"createdAt", "2026-05-09T07:42:10.123Z"}};
        paths.push_back("app.bsky.feed.post/" + to_tid(at += 1'000'000 + random() % 1000, 1));
        blocks.put(cid_of(v), encode_dag_cbor(v));
        tree.put(paths.back(), cid_of(v)).value();
        return firehose::op{firehose::op_action::create, paths.back(), cid_of(v), {}};
    };
    const auto save = [&] {
        auto c = tree.write(&blocks);
        for (auto& [id, bytes] : c.added) blocks.put(id, std::move(bytes));
        for (const auto& id : c.dropped) blocks.drop(id);
        return c.root;
    };
    auto from = std::chrono::steady_clock::now();
    const auto took = [&] {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - std::exchange(from, std::chrono::steady_clock::now())).count();
    };
    for (std::uint64_t n = 0; n < records; ++n) put();
    auto root = save();
    std::printf("a tree of %llu records built and written in %.2f s\n", static_cast<unsigned long long>(records), took());

    std::vector<std::string> frames;
    std::size_t bytes = 0;
    std::optional<std::string> since;
    double committing = 0;
    for (std::uint64_t n = 0; n < count; ++n) {
        std::vector<firehose::op> ops;
        for (std::uint64_t i = 0; i <= random() % 3; ++i) ops.push_back(put());
        (void)took();
        const auto before = std::exchange(root, save());
        const auto c = sign_commit({"did:plc:alice", to_tid(at += 1000, 1), root, {}, {}}, crypto::curve::k256, key).value();
        auto e = firehose::announce(c, since, before, std::move(ops), blocks, "2026-05-09T07:42:10.123Z").value();
        e.seq = static_cast<std::int64_t>(n + 1);
        frames.push_back(firehose::encode(e).value());
        committing += took();
        since = c.rev;
        bytes += frames.back().size();
    }
    std::printf("%llu commits written, signed and announced, %.0f a second; %zu bytes a frame\n", static_cast<unsigned long long>(count),
                static_cast<double>(count) / committing, bytes / frames.size());

    const firehose::wanted other({"com.publicdomainrelay.ccrfp"});
    measure("let go after a glance", frames, bytes, [&](const std::string& f) { must(!firehose::glance(f, other).value().worth); });
    measure("read (and the blocks' bytes copied)", frames, bytes, [&](const std::string& f) { must(firehose::decode(f).has_value()); });
    measure("written", frames, bytes, [&, i = std::size_t(0)](const std::string&) mutable {
        static const auto events = [&] {
            std::vector<firehose::event> all;
            for (const auto& f : frames) all.push_back(firehose::decode(f).value());
            return all;
        }();
        must(firehose::encode(events[i++ % events.size()]).has_value());
    });
    measure("read and verified, undone to prevData", frames, bytes, [&](const std::string& f) {
        const auto e = firehose::decode(f).value();
        must(firehose::verify(std::get<firehose::commit_event>(e), keys).value().inductive);
    });

    // A whole export, as `verify_repo` takes it.
    const auto c = sign_commit({"did:plc:alice", to_tid(at, 1), root, {}, {}}, crypto::curve::k256, key).value();
    const auto head = encode_commit(c);
    auto car = car_header({cid::of_dag_cbor(head)});
    append_car_block(car, cid::of_dag_cbor(head), head);
    for (const auto& [id, b] : blocks) append_car_block(car, id, b);
    (void)took();
    const auto repo = verify_repo(car, "did:plc:alice", keys, {}).value();
    const auto seconds = took();
    std::printf("an export of %zu records, %.1f MB, verified in %.2f s: %.0f records/s\n", repo.records, static_cast<double>(car.size()) / 1e6,
                seconds, static_cast<double>(repo.records) / seconds);
}
