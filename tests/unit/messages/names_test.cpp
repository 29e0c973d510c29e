#include <doctest/doctest.h>

#include <souk/messages/at.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/time.hpp>

using namespace souk;

namespace {

const std::string accept_uri = "at://did:plc:5svqtrhheairglgiiyvutzik/com.publicdomainrelay.ccba/3mlagijgoeb23";
const std::string accept_cid = "bafyreiamisq3yqgb4k3tdojmzvvzpuwj46ytwbj672zxhyxxl7t36qadz4";

} // namespace

TEST_CASE("a CID has one text") {
    CHECK(cid::parse(accept_cid).value().text() == accept_cid);
    CHECK(cid::of_raw("").text() == "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku");
    CHECK(cid().text() == "");
    for (const std::string& bad : {std::string(), accept_cid.substr(1), accept_cid + "a", "B" + accept_cid.substr(1),
                                   "z" + accept_cid.substr(1), accept_cid.substr(0, 58) + "5" /* unused bits */,
                                   std::string("bafybeihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku")})
        CHECK(cid::parse(bad).error().code == "bad_cid");
}

TEST_CASE("DIDs, handles, collections and record keys are what AT Protocol says") {
    for (const char* s : {"did:plc:5svqtrhheairglgiiyvutzik", "did:web:localhost%3A8080",
                          "did:key:zQ3shVccyeD7zq2BSdRqcp2pozYzsGsJmc88gAy1m8SUX93LE", "did:web:a.b:c"})
        CHECK(is_did(s));
    for (const char* s : {"", "did:", "did:plc", "did:plc:", "did::x", "DID:plc:x", "did:PLC:x", "did:plc:x:", "did:plc:x%",
                          "did:plc:x y", "did:plc:x/y", "did:p1c:x"})
        CHECK_FALSE(is_did(s));
    CHECK_FALSE(is_did("did:web:" + std::string(2048, 'a')));
    for (const char* s : {"alice.bsky.social", "a.co", "xn--notarealidn.com", "8.cn"}) CHECK(is_handle(s));
    for (const char* s : {"", "alice", ".a.b", "a..b", "a.b.", "-a.b", "a-.b", "a.0", "a_b.c", "a.b/c"}) CHECK_FALSE(is_handle(s));
    CHECK_FALSE(is_handle(std::string(64, 'a') + ".com"));
    for (const char* s : {"com.publicdomainrelay.ccb", "com.atproto.repo.strongRef", "a.b.c1"}) CHECK(is_nsid(s));
    for (const char* s : {"", "com.example", "com..x", "com.example.", "1com.example.x", "com.example.1x", "com.example.a-b",
                          "com.exa_mple.x", "com.example.*"})
        CHECK_FALSE(is_nsid(s));
    CHECK_FALSE(is_nsid("com." + std::string(63, 'a') + "." + std::string(63, 'b') + "." + std::string(63, 'c') + "." +
                        std::string(63, 'd') + "." + std::string(63, 'e') + ".x"));
    for (const char* s : {"3mlf7ttrffk23", "self", "did:plc:x", "~1.2-_:", "..."}) CHECK(is_record_key(s));
    for (const char* s : {"", ".", "..", "a/b", "a b", "\xc3\xa5", "a%20"}) CHECK_FALSE(is_record_key(s));
    CHECK_FALSE(is_record_key(std::string(513, 'a')));
}

TEST_CASE("an at-uri is whole or refused") {
    const auto uri = at_uri::parse(accept_uri).value();
    CHECK(uri.did == "did:plc:5svqtrhheairglgiiyvutzik");
    CHECK(uri.collection == "com.publicdomainrelay.ccba");
    CHECK(uri.rkey == "3mlagijgoeb23");
    CHECK(uri.text() == accept_uri);
    for (const char* bad :
         {"", "at://", "at:/did:plc:x/a.b.c/k", "at://alice.bsky.social/a.b.c/k", "at://did:plc:x", "at://did:plc:x/a.b.c",
          "at://did:plc:x/a.b.c/", "at://did:plc:x/a.b.c/k/more", "at://did:plc:x/a.b.c/k?q", "at://did:plc:x/a.b.c/k#f",
          "https://did:plc:x/a.b.c/k", "at://did:plc:x//k"})
        CHECK(at_uri::parse(bad).error().code == "bad_at_uri");
}

