#include <doctest/doctest.h>

#include <map>

#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/described.hpp>

namespace stall {

enum class mood { calm, busy };
BOOST_DESCRIBE_ENUM(mood, calm, busy)

struct goods {
    std::string name;
    std::optional<std::int64_t> price;
    std::uint16_t port = 0;
    bool operator==(const goods&) const = default;
};
BOOST_DESCRIBE_STRUCT(goods, (), (name, price, port))

struct opened {
    static constexpr std::string_view type = "opened";
    souk::instant at;
    std::int64_t a_long_member_name_that_takes_a_longer_head = 7;
    bool operator==(const opened&) const = default;
};
BOOST_DESCRIBE_STRUCT(opened, (), (at, a_long_member_name_that_takes_a_longer_head))

struct closed {
    static constexpr std::string_view type = "closed";
    std::string why;
    bool operator==(const closed&) const = default;
};
BOOST_DESCRIBE_STRUCT(closed, (), (why))

using event = std::variant<opened, closed>;

struct everything {
    static constexpr std::string_view nsid = "com.example.everything";
    bool yes = false;
    std::int64_t whole = 0;
    std::uint8_t small = 3;
    std::string text;
    souk::octets raw;
    std::optional<souk::cid> link;
    souk::value any;
    std::vector<goods> list;
    std::map<std::string, std::int64_t> map;
    stall::mood mood = stall::mood::calm;
    std::optional<event> last;
    std::vector<event> all;
    std::chrono::seconds lasts{};
    bool operator==(const everything&) const = default;
};
BOOST_DESCRIBE_STRUCT(everything, (), (yes, whole, small, text, raw, link, any, list, map, mood, last, all, lasts))

struct older {
    std::string name;
};
BOOST_DESCRIBE_STRUCT(older, (), (name))

} // namespace stall

template <>
struct souk::wire_name<stall::older> {
    static constexpr std::string_view of(std::string_view member) { return member == "name" ? "$name" : member; }
};

using namespace souk;
using namespace stall;

namespace {

everything full() {
    everything e;
    e.yes = true;
    e.whole = -4'000'000'000;
    e.small = 255;
    e.text = "Hej \xc3\xa5";
    e.raw = {std::string("\x00\xff", 2)};
    e.link = cid::of_raw("x");
    e.any = value::map{{"deep", value::list{1, "two", null_t{}}}};
    e.list = {{"melon", 4, 80}, {"fig", {}, 65535}};
    e.map = {{"zz", 1}, {"a", 2}, {"bbb", 3}};
    e.mood = mood::busy;
    e.last = opened{instant(std::chrono::milliseconds(1778312530123)), 1};
    e.all = {opened{}, closed{"rain"}};
    e.lasts = std::chrono::seconds(90);
    return e;
}

std::string without(const std::string& key) {
    auto v = to_value(full());
    v.as<value::map>()->erase(key);
    return encode_dag_cbor(v);
}

std::string with(const std::string& key, value x) {
    auto v = to_value(full());
    v.as<value::map>()->insert_or_assign(key, std::move(x));
    return encode_dag_cbor(v);
}

// Both ways of reading say the same.
template <class T>
refusal refused_by_both(const std::string& bytes) {
    const auto direct = decode_described<T>(bytes);
    const auto by_value = from_value<T>(decode_dag_cbor(bytes).value());
    REQUIRE(direct.has_error());
    REQUIRE(by_value.has_error());
    CHECK(direct.error() == by_value.error());
    return direct.error();
}

} // namespace

TEST_CASE("writing a struct directly gives the bytes of its value") {
    for (const auto& e : {everything{}, full()}) CHECK(encode_described(e) == encode_dag_cbor(to_value(e)));
    const event last = closed{"night"};
    CHECK(encode_described(last) == encode_dag_cbor(to_value(last)));
    CHECK(encode_described(older{"x"}) == encode_dag_cbor(value(value::map{{"$name", "x"}})));
}

