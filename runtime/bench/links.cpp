// The cluster's links beside CAF's plain BASP: two actor systems over loopback, the same messages, the same answering actor.
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <stdexcept>

#include <caf/io/middleman.hpp>
#include <caf/scoped_actor.hpp>

#include <souk/backends/tls/authority.hpp>
#include <souk/runtime/bench/bench.hpp>
#include <souk/runtime/bench/measure.hpp>
#include <souk/runtime/bench/scratch.hpp>
#include <souk/runtime/clock.hpp>
#include <souk/runtime/cluster/cluster.hpp>
#include <souk/runtime/cluster/system.hpp>

namespace souk::bench {

namespace {

using namespace std::chrono_literals;
constexpr std::size_t round_trips = 1'000, messages = 20'000, message_bytes = 1'024;
constexpr auto patience = 20s;

// Counts what it is sent, and answers what it is asked.
struct counter {
    std::mutex guard;
    std::condition_variable changed;
    std::size_t seen = 0;

    void add() {
        const std::lock_guard hold(guard);
        if (++seen % 1'000 == 0) changed.notify_all();
    }
    void wait_for(std::size_t n) {
        std::unique_lock hold(guard);
        if (!changed.wait_for(hold, patience, [&] { return seen >= n; })) throw std::runtime_error("one-way messages got lost: " + std::to_string(seen) + " of " + std::to_string(n));
    }
};
struct answering_state {
    using handle = policy_actor;
    static constexpr const char* name = "souk.bench.answers";
    answering_state(handle::pointer, counter* c) : count(c) {}
    handle::behavior_type make_behavior() {
        return {
            [](const policy_question&) -> caf::result<policy_verdict> { return policy_verdict{}; },
            [](const trust_query&) -> caf::result<trust_view> { return trust_view{}; },
            [this](const record_note&) { count->add(); },
        };
    }
    counter* count;
};

struct config : caf::actor_system_config {
    explicit config(const cluster_limits& l) {
        set("scheduler.max-threads", 2u);
        prepare(*this, l);
    }
};
struct host { // an actor system, and in it perhaps a node of the cluster
    cluster_limits limits;
    config cfg{limits};
    std::unique_ptr<caf::actor_system> sys = std::make_unique<caf::actor_system>(cfg);
    std::unique_ptr<cluster> net;
    policy_actor answers;

    host() = default;
    host(const host&) = delete;
    host& operator=(const host&) = delete;
    ~host() {
        net.reset();
        if (answers) caf::anon_send_exit(answers, caf::exit_reason::kill);
        answers = nullptr;
    }
    void answer(counter& c) { answers = sys->spawn<actor_of<answering_state>>(&c); }
    void join(const tls::identity& authority, const std::filesystem::path& home, const std::string& name, cluster_options o) {
        tls::leaf l;
        l.common_name = name, l.dns = {name}, l.client = true;
        const auto own = tls::issue(authority, l);
        tls::write_secret(home / (name + ".crt"), own.certificate), tls::write_secret(home / (name + ".key"), own.key);
        o.node = name, o.owner = "did:web:" + name + ".example";
        o.certificate = home / (name + ".crt"), o.key = home / (name + ".key"), o.authority = home / "authority.crt";
        net = std::make_unique<cluster>(*sys, std::move(o), wall_clock());
    }
};

struct speeds {
    std::vector<double> round_trips, one_way;
};
void measure(caf::actor_system& sys, const policy_actor& peer, counter& count, speeds& into) {
    caf::scoped_actor self(sys);
    const auto ask = [&] {
        self->request(peer, 10s, trust_query{}).receive([](const trust_view&) {}, [](const caf::error&) { throw std::runtime_error("a question over the link was not answered"); });
    };
    for (int i = 0; i < 50; ++i) ask();
    auto from = wall();
    for (std::size_t i = 0; i < round_trips; ++i) ask();
    into.round_trips.push_back(static_cast<double>(round_trips) / (wall() - from));

    const record_note note{"at://did:web:alice.example/com.publicdomainrelay.ccrfp/3mlfnx4u5is22", std::string(59, 'c'), octets{std::string(message_bytes, 'x')}};
    const auto before = count.seen;
    from = wall();
    for (std::size_t i = 0; i < messages; ++i) tell(peer, note);
    count.wait_for(before + messages);
    into.one_way.push_back(static_cast<double>(messages) / (wall() - from));
}

} // namespace

std::vector<row> links(const settings& s) {
    const scratch files(s.directory);
    const auto authority = tls::make_authority("Benchmark");
    tls::write_secret(files.path() / "authority.crt", authority.certificate);
    counter seen_by_ours, seen_by_plain;

    host here, there;
    there.answer(seen_by_ours);
    cluster_options o;
    o.allowed = {"here"};
    there.join(authority, files.path(), "there", o);
    there.net->offer("policy", caf::actor_cast<caf::strong_actor_ptr>(there.answers));
    o = {};
    o.peers = {{"there", "127.0.0.1", there.net->port()}};
    std::mutex guard;
    std::condition_variable changed;
    bool up = false;
    o.on_link = [&](const link_view& v) {
        const std::lock_guard hold(guard);
        up = v.state == "up" && !v.roles.empty();
        changed.notify_all();
    };
    here.join(authority, files.path(), "here", o);
    {
        std::unique_lock hold(guard);
        if (!changed.wait_for(hold, patience, [&] { return up; })) throw std::runtime_error("the two hosts did not link up");
    }
    const auto ours = here.net->find<policy_actor>("policy");

    host plain_here, plain_there;
    plain_there.answer(seen_by_plain);
    const auto port = plain_there.sys->middleman().publish(plain_there.answers, 0, "127.0.0.1");
    if (!port) throw std::runtime_error("plain BASP cannot listen");
    auto plain = plain_here.sys->middleman().remote_actor<policy_actor>("127.0.0.1", *port);
    if (!plain) throw std::runtime_error("plain BASP cannot connect");

    speeds a, b;
    for (unsigned i = 0; i < s.repetitions; ++i) { // in turns: a noisy machine is noisy for both
        measure(*here.sys, ours, seen_by_ours, a);
        measure(*plain_here.sys, *plain, seen_by_plain, b);
    }
    *plain = nullptr;
    const auto one_way = median(b.one_way);
    return {{"cluster round trips, one at a time", median(a.round_trips), "/s", median(b.round_trips), "plain BASP, no TLS"},
            {"one-way messages of 1 KiB", median(a.one_way), "/s", one_way, "plain BASP, no TLS", one_way}};
}

} // namespace souk::bench