TEST_CASE("at:// collapsed to at:/ in paths: the paid path is read as it comes, raw, collapsed or percent-encoded") {
    const std::string rest = accept_uri.substr(5);
    std::string encoded;
    for (char c : accept_uri) encoded += c == ':' ? "%3A" : c == '/' ? "%2F" : std::string(1, c);
    for (const auto& name : {accept_uri, "at:/" + rest, rest, encoded, "at%3A%2F%2F" + rest, "at%3a//" + rest})
        for (const char* lead : {"", "/"}) {
            const auto pair = parse_paid_path(lead + name + "/" + accept_cid);
            CAPTURE(name);
            REQUIRE(pair.has_value());
            CHECK(*pair == strong_ref{accept_uri, accept_cid});
        }
    CHECK(parse_paid_path(accept_uri).error().code == "missing_cid");
    CHECK(parse_paid_path(accept_uri + "/").error().code == "missing_cid");
    CHECK(parse_paid_path("").error().code == "missing_cid");
    CHECK(parse_paid_path(accept_uri + "/bafynonsense").error().code == "bad_cid");
    CHECK(parse_paid_path("at://alice.example/a.b.c/k/" + accept_cid).error().code == "bad_at_uri");
    CHECK(parse_paid_path(accept_cid).error().code == "bad_at_uri");
    CHECK(parse_paid_path(accept_uri + "/%zz").has_error());
    CHECK(parse_paid_path(std::string(20'000, 'a')).error().code == "bad_at_uri");
}

TEST_CASE("a DID with a port in it keeps its percent sign in a paid path") {
    const std::string uri = "at://did:web:localhost%3A8080/com.publicdomainrelay.ccba/3mlagijgoeb23";
    CHECK(parse_paid_path(uri + "/" + accept_cid).value().uri == uri);
    CHECK(parse_paid_path("at://did:web:localhost%253A8080/com.publicdomainrelay.ccba/3mlagijgoeb23/" + accept_cid).value().uri ==
          uri);
    CHECK(parse_paid_path("at%3A%2F%2Fdid%3Aweb%3Alocalhost%253A8080%2Fcom.publicdomainrelay.ccba%2F3mlagijgoeb23/" + accept_cid)
              .value()
              .uri == uri);
}

TEST_CASE("a host label names one service of one account") {
    CHECK(host_label("my-cool-service", "alice.bsky.social").value() == "my-cool-service--alice-bsky-social");
    CHECK(host_label("cfb3c8d2", "did:plc:abc").value() == "cfb3c8d2--did-plc-abc");
    CHECK(host_label("a", "Alice.Example").value() == "a--alice-example");
    CHECK(host_label(std::string(61, 'a'), "").error().code == "bad_label");
    CHECK(host_label(std::string(30, 'a'), std::string(31, 'b')).value().size() == 63);
    for (const auto& [service, handle] : {std::pair<std::string, std::string>{std::string(31, 'a'), std::string(31, 'b')},
                                          {"", "a.b"},
                                          {"a--b", "c"},
                                          {"a", "b--c.d"},
                                          {"a.", "b"},
                                          {".a", "b"},
                                          {"-a", "b"},
                                          {"a", "b-"},
                                          {"a..b", "c"},
                                          {"a/b", "c"},
                                          {"a_b", "c"},
                                          {"*", "c"},
                                          {"a\n", "b"}})
        CHECK(host_label(service, handle).error().code == "bad_label");
}

TEST_CASE("times are read with any offset and written in one form") {
    const auto at = from_datetime("2026-05-09T07:42:10.123Z").value();
    CHECK(to_datetime(at) == "2026-05-09T07:42:10.123Z");
    for (const char* same : {"2026-05-09T09:42:10.123+02:00", "2026-05-09t01:12:10.123999-06:30", "2026-05-09T07:42:10.1230000z"})
        CHECK(from_datetime(same).value() == at);
    CHECK(to_datetime(from_datetime("2024-02-29T23:59:59-00:01").value()) == "2024-03-01T00:00:59.000Z");
    CHECK(to_datetime(instant{}) == "1970-01-01T00:00:00.000Z");
    CHECK(to_datetime(from_datetime("1969-12-31T23:59:59.5Z").value()) == "1969-12-31T23:59:59.500Z");
    for (const char* bad : {"", "2026-05-09", "2026-05-09T07:42:10", "2026-05-09T07:42Z", "2026-02-30T00:00:00Z",
                            "2026-13-01T00:00:00Z", "2026-05-09T24:00:00Z", "2026-05-09T07:60:00Z", "2026-05-09T07:42:60Z",
                            "2026-05-09T07:42:10.Z", "2026-05-09T07:42:10+0200", "2026-05-09T07:42:10+24:00",
                            "2026-05-09T07:42:10ZZ", "26-05-09T07:42:10Z", "2026-05-09T07:42:1aZ", " 2026-05-09T07:42:10Z"})
        CHECK(from_datetime(bad).error().code == "bad_datetime");
    CHECK(from_datetime("0000-01-01T00:00:00+00:01").error().code == "bad_datetime"); // before what can be written
    CHECK(from_datetime("9999-12-31T23:59:59-00:01").error().code == "bad_datetime");
    CHECK(to_datetime(from_datetime("9999-12-31T23:59:59.999Z").value()) == "9999-12-31T23:59:59.999Z");
    CHECK(from_datetime("2026-05-09T07:42:10." + std::string(100, '1') + "Z").error().code == "bad_datetime");
}

TEST_CASE("record keys made from time sort as time does") {
    CHECK(to_tid(0, 0) == "2222222222222");
    CHECK(to_tid((1ull << 53) - 1, 1023) == "bzzzzzzzzzzzz");
    CHECK(to_tid(1'778'312'530'123'456, 5) < to_tid(1'778'312'530'123'457, 4));
    CHECK(is_tid(to_tid(1'778'312'530'123'456, 5)));
    CHECK(is_tid("3mlf7ttrffk23"));
    for (const char* bad : {"", "3mlf7ttrffk2", "3mlf7ttrffk233", "3mlf7ttrffk21", "zmlf7ttrffk23", "3MLF7TTRFFK23"})
        CHECK_FALSE(is_tid(bad));
}
