#include <souk/messages/money.hpp>

#include <limits>

#include <fmt/format.h>

namespace souk {

namespace {

__extension__ using wide = __int128; // products of two amounts
using std::chrono::seconds;

constexpr std::size_t longest_decimal = 40;
constexpr seconds longest_slice = std::chrono::days(366);

bool all_digits(std::string_view text) { return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos; }

amount divided_up(wide a, wide b) { return static_cast<amount>((a + b - 1) / b); }

const refusal too_large{"bad_amount", "more than 64 bits of atomic units"};

result<amount> cost_of(const value& cost) {
    if (const auto* n = cost.as<std::int64_t>()) return from_decimal(std::to_string(*n));
    if (const auto* text = cost.as<std::string>()) return from_decimal(*text);
    return refusal{"bad_amount", "bid.cost: expected an integer or a decimal text"};
}

// What one payment of `cost` covers; zero where the bid does not say.
result<seconds> period_of(std::string_view frequency) {
    if (frequency == "monthly") return seconds(std::chrono::days(30));
    if (frequency == "hourly") return seconds(std::chrono::hours(1));
    if (frequency == "one-time") return seconds(0);
    return refusal{"unknown_frequency", "bid.frequency: expected monthly, hourly or one-time"};
}

} // namespace

result<amount> from_decimal(std::string_view text, int decimals) {
    const refusal bad{"bad_amount", "expected a decimal like 4 or 0.06, not negative"};
    if (text.size() > longest_decimal) return bad;
    const auto point = text.find('.');
    const auto whole = text.substr(0, point);
    auto part = point == std::string_view::npos ? std::string_view() : text.substr(point + 1);
    if (!all_digits(whole) || (whole.size() > 1 && whole[0] == '0') || (point != std::string_view::npos && !all_digits(part)))
        return bad;
    const auto places = static_cast<std::size_t>(decimals);
    if (part.size() > places) return refusal{"bad_amount", fmt::format("more than {} decimal places", decimals)};
    wide units = 0;
    for (char c : std::string(whole) + std::string(part) + std::string(places - part.size(), '0')) {
        units = units * 10 + (c - '0');
        if (units > std::numeric_limits<amount>::max()) return too_large;
    }
    return static_cast<amount>(units);
}

std::string to_decimal(amount units, int decimals) {
    const std::string sign = units < 0 ? "-" : "";
    const auto magnitude = units < 0 ? ~static_cast<std::uint64_t>(units) + 1 : static_cast<std::uint64_t>(units);
    auto digits = fmt::format("{:0{}}", magnitude, decimals + 1);
    if (decimals > 0) digits.insert(digits.size() - static_cast<std::size_t>(decimals), ".");
    return sign + digits;
}

amount price::of(seconds used) const {
    if (used <= seconds(0)) return 0;
    if (used >= slice) return for_slice;
    return divided_up(wide(for_slice) * used.count(), slice.count());
}

result<price> price_of(const bid_terms& bid) {
    if (bid.currency != "USDC") return refusal{"unknown_currency", "bid.currency: expected USDC"};
    const auto cost = cost_of(bid.cost);
    if (!cost) return cost.error();
    const auto period = period_of(bid.frequency);
    if (!period) return period.error();
    const seconds slice = bid.slice ? seconds(*bid.slice) : *period;
    if (slice <= seconds(0) || slice > longest_slice) return refusal{"bad_slice", "bid.slice: expected 1 second to 366 days"};
    if (*period == seconds(0)) return price{*cost, slice};
    if (wide(*cost) * slice.count() / period->count() >= std::numeric_limits<amount>::max()) return too_large;
    return price{divided_up(wide(*cost) * slice.count(), period->count()), slice};
}

} // namespace souk
