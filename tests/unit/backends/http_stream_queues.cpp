#include "loopback.hpp"

#include <algorithm>
#include <memory>

#include <souk/backends/http/stream_queues.hpp>

using namespace souk;
using namespace std::chrono_literals;
using http::internal::stream_queues;

namespace {

http::server_limits limits(std::size_t each, std::size_t all) {
    http::server_limits l;
    l.stream_queue_bytes = each, l.stream_total_bytes = all;
    return l;
}
stream_queues::text text(std::size_t size) { return std::make_shared<const std::string>(size, 'x'); }
const stream_queues::moment start{};

// Readers that only wait: who of them was cut off, and how often.
struct crowd {
    stream_queues queues;
    std::vector<stream_queues::reader> readers;
    std::vector<int> cut;

    explicit crowd(http::server_limits l) : queues(l) {}
    stream_queues::reader come(const std::string& from) {
        const auto which = cut.size();
        cut.push_back(0);
        readers.push_back(queues.join(from, [this, which] {
            ++cut[which];
            (void)queues.held(); // no lock is held: this would never come back
        }));
        return readers.back();
    }
    crowd& come(std::size_t n) {
        for (std::size_t i = 0; i < n; ++i) come("peer " + std::to_string(i));
        return *this;
    }
    void take_all(std::size_t which) {
        while (queues.next(readers[which])) queues.done(readers[which]);
    }
};

constexpr auto place = stream_queues::place_costs, each_text = stream_queues::text_costs;

} // namespace

