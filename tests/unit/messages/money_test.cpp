#include <doctest/doctest.h>

#include <limits>

#include <souk/messages/money.hpp>

using namespace souk;
using namespace std::chrono_literals;

namespace {

bid_terms terms(value cost, std::string frequency, std::optional<std::int64_t> slice = {}) {
    bid_terms b;
    b.cost = std::move(cost);
    b.currency = "USDC";
    b.frequency = std::move(frequency);
    b.slice = slice;
    return b;
}

} // namespace

TEST_CASE("a decimal is atomic units, exactly or not at all") {
    CHECK(from_decimal("0.06").value() == 60'000);
    CHECK(from_decimal("4").value() == 4'000'000);
    CHECK(from_decimal("0.000001").value() == 1);
    CHECK(from_decimal("9223372036854.775807").value() == std::numeric_limits<amount>::max());
    CHECK(from_decimal("7", 0).value() == 7);
    CHECK(to_decimal(60'000) == "0.060000");
    CHECK(to_decimal(-1'500'000) == "-1.500000");
    CHECK(to_decimal(std::numeric_limits<amount>::min()) == "-9223372036854.775808");
    CHECK(to_decimal(7, 0) == "7");
    for (amount a : {amount(0), amount(1), amount(999'999), amount(1'000'000), std::numeric_limits<amount>::max()})
        CHECK(from_decimal(to_decimal(a)).value() == a);
    for (const char* bad : {"", ".", "1.", ".5", "-1", "+1", "1e3", "01", "1,5", " 1", "1 ", "0x1", "0.0000001",
                            "9223372036854.775808", "99999999999999999999", "1.5.0"}) {
        CAPTURE(bad);
        CHECK(from_decimal(bad).error().code == "bad_amount");
    }
}

TEST_CASE("a slice costs its part of the period, rounded up") {
    CHECK(price_of(terms(4, "monthly")).value() == price{4'000'000, 30 * 24h});
    CHECK(price_of(terms("0.06", "hourly", 600)).value() == price{10'000, 600s});
    CHECK(price_of(terms("0.01", "hourly", 1)).value() == price{3, 1s}); // 2.77...
    CHECK(price_of(terms(1, "one-time", 300)).value() == price{1'000'000, 300s});
    CHECK(price_of(terms(0, "hourly")).value().for_slice == 0);
}

TEST_CASE("what was used costs its part of the slice, never more than was paid") {
    const auto p = price_of(terms("0.06", "hourly", 600)).value();
    CHECK(p.of(0s) == 0);
    CHECK(p.of(1s) == 17); // 16.66...
    CHECK(p.of(300s) == 5'000);
    CHECK(p.of(600s) == 10'000);
    CHECK(p.of(24h) == 10'000);
    CHECK(p.of(-5s) == 0);
    CHECK(price{std::numeric_limits<amount>::max(), 24h}.of(12h) == std::numeric_limits<amount>::max() / 2 + 1);
}

TEST_CASE("terms that name no price are refused") {
    CHECK(price_of(terms("free", "hourly")).error().code == "bad_amount");
    CHECK(price_of(terms(true, "hourly")).error().code == "bad_amount");
    CHECK(price_of(terms(-4, "hourly")).error().code == "bad_amount");
    CHECK(price_of(terms(4, "weekly")).error().code == "unknown_frequency");
    CHECK(price_of(terms(4, "one-time")).error().code == "bad_slice");
    CHECK(price_of(terms(4, "hourly", 0)).error().code == "bad_slice");
    CHECK(price_of(terms(4, "hourly", -1)).error().code == "bad_slice");
    CHECK(price_of(terms(4, "hourly", 367 * 86400)).error().code == "bad_slice");
    CHECK(price_of(terms(std::numeric_limits<std::int64_t>::max(), "hourly")).error().code == "bad_amount");
    CHECK(price_of(terms(9'000'000'000'000, "hourly", 86400)).error().code == "bad_amount");
    auto euro = terms(4, "hourly");
    euro.currency = "EUR";
    CHECK(price_of(euro).error().code == "unknown_currency");
}
