#include <doctest/doctest.h>

#include <filesystem>
#include <set>

#include <souk/messages/attest.hpp>
#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/lexicon.hpp>
#include <souk/messages/market_records.hpp>

#include "data.hpp"

using namespace souk;

namespace {

value lexicon(const std::string& id, const std::string& defs) { return from_json("{\"lexicon\":1,\"id\":\"" + id + "\",\"defs\":" + defs + "}").value(); }
// One record of one field, `x`, of this schema.
lexicons of_field(const std::string& schema, const std::string& more = "") {
    return lexicons::of({lexicon("com.example.one", "{\"main\":{\"type\":\"record\",\"key\":\"tid\",\"record\":{\"type\":\"object\",\"properties\":{\"x\":" + schema + "}}}" + more + "}")}).value();
}
std::string said(const result<void>& r) { return r ? "good" : r.error().text; }
std::string of_x(const lexicons& all, value x) { return said(all.check_record("com.example.one", value::map{{"x", std::move(x)}})); }
std::string bad(const std::vector<value>& documents) {
    const auto r = lexicons::of(documents);
    if (r) return "good";
    CHECK(r.error().code == "bad_lexicon");
    return r.error().text;
}

using every_record = boost::mp11::mp_append<all_records, later_records>;
template <class F>
void each_kind(F f) {
    boost::mp11::mp_for_each<boost::mp11::mp_transform<boost::mp11::mp_identity, every_record>>([&]<class I>(I) { f(I()); });
}

// The lexicon's word for a member's type.
template <class T>
std::string word_for() {
    if constexpr (described::optional<T>) return word_for<typename T::value_type>();
    else if constexpr (std::same_as<T, std::string>) return "string";
    else if constexpr (std::same_as<T, bool>) return "boolean";
    else if constexpr (std::same_as<T, octets>) return "bytes";
    else if constexpr (described::integer<T>) return "integer";
    else if constexpr (described::list<T>) return "array";
    else if constexpr (described::map<T> || std::same_as<T, value>) return "unknown";
    else return "object";
}

// The definition that a schema leads to.
const value& meant(const value& schema, const std::string& id) {
    const auto* at = &schema;
    while (at->text("type") == "ref") {
        const std::string ref(at->text("ref"));
        at = known_lexicons().definition(ref[0] == '#' ? id + ref : ref);
        REQUIRE(at);
    }
    return *at;
}

template <class T>
void agree(const value& object, const std::string& id, const std::string& path) {
    if constexpr (described::optional<T>) {
        agree<typename T::value_type>(object, id, path);
    } else if constexpr (described_struct<T> && !described::custom<T>) { // lists hold texts, or what a union names
        const auto* properties = object.find("properties");
        REQUIRE(properties);
        std::set<std::string> required, members;
        if (const auto* names = object.find("required"))
            for (const auto& each : *names->as<value::list>()) required.insert(*each.as<std::string>());
        boost::mp11::mp_for_each<described::members<T>>([&](auto d) {
            using M = std::remove_cvref_t<decltype(std::declval<T&>().*d.pointer)>;
            const std::string name(wire_name<T>::of(std::string_view(d.name)));
            CAPTURE(path + '.' + name);
            members.insert(name);
            const auto* property = properties->find(name);
            REQUIRE(property);
            CHECK(required.count(name) == (described::optional<M> ? 0 : 1));
            const auto& schema = meant(*property, id);
            CHECK(schema.text("type") == word_for<M>());
            agree<M>(schema, property->text("type") == "ref" && property->text("ref")[0] != '#' ? std::string(property->text("ref").substr(0, property->text("ref").find('#'))) : id, path + '.' + name);
        });
        for (const auto& [name, x] : *properties->as<value::map>()) {
            const auto& member = name; // clang 14 captures no structured binding
            CAPTURE(path + '.' + member);
            CHECK(members.count(name) == 1);
        }
    }
}

} // namespace

TEST_CASE("every record that this node reads or writes has a lexicon, and the struct and its lexicon agree: fields, types, which are required") {
    each_kind([]<class I>(I) {
        using R = typename I::type;
        using fields = std::conditional_t<std::same_as<R, market::receipt>, market::receipt_fields, R>;
        const std::string id(R::nsid);
        CAPTURE(id);
        REQUIRE(known_lexicons().knows(id));
        const auto* main = known_lexicons().definition(id);
        REQUIRE(main->text("type") == "record");
        agree<fields>(*main->find("record"), id, id);
    });
    agree<inline_signature>(*known_lexicons().definition(inline_signature::nsid), std::string(inline_signature::nsid), "signature");
    agree<strong_ref>(*known_lexicons().definition("com.atproto.repo.strongRef"), "com.atproto.repo.strongRef", "strongRef");
}

