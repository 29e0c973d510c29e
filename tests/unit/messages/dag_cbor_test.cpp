#include <doctest/doctest.h>

#include <limits>

#include <souk/messages/bytes.hpp>
#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/json.hpp>

using namespace souk;

namespace {

result<value> decode(const char* hex, const cbor_limits& limits = {}) { return decode_dag_cbor(from_hex(hex).value(), limits); }

} // namespace

TEST_CASE("values are written in the one canonical form") {
    CHECK(to_hex(encode_dag_cbor(value::map{{"bb", 1}, {"a", 2}, {"c", 3}})) ==
          "a3616102616303626262"
          "01");
    const std::pair<std::int64_t, const char*> numbers[] = {{0, "00"},
                                                            {23, "17"},
                                                            {24, "1818"},
                                                            {255, "18ff"},
                                                            {256, "190100"},
                                                            {65536, "1a00010000"},
                                                            {4294967296, "1b0000000100000000"},
                                                            {-1, "20"},
                                                            {-24, "37"},
                                                            {-25, "3818"},
                                                            {std::numeric_limits<std::int64_t>::max(), "1b7fffffffffffffff"},
                                                            {std::numeric_limits<std::int64_t>::min(), "3b7fffffffffffffff"}};
    for (const auto& [n, hex] : numbers) {
        CHECK(to_hex(encode_dag_cbor(n)) == hex);
        CHECK(decode(hex).value() == value(n));
    }
    const auto link = cid::of_dag_cbor("\xa0");
    CHECK(to_hex(encode_dag_cbor(link)) == "d82a582500" + to_hex(link.bytes()));
    CHECK(decode_dag_cbor(encode_dag_cbor(link)).value() == value(link));
}

TEST_CASE("bytes with another canonical form are refused, each with its code") {
    const std::pair<const char*, const char*> cases[] = {{"", "cbor_truncated"},
                                                         {"18", "cbor_truncated"},
                                                         {"6261", "cbor_truncated"},
                                                         {"82f6", "cbor_truncated"},
                                                         {"9bffffffffffffffff", "cbor_truncated"},
                                                         {"bb7fffffffffffffff", "cbor_truncated"},
                                                         {"f93c00", "cbor_float"},
                                                         {"fa3f800000", "cbor_float"},
                                                         {"fb3ff0000000000000", "cbor_float"},
                                                         {"a2626262016161"
                                                          "02",
                                                          "cbor_key_order"},
                                                         {"a2616201616102", "cbor_key_order"},
                                                         {"a2616101616102", "cbor_duplicate_key"},
                                                         {"a10102", "cbor_not_canonical"},
                                                         {"1817", "cbor_not_canonical"},
                                                         {"1900ff", "cbor_not_canonical"},
                                                         {"1a0000ffff", "cbor_not_canonical"},
                                                         {"1b00000000ffffffff", "cbor_not_canonical"},
                                                         {"7801"
                                                          "61",
                                                          "cbor_not_canonical"},
                                                         {"9fff", "cbor_not_canonical"},
                                                         {"5f4161ff", "cbor_not_canonical"},
                                                         {"bfff", "cbor_not_canonical"},
                                                         {"1c", "cbor_not_canonical"},
                                                         {"f7", "cbor_not_canonical"},
                                                         {"f820", "cbor_not_canonical"},
                                                         {"ff", "cbor_not_canonical"},
                                                         {"c100", "cbor_bad_tag"},
                                                         {"d82a00", "cbor_bad_tag"},
                                                         {"d82a4100", "cbor_bad_tag"},
                                                         {"61ff", "cbor_bad_utf8"},
                                                         {"a161ff00", "cbor_bad_utf8"},
                                                         {"0000", "cbor_trailing_bytes"},
                                                         {"1bffffffffffffffff", "cbor_number_range"},
                                                         {"3b8000000000000000", "cbor_number_range"}};
    for (const auto& [hex, code] : cases) {
        const auto& given = hex; // clang 14 captures no structured binding
        CAPTURE(given);
        REQUIRE(decode(hex).has_error());
        CHECK(decode(hex).error().code == code);
    }
}

TEST_CASE("a CID of another kind is no link") {
    auto bytes = encode_dag_cbor(cid::of_dag_cbor("x"));
    bytes[6] = 0x70; // dag-pb
    CHECK(decode_dag_cbor(bytes).error().code == "cbor_bad_tag");
}

