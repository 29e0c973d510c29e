// Alice, and Bob with one host, with nothing that goes wrong by itself: what one contract is, seen from outside.
#pragma once
#include <doctest/doctest.h>

#include <souk/messages/dag_cbor.hpp>
#include <souk/runtime/bench/scratch.hpp>
#include <souk/runtime/simulate/market.hpp>

using namespace souk;
using namespace souk::simulate;
using namespace std::chrono_literals;

inline const cast_of_market& everyone() {
    static const bench::scratch files(std::filesystem::temp_directory_path());
    static const cast_of_market cast(files.path());
    return cast;
}

struct little_market {
    explicit little_market(compute::size room = {2, 4096, 65'536}, std::int64_t slice = 600, dialect speaks = dialect::g1, bool streams = true, const std::function<void(little_market&)>& before = {})
        : host(u, "bob-1", room), bob(u, net, rail, everyone().bob, {"0.06", slice}, {&host}), alice(u, net, rail, everyone().alice) {
        if (streams) bob.reads(everyone().alice.did), alice.reads(everyone().bob.did);
        rail.fund(everyone().alice.keys->wallet_address(), funds);
        alice.speaks(speaks);
        if (before) before(*this);
        host.start(), bob.start(), alice.start();
        believe("vouch");
        pass(10'000ms); // everyone watches everyone
    }
    void believe(const char* kind) { alice.believes(everyone().bob.did, kind); }
    void wants(const std::string& id, std::int64_t cpus = 1, amount at_most = 0) {
        ccrfp r;
        r.cpus = cpus, r.mem = "512M", r.disk = "1G", r.network = "1G", r.role = "my-cool-role", r.user_data = "#cloud-init\n";
        r.expiresAt = to_datetime(u.now() + 10min);
        buy b;
        b.id = id, b.request = encode_dag_cbor(to_record(r)), b.window_ms = window.count(), b.ceiling = at_most;
        alice.order(std::move(b));
    }
    // Once, as soon as Alice's journal says so. One at a time.
    void when(std::function<bool()> so, std::function<void()> then) {
        alice.log().changed = [this, so, then] {
            if (!so()) return;
            alice.log().changed = nullptr;
            then();
        };
    }
    void when_it_is(purchase::phase p, std::function<void()> then) {
        when([this, p] { return alice.purchase_of("p").at == p; }, std::move(then));
    }
    std::string the_bid() const { return bob.records().list(std::string(ccb::nsid), 1, "", false).at(0).uri.rkey; }
    void pass(milliseconds d) { u.run(u.now() + d, [] { return false; }); }
    // Until this is so, for at most an hour.
    template <class F>
    bool soon(F f) {
        u.run(u.now() + 1h, f);
        return f();
    }
    bool ends(const std::string& id) {
        return reaches(id, [](purchase::phase p) { return p == purchase::phase::closed || p == purchase::phase::failed; });
    }
    bool reaches(const std::string& id, purchase::phase p) {
        return reaches(id, [p](purchase::phase now) { return now == p; });
    }
    bool reaches(const std::string& id, const std::function<bool(purchase::phase)>& wanted) {
        std::optional<std::uint64_t> looked; // at so many facts: looking costs more than an event
        bool so = false;
        return soon([&] {
            if (looked != alice.log().facts()) looked = alice.log().facts(), so = wanted(alice.purchase_of(id).at);
            return so;
        });
    }
    // Alice buys; one of the three dies `at` that time of it, and comes back 3 s later. Whatever came of the purchase, money, machines and room are right.
    purchase::state bought_with_a_kill(int who, milliseconds at) {
        node* const all[] = {&alice, &bob, &host};
        wants("p");
        pass(at);
        all[who]->kill("the test says so");
        pass(3'000ms);
        all[who]->start();
        REQUIRE(ends("p"));
        const auto p = alice.purchase_of("p");
        CHECK(spent() == p.paid - p.refunded);
        CHECK(spent() <= 1'000);
        CHECK(machines() == 0);
        for (const auto& [tag, runs] : host.machines().history()) CHECK(runs.size() == 1);
        if (p.at == purchase::phase::failed) CHECK(spent() == 0);
        pass(700'000ms); // offers run out
        CHECK(free_cpus() == 2);
        return p;
    }
    cloud& host_cloud() { return host.machines(); }
    std::size_t machines() const { return host.machines().running(); }
    amount spent() const { return had - rail.balance(everyone().alice.keys->wallet_address()); }
    std::int64_t free_cpus() {
        std::optional<host_view> v;
        ask<host_view>(u.system(), host.launcher(), 10s, host_query{}, [&](result<host_view> r) { v = *r; });
        REQUIRE(soon([&] { return v.has_value(); }));
        return v->free_cpus;
    }
    // What the paid URL answers to a plain visit.
    http::response visit(const std::string& id) {
        const auto p = alice.purchase_of(id);
        std::optional<result<http::response>> got;
        http::call c;
        c.url = "https://bob.example/ccr/" + p.accept.uri + '/' + p.accept.cid, c.within = 60s;
        net.web_of(everyone().alice.did, visitor)(c, [&](result<http::response> r) { got = std::move(r); });
        REQUIRE(soon([&] { return got.has_value(); }));
        REQUIRE(got->has_value());
        return got->value();
    }

    static constexpr amount funds = 1'000'000;
    universe u{1, {}};
    crossings ways{u};
    books net{u, ways};
    chain rail{u, ways};
    fleet_host host;
    seller bob;
    buyer alice;
    amount ceiling = 0;            // of what is bought next
    milliseconds window{2'000};    // in which bids on it are gathered
    amount had = funds;            // what Alice began with
    life visitor = std::make_shared<bool>(true);
};

inline constexpr amount for_ten_minutes = 10'000; // 0.06 an hour
