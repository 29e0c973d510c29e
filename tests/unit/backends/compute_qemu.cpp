// A real guest: real kernel, real cloud-init, stock ssh.
#include "compute_support.hpp"

#include <cstdlib>

#include <souk/backends/compute/process.hpp>
#include <souk/backends/compute/qemu.hpp>

using namespace souk;
using namespace souk::compute;
using namespace souk::testing;

namespace {

std::string image() {
    const char* set = std::getenv("SOUK_GUEST_IMAGE");
    const std::string path = set ? set : "/var/tmp/souk-guest-image";
    return fs::exists(fs::path(path) / "base.qcow2") ? path : std::string();
}

qemu_options options_in(const scratch& dir) {
    qemu_options o;
    o.state = dir / "machines", o.image = image(), o.now = wall_clock;
    return o;
}

order some_order(const std::string& tag, const std::string& key) {
    order o;
    o.tag = tag, o.size = {1, 512, 10240}, o.ssh_key = key, o.not_after = wall_clock() + 10min;
    o.user_data = "#cloud-init\nruncmd:\n  - [sh, -c, 'curl -s http://service.example:8080/from-the-guest']\n";
    return o;
}

#define NEEDS_IMAGE() \
    if (image().empty()) { \
        MESSAGE("skipped: no guest image; run deploy/guest-image /var/tmp/souk-guest-image, or set SOUK_GUEST_IMAGE"); \
        return; \
    }

} // namespace

TEST_CASE("KVM is believed only when a guest ran on it") {
    NEEDS_IMAGE();
    const scratch dir;
    const auto can = probe_qemu(options_in(dir));
    INFO(can.note);
    CHECK(can.backend == "qemu");
    CHECK(can.tier == tier::none); // no quote was verified
    CHECK((can.acceleration == "kvm" || can.acceleration == "emulation" || can.acceleration == "tdx"));
    auto strict = options_in(dir);
    strict.allow_emulation = false;
    CHECK(probe_qemu(strict).acceleration == (can.acceleration == "emulation" ? "none" : can.acceleration));
    strict.image = dir / "nothing";
    CHECK(probe_qemu(strict).acceleration == "none");
    CHECK(probe_qemu(strict).note.find("deploy/guest-image") != std::string::npos);
}

TEST_CASE("an order that cannot become a machine is refused for ever, and leaves nothing") {
    NEEDS_IMAGE();
    const scratch dir;
    const machines_end sweep{dir / "machines"};
    const auto key = make_key(dir / "id");
    const auto b = make_qemu(options_in(dir));
    const auto code = [&](order o) {
        const auto l = launch(*b, std::move(o));
        CHECK(!l.machine);
        CHECK(l.kind == problem::never);
        return l.why.code;
    };
    auto o = some_order("m-1", key);
    o.user_data = "nothing";
    CHECK(code(o) == "bad_user_data");
    o = some_order("m-1", key), o.user_data += std::string(65536, '#');
    CHECK(code(o) == "user_data_too_large");
    o = some_order("m-1", key), o.size.disk_mib = 100;
    CHECK(code(o) == "bad_size");
    o = some_order("m-1", key), o.size.cpus = 0;
    CHECK(code(o) == "bad_size");
    CHECK(code(some_order("../up", key)) == "bad_tag");
    o = some_order("m-1", key), o.not_after = wall_clock() - 1ms;
    CHECK(code(o) == "too_late");
    CHECK(tags(*b).empty());
    CHECK(look(*b, "m-1").is == presence::absent);
}

TEST_CASE("a guest that never boots is ended at its deadline") {
    NEEDS_IMAGE();
    const scratch dir;
    const machines_end sweep{dir / "machines"};
    const auto key = make_key(dir / "id");
    auto options = options_in(dir);
    options.boot_within = 1s;
    const auto b = make_qemu(options);
    const auto l = launch(*b, some_order("m-1", key));
    CHECK(!l.machine);
    CHECK(l.kind == problem::never);
    CHECK(l.why.code == "boot_timeout");
    CHECK(marked_below(dir / "machines").empty());
    CHECK(tags(*b) == std::vector<std::string>{"m-1"}); // its console may still be wanted
    CHECK(terminate(*b, "m-1").is == presence::absent);
    CHECK(tags(*b).empty());
}

