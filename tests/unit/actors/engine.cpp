// The engine that every entity runs on, fed by hand: what waits behind a write is decided upon by what the write made of things.
#include <doctest/doctest.h>

#include <souk/actors/broker/route.hpp>
#include <souk/actors/entity/engine.hpp>

using namespace souk;
using namespace std::chrono_literals;

namespace {

// It keeps everything, and says so when it is let.
class slow_journal final : public journal {
public:
    void append(append_request ask, done tell) override {
        for (auto& e : ask.events) kept.push_back(e);
        waiting.push_back([tell = std::move(tell)] { tell({stored::yes, {}}); });
    }
    void open_streams(std::string_view, const visitor&) override {}
    history past(std::string_view, const std::string&) override { return {}; }
    std::vector<std::string> newest(std::string_view, std::size_t) override { return {}; }
    std::uint64_t ended(const std::vector<std::string_view>&, std::uint64_t mark, std::size_t, const visitor&) override { return mark; }

    std::vector<std::string> kept;
    std::vector<std::function<void()>> waiting;
};

struct tunnels final : performer<route> {
    void perform(const route::cut& f, reply_to<route::cut> tell) override {
        asked = f, say = std::move(tell);
    }
    std::optional<route::cut> asked;
    reply_to<route::cut> say;
};

struct bench {
    slow_journal log;
    tunnels world;
    instant now{1'700'000'000s};
    std::vector<input<route>> in;
    engine<route> runs{ports<route>{log, world, [this] { return now; }, [this](input<route> x) { in.push_back(std::move(x)); }, {}, {}}};

    void deliver() {
        while (!in.empty()) {
            auto next = std::move(in.front());
            in.erase(in.begin());
            runs.take(std::move(next));
        }
    }
    void write() {
        auto all = std::exchange(log.waiting, {});
        for (auto& one : all) one();
        deliver();
    }
};

history cutting_since(instant then) {
    history h;
    for (const route::event& e : std::initializer_list<route::event>{route::claimed{"app--alice", "did:plc:alice", "alice.example", "app", then}, route::went_up{then, then + 24h},
                                                                     route::cutting{"abuse", then, then + 1min}})
        h.facts.push_back({then, encode_described(e)});
    return h;
}

} // namespace

TEST_CASE("a deadline that passed while the answer to it was being written ends nothing") {
    bench b;
    b.runs.recover("app--alice", cutting_since(b.now - 1h)); // it was down for longer than the order had
    REQUIRE(b.world.asked);
    b.world.say({*b.world.asked, verdict::done, {}, {}});
    b.deliver(); // `withdrawn` is on its way to the disk
    b.runs.tick(); // and the old deadline is noticed
    b.write();
    b.runs.tick();
    b.write();
    REQUIRE(b.runs.find("app--alice"));
    CHECK(b.runs.find("app--alice")->at == route::phase::withdrawn); // for its month

    b.now += 24h * 30 + 1s;
    b.runs.tick();
    b.write();
    CHECK_FALSE(b.runs.find("app--alice"));
}

TEST_CASE("nor is one forgotten that the write brought about, and that has passed by then") {
    bench b;
    b.runs.recover("app--alice", cutting_since(b.now - 1h));
    REQUIRE(b.world.asked);
    b.runs.tick(); // the old one: looked at again in a minute
    b.now += 2min; // the disk takes its time
    b.runs.tick();
    const auto before = b.log.kept.size();
    b.write();
    b.runs.tick();
    CHECK(b.log.kept.size() == before + 1); // the new one was said too
    b.write();
    CHECK(b.runs.find("app--alice")->due == b.now + 1min);
}