TEST_CASE("the lexicons that are built in are the files of docs/lexicons, each named after its id") {
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(SOUK_TEST_DATA) / "../../docs/lexicons")) {
        ++files;
        const auto id = entry.path().stem().string();
        CAPTURE(id);
        REQUIRE(known_lexicons().knows(id));
        const auto text = file("../../docs/lexicons/" + id + ".json");
        const auto v = from_json(text).value();
        CHECK(v.text("id") == id);
        for (const auto& [name, definition] : *v.find("defs")->as<value::map>()) {
            REQUIRE(known_lexicons().definition(id + '#' + name));
            CHECK(*known_lexicons().definition(id + '#' + name) == definition);
        }
    }
    CHECK(files > boost::mp11::mp_size<every_record>::value);
}

TEST_CASE("the published and the live records are what their lexicons say") {
    const auto good = [](const value& record) {
        CAPTURE(record.text("$type"));
        CHECK(said(known_lexicons().check_record(record.text("$type"), record)) == "good");
    };
    for (const auto* name : {"0001-ccrfp", "0002-ccb", "0003-ccbap", "0004-ccba"}) good(*json_file(std::string("compute-contract/") + name + "-request.json").find("record"));
    for (const auto* name : {"rfp", "bid", "accept", "receipt", "offering"}) good(json_file(std::string("compute-contract/g4-") + name + ".json"));
}

TEST_CASE("a record that is not what its lexicon says is refused with the path") {
    const auto bid = *json_file("compute-contract/0002-ccb-request.json").find("record");
    const auto with = [&](auto change) {
        auto copy = bid;
        change(copy);
        const auto r = known_lexicons().check_record(ccb::nsid, copy);
        if (!r) CHECK(r.error().code == "invalid_record");
        return said(r);
    };
    const auto field = [](value& v, const char* name) -> value& { return v.as<value::map>()->at(name); };
    CHECK(with([](value&) {}) == "good");
    CHECK(with([&](value& v) { field(v, "bid").as<value::map>()->erase("prepay"); }) == "bid.prepay: missing");
    CHECK(with([&](value& v) { field(field(v, "bid"), "x402") = value::map{{"base_url", 1}}; }) == "bid.x402.base_url: expected text");
    CHECK(with([&](value& v) { field(field(field(v, "embed"), "record"), "uri") = "at://x"; }) == "embed.record.uri: is no at-uri");
    CHECK(with([&](value& v) { field(field(field(v, "embed"), "record"), "cid") = "bafy"; }) == "embed.record.cid: is no cid");
    CHECK(with([&](value& v) { v.as<value::map>()->emplace("createdAt", "yesterday"); }) == "createdAt: is no datetime");
    CHECK(with([&](value& v) { v.as<value::map>()->emplace("attestation", std::string(33, 'x')); }) == "attestation: at most 32 bytes");
    CHECK(with([&](value& v) { v.as<value::map>()->emplace("signatures", value::list{value::map{{"$type", "network.attested.signature"}}}); }) == "signatures[0].issuer: missing");
    CHECK(with([&](value& v) { v.as<value::map>()->insert_or_assign("$type", "com.publicdomainrelay.ccrfp"); }) == "$type: is not com.publicdomainrelay.ccb");
    CHECK(with([&](value& v) { v.as<value::map>()->emplace("colour", "red"); }) == "good"); // the struct is what refuses that
    CHECK(with([](value& v) { v = "text"; }) == "expected a map");
    CHECK(known_lexicons().check_record("com.example.none", bid).error().code == "unknown_lexicon");
    CHECK(known_lexicons().check_record("com.publicdomainrelay.defs", bid).error().code == "unknown_lexicon");
}