TEST_CASE("depth, size and count have limits") {
    const std::string deep(64, '\x81'), deeper(65, '\x81');
    CHECK(decode_dag_cbor(deep + "\xf6").has_value());
    CHECK(decode_dag_cbor(deeper + "\xf6").error().code == "cbor_too_deep");
    CHECK(decode_dag_cbor(std::string(100'000, '\x81')).error().code == "cbor_too_deep");
    CHECK(decode_dag_cbor(std::string((1 << 20) + 1, '\0')).error().code == "cbor_too_large");
    CHECK(decode("83010203", {.items = 4}).has_value());
    CHECK(decode("83010203", {.items = 3}).error().code == "cbor_too_large");
    CHECK(decode("8283f6f6f683f6f6f6", {.items = 8}).error().code == "cbor_too_large");
}

TEST_CASE("a text that is not UTF-8 and a link to nothing cannot be written") {
    CHECK_THROWS_AS(encode_dag_cbor("\xff"), std::invalid_argument);
    CHECK_THROWS_AS(encode_dag_cbor(cid()), std::invalid_argument);
}

TEST_CASE("JSON comes in both forms") {
    const auto text = R"({"a":{"$bytes":"aGVqIQ=="},"l":{"$link":"bafyreicwemur3nasntbaxc3elkrwplpvonhgklakjtlreube3cxkzscu2m"}})";
    const auto v = from_json(text, json_form::atproto).value();
    CHECK(v.find("a")->as<octets>()->data == "hej!");
    CHECK(v.find("l")->as<cid>()->text() == "bafyreicwemur3nasntbaxc3elkrwplpvonhgklakjtlreube3cxkzscu2m");
    CHECK(to_json(v, json_form::atproto) == text);
    CHECK(to_json(v) == R"({"a":"aGVqIQ==","l":"bafyreicwemur3nasntbaxc3elkrwplpvonhgklakjtlreube3cxkzscu2m"})");
    CHECK(from_json(text).value().find("a")->text("$bytes") == "aGVqIQ==");
    CHECK(to_pretty_json(from_json(R"({"b":[],"a":[1,{}]})").value()) == "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}");
}

TEST_CASE("a text survives JSON") {
    std::string all = "\xc3\xa5\xf0\x9f\x8d\x88\"\\/";
    for (char c = 0; c < 127; ++c) all += c;
    all += '\x7f';
    CHECK(*from_json(to_json(all)).value().as<std::string>() == all);
    CHECK(*from_json(R"("\ud83c\udf48\u00e5")").value().as<std::string>() == "\xf0\x9f\x8d\x88\xc3\xa5");
}

TEST_CASE("JSON that the data model does not have is refused, each with its code and place") {
    const std::pair<std::string, const char*> cases[] = {{"1.0", "json_float"},
                                                         {"1e3", "json_float"},
                                                         {"[0.06]", "json_float"},
                                                         {"-0.0", "json_float"},
                                                         {R"({"a":1,"a":2})", "json_duplicate_key"},
                                                         {R"({"a":1,"\u0061":2})", "json_duplicate_key"},
                                                         {"9223372036854775808", "json_number_range"},
                                                         {"-9223372036854775809", "json_number_range"},
                                                         {"123456789012345678901234567890", "json_number_range"},
                                                         {"", "json_syntax"},
                                                         {"{", "json_syntax"},
                                                         {"[1,]", "json_syntax"},
                                                         {"{} {}", "json_syntax"},
                                                         {"'a'", "json_syntax"},
                                                         {"// x\n1", "json_syntax"},
                                                         {"NaN", "json_syntax"},
                                                         {"01", "json_syntax"},
                                                         {"\"\n\"", "json_syntax"},
                                                         {"\"\xff\"", "json_bad_utf8"},
                                                         {R"("\ud83c")", "json_syntax"},
                                                         {R"("\ud83c\ud83c")", "json_bad_utf8"},
                                                         {R"("\udf48")", "json_bad_utf8"},
                                                         {std::string(65, '['), "json_too_deep"},
                                                         {std::string((1 << 20) + 1, ' '), "json_too_large"}};
    for (const auto& [text, code] : cases) {
        const auto& given = text; // clang 14 captures no structured binding
        CAPTURE(given.substr(0, 40));
        REQUIRE(from_json(text).has_error());
        CHECK(from_json(text).error().code == code);
    }
    CHECK(from_json("{\n  \"a\": 1.5\n}").error().text.ends_with("(line 2, column 11)"));
    CHECK(from_json("[1,2,3]", json_form::plain, {.items = 3}).error().code == "json_too_large");
    CHECK(from_json(R"({"$bytes":"a","x":1})", json_form::atproto).error().code == "json_bad_bytes");
    CHECK(from_json(R"({"$bytes":7})", json_form::atproto).error().code == "json_bad_bytes");
    CHECK(from_json(R"({"$link":"zb2"})", json_form::atproto).error().code == "json_bad_link");
    CHECK(from_json(std::string(64, '[') + std::string(64, ']')).has_value());
}