TEST_SUITE("stream queues") {

TEST_CASE("a text that many wait for is counted once, until the last of them has it") {
    crowd c(limits(1 << 20, 64 << 20));
    c.come(100);
    const auto one = text(10'000);
    for (const auto r : c.readers) c.queues.push(r, one, start);
    CHECK(c.queues.held() == 10'000 + each_text + 100 * place);
    for (std::size_t i = 0; i + 1 < 100; ++i) c.take_all(i);
    CHECK(c.queues.held() == 10'000 + each_text + place);
    CHECK(c.queues.next(c.readers.back()) == one);
    CHECK(c.queues.held() == 10'000 + each_text + place); // the kernel does not have it yet
    CHECK(c.queues.next(c.readers.back()) == nullptr);
    c.queues.done(c.readers.back());
    CHECK(c.queues.held() == 0);
    CHECK(one.use_count() == 1);
}

TEST_CASE("what is taken comes in the order in which it was given") {
    crowd c(limits(1 << 20, 64 << 20));
    c.come(1);
    std::size_t given = 0, taken = 0;
    for (int round = 0; round < 100; ++round) { // it never runs empty, and is never full
        for (int i = 0; i < 60; ++i) c.queues.push(c.readers[0], std::make_shared<const std::string>(std::to_string(given++)), start);
        for (int i = 0; i < 40; ++i) {
            const auto t = c.queues.next(c.readers[0]);
            REQUIRE(t != nullptr);
            REQUIRE(*t == std::to_string(taken++));
            c.queues.done(c.readers[0]);
        }
    }
    while (const auto t = c.queues.next(c.readers[0])) {
        REQUIRE(*t == std::to_string(taken++));
        c.queues.done(c.readers[0]);
    }
    CHECK(taken == given);
    CHECK(c.queues.held() == 0);
}

TEST_CASE("one reader's bound is by what waits for him, shared or not; the others stay") {
    crowd c(limits(100'000, 64 << 20));
    c.come(2);
    const auto one = text(20'000);
    for (int i = 0; i < 4; ++i)
        for (const auto r : c.readers) c.queues.push(r, one, start);
    CHECK(c.cut == std::vector<int>{0, 0});
    c.take_all(1);
    for (int i = 0; i < 4; ++i) c.queues.push(c.readers[0], one, start);
    CHECK(c.cut == std::vector<int>{1, 0});
    CHECK(c.queues.held() == 0);
    c.queues.push(c.readers[0], one, start); // for nobody
    CHECK(c.queues.held() == 0);
    CHECK(c.queues.queued(c.readers[0]) == 0);
    CHECK(c.queues.readers() == 1);
}

TEST_CASE("over the total, those go who hold most of it, and no more than have to") {
    crowd c(limits(1 << 20, 1'000'000));
    c.come(20);
    const auto shared = text(30'000);
    for (std::size_t i = 0; i < 10; ++i) // these wait for one and the same
        for (int n = 0; n < 5; ++n) c.queues.push(c.readers[i], shared, start);
    for (std::size_t i = 10; i < 20; ++i) // and these for something of their own each, later ones for more
        c.queues.push(c.readers[i], text(75'000 + i * 1'000), start);
    CHECK(c.cut == std::vector<int>(20, 0));
    c.queues.push(c.readers[0], text(30'000), start + 10s);
    CHECK(c.queues.held() > 950'000);
    CHECK(c.cut == std::vector<int>(20, 0));
    c.queues.push(c.readers[1], text(60'000), start + 10s);
    CHECK(c.queues.held() <= 750'000);
    CHECK(c.queues.held() > 600'000);
    CHECK(c.cut == std::vector<int>{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1});
}

TEST_CASE("who keeps up is not cut off for those who do not, though more waits for him just now") {
    crowd c(limits(1 << 20, 1'000'000));
    c.come(21);
    for (std::size_t i = 1; i < 21; ++i) c.queues.push(c.readers[i], text(45'000), start); // twenty who never take anything
    for (int n = 0; n < 50; ++n) { // and one who takes all that he gets
        c.queues.push(c.readers[0], text(10'000), start + n * 100ms);
        c.take_all(0);
    }
    for (int n = 0; n < 20; ++n) c.queues.push(c.readers[0], text(10'000), start + 5s);
    CHECK(c.cut[0] == 0);
    CHECK(std::count(c.cut.begin(), c.cut.end(), 1) >= 4);
    CHECK(c.queues.held() <= 1'000'000);
    CHECK(c.queues.queued(c.readers[0]) == 20 * (10'000 + place));
    c.take_all(0);
    CHECK(c.queues.queued(c.readers[0]) == 0);
}

TEST_CASE("the total holds whatever is sent, in whatever order") {
    auto l = limits(40'000, 300'000);
    crowd c(l);
    c.come(50);
    std::uint32_t dice = 1;
    const auto roll = [&](std::uint32_t n) { return (dice = dice * 1664525u + 1013904223u) / 65536u % n; };
    std::vector<stream_queues::text> live;
    for (int i = 0; i < 30; ++i) live.push_back(text(roll(5'000)));
    for (int i = 0; i < 20'000; ++i) {
        const auto who = roll(50);
        if (roll(3) == 0) {
            if (c.queues.next(c.readers[who]) && roll(2)) c.queues.done(c.readers[who]);
        } else {
            c.queues.push(c.readers[who], roll(2) ? live[roll(30)] : text(roll(5'000)), start + i * 1ms);
        }
        REQUIRE(c.queues.held() <= l.stream_total_bytes);
        if (c.cut[who]) c.cut[who] = 0, c.readers[who] = c.queues.join("again", [&c, who] { ++c.cut[who]; });
    }
    for (const auto r : c.readers) c.queues.leave(r);
    CHECK(c.queues.held() == 0);
}

TEST_CASE("when all places are taken, the address that holds most of them gives up its oldest") {
    auto l = limits(1 << 20, 64 << 20);
    l.streams = 6, l.streams_per_peer = 4;
    crowd c(l);
    for (int i = 0; i < 4; ++i) CHECK(c.come("eve") != 0);
    CHECK(c.come("eve") == 0); // hers are all taken
    CHECK(c.come("bob") != 0);
    CHECK(c.come("bob") != 0);
    CHECK(c.queues.readers() == 6);
    CHECK(c.come("alice") != 0);
    CHECK(c.cut == std::vector<int>{1, 0, 0, 0, 0, 0, 0, 0});
    CHECK(c.queues.readers() == 6);
    CHECK(c.come("carol") != 0);
    CHECK(c.cut == std::vector<int>{1, 1, 0, 0, 0, 0, 0, 0, 0});
    CHECK(c.come("bob") == 0); // he would only take from those who have as few
    CHECK(c.queues.readers() == 6);
}

TEST_CASE("a reader who leaves takes all that waited for him along, and is not told that he was cut off") {
    crowd c(limits(1 << 20, 64 << 20));
    c.come(2);
    const auto one = text(1'000);
    for (const auto r : c.readers) c.queues.push(r, one, start), c.queues.push(r, text(500), start);
    CHECK(c.queues.next(c.readers[0]) == one);
    c.queues.leave(c.readers[0]);
    CHECK(c.queues.held() == 1'500 + 2 * each_text + 2 * place);
    c.queues.done(c.readers[0]); // the write ended afterwards
    c.queues.leave(c.readers[0]);
    CHECK(c.queues.held() == 1'500 + 2 * each_text + 2 * place);
    CHECK(c.cut == std::vector<int>{0, 0});
}

} // TEST_SUITE
