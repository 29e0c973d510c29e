// Records created in a node's own repository: each in a signed commit on the disk before it is answered. tests/bench/beside_pds has the reference
// host's figures beside these.
#include <future>
#include <thread>

#include <souk/backends/records/repository.hpp>
#include <souk/runtime/bench/bench.hpp>
#include <souk/runtime/bench/measure.hpp>
#include <souk/runtime/bench/samples.hpp>
#include <souk/runtime/bench/scratch.hpp>

namespace souk::bench {

namespace {

constexpr unsigned one_by_one = 200, writers = 16, each = 100, many = 100'000, at_once = 500;

value record_of(unsigned i) {
    return value::map{{"$type", std::string(vouch::nsid)}, {"kind", "vouch"}, {"reason", "number " + std::to_string(i)}, {"createdAt", "2026-01-01T00:00:00.000Z"}};
}

double created_in_turn(repository& own, unsigned count) {
    const auto from = wall();
    for (unsigned i = 0; i < count; ++i)
        if (!own.create(std::string(vouch::nsid), "", record_of(i))) throw std::runtime_error("a record was not kept");
    return count / (wall() - from);
}

double created_at_once(repository& own) {
    const auto from = wall();
    std::vector<std::thread> all;
    for (unsigned w = 0; w < writers; ++w) all.emplace_back([&own] { created_in_turn(own, each); });
    for (auto& one : all) one.join();
    return writers * each / (wall() - from);
}

void fill(repository& own, unsigned count) {
    for (unsigned i = 0; i < count; i += at_once) {
        std::vector<record_write> batch;
        for (unsigned k = 0; k < at_once; ++k) batch.push_back({record_write::kind::create, std::string(vouch::nsid), "", record_of(i + k)});
        std::promise<void> done;
        own.apply(std::move(batch), [&](const std::vector<result<stored_record>>&) { done.set_value(); });
        done.get_future().get();
    }
}

} // namespace

std::vector<row> repositories(const settings& s) {
    std::vector<double> turn, once, large;
    for (unsigned i = 0; i < s.repetitions; ++i) {
        s.progress("repository, run " + std::to_string(i + 1));
        const scratch dir(s.directory);
        const auto own = open_repository(dir.path() / "records.db", "did:web:bench.example", crypto::generate(crypto::curve::k256));
        turn.push_back(created_in_turn(*own, one_by_one));
        once.push_back(created_at_once(*own));
        if (i > 0) continue; // what follows takes long, and is many measurements in itself
        const auto from = wall();
        fill(*own, many);
        const auto batched = many / (wall() - from);
        for (unsigned k = 0; k < 50; ++k) {
            const auto begun = wall();
            (void)own->create(std::string(vouch::nsid), "", record_of(k));
            large.push_back((wall() - begun) * 1000);
        }
        large.insert(large.begin(), batched);
    }
    const auto batched = large.front();
    large.erase(large.begin());
    return {{"one after another, each durable", median(turn), "/s", 0, "", 0, false, false},
            {"by 16 writers at once", median(once), "/s", 0, "", 0, false, false},
            {"by one writer, 500 at a time", batched, "/s", 0, "", 0, false, false},
            {"one into 100,000 records", median(large), "ms", 0, "", 0, true, false}};
}

} // namespace souk::bench