TEST_CASE("a struct comes back from its bytes and from its value") {
    for (const auto& e : {everything{}, full()}) {
        CHECK(decode_described<everything>(encode_described(e)).value() == e);
        CHECK(from_value<everything>(to_value(e)).value() == e);
    }
    CHECK(decode_described<event>(encode_described(event(closed{"rain"}))).value() == event(closed{"rain"}));
}

TEST_CASE("a refusal names the path, the same from bytes and from values") {
    CHECK(refused_by_both<everything>(without("whole")) == refusal{"missing_field", "whole: missing"});
    CHECK(refused_by_both<everything>(without("$type")) == refusal{"missing_field", "$type: missing"});
    CHECK(refused_by_both<everything>(with("$type", "com.example.other")).code == "wrong_type");
    CHECK(refused_by_both<everything>(with("wholly", 1)) == refusal{"unknown_field", "wholly: not a field that is known here"});
    CHECK(refused_by_both<everything>(with("whole", "4")) == refusal{"wrong_type", "whole: expected a number, found text"});
    CHECK(refused_by_both<everything>(with("small", 256)) == refusal{"out_of_range", "small: the number 256 is out of range"});
    CHECK(refused_by_both<everything>(with("small", -1)).code == "out_of_range");
    CHECK(refused_by_both<everything>(with("mood", "sad")) == refusal{"unknown_name", "mood: expected one of calm, busy"});
    const value fig = value::map{{"name", "fig"}, {"port", 1}}, bad = value::map{{"name", octets{"fig"}}, {"port", 1}};
    CHECK(refused_by_both<everything>(with("list", value::list{fig, bad})).text == "list[1].name: expected text, found bytes");
    CHECK(refused_by_both<everything>(with("map", value::map{{"k", true}})).text ==
          "map.k: expected a number, found a truth value");
    CHECK(refused_by_both<everything>(with("last", value::map{{"is", "burnt"}})).text ==
          "last.is: nothing here is called \"burnt\"");
    CHECK(refused_by_both<everything>(with("last", value::map{{"why", "x"}})).text == "last.is: missing");
    CHECK(refused_by_both<everything>(with("last", value::map{{"is", "closed"}, {"why", 1}})).text ==
          "last.why: expected text, found a number");
    CHECK(refused_by_both<everything>(with("last", value::map{{"is", "closed"}, {"why", "x"}, {"who", "y"}})).code ==
          "unknown_field");
}

TEST_CASE("a newer reader takes an older writer's entry, but never a field it does not know") {
    const auto read = decode_described<everything>(without("small"), missing_fields::take_default);
    CHECK(read.value().small == 3);
    CHECK(decode_described<everything>(with("extra", 1), missing_fields::take_default).error().code == "unknown_field");
    CHECK(decode_described<everything>(std::string("\xa0", 1), missing_fields::take_default).value() == everything{});
    CHECK(decode_described<event>(std::string("\xa0", 1), missing_fields::take_default).error().code == "missing_field");
}

TEST_CASE("null is read as an empty optional, and an unknown field can be let pass") {
    CHECK_FALSE(decode_described<everything>(with("link", null_t{})).value().link);
    CHECK_FALSE(from_value<everything>(*decode_dag_cbor(with("link", null_t{}))).value().link);
    CHECK(from_value<everything>(*decode_dag_cbor(with("extra", 1)), unknown_fields::ignore).has_value());
}

TEST_CASE("bytes that are not canonical are refused while a struct is read") {
    const auto good = encode_described(goods{"fig", 1, 2});
    CHECK(decode_described<goods>(good + '\0').error().code == "cbor_trailing_bytes");
    for (std::size_t n = 0; n < good.size(); ++n)
        CHECK(decode_described<goods>(good.substr(0, n)).error().code == "cbor_truncated");
    const std::string twice("\xa2\x64name\x61x\x64name\x61y", 15);
    CHECK(decode_described<older>(twice).has_error());
    CHECK(decode_described<goods>(twice).error().code == "cbor_duplicate_key");
}

TEST_CASE("a text that is not UTF-8 never reaches a journal") {
    CHECK_THROWS_AS(encode_described(goods{"\xff", {}, 0}), std::invalid_argument);
}
