// A real sandbox: bubblewrap, dropbear, stock ssh.
#include "compute_support.hpp"

#include <cstdlib>

#include <souk/backends/compute/limits.hpp>
#include <souk/backends/compute/process.hpp>
#include <souk/backends/compute/sandbox.hpp>

using namespace souk;
using namespace souk::compute;
using namespace souk::testing;

namespace {

sandbox_options options_in(const fs::path& dir) { return {dir / "machines", 20s, wall_clock}; }

order some_order(const std::string& tag, const std::string& key) {
    order o;
    o.tag = tag, o.size = {1, 128, 16}, o.ssh_key = key, o.not_after = wall_clock() + 10min;
    return o;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

#define NEEDS_SANDBOX(b) \
    if (has((b).can().note, "not installed")) { \
        MESSAGE("skipped: ", (b).can().note); \
        return; \
    }

} // namespace

TEST_CASE("a sandbox is a machine: the tenant's key opens it, its leads lead out, nothing else does") {
    const scratch dir;
    const machines_end sweep{dir / "machines"};
    const auto key = make_key(dir / "id");
    make_certificate(dir.path, "test");
    service outside([](wire& w) { w.until("\r\n\r\n"), w.put("HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\noutside"); });
    const auto b = make_sandbox(options_in(dir.path));
    NEEDS_SANDBOX(*b);
    auto o = some_order("s-1", key);
    o.user_data = "#!/bin/sh\necho \"script ran as $(id -un)\"; echo made > made\n";
    o.files = {{"/root/secrets/token", "secret", 0600}};
    o.leads = {{{"service.example"}, 8080, "127.0.0.1:" + std::to_string(outside.port())}};
    o.ca_pem = read_file(dir / "tls.crt");
    const auto l = launch(*b, o);
    REQUIRE_MESSAGE(l.machine, l.why.code, ": ", l.why.text);
    CHECK(l.machine->user == "tenant");
    CHECK(l.machine->tier == tier::none);
    CHECK(launch(*b, o).machine.value() == *l.machine);

    int status = -1;
    const auto in = [&](const std::string& command) { return in_machine(*l.machine, dir / "id", command, status); };
    CHECK(in("hostname; whoami; cat /root/secrets/token") == "s-1\ntenant\nsecret");
    CHECK(status == 0);
    CHECK(in("curl -s -m 10 http://service.example:8080/; curl -s -m 10 http://10.0.2.100:8080/") == "outsideoutside");
    in("curl -s -m 3 http://127.0.0.1:" + std::to_string(outside.port()) + "/ || curl -s -m 3 http://1.1.1.1/");
    CHECK(status != 0);
    in("openssl verify -CAfile /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/*.0");
    CHECK(status == 0);
    in("touch /x || touch /usr/x || touch /dev/x || touch /etc/x || touch /var/x || touch /run/x");
    CHECK(status != 0);
    in("head -c 30000000 /dev/zero > big"); // of a disk of 16 MiB
    CHECK(status != 0);
    CHECK(has(in("ls /home /work /root 2>&1; ls /var/tmp; cat /proc/1/environ"), "tenant"));
    CHECK(in("ps -e -o pid= | wc -l").size() <= 4); // it sees no process but its own
    CHECK(eventually([&] { return has(b->console("s-1", 10000), "script ran as tenant"); }));
    CHECK(in("cat made") == "made\n");

    SUBCASE("it outlives its backend, and the next one finds it") {
        const auto next = make_sandbox(options_in(dir.path));
        CHECK(look(*next, "s-1").machine.value() == *l.machine);
        CHECK(tags(*next) == std::vector<std::string>{"s-1"});
    }
    SUBCASE("a stranger's key does not open it") {
        make_key(dir / "stranger");
        in_machine(*l.machine, dir / "stranger", "id", status);
        CHECK(status == 255);
    }
    SUBCASE("when it ends by itself that is seen") {
        in("kill -9 -1");
        CHECK(eventually([&] { return look(*b, "s-1").is == presence::absent; }));
        CHECK(look(*b, "s-1").note != "");
        CHECK(tags(*b) == std::vector<std::string>{"s-1"});
    }
    CHECK(terminate(*b, "s-1").is == presence::absent);
    CHECK(terminate(*b, "s-1").is == presence::absent); // twice is once
    CHECK(marked_below(dir / "machines").empty());
    CHECK(!fs::exists(dir / "machines/s-1"));
    CHECK(connect_to(l.machine->port) < 0);
    CHECK(tags(*b).empty());
}

TEST_CASE("a sandbox's memory and processes are bounded where this host can") {
    const scratch dir;
    const machines_end sweep{dir / "machines"};
    const auto key = make_key(dir / "id");
    const auto b = make_sandbox(options_in(dir.path));
    NEEDS_SANDBOX(*b);
    const cgroup_limits limits;
    if (!limits.memory() || !limits.pids()) {
        CHECK(has(b->can().note, "not limited"));
        MESSAGE("skipped: ", limits.note());
        return;
    }
    const auto l = launch(*b, some_order("s-1", key));
    REQUIRE(l.machine);
    int status = -1;
    CHECK(in_machine(*l.machine, dir / "id", "python3 -c 'x = bytearray(400 << 20); print(len(x))' 2>&1; echo survived", status).find("419430400") == std::string::npos);
    in_machine(*l.machine, dir / "id", "python3 -c 'import os,time\nfor i in range(600):\n  if os.fork() == 0: time.sleep(2); os._exit(0)'", status);
    CHECK(status != 0);
    CHECK(terminate(*b, "s-1").is == presence::absent);
}

TEST_CASE("a sandbox refuses what it cannot do") {
    const scratch dir;
    const machines_end sweep{dir / "machines"};
    const auto key = make_key(dir / "id");
    const auto b = make_sandbox(options_in(dir.path));
    NEEDS_SANDBOX(*b);
    auto o = some_order("s-1", key);
    o.user_data = "#cloud-config\npackages: [x]\n";
    const auto l = launch(*b, o);
    CHECK(l.kind == problem::never);
    CHECK(l.why.code == "bad_user_data");
    o = some_order("s-1", key), o.not_after = wall_clock() - 1ms;
    CHECK(launch(*b, o).why.code == "too_late");
    o = some_order("s-1", key), o.leads = {{{}, 80, "h:1,fork"}};
    CHECK(launch(*b, o).why.code == "bad_lead");
    CHECK(tags(*b).empty());
}

TEST_CASE("many launches of one tag at once are one machine") {
    const scratch dir;
    const machines_end sweep{dir / "machines"};
    const auto key = make_key(dir / "id");
    const auto b = make_sandbox(options_in(dir.path));
    NEEDS_SANDBOX(*b);
    std::mutex mutex;
    std::vector<launched> all;
    for (int i = 0; i < 8; ++i)
        b->launch(some_order("s-1", key), [&](launched l) {
            std::lock_guard lock{mutex};
            all.push_back(std::move(l));
        });
    REQUIRE(eventually([&] { std::lock_guard lock{mutex}; return all.size() == 8; }, 60s));
    for (const auto& l : all) {
        REQUIRE_MESSAGE(l.machine, l.why.code, ": ", l.why.text);
        CHECK(*l.machine == *all[0].machine);
    }
    CHECK(marked_below(dir / "machines").size() == 1);
    CHECK(terminate(*b, "s-1").is == presence::absent);
}

// Run as a process of its own by the next test, and killed.
TEST_CASE("(child) a node that launches and is killed" * doctest::skip()) {
    const fs::path dir = std::getenv("SOUK_TEST_DIR");
    const auto b = make_sandbox(options_in(dir));
    std::ifstream in(dir / "id.pub");
    std::string key;
    std::getline(in, key);
    const auto l = launch(*b, some_order("s-1", key));
    std::ofstream(dir / "launched") << l.why.code << '\n';
    std::this_thread::sleep_for(1h);
}

TEST_CASE("a machine survives the SIGKILL of its node at any moment, and the next node finds all of it") {
    const scratch dir;
    const machines_end sweep{dir / "machines"};
    const auto key = make_key(dir / "id");
    { NEEDS_SANDBOX(*make_sandbox(options_in(dir.path))); }
    ::setenv("SOUK_TEST_DIR", dir.path.c_str(), 1);
    const auto node = [&] { return std::make_unique<child>(std::vector<std::string>{"/proc/self/exe", "--no-skip", "-tc=(child) a node that launches and is killed"}, dir / "node.log"); };
    SUBCASE("after it answered") {
        auto first = node();
        REQUIRE(eventually([&] { return fs::exists(dir / "launched"); }, 30s));
        first->signal(SIGKILL);
        first->wait();
        const auto b = make_sandbox(options_in(dir.path));
        const auto found = look(*b, "s-1");
        REQUIRE(found.is == presence::running);
        int status = -1;
        CHECK(in_machine(*found.machine, dir / "id", "echo alive", status) == "alive\n");
        CHECK(launch(*b, some_order("s-1", key)).machine.value() == *found.machine);
        CHECK(terminate(*b, "s-1").is == presence::absent);
        CHECK(marked_below(dir / "machines").empty());
    }
    SUBCASE("while it starts the machine") {
        for (int ms = 0; ms <= 60; ms += 6) { // the start takes about that long
            auto first = node();
            REQUIRE(eventually([&] { return fs::exists(dir / "machines/s-1"); }, 30s));
            std::this_thread::sleep_for(std::chrono::milliseconds(ms)); // the moment is what is being varied
            first->signal(SIGKILL);
            first->wait();
            const auto b = make_sandbox(options_in(dir.path));
            const auto l = launch(*b, some_order("s-1", key));
            REQUIRE_MESSAGE(l.machine, l.why.code, ": ", l.why.text);
            CHECK(look(*b, "s-1").machine.value() == *l.machine);
            CHECK(terminate(*b, "s-1").is == presence::absent);
            CHECK(marked_below(dir / "machines").empty());
            CHECK(tags(*b).empty());
        }
    }
}
