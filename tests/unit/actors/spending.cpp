#include <doctest/doctest.h>

#include <map>
#include <random>

#include <souk/actors/requester/spending.hpp>

using namespace souk;
using namespace std::chrono_literals;

namespace {

const instant begin{1'700'000'000s};

struct book { // what a journal would keep
    spending::state s;
    instant now = begin;
    std::optional<refusal> give(const spending::command& c) {
        const auto said = spending::decide(s, c, now);
        for (const auto& e : said.events) {
            const auto kept = encode_described(e);
            s = spending::evolve(std::move(s), decode_described<spending::event>(kept).value());
        }
        const auto kept = encode_described(s);
        CHECK(encode_described(decode_described<spending::state>(kept).value()) == kept);
        return said.refused;
    }
    std::string hold(const std::string& id, const std::string& to, amount sum, const spending_limits& by, std::chrono::seconds lives = 5min) {
        const auto why = give(spending::hold{{id, to, sum, now + lives}, by});
        return why ? why->code + ": " + why->text : "";
    }
};

} // namespace

TEST_CASE("no more is held than each limit says, and the sentence names the limit and what is left of it") {
    const spending_limits by{100, 150, 220, 0, {}};
    book b;
    CHECK(b.hold("a", "bob", 101, by) == "spending_limit: 0.000101 is more than is left of the limit for one contract: 0.000100 of 0.000100 ([spending] per_contract)");
    CHECK(b.hold("a", "bob", 100, by) == "");
    CHECK(b.hold("b", "bob", 51, by) == "spending_limit: 0.000051 is more than is left of the limit for bob in 24 hours: 0.000050 of 0.000150 ([spending] per_counterparty)");
    CHECK(b.hold("b", "bob", 50, by) == "");
    CHECK(b.hold("c", "eve", 71, by) == "spending_limit: 0.000071 is more than is left of the limit for 24 hours: 0.000070 of 0.000220 ([spending] per_day)");
    CHECK(b.hold("c", "eve", 70, by) == "");
    CHECK(b.hold("d", "carol", 1, by).starts_with("spending_limit: "));
    CHECK(b.hold("d", "carol", 0, by).starts_with("bad_amount: "));
    CHECK(b.hold("d", "carol", -1, by).starts_with("bad_amount: "));
    CHECK(b.s.all.size() == 3);
    CHECK(b.hold("d", "carol", 1, {}) == ""); // no limits: it is counted all the same
}

TEST_CASE("who asks again has what he was given, and no more of it") {
    const spending_limits by{0, 0, 100, 0, {}};
    book b;
    CHECK(b.hold("a", "bob", 60, by) == "");
    CHECK(b.hold("a", "bob", 60, by) == "");
    CHECK(b.s.all.size() == 1);
    CHECK(b.hold("b", "bob", 50, by) != "");
    // A limit that was lowered since does not take back what may be signed already; what is new has to fit.
    CHECK(b.hold("a", "bob", 60, {0, 0, 10, 0, {}}) == "");
    // Nothing was signed for the first seller: the next best takes his place.
    CHECK(b.hold("a", "carol", 90, by) == "");
    CHECK(b.hold("a", "carol", 101, by) != "");
    CHECK(b.s.all.size() == 1);
    CHECK(b.s.all[0].sum == 90);
    b.give(spending::release{"a"});
    CHECK(b.s.all.empty());
    CHECK_FALSE(b.give(spending::release{"a"}));
    CHECK(b.hold("b", "bob", 100, by) == "");
}

TEST_CASE("what was signed counts for a day after it can last be moved") {
    const spending_limits by{0, 0, 100, 0, {}};
    book b;
    CHECK(b.hold("a", "bob", 100, by, 0s) == "");
    b.now += 10h;
    CHECK(b.hold("a", "bob", 100, by, 5min) == ""); // signed only now
    b.now += 24h + 4min;
    CHECK(b.hold("b", "bob", 1, by) != "");
    b.now += 1min;
    CHECK(b.hold("b", "bob", 100, by) == "");
    CHECK(b.s.all.size() == 1); // the other is forgotten
    CHECK(b.hold("a", "bob", 100, by) != ""); // and has to find room like everybody else
}

TEST_CASE("sums that run over are all the money there is") {
    const auto most = std::numeric_limits<amount>::max();
    book b;
    for (const char* id : {"a", "b", "c"}) CHECK(b.hold(id, "bob", most, {}) == "");
    const auto used = spending::used(b.s, {0, 0, most, 0, {}}, "bob", "", b.now);
    REQUIRE(used.size() == 1);
    CHECK(used[0].used == most);
    CHECK(used[0].left() == 0);
    CHECK(b.hold("d", "bob", 1, {0, 0, most, 0, {}}) != "");
}

// Whatever is asked for, in whatever order: of any 24 hours, no more was let out than the limits say.
TEST_CASE("over any day no more is held than the limits say, in any order of things") {
    const spending_limits by{40, 60, 100, 0, {}};
    std::mt19937 dice(7);
    const auto roll = [&](int n) { return static_cast<int>(dice() % static_cast<unsigned>(n)); };
    for (int round = 0; round < 200; ++round) {
        book b;
        struct given {
            std::string id, to;
            amount sum;
            instant from, until;
        };
        std::vector<given> out; // those that were allowed, each as it was last
        for (int i = 0; i < 60; ++i) {
            b.now += std::chrono::minutes{roll(180)};
            const auto id = "p" + std::to_string(roll(25)), to = "s" + std::to_string(roll(3));
            const amount sum = 1 + roll(45);
            if (roll(6) == 0) {
                b.give(spending::release{id});
                std::erase_if(out, [&](const given& g) { return g.id == id && g.until + 24h > b.now; });
                continue;
            }
            if (b.hold(id, to, sum, by) != "") continue;
            std::erase_if(out, [&](const given& g) { return g.id == id && g.until + 24h > b.now; });
            out.push_back({id, to, sum, b.now, b.now + 5min});
            amount all = 0;
            std::map<std::string, amount> each;
            for (const auto& g : out)
                if (g.from > b.now - 24h) all += g.sum, each[g.to] += g.sum;
            CHECK(sum <= 40);
            CHECK(all <= 100);
            for (const auto& his : each) CHECK_MESSAGE(his.second <= 60, his.first);
        }
    }
}