TEST_CASE("each type takes what is its own, and says what was wrong") {
    const std::vector<std::pair<std::string, value>> samples{{"text", "t"},     {"number", 1},           {"truth", true},         {"bytes", octets{"b"}},
                                                             {"link", cid::of_raw("")}, {"list", value::list{}}, {"map", value::map{}}, {"null", null_t{}}};
    const auto takes = [&](const std::string& schema, const std::string& which) {
        const auto all = of_field(schema, R"(,"empty":{"type":"object"},"list":{"type":"array","items":{"type":"unknown"}})");
        for (const auto& [name, x] : samples) {
            CAPTURE(schema);
            const auto& given = name; // clang 14 captures no structured binding
            CAPTURE(given);
            CHECK((of_x(all, x) == "good") == (which == "all" || name == which));
        }
    };
    takes(R"({"type":"string"})", "text");
    takes(R"({"type":"integer"})", "number");
    takes(R"({"type":"boolean"})", "truth");
    takes(R"({"type":"bytes"})", "bytes");
    takes(R"({"type":"cid-link"})", "link");
    takes(R"({"type":"array","items":{"type":"string"}})", "list");
    takes(R"({"type":"object"})", "map");
    takes(R"({"type":"unknown"})", "all");
    takes(R"({"type":"token"})", "none");
    takes(R"({"type":"union","refs":[]})", "none"); // every one says its type
    takes(R"({"type":"ref","ref":"#empty"})", "map");
    takes(R"({"type":"ref","ref":"com.example.one#list"})", "list");
}

TEST_CASE("bounds are what is allowed, and not one more") {
    const auto text = of_field(R"({"type":"string","minLength":2,"maxLength":3})");
    CHECK(of_x(text, "a") == "x: at least 2 bytes");
    CHECK(of_x(text, "ab") == "good");
    CHECK(of_x(text, "abc") == "good");
    CHECK(of_x(text, "abcd") == "x: at most 3 bytes");
    const auto number = of_field(R"({"type":"integer","minimum":-1,"maximum":5})");
    CHECK(of_x(number, -2) == "x: at least -1");
    CHECK(of_x(number, -1) == "good");
    CHECK(of_x(number, 5) == "good");
    CHECK(of_x(number, 6) == "x: at most 5");
    const auto bytes = of_field(R"({"type":"bytes","minLength":1,"maxLength":2})");
    CHECK(of_x(bytes, octets{}) == "x: at least 1 bytes");
    CHECK(of_x(bytes, octets{"12"}) == "good");
    CHECK(of_x(bytes, octets{"123"}) == "x: at most 2 bytes");
    const auto list = of_field(R"({"type":"array","minLength":1,"maxLength":2,"items":{"type":"integer"}})");
    CHECK(of_x(list, value::list{}) == "x: at least 1 items");
    CHECK(of_x(list, value::list{1, 2}) == "good");
    CHECK(of_x(list, value::list{1, 2, 3}) == "x: at most 2 items");
    CHECK(of_x(list, value::list{1, "2"}) == "x[1]: expected a number");
    CHECK(of_x(of_field(R"({"type":"string","enum":["a","b"]})"), "c") == "x: is none of the values allowed");
    CHECK(of_x(of_field(R"({"type":"string","const":"a"})"), "b") == "x: is not the one value allowed");
    CHECK(of_x(of_field(R"({"type":"string","knownValues":["a"]})"), "b") == "good"); // more may become known
    CHECK(of_x(of_field(R"({"type":"integer","enum":[1,2]})"), 3) == "x: is none of the values allowed");
    CHECK(of_x(of_field(R"({"type":"boolean","const":true})"), false) == "x: is not the one value allowed");
}

TEST_CASE("formats of text are told apart") {
    const std::vector<std::tuple<std::string, std::string, std::string>> each{
        {"did", "did:plc:5svqtrhheairglgiiyvutzik", "did:plc"},
        {"handle", "alice.bsky.social", "alice"},
        {"at-identifier", "alice.bsky.social", "al ice"},
        {"nsid", "com.example.thing", "com.example"},
        {"at-uri", "at://did:plc:x/com.example.thing/self", "at://alice.bsky.social/com.example.thing/self"},
        {"cid", "bafyreicwemur3nasntbaxc3elkrwplpvonhgklakjtlreube3cxkzscu2m", "bafy"},
        {"datetime", "2026-05-09T07:42:10.123Z", "2026-05-09"},
        {"record-key", "self", "a/b"},
        {"tid", "3mlf7tjlfjr2d", "3mlf7tjlfjr2"},
        {"uri", "https://example.com/x", "example.com/x"},
        {"language", "pt-BR", "x"},
    };
    for (const auto& [name, good, wrong] : each) {
        const auto& format = name; // clang 14 captures no structured binding
        CAPTURE(format);
        const auto all = of_field("{\"type\":\"string\",\"format\":\"" + name + "\"}");
        CHECK(of_x(all, good) == "good");
        CHECK(of_x(all, wrong) == "x: is no " + name);
        CHECK(of_x(all, "") == "x: is no " + name);
    }
}

TEST_CASE("an open union passes what it does not know, a closed one does not; null is only where it is said") {
    const std::string rest = R"(,"one":{"type":"object","required":["a"],"properties":{"a":{"type":"integer"}}})";
    const auto open = of_field(R"({"type":"union","refs":["#one"]})", rest), closed = of_field(R"({"type":"union","refs":["#one"],"closed":true})", rest);
    const value one = value::map{{"$type", "com.example.one#one"}, {"a", 1}}, broken = value::map{{"$type", "com.example.one#one"}}, other = value::map{{"$type", "com.example.two"}};
    CHECK(of_x(open, one) == "good");
    CHECK(of_x(closed, one) == "good");
    CHECK(of_x(open, broken) == "x.a: missing");
    CHECK(of_x(open, other) == "good");
    CHECK(of_x(closed, other) == "x.$type: com.example.two is none of those allowed");
    CHECK(of_x(open, value::map{{"a", 1}}) == "x.$type: missing");
    const auto nullable = lexicons::of({lexicon("com.example.one", R"({"main":{"type":"record","key":"tid","record":{"type":"object","nullable":["x"],"properties":{"x":{"type":"integer"}}}}})")}).value();
    CHECK(of_x(nullable, null_t{}) == "good");
    CHECK(of_x(nullable, "1") == "x: expected a number");
    CHECK(of_x(of_field(R"({"type":"integer"})"), null_t{}) == "x: expected a number");
}

TEST_CASE("no lexicon and no record makes the check go on for ever") {
    const auto circle = of_field(R"({"type":"ref","ref":"#a"})", R"(,"a":{"type":"ref","ref":"#b"},"b":{"type":"ref","ref":"#a"})");
    CHECK(of_x(circle, 1) == "x: its lexicon leads from reference to reference");
    const auto tree = of_field(R"({"type":"ref","ref":"#node"})", R"(,"node":{"type":"object","properties":{"x":{"type":"ref","ref":"#node"}}})");
    value deep = value::map{};
    for (int i = 0; i < 100; ++i) deep = value::map{{"x", std::move(deep)}};
    CHECK(of_x(tree, deep) == "good");
    for (int i = 0; i < 100; ++i) deep = value::map{{"x", std::move(deep)}};
    CHECK(of_x(tree, deep).ends_with("too deep"));
}

TEST_CASE("a document that says what is not known here is bad as a whole") {
    const auto one = [](const std::string& schema) { return bad({lexicon("com.example.one", "{\"main\":" + schema + "}")}); };
    CHECK(one(R"({"type":"string"})") == "good");
    CHECK(one(R"({"type":"string","maxGraphemes":3})") == "com.example.one: main.maxGraphemes: maxGraphemes is not known here");
    CHECK(one(R"({"type":"blob"})") == "com.example.one: main: no type that is known here: \"blob\"");
    CHECK(one(R"({"type":"string","maxLength":"3"})") == "com.example.one: main.maxLength: expected a number");
    CHECK(one(R"({"type":"string","format":"colour"})") == "com.example.one: main.format: expected a format that is known here");
    CHECK(one(R"({"type":"array"})") == "com.example.one: main: items: missing");
    CHECK(one(R"({"type":"array","items":{"type":"none"}})").starts_with("com.example.one: main.items: "));
    CHECK(one(R"({"type":"object","properties":{"a":{"type":"none"}}})").starts_with("com.example.one: main.properties.a: "));
    CHECK(one(R"({"type":"object","required":["a"]})") == "com.example.one: main: required: a is no property");
    CHECK(one(R"({"type":"object","required":[1]})") == "com.example.one: main.required: expected a list of texts");
    CHECK(one(R"({"type":"ref","ref":"#nothing"})") == "com.example.one: main.ref: nothing is called #nothing");
    CHECK(one(R"({"type":"union","refs":["com.example.two"]})") == "com.example.one: main.refs[0]: nothing is called com.example.two");
    CHECK(one(R"({"type":"procedure","input":{"schema":{"type":"none"}}})").starts_with("com.example.one: main.input.schema: "));
    CHECK(bad({lexicon("com.example.one", "{}"), lexicon("com.example.one", "{}")}) == "com.example.one: is there twice");
    CHECK(bad({lexicon("one", "{}")}) == "one: the id is no NSID");
    CHECK(bad({value::map{{"id", "com.example.one"}, {"lexicon", 2}, {"defs", value::map{}}}}) == "com.example.one: only version 1 is known here");
    CHECK(bad({value::map{{"id", "com.example.one"}, {"lexicon", 1}}}) == "com.example.one: defines nothing");
    CHECK(bad({value("text")}).starts_with(": "));
}

TEST_CASE("the body of a call is what its procedure says") {
    const std::string nsid = "com.publicdomainrelay.temp.market.submitRfp", uri = "at://did:plc:x/com.publicdomainrelay.ccrfp/k", content = cid::of_raw("").text();
    const auto say = [&](value body) {
        const auto r = known_lexicons().check_input(nsid, body);
        if (!r) CHECK(r.error().code == "invalid_input");
        return said(r);
    };
    CHECK(say(value::map{{"rfpUri", uri}, {"rfpCid", content}}) == "good");
    CHECK(say(value::map{{"rfpUri", uri}}) == "rfpCid: missing");
    CHECK(say(value::map{{"rfpUri", "x"}, {"rfpCid", content}}) == "rfpUri: is no at-uri");
    CHECK(known_lexicons().check_input(ccrfp::nsid, value::map{}).error().code == "unknown_lexicon");
    CHECK(known_lexicons().check_record(nsid, value::map{}).error().code == "unknown_lexicon");
}
