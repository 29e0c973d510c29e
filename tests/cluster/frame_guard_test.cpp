#include <doctest/doctest.h>

#include <souk/runtime/cluster/frame_guard.hpp>

#include "stranger.hpp"

using namespace hosts;
using souk::carrier::frame_guard;

namespace {

const auto bob = node_id_bytes(1, 'b'), alice = node_id_bytes(2, 'a'), carol = node_id_bytes(3, 'c');
std::string text(const std::string& id) { return carrier::node_id_text(id); }

// Bob's guard on a connection that Alice opened, which lets her in.
struct guarded {
    frame_guard guard;
    std::string said;
    explicit guarded(bool dialled = false, bool introduced = true)
        : guard(1000, dialled, text(bob), [this](const std::string& id) { return said = id, id == text(alice) ? std::string{} : std::string("not she"); }) {
        if (introduced) take(frame{static_cast<std::uint8_t>(dialled ? 0 : 1), 0, alice, dialled ? 3u : 0u});
    }
    bool take(std::string bytes) { return guard.clear(bytes.data(), bytes.size()) == bytes.size() && !guard.refused(); }
    bool take(const frame& f) { return take(f.bytes()); }
};

std::string message(const std::string& types, const std::string& fields = "field") {
    return std::string(3, '\0') + static_cast<char>(types.size()) + types + fields;
}

} // namespace

TEST_CASE("node ids are read as CAF writes them") {
    host h([] {
        static authority ca;
        return ca.options("bob");
    }());
    const auto bytes = serialised(*h.sys, h.sys->node());
    CHECK(bytes.size() == carrier::node_id_bytes);
    CHECK(text(bytes) == caf::to_string(h.sys->node()));
    CHECK(text(number(static_cast<std::uint64_t>(caf::atom("uri")), 8) + std::string(24, 'u')).empty());
    CHECK(text(std::string(32, '\0')).empty());
    CHECK(text("short").empty());
}

TEST_CASE("the first frame must be the handshake of the other side's part") {
    CHECK(guarded(false, false).take(frame{1, 0, alice}));
    CHECK(guarded(true, false).take(frame{0, 0, alice + "rest", 3}));
    CHECK_FALSE(guarded(false, false).take(frame{0, 0, alice, 3}));
    CHECK_FALSE(guarded(true, false).take(frame{1, 0, alice}));
    CHECK_FALSE(guarded(false, false).take(frame{6}));
    CHECK_FALSE(guarded(false, false).take(frame{2, 0, message("@<>+souk::kept"), 0, 1, 1}));
    CHECK_FALSE(guarded(false, false).take(frame{1, 0, carol}));
    CHECK_FALSE(guarded(false, false).take(frame{1, 0, bob}));
    CHECK_FALSE(guarded(false, false).take(frame{1, 0, "no node id at all, though long enough"}));
}

TEST_CASE("a client may repeat its handshake, a few times and as itself; a server may not") {
    guarded g;
    CHECK(g.take(frame{1, 2, alice}));
    CHECK(g.take(frame{1, 2, alice}));
    CHECK(g.take(frame{1, 2, alice}));
    CHECK_FALSE(g.take(frame{1, 2, alice}));
    CHECK_FALSE(guarded().take(frame{1, 2, carol}));
    CHECK_FALSE(guarded(true).take(frame{0, 0, alice, 3}));
}

