#include <doctest/doctest.h>

#include <atomic>
#include <future>
#include <thread>

#include <souk/runtime/note_feed.hpp>

using namespace souk;
using namespace std::chrono_literals;

namespace {

struct config : caf::actor_system_config {
    config() { souk::add_message_types<caf::id_block::souk>(*this); }
};

// A bidder that takes notes up when it is told to, and does nothing else.
struct slow {
    std::atomic<std::size_t> seen = 0, may = 0;
};
bidder_actor spawn_slow(caf::actor_system& sys, slow& s) {
    return sys.spawn([&s](bidder_actor::pointer, none_needed) -> bidder_actor::behavior_type {
        return {
            [&s](const record_note&) {
                while (s.may.load() <= s.seen.load()) std::this_thread::sleep_for(1ms); // a role that has its hands full
                ++s.seen;
            },
            [](const paid_request&) -> caf::result<paid_answer> { return paid_answer{}; },
            [](const contract_query&) -> caf::result<contract_list> { return contract_list{}; },
            [](const contract_order&) -> caf::result<kept> { return kept{}; },
        };
    }, none_needed{});
}
template <class F>
bool soon(F so) {
    for (int i = 0; i < 20'000 && !so(); ++i) std::this_thread::sleep_for(1ms);
    return so();
}

} // namespace

TEST_CASE("a stream that never ends waits for the roles that follow it, and its cursor for what they have taken up") {
    config c;
    caf::actor_system sys(c);
    slow s;
    const auto bidder = spawn_slow(sys, s);
    std::atomic<std::size_t> pushed = 0, taken = 0;
    {
        note_feed feed(sys, {}, bidder);
        std::thread stream([&] {
            for (std::size_t i = 0; i < 2 * note_feed::most; ++i) feed.push({"at://x/y/" + std::to_string(i), "", {}}, [&] { ++taken; }), ++pushed;
        });
        REQUIRE(soon([&] { return pushed == note_feed::most; }));
        CHECK(taken == 0);
        s.may = 100;
        REQUIRE(soon([&] { return pushed == note_feed::most + 100; }));
        CHECK(taken == 100);
        s.may = 10 * note_feed::most;
        stream.join();
        CHECK(soon([&] { return taken == 2 * note_feed::most; }));
    }
    caf::anon_send_exit(bidder, caf::exit_reason::kill);
}

TEST_CASE("a stream whose node stops does not wait for ever") {
    config c;
    caf::actor_system sys(c);
    slow s;
    const auto bidder = spawn_slow(sys, s);
    {
        note_feed feed(sys, {}, bidder);
        std::atomic<std::size_t> pushed = 0;
        std::thread stream([&] {
            for (std::size_t i = 0; i < 2 * note_feed::most; ++i) feed.push({"at://x/y/z", "", {}}, [] {}), ++pushed;
        });
        REQUIRE(soon([&] { return pushed == note_feed::most; }));
        feed.close();
        stream.join();
    }
    s.may = 10 * note_feed::most;
    caf::anon_send_exit(bidder, caf::exit_reason::kill);
}

TEST_CASE("records of trust go to the policy engine alone, the others to the market's roles alone, and each is taken up") {
    config c;
    caf::actor_system sys(c);
    slow s;
    s.may = 1'000;
    std::atomic<std::size_t> opinions = 0;
    const auto bidder = spawn_slow(sys, s);
    const policy_actor policy = sys.spawn([&opinions](policy_actor::pointer, none_needed) -> policy_actor::behavior_type {
        return {
            [](const policy_question&) -> caf::result<policy_verdict> { return policy_verdict{}; },
            [](const trust_query&) -> caf::result<trust_view> { return trust_view{}; },
            [&opinions](const record_note&) { ++opinions; },
        };
    }, none_needed{});
    std::atomic<std::size_t> taken = 0;
    const auto push_all = [&](note_feed& feed) {
        for (const auto kind : {vouch::nsid, ccrfp::nsid, std::string_view("com.publicdomainrelay.temp.badgeBlueKeys")})
            feed.push({"at://did:plc:a/" + std::string(kind) + "/did:plc:b", "", {}}, [&] { ++taken; });
    };
    {
        note_feed feed(sys, {}, bidder, policy);
        push_all(feed);
        CHECK(soon([&] { return taken == 3; }));
        CHECK(opinions == 2);
        CHECK(s.seen == 1);
    }
    {
        note_feed feed(sys, {}, bidder); // nobody to tell: the stream goes on
        push_all(feed);
        CHECK(soon([&] { return taken == 6; }));
        CHECK(opinions == 2);
        CHECK(s.seen == 2);
    }
    caf::anon_send_exit(bidder, caf::exit_reason::kill);
    caf::anon_send_exit(policy, caf::exit_reason::kill);
}
