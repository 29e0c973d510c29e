// What the carrier costs: messages of 1 KiB between two actor systems over CAF's plain BASP and over ours, in the same run.
// cluster_bench [ROUNDS]: the median of so many rounds (5), which alternate so that a busy machine is busy for both.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <thread>

#include <sys/resource.h>

#include <caf/io/middleman.hpp>

#include "../cluster/hosts.hpp"

using namespace hosts;

namespace {

constexpr std::uint64_t notes = 60'000, single_requests = 4'000, many_requests = 40'000;
constexpr std::uint64_t most_unseen = 4'000; // one-way messages that are not there yet: neither way has a brake of its own

const std::string kibibyte(960, 'k'); // with its field names and addresses, 1 KiB

std::atomic<std::uint64_t> seen = 0; // by the sink; both systems are in this process

struct sink_state {
    using handle = policy_actor;
    static constexpr const char* name = "bench.sink";
    explicit sink_state(handle::pointer) {}
    handle::behavior_type make_behavior() {
        return {[](const policy_question&) -> caf::result<policy_verdict> { return policy_verdict{}; },
                [](const trust_query&) -> caf::result<trust_view> { return trust_view{}; },
                [](const record_note& n) {
                    if (n.record.data.size() == kibibyte.size()) ++seen;
                }};
    }
};


// Keeps one request under way; several of it keep several.
void pump(caf::event_based_actor* self, const signer_actor& to, std::uint64_t* left, std::atomic<bool>* bad) {
    if (*left == 0) return;
    --*left;
    request(*self, to, std::chrono::milliseconds{30'000}, to_sign(kibibyte))
        .then([=](const signed_record&) { pump(self, to, left, bad); }, [=](const caf::error&) { *bad = true; });
}

double cpu_seconds() { // of this process: on a busy machine a fairer measure than the clock
    rusage u{};
    ::getrusage(RUSAGE_SELF, &u);
    const auto s = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
    return s(u.ru_utime) + s(u.ru_stime);
}

double requests(caf::actor_system& sys, const signer_actor& to, std::uint64_t all, int at_once) {
    std::uint64_t left = all;
    std::atomic<bool> bad = false;
    const auto from = std::chrono::steady_clock::now();
    const auto worker = sys.spawn([&](caf::event_based_actor* self) {
        for (int i = 0; i < at_once; ++i) pump(self, to, &left, &bad);
    });
    caf::scoped_actor self(sys);
    self->wait_for(worker);
    if (bad) throw std::runtime_error("a request failed");
    return static_cast<double>(all) / std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count();
}

double one_way(const policy_actor& to, std::uint64_t all) {
    seen = 0;
    const record_note note{"at://did:web:alice/c.o.l/rkey", "bafy", kibibyte};
    const auto from = std::chrono::steady_clock::now();
    for (std::uint64_t sent = 0; sent < all; ++sent) {
        while (sent - seen > most_unseen) std::this_thread::yield();
        tell(to, note);
    }
    while (seen < all) std::this_thread::yield();
    return static_cast<double>(all) / std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count();
}

struct way {
    const char* name;
    caf::actor_system& sys;
    policy_actor sink;
    signer_actor signer;
    std::vector<double> rates[3] = {}, cpu = {};

    void round() {
        const auto before = cpu_seconds();
        rates[0].push_back(one_way(sink, notes));
        cpu.push_back((cpu_seconds() - before) * 1e6 / static_cast<double>(notes));
        rates[1].push_back(requests(sys, signer, single_requests, 1));
        rates[2].push_back(requests(sys, signer, many_requests, 64));
    }
    static double median(std::vector<double> v) {
        std::ranges::sort(v);
        return v[v.size() / 2];
    }
};

template <class Handle>
Handle plainly(caf::actor_system& from, caf::actor_system& to, const Handle& who) {
    const auto port = from.middleman().publish(who, 0, "127.0.0.1");
    auto there = to.middleman().remote_actor<Handle>("127.0.0.1", *port);
    if (!there) throw std::runtime_error("plain BASP cannot connect");
    return *there;
}

} // namespace

int main(int argc, char** argv) {
    const int rounds = argc > 1 ? std::stoi(argv[1]) : 5;
    cluster_limits limits;
    host::config one(limits), other(limits);
    caf::actor_system bare_alice(one), bare_bob(other); // plain BASP between these two

    authority ca;
    auto bobs = ca.options("bob");
    bobs.allowed = {"alice"}, bobs.limits = limits;
    host bob(bobs);
    auto alices = ca.options("alice");
    alices.peers = {at("bob", bob.net->port())}, alices.limits = limits;
    host alice(alices);

    std::vector<caf::actor> all;
    const auto keep = [&](const auto& who) {
        all.push_back(caf::actor_cast<caf::actor>(who));
        return who;
    };
    const auto bare_sink = keep(bare_bob.spawn<actor_of<sink_state>>()), sink = keep(bob.sys->spawn<actor_of<sink_state>>());
    const auto bare_signer = keep(spawn_signer(bare_bob, "bob")), signer = keep(spawn_signer(*bob.sys, "bob"));
    bob.net->offer("sink", caf::actor_cast<caf::strong_actor_ptr>(sink));
    bob.net->offer("signer", caf::actor_cast<caf::strong_actor_ptr>(signer));
    if (!alice.up_with("bob", "signer") || !alice.up_with("bob", "sink")) return 1;

    way ways[] = {{"plain BASP", bare_alice, plainly(bare_bob, bare_alice, bare_sink), plainly(bare_bob, bare_alice, bare_signer)},
                  {"souk carrier", *alice.sys, alice.net->find<policy_actor>("sink"), alice.net->find<signer_actor>("signer")}};
    for (int i = 0; i < rounds; ++i)
        for (auto& w : ways) w.round();
    const auto row = [](const char* name, const char* form, auto of) { std::printf(form, name, of(0), of(1), of(2), of(3)); };
    std::printf("%-14s %14s %18s %22s %22s\n", "1 KiB messages", "one-way /s", "its CPU, us each", "request 1 at once /s", "request 64 at once /s");
    const auto value = [&](const way& w, int i) { return i == 1 ? way::median(w.cpu) : way::median(w.rates[i == 0 ? 0 : i - 1]); };
    for (const auto& w : ways) row(w.name, "%-14s %14.0f %18.2f %22.0f %22.0f\n", [&](int i) { return value(w, i); });
    row("ratio", "%-14s %14.2f %18.2f %22.2f %22.2f\n", [&](int i) { return value(ways[1], i) / value(ways[0], i); });
    for (auto& w : ways) w.sink = nullptr, w.signer = nullptr;
    for (const auto& a : all) caf::anon_send_exit(a, caf::exit_reason::kill);
    all.clear();
}