TEST_CASE("a machine that is ended while it starts does not appear later") {
    NEEDS_IMAGE();
    const scratch dir;
    const machines_end sweep{dir / "machines"};
    const auto key = make_key(dir / "id");
    const auto b = make_qemu(options_in(dir));
    std::promise<launched> first;
    b->launch(some_order("m-1", key), [&](launched l) { first.set_value(std::move(l)); });
    REQUIRE(eventually([&] { return !marked_below(dir / "machines").empty(); }));
    CHECK(look(*b, "m-1").is == presence::starting);
    CHECK(terminate(*b, "m-1").is == presence::absent);
    auto ended = first.get_future();
    REQUIRE(ended.wait_for(30s) == std::future_status::ready);
    const auto l = ended.get();
    CHECK(!l.machine);
    CHECK((l.why.code == "terminated" || l.why.code == "machine_died"));
    CHECK(look(*b, "m-1").is == presence::absent);
    CHECK(tags(*b).empty());
}

TEST_SUITE_BEGIN("slow");

TEST_CASE("a guest boots the tenant's document, outlives its backend, and is gone when it is said to be") {
    NEEDS_IMAGE();
    const scratch dir;
    const machines_end sweep{dir / "machines"};
    const auto key = make_key(dir / "id");
    make_certificate(dir.path, "test");
    std::promise<std::string> asked;
    std::atomic<int> visits{0};
    service outside([&](wire& w) {
        const auto head = w.until("\r\n\r\n");
        w.put("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        if (visits++ == 0) asked.set_value(head);
    });
    auto o = some_order("m-1", key);
    o.files = {{"/root/secrets/example.com/token", "boot \x01 token", 0600}};
    o.leads = {{{"service.example", "other.example"}, 8080, "127.0.0.1:" + std::to_string(outside.port())}};
    o.ca_pem = read_file(dir / "tls.crt");

    auto b = make_qemu(options_in(dir));
    const auto begun = std::chrono::steady_clock::now();
    const auto first = launch(*b, o);
    REQUIRE_MESSAGE(first.machine, first.why.code, ": ", first.why.text, "\n", b->console("m-1", 4000));
    MESSAGE("SSH answered after ", std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begun).count(), " ms, ", b->can().acceleration);
    CHECK(first.machine->tier == tier::none);
    CHECK(launch(*b, o).machine.value() == *first.machine); // the same order is the same machine
    CHECK(look(*b, "m-1").is == presence::running);

    b.reset(); // the node ends; the machine does not
    b = make_qemu(options_in(dir));
    const auto found = look(*b, "m-1");
    CHECK(found.is == presence::running);
    CHECK(found.machine.value() == *first.machine);
    auto late = o;
    late.not_after = wall_clock() - 1h; // it has started already: not_after is about starting
    CHECK(launch(*b, late).machine.value() == *first.machine);
    CHECK(tags(*b) == std::vector<std::string>{"m-1"});

    int status = -1;
    CHECK(in_machine(*found.machine, dir / "id", "cat /root/secrets/example.com/token; stat -c ' %a' /root/secrets/example.com/token", status) == "boot \x01 token 600\n");
    CHECK(status == 0);
    CHECK(in_machine(*found.machine, dir / "id", "curl -s -m 10 http://other.example:8080/ && curl -s -m 10 http://10.0.2.100:8080/", status) == "okok");
    in_machine(*found.machine, dir / "id", "openssl verify /usr/local/share/ca-certificates/souk.crt", status);
    CHECK(status == 0);
    in_machine(*found.machine, dir / "id", "curl -s -m 4 http://10.0.2.2/ || curl -s -m 4 http://1.1.1.1/ || curl -s -m 4 http://10.0.2.100:22/", status);
    CHECK(status != 0); // there is no other way out
    auto heard = asked.get_future();
    CHECK(heard.wait_for(400s) == std::future_status::ready); // its runcmd has run

    CHECK(!fs::exists(dir / "machines/m-1/seed.iso")); // the secrets in it are in the guest by now
    CHECK((fs::status(dir / "machines/m-1/serial.log").permissions() & fs::perms::mask) == (fs::perms::owner_read | fs::perms::owner_write));
    CHECK(b->console("m-1", 100000).find("hostkey: ") != std::string::npos);

    CHECK(terminate(*b, "m-1").is == presence::absent);
    CHECK(marked_below(dir / "machines").empty());
    CHECK(!fs::exists(dir / "machines/m-1"));
    CHECK(connect_to(found.machine->port) < 0);
    CHECK(look(*b, "m-1").is == presence::absent);
    CHECK(tags(*b).empty());
}

TEST_SUITE_END();
