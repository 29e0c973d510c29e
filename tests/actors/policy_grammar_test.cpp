#include "virtual_time.hpp"

#include <souk/actors/policy/grammar.hpp>
#include <souk/actors/policy/marks.hpp>

using namespace souk;

namespace {

std::string wrong(const std::string& text) {
    const auto r = policy::parse_rule(text);
    return r ? "good: " + r->text : r.error().code == "bad_rule" ? r.error().text : "another code: " + r.error().code;
}
bool refuses(const std::string& text, const std::string& words) { return wrong(text).find(words) != std::string::npos; }

} // namespace

TEST_CASE("rules are read as they are written, with blanks single") {
    for (const char* text : {"denounced", "denounced reach=1", "vouched", "vouched depth=3 decay=50 least=20", "operator", "operator depth=2", "ceiling", "expiry", "open", "location",
                             "location country=DE region=us-west", "tier", "tier at-least hardware", "price at-most 0.10 per hour", "price at-most 72 per month", "history honoured>=1 broken<=0",
                             "history broken<=0", "allow did:plc:bob did:web:carol.example", "deny did:plc:eve", "remote did:web:engine.example", "remote did:web:localhost%3A2586 name=tangled-vouch",
                             "remote did:web:e.example policy=at://did:plc:a/b.c.d/e cid=bafyreiccaougmp3654xsmrwjpihbsjyxzbcyvvnwhry2cci5fh2ubjtf74"}) {
        CAPTURE(text);
        CHECK(wrong(text) == "good: " + std::string(text));
    }
    CHECK(wrong("  vouched   depth=2 ") == "good: vouched depth=2");
}

TEST_CASE("what is no rule is refused, with the rule's text and what is wrong with it") {
    CHECK(refuses("vouchd depth=3", "\"vouchd depth=3\": there is no such rule; there are denounced, vouched"));
    CHECK(refuses("vouched depth=9", "depth= takes a number from 1 to 8"));
    CHECK(refuses("vouched depth=0", "depth= takes a number from 1 to 8"));
    CHECK(refuses("vouched depth=03", "depth= takes"));
    CHECK(refuses("vouched depth=+3", "depth= takes"));
    CHECK(refuses("vouched depth=99999999999999999999", "depth= takes"));
    CHECK(refuses("vouched depth=2 depth=3", "depth= is there twice"));
    CHECK(refuses("vouched reach=1", "\"reach=1\" is not understood"));
    CHECK(refuses("vouched 3", "\"3\" is not understood"));
    CHECK(refuses("denounced reach=", "reach= takes"));
    CHECK(refuses("ceiling 5", "\"5\" is not understood"));
    CHECK(refuses("price 0.10 per hour", "expected \"at-most\""));
    CHECK(refuses("price at-most -1 per hour", "expected an amount"));
    CHECK(refuses("price at-most 0.10", "expected \"per\""));
    CHECK(refuses("price at-most 0.10 per second", "expected per hour, day or month"));
    CHECK(refuses("tier at-least best", "expected none, simulated or hardware"));
    CHECK(refuses("tier hardware", "expected \"at-least\""));
    CHECK(refuses("history", "expected honoured>=N"));
    CHECK(refuses("history honoured>=-1", "honoured>= takes"));
    CHECK(refuses("allow", "at least one DID"));
    CHECK(refuses("allow bob.example", "\"bob.example\" is no DID"));
    CHECK(refuses("deny did:plc:eve,did:plc:bob", "is no DID"));
    CHECK(refuses("location country=", "country= takes a name"));
    CHECK(refuses("location country=D;E", "country= takes a name"));
    CHECK(refuses("remote did:plc:engine", "did:web:HOST"));
    CHECK(refuses("remote did:web:engine.example:path", "did:web:HOST"));
    CHECK(refuses("remote did:web:e.example policy=at://did:plc:a/b.c.d/e", "policy= and cid= go together"));
    CHECK(refuses("", "an empty policy rule"));
    CHECK(refuses("open\nvouched", "on one line"));
    CHECK(refuses("vouched\tdepth=2", "on one line"));
    CHECK(refuses(std::string(5000, 'x'), "longer than"));
    std::string many = "allow";
    for (int i = 0; i < 65; ++i) many += " did:plc:a" + std::to_string(i);
    CHECK(refuses(many, "at most 64 DIDs"));
}

TEST_CASE("a policy has so many rules and no more") {
    CHECK(policy::check_rules(std::vector<std::string>(policy::longest_chain, "open")).has_value());
    const auto r = policy::check_rules(std::vector<std::string>(policy::longest_chain + 1, "open"));
    REQUIRE(!r);
    CHECK(r.error().code == "bad_rule");
}

TEST_CASE("a misspelt veto neither stands for the veto nor takes its place") {
    const auto chain = policy::chain_of({"denounced reach=99"});
    REQUIRE(chain.size() == 2);
    CHECK(chain[0].wants.veto);
    CHECK(!chain[1].wants.veto);
}

TEST_CASE("rules on one line are apart by commas") {
    CHECK(policy::split_rules("vouched depth=3, price at-most 0.10 per hour ,,open") == std::vector<std::string>{"vouched depth=3", "price at-most 0.10 per hour", "open"});
    CHECK(policy::split_rules("").empty());
}

TEST_CASE("words of others are one line that moves no cursor and turns no text around") {
    CHECK(policy::in_one_line("good\n\x1b[2Jfellow", 100) == "good  [2Jfellow");
    CHECK(policy::in_one_line("a\xe2\x80\xae" "b\xc2\x9b" "c\xe2\x81\xa6" "d", 100) == "a b c d");
    CHECK(policy::in_one_line("gr\xc3\xbc\xc3\x9f", 5) == "gr\xc3\xbc\xef\xbf\xbd"); // cut in the middle of a letter
    CHECK(policy::in_one_line(std::string(1000, 'x'), 300).size() == 300);
}
