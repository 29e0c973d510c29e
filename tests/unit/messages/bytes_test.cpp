#include <doctest/doctest.h>

#include <souk/messages/bytes.hpp>

using namespace souk;

namespace {

std::string every_byte() {
    std::string all;
    for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
    return all;
}

} // namespace

TEST_CASE("bytes come back from every text form, at every length") {
    const auto all = every_byte();
    for (std::size_t n = 0; n < 70; ++n) {
        const auto bytes = all.substr(256 - n) + all.substr(0, n % 7);
        CHECK(from_hex(to_hex(bytes)).value() == bytes);
        CHECK(from_base64(to_base64(bytes)).value() == bytes);
        CHECK(from_base64url(to_base64url(bytes)).value() == bytes);
        CHECK(from_base32(to_base32(bytes)).value() == bytes);
        CHECK(from_base58(to_base58(bytes)).value() == bytes);
    }
}

TEST_CASE("the text forms are those of the standards") {
    CHECK(to_hex("\x01\xab") == "01ab");
    CHECK(from_hex("01AB").value() == "\x01\xab");
    CHECK(to_base64("foob") == "Zm9vYg==");
    CHECK(to_base64("\xfb\xff") == "+/8=");
    CHECK(to_base64url("\xfb\xff") == "-_8");
    CHECK(to_base32("foobar") == "mzxw6ytboi");
    CHECK(to_base58(std::string("\0\0hello", 7)) == "11Cn8eVZg");
    CHECK(to_base58("") == "");
}

TEST_CASE("a second text for the same bytes is refused") {
    for (const char* text : {"Zm9vYh", "Zm9vYg=", "Zm9vYg===", "Zm9v====", "Zm9vYg==\n", "Zm9v-g==", "Z", "Zm9vYg= ="}) {
        CAPTURE(text);
        CHECK(from_base64(text).error().code == "bad_base64");
    }
    CHECK(from_base64("Zm9vYg").value() == "foob");
    CHECK(from_base64url("Zm9vYg==").error().code == "bad_base64");
    CHECK(from_base64url("Zm9vYh").error().code == "bad_base64");
    CHECK(from_base32("MZXW6").error().code == "bad_base32");
    CHECK(from_base32("mzxw7").error().code == "bad_base32"); // unused bits
    CHECK(from_base32("a").error().code == "bad_base32");
    CHECK(from_hex("0").error().code == "bad_hex");
    CHECK(from_hex("0g").error().code == "bad_hex");
    CHECK(from_base58("0OIl").error().code == "bad_base58");
    CHECK(from_base58(std::string(257, '2')).error().code == "bad_base58");
}

TEST_CASE("UTF-8 is what Unicode says it is") {
    for (const char* good :
         {"", "plain", "\xc3\xa5", "\xe2\x82\xac", "\xf0\x9f\x8d\x88", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf"})
        CHECK(is_utf8(good));
    for (const char* bad : {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80",
                            "\xf5\x80\x80\x80", "\xc3", "a\xe2\x82", "\xff"}) {
        CHECK_FALSE(is_utf8(bad));
        CHECK(is_utf8(to_utf8(bad)));
    }
    CHECK(to_utf8("a\xff\xc3\xa5") == "a\xef\xbf\xbd\xc3\xa5");
}
