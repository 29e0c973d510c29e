#include <doctest/doctest.h>

#include <souk/messages/actors.hpp>
#include <souk/runtime/cli/table.hpp>
#include <souk/runtime/cli/trust_tree.hpp>

using namespace souk;

namespace {

trust_mark mark(const std::string& by, const std::string& about, const std::string& kind = "vouch", std::int64_t weight = 100) {
    trust_mark m;
    m.by = by, m.about = about, m.kind = kind, m.weight = weight;
    m.record = {"at://" + by + "/sh.tangled.graph.vouch/" + about, "cid-" + by + '-' + about};
    return m;
}
std::size_t widest(const std::string& text) {
    std::size_t most = 0;
    for (std::size_t at = 0; at < text.size();) {
        const auto end = std::min(text.find('\n', at), text.size());
        most = std::max(most, end - at), at = end + 1;
    }
    return most;
}

} // namespace

TEST_CASE("the ways to somebody are drawn as a tree, each mark with its record, weight and end") {
    trust_view v;
    v.self = "did:plc:me";
    v.marks = {mark("did:plc:me", "did:plc:a"), mark("did:plc:a", "did:plc:x", "vouch", 40), mark("did:plc:me", "did:plc:b"), mark("did:plc:b", "did:plc:a"),
               mark("did:plc:q", "did:plc:x", "denounce"), mark("did:plc:x", "did:plc:y")};
    v.marks[1].expires = instant{std::chrono::seconds{1'800'000'000}};
    v.marks[4].reason = "took the money";
    v.unread = {{"did:plc:b", "its host is away"}};
    CHECK(cli::trust_tree(to_value(v), "did:plc:x") == R"(did:plc:me (this node's account)
  vouches for did:plc:a
    at://did:plc:me/sh.tangled.graph.vouch/did:plc:a
    cid-did:plc:me-did:plc:a
    vouches for did:plc:x, 40%, until 2027-01-15T08:00:00Z
      at://did:plc:a/sh.tangled.graph.vouch/did:plc:x
      cid-did:plc:a-did:plc:x
  vouches for did:plc:b
    at://did:plc:me/sh.tangled.graph.vouch/did:plc:b
    cid-did:plc:me-did:plc:b
    vouches for did:plc:a (above)
      at://did:plc:b/sh.tangled.graph.vouch/did:plc:a
      cid-did:plc:b-did:plc:a

of him, by others that were read
  did:plc:q DENOUNCES did:plc:x: took the money
    at://did:plc:q/sh.tangled.graph.vouch/did:plc:x
    cid-did:plc:q-did:plc:x

by him
  did:plc:x vouches for did:plc:y
    at://did:plc:x/sh.tangled.graph.vouch/did:plc:y
    cid-did:plc:x-did:plc:y

not read
  did:plc:b: its host is away
)");
}

TEST_CASE("a circle of vouches is drawn once, and nobody's word as that") {
    trust_view v;
    v.self = "did:plc:me";
    CHECK(cli::trust_tree(to_value(v), "did:plc:x") == "did:plc:me (this node's account)\n  no way leads to did:plc:x, and no word of it\n");
    v.marks = {mark("did:plc:me", "did:plc:a"), mark("did:plc:a", "did:plc:b"), mark("did:plc:b", "did:plc:a"), mark("did:plc:b", "did:plc:me"), mark("did:plc:b", "did:plc:x")};
    const auto drawn = cli::trust_tree(to_value(v), "did:plc:x");
    CHECK(drawn.find("vouches for did:plc:x\n") != std::string::npos);
    CHECK(drawn.size() < 1000);
}

TEST_CASE("what is written for people fits eighty columns, whatever is in it, and loses nothing") {
    const std::string uri = "at://did:plc:abcdefghijklmnopqrstuvwx/sh.tangled.graph.vouch/did:plc:abcdefghijklmnopqrstuvwx", cid(59, 'b'), endless(300, 'x');
    for (const std::string& text : {uri, cid, endless, uri + ' ' + uri, std::string("a few words that are longer than eighty columns when they are written out on one line, as this is")})
        for (std::size_t indent : {0u, 7u, 13u, 20u}) {
            const auto lines = std::string(indent, ' ') + cli::wrapped(text, indent);
            CHECK(widest(lines) <= 80);
            auto bare = lines, wanted = text;
            std::erase_if(bare, [](char c) { return c == ' ' || c == '\n'; }), std::erase(wanted, ' ');
            CHECK(bare == wanted);
        }
    CHECK(cli::wrapped(uri, 13) == "at://did:plc:abcdefghijklmnopqrstuvwx/sh.tangled.graph.vouch/\n             did:plc:abcdefghijklmnopqrstuvwx");
    CHECK(cli::wrapped("short", 70) == "short");
}
