#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include <souk/backends/compute/sandbox.hpp>

using namespace souk;
using namespace souk::compute;

namespace {
order some_order(std::string tag) {
    order o;
    o.tag = std::move(tag);
    o.not_after = instant{std::chrono::hours(1)};
    return o;
}
std::vector<std::string> tags(backend& b) {
    std::vector<std::string> out;
    b.list([&](auto r) { out = r.value(); });
    std::sort(out.begin(), out.end());
    return out;
}
} // namespace

TEST_CASE("sizes are whole numbers of MiB with a letter") {
    CHECK(to_mib("512M").value() == 512);
    CHECK(to_mib("10G").value() == 10 * 1024);
    CHECK(to_mib("1T").value() == 1024 * 1024);
    CHECK(to_mib("1024K").value() == 1);
    for (const auto* text : {"", "M", "512", "512m", "512MB", " 512M", "-1G", "+1G", "0M", "1.5G", "1000K", "99999999999999T", "9223372036854775807G", "1e3M"}) {
        INFO(text);
        REQUIRE(to_mib(text).has_error());
        CHECK(to_mib(text).error().code == "bad_size");
    }
}

TEST_CASE("tags are short and plain: they become names of directories") {
    CHECK(check_tag("m-7f3a").has_value());
    for (const auto* tag : {"", "..", "a/b", "A", "a_b", "a.b"}) CHECK(check_tag(tag).has_error());
    CHECK(check_tag(std::string(64, 'a')).has_error());
}

TEST_CASE("the null backend keeps the books that a machine would") {
    instant now{std::chrono::minutes(5)};
    const auto b = make_null([&] { return now; });
    std::vector<launched> seen;
    b->launch(some_order("m-1"), [&](launched l) { seen.push_back(l); });
    b->launch(some_order("m-1"), [&](launched l) { seen.push_back(l); });
    b->launch(some_order("m-2"), [&](launched l) { seen.push_back(l); });
    REQUIRE(seen.size() == 3);
    CHECK(seen[0].machine.value() == seen[1].machine.value());
    CHECK(seen[0].machine->host_key != seen[2].machine->host_key);
    CHECK(tags(*b) == std::vector<std::string>{"m-1", "m-2"});

    report r;
    b->terminate("m-1", [&](report x) { r = x; });
    CHECK(r.is == presence::absent);
    CHECK(r.as_of == now);
    b->look("m-1", [&](report x) { r = x; });
    CHECK(r.is == presence::absent);
    b->look("m-2", [&](report x) { r = x; });
    CHECK(r.is == presence::running);
    CHECK(tags(*b) == std::vector<std::string>{"m-2"});

    SUBCASE("no machine starts after its order's last moment, but one that runs is still found") {
        now = instant{std::chrono::hours(2)};
        b->launch(some_order("m-3"), [&](launched l) { seen.push_back(l); });
        CHECK(!seen.back().machine);
        CHECK(seen.back().kind == problem::never);
        CHECK(seen.back().why.code == "too_late");
        b->launch(some_order("m-2"), [&](launched l) { seen.push_back(l); });
        CHECK(seen.back().machine);
    }
}

TEST_CASE("many threads share the null backend") {
    const auto b = make_null([] { return instant{}; });
    std::atomic<int> good{0};
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t)
            threads.emplace_back([&, t] {
                for (int i = 0; i < 5000; ++i)
                    b->launch(some_order("m-" + std::to_string(t) + "-" + std::to_string(i)), [&](launched l) { good += l.machine.has_value(); });
            });
    }
    CHECK(good == 20000);
    CHECK(tags(*b).size() == 20000);
}
