// The relay is killed before, after and right behind every write of its own, on every path that a public name or a grant can take. Who owns
// the name in the end, whether it is served, and what the relay may write, is the same as without that.
#include <fmt/format.h>

#include <souk/actors/broker/credential.hpp>
#include <souk/runtime/simulate/guest.hpp>
#include <souk/runtime/simulate/witness.hpp>

#include "little_market.hpp"

namespace {

constexpr const char* handle = "alice.example";

struct little_relay {
    little_relay() : hers(u, everyone().alice.did, [] {}), eves(u, everyone().eve.did, [] {}), it(u, net, ways, everyone().ruth), seen(u, it, 1s) {
        net.add("alice.example", everyone().alice.document(), hers), net.add("eve.example", everyone().eve.document(), eves);
        hers.mount(people), eves.mount(people);
        net.call(handle, everyone().alice.did);
        it.start(), pass(1'000ms);
        far = it.seen_by(everyone().alice.did, people);
    }
    ~little_relay() {
        for (auto& [name, alive] : machines) *alive = false;
        *people = false;
        caf::anon_send_exit(far, caf::exit_reason::kill);
    }
    void pass(milliseconds d) { u.run(u.now() + d, [] { return false; }); }

    // A machine of this account serves a name under the handle, whoever has that; its key is in the account's repository.
    void serves(const std::string& machine, const party& of) {
        const auto alive = machines[machine] = std::make_shared<bool>(true);
        const auto one = std::make_shared<guest>(u, net, it, machine, of.did, alive);
        auto& records = of.did == everyone().alice.did ? hers : eves;
        REQUIRE(records.put(std::string(ssh_public_key::nsid), machine, one->key_record("app")).has_value());
        one->serve(handle, "app");
    }
    void leaves(const std::string& machine) {
        *machines.at(machine) = false;
        it.machine_gone(machine);
    }
    void changes_hands() { net.call(handle, everyone().eve.did); }
    // Says it until it is kept, as a purchase does.
    void lets(std::chrono::seconds life) {
        const auto token = credential::sign_grant({everyone().alice.did, everyone().ruth.did, std::string(ssh_public_key::nsid), u.now(), life}, everyone().alice.keys->signing());
        REQUIRE(token.has_value());
        say(*token);
    }
    void say(const std::string& token) {
        ask<kept>(u.system(), far, 9s, credential_grant{token}, [this, token](result<kept> k) {
            if (k && !k->refused) return void(++kept_grants);
            u.later(people, 1'000ms, [this, token] { say(token); });
        });
    }
    void takes_away() {
        it.take_away(host_label("app", handle).value(), [] {});
    }

    universe u{1, {}};
    crossings ways{u};
    books net{u, ways};
    life people = std::make_shared<bool>(true);
    shelf hers, eves;
    relay it;
    witness seen;
    broker_actor far;
    std::map<std::string, life> machines;
    int kept_grants = 0;
};

struct way {
    std::string name;
    std::function<void(little_relay&)> story;
    int grants = 0;
};
const std::vector<way>& ways() {
    static const auto& alice = everyone().alice;
    static const auto& eve = everyone().eve;
    static const std::vector<way> all{
        {"it is served", [](little_relay& s) { s.serves("one", alice), s.pass(60'000ms); }},
        {"its tunnel breaks, and it comes back",
         [](little_relay& s) {
             s.serves("one", alice), s.pass(60'000ms);
             s.leaves("one"), s.pass(600'000ms);
             s.serves("two", alice), s.pass(60'000ms);
         }},
        {"another machine of the account takes it over",
         [](little_relay& s) {
             s.serves("one", alice), s.pass(60'000ms);
             s.serves("two", alice), s.pass(60'000ms);
             s.leaves("one"), s.pass(60'000ms);
         }},
        {"another account wants it while it is down",
         [](little_relay& s) {
             s.serves("one", alice), s.pass(60'000ms);
             s.leaves("one"), s.pass(60'000ms);
             s.changes_hands(), s.serves("hers", eve), s.pass(60'000ms);
         }},
        {"nobody served it for a month, and another has it",
         [](little_relay& s) {
             s.serves("one", alice), s.pass(60'000ms);
             s.leaves("one"), s.pass(31 * 24h);
             s.changes_hands(), s.serves("hers", eve), s.pass(60'000ms);
             s.serves("two", alice), s.pass(60'000ms); // too late
         }},
        {"it is taken away", [](little_relay& s) { s.serves("one", alice), s.pass(60'000ms), s.takes_away(), s.pass(120'000ms); }},
        {"an account lets it write, and then for longer",
         [](little_relay& s) {
             s.lets(1h), s.pass(60'000ms);
             s.lets(24h), s.lets(48h), s.pass(60'000ms);
         },
         3},
    };
    return all;
}

struct seen {
    std::string names, grants;
    std::uint64_t writes = 0;
    bool sprung = true;
};

seen live(const way& w, std::uint64_t nth = 0, point at = {}) {
    little_relay s;
    seen e;
    const auto before = s.it.log().trap().count();
    if (nth > 0) {
        e.sprung = false;
        s.it.log().trap().set(nth, at, [&] {
            e.sprung = true;
            s.it.kill("the test says so");
            s.u.later(300ms, [&] { s.it.start(); });
        });
    }
    w.story(s);
    e.writes = s.it.log().trap().count() - before;
    std::optional<std::vector<route_view>> names;
    s.it.names([&](std::vector<route_view> all) { names = std::move(all); });
    s.u.run(s.u.now() + 10s, [&] { return names.has_value(); });
    REQUIRE(names.has_value());
    for (const auto& v : *names) {
        e.names += fmt::format("{} of {} {}{}; ", v.label, v.did, v.up ? "up" : "down", v.withdrawn.empty() ? "" : ", taken away");
        CHECK(v.up == s.it.serves(v.label)); // it says what is so
    }
    CHECK(s.kept_grants == w.grants);
    for (const auto& [of, g] : s.it.grants()) e.grants += fmt::format("{} for {}, {} h more; ", of.second, of.first, std::chrono::round<std::chrono::hours>(g.until - s.u.now()).count());
    s.seen.look(), s.pass(1'000ms);
    for (const auto& b : s.seen.broken()) FAIL_CHECK(b);
    return e;
}

} // namespace

TEST_CASE("a relay that is killed at any write keeps each name with its owner, and each grant that it acknowledged") {
    std::uint64_t crashes = 0;
    for (const auto& w : ways()) {
        CAPTURE(w.name);
        const auto usual = live(w);
        CHECK(usual.names.empty() == (w.grants > 0));
        CHECK(usual.grants.empty() == (w.grants == 0));
        for (std::uint64_t n = 1; n <= usual.writes; ++n)
            for (const auto at : {point::before, point::durable, point::heard}) {
                const auto name = fmt::format("write {}, point {}", n, static_cast<int>(at));
                CAPTURE(name);
                const auto e = live(w, n, at);
                CHECK(e.sprung);
                CHECK(e.names == usual.names);
                CHECK(e.grants == usual.grants);
                ++crashes;
            }
        MESSAGE(w.name << ": " << usual.names << usual.grants);
    }
    MESSAGE(ways().size() << " paths, " << crashes << " crashes");
}
