#include <doctest/doctest.h>

#include <limits>
#include <map>

#include <souk/messages/book.hpp>

using namespace souk;
using namespace souk::book;

namespace {

constexpr auto most = std::numeric_limits<amount>::max(), least = std::numeric_limits<amount>::min();

details of(std::string subject = "payment/a/1", kind what = kind::settled) {
    details d;
    d.what = what, d.subject = std::move(subject), d.contract = "bafyaccept", d.party = "did:web:bob.example";
    return d;
}
std::string code_of(const result<entry>& r) { return r ? "" : r.error().code; }

} // namespace

TEST_SUITE("book") {

TEST_CASE("what does not sum to zero in each asset is no entry: every one of up to three postings") {
    const std::vector<amount> values{least, -most, -2, -1, 0, 1, 2, most};
    std::vector<posting> all;
    for (const auto in : {account::wallet, account::revenue})
        for (const auto* asset : {"x/erc20:1", "x/slip44:60"})
            for (const auto v : values) all.push_back({in, asset, v});
    std::size_t made = 0, tried = 0;
    const auto look = [&](const std::vector<posting>& p) {
        ++tried;
        std::map<std::string, wide> sums;
        std::map<std::pair<account, std::string>, wide> each;
        bool can_be = true;
        for (const auto& x : p) {
            sums[x.asset] += x.value, each[{x.in, x.asset}] += x.value;
            can_be = can_be && x.value != 0 && x.value != least;
        }
        for (const auto& [asset, sum] : sums) can_be = can_be && sum == 0;
        bool moves = false, fits = true;
        for (const auto& [at, sum] : each) moves = moves || sum != 0, fits = fits && sum <= most && sum > least;
        const auto e = entry::make(of(), p);
        bool right = e ? can_be && moves && fits : !can_be || !moves || e.error().code == "entry_overflow"; // on the way to a sum that fits
        wide sum = 0;
        if (e)
            for (const auto& x : e->postings()) sum += x.value, right = right && x.value == each[{x.in, x.asset}];
        made += e.has_value();
        if (!right || sum != 0) FAIL_CHECK("wrongly judged, of " << p.size() << " postings");
    };
    look({});
    for (const auto& a : all) {
        look({a});
        for (const auto& b : all) {
            look({a, b});
            for (const auto& c : all) look({a, b, c});
        }
    }
    CHECK(made == 96);
    MESSAGE(tried << " tried, " << made << " are entries");
}

TEST_CASE("amounts at the end of what there can be are refused, and not wrapped") {
    CHECK(code_of(entry::make(of(), {{account::wallet, "x", most}, {account::revenue, "x", -most}})) == "");
    CHECK(code_of(entry::make(of(), {{account::wallet, "x", least}, {account::revenue, "x", most}, {account::gas, "x", 1}})) == "entry_bad_amount");
    CHECK(code_of(entry::make(of(), {{account::wallet, "x", most}, {account::wallet, "x", 1}, {account::revenue, "x", -most}, {account::gas, "x", -1}})) == "entry_overflow");
    CHECK(code_of(entry::make(of(), {{account::wallet, "x", -most}, {account::wallet, "x", -1}, {account::revenue, "x", most}, {account::gas, "x", 1}})) == "entry_overflow");
    // Of more than 64 bits they are known not to cancel.
    CHECK(code_of(entry::make(of(), {{account::wallet, "x", most}, {account::gas, "x", most}, {account::revenue, "x", 2}})) == "entry_unbalanced");
}

TEST_CASE("an entry is known by its event and nothing else") {
    const std::vector<posting> p{{account::wallet, "x", 1}, {account::revenue, "x", -1}};
    auto later = of();
    later.at = instant{std::chrono::seconds{5}}, later.why = "said otherwise", later.party = "0xbob";
    CHECK(entry::make(of(), p)->id() == entry::make(later, p)->id());
    CHECK(entry::make(of(), p)->id() != entry::make(of("payment/a/2"), p)->id());
    CHECK(entry::make(of(), p)->id() != entry::make(of("payment/a/1", kind::refunded), p)->id());
    CHECK(entry::make(of(), p)->id().size() == 16);
}

TEST_CASE("names are bounded, a reason is cut between two letters") {
    const std::vector<posting> p{{account::wallet, "x", 1}, {account::revenue, "x", -1}};
    CHECK(code_of(entry::make(of(std::string(513, 'a')), p)) == "entry_too_long");
    CHECK(code_of(entry::make(of(""), p)) == "entry_empty");
    auto d = of();
    d.why = std::string(499, 'a') + "\xc3\xa4" + "rest";
    CHECK(entry::make(d, p)->what().why == std::string(499, 'a'));
    std::vector<posting> many;
    for (int i = 0; i < 9; ++i) many.push_back({account::wallet, "x" + std::to_string(i), 1}), many.push_back({account::revenue, "x" + std::to_string(i), -1});
    CHECK(code_of(entry::make(of(), many)) == "entry_too_long");
}

TEST_CASE("sums are written to the unit, however large") {
    CHECK(book::decimal_of(wide{0}, 6) == "0.000000");
    CHECK(book::decimal_of(wide{-1}, 6) == "-0.000001");
    CHECK(book::decimal_of(wide{1'234'567}, 6) == "1.234567");
    CHECK(book::decimal_of(static_cast<wide>(most) * 4, 0) == "36893488147419103228");
    CHECK(book::decimal_of(static_cast<wide>(1) << 127, 0) == "-170141183460469231731687303715884105728"); // the least there is
}

}