TEST_CASE("messages of ours pass, those of CAF's own types do not") {
    for (const char* types : {"@<>", "@<>+@error", "@<>+souk::record_note", "@<>+souk::a+souk::b", "@<>+acme::thing"}) CHECK_MESSAGE(guarded().take(frame{2, 0, message(types), 0, 1, 1}), types);
    for (const char* types : {"@<>+@exit", "@<>+@down", "@<>+@atom+@strong_actor_ptr", "@<>+@error+@exit", "@<>+souk::a+@exit", "", "@exit", "souk::a", "@<>@exit"})
        CHECK_MESSAGE(!guarded().take(frame{2, 0, message(types), 0, 1, 1}), types);
    CHECK_FALSE(guarded().take(frame{2, 0, "\1" + message("@<>+souk::a"), 0, 1, 1})); // through other actors
    CHECK_FALSE(guarded().take(frame{2, 0, std::string("\0\0\5", 3) + message("@<>+souk::a"), 0, 1, 1}));
    CHECK_FALSE(guarded().take(frame{2, 0, std::string("\0\0\0\xff\xff\x7f", 6) + std::string(900, 'x'), 0, 1, 1}));
    const auto length_of_two_bytes = std::string("\0\0\0", 3) + static_cast<char>(0x80 | (204 & 0x7f)) + '\1' + "@<>+" + std::string(200, 'n');
    CHECK(guarded().take(frame{2, 0, length_of_two_bytes, 0, 1, 1}));
}

TEST_CASE("notices pass between the two nodes and about no third") {
    for (const auto kind : {std::uint8_t{4}, std::uint8_t{5}}) {
        CHECK(guarded().take(frame{kind, 0, alice + bob + "why", 0, 1, 0}));
        CHECK_FALSE(guarded().take(frame{kind, 0, carol + bob + "why", 0, 1, 0}));
        CHECK_FALSE(guarded().take(frame{kind, 0, alice + carol + "why", 0, 1, 0}));
        CHECK_FALSE(guarded().take(frame{kind, 0, alice, 0, 1, 0}));
    }
}

TEST_CASE("frames are bounded, and only heartbeats are empty") {
    CHECK(guarded().take(frame{6}));
    CHECK_FALSE(guarded().take(frame{6, 0, "x"}));
    CHECK_FALSE(guarded().take(frame{2, 0, "", 0, 1, 1}));
    CHECK(guarded().take(frame{2, 0, message("@<>", std::string(1000 - 7, 'x')), 0, 1, 1}));
    CHECK_FALSE(guarded().take(frame{2, 0, message("@<>", std::string(1001 - 7, 'x')), 0, 1, 1}));
    CHECK_FALSE(guarded().take(frame{3, 0, alice + bob + message("@<>"), 0, 1, 1}));
    CHECK_FALSE(guarded().take(frame{7, 0, "x"}));
    CHECK_FALSE(guarded().take(frame{255, 0, "x"}));
}

TEST_CASE("nothing passes after a refusal") {
    guarded g;
    CHECK_FALSE(g.take(frame{7, 0, "x"}));
    CHECK(g.guard.refused());
    CHECK_FALSE(g.take(frame{6}));
}

TEST_CASE("a receiver that is called by name is nobody") {
    guarded g;
    auto bytes = frame{2, 1, message("@<>+@atom+@atom+@str"), 0, 1, static_cast<std::uint64_t>(caf::atom("SpawnServ"))}.bytes();
    CHECK(g.guard.clear(bytes.data(), bytes.size()) == bytes.size());
    CHECK(bytes[3] == 0);
    CHECK(bytes.substr(24, 8) == std::string(8, '\xff'));
}

TEST_CASE("the same frames pass in whatever pieces they come, and no byte of a bad one") {
    const auto good = frame{1, 0, alice}.bytes() + frame{6}.bytes() + frame{2, 0, message("@<>+souk::kept", std::string(300, 'k')), 0, 1, 1}.bytes() +
                      frame{4, 0, alice + bob, 0, 0, 1}.bytes() + frame{6}.bytes();
    const auto all = good + frame{2, 0, message("@<>+@exit"), 0, 1, 1}.bytes();
    for (std::size_t piece = 1; piece < 120; ++piece) {
        guarded g(false, false);
        std::string unseen, passed;
        for (std::size_t at = 0; at < all.size() && !g.guard.refused(); at += piece) {
            unseen += all.substr(at, piece);
            CHECK(unseen.size() <= frame_guard::longest_beginning + piece);
            const auto n = g.guard.clear(unseen.data(), unseen.size());
            passed += unseen.substr(0, n);
            unseen.erase(0, n);
        }
        CHECK(g.guard.refused());
        CHECK(good.starts_with(passed));
        CHECK(passed.size() + piece + 64 > good.size());
    }
}
