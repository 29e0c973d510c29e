// Amounts in integer atomic units, and the one rule that turns a bid into a price.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>

#include <souk/messages/records.hpp>

namespace souk {

using amount = std::int64_t;              // atomic units; 1 USDC = 1'000'000. Never negative on the wire.
inline constexpr int usdc_decimals = 6;

result<amount> from_decimal(std::string_view text, int decimals = usdc_decimals); // "0.06"; code "bad_amount"
std::string to_decimal(amount, int decimals = usdc_decimals);                     // "0.060000"

struct price {
    amount for_slice = 0;            // what one payment moves, rounded up
    std::chrono::seconds slice{};    // and what it buys
    // What `used` of one slice costs: rounded up, never more than the slice.
    amount of(std::chrono::seconds used) const;
    bool operator==(const price&) const = default;
};
// Codes "bad_amount", "unknown_frequency", "unknown_currency", "bad_slice" (over 366 days; none where the frequency is
// "one-time", which alone does not say how long is bought).
result<price> price_of(const bid_terms&);

} // namespace souk
