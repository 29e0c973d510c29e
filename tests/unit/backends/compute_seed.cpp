#include <doctest/doctest.h>

#include <fstream>
#include <sstream>

#include <souk/backends/compute/console.hpp>
#include <souk/backends/compute/order.hpp>
#include <souk/backends/compute/qemu.hpp>
#include <souk/backends/compute/qemu_arguments.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/json.hpp>

using namespace souk;
using namespace souk::compute;

namespace {

const std::string key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGkj6vOX8JEdgnlB1FLcJEvwDXX6UWKAJbPj0zDpT1cZ alice@example";

order some_order(std::string document = "#cloud-config\n") {
    order o;
    o.tag = "m-1";
    o.user_data = std::move(document);
    o.ssh_key = key;
    return o;
}

std::string published_document() {
    std::ifstream in(SOUK_TEST_DATA "/compute-contract/0001-ccrfp-request.json");
    std::ostringstream text;
    text << in.rdbuf();
    const auto request = from_json(text.str()).value();
    return std::string(request.find("record")->text("user_data"));
}

// The parts of the vendor-data, decoded.
std::vector<std::string> parts(const std::string& mime) {
    std::vector<std::string> out;
    for (std::size_t at = 0; (at = mime.find("--==souk==\n", at)) != mime.npos;) {
        const auto body = mime.find("\n\n", at) + 2, end = mime.find("--==souk==", body);
        std::string base64;
        for (const char c : mime.substr(body, end - body))
            if (c != '\n') base64 += c;
        out.push_back(from_base64(base64).value());
        at = end;
    }
    return out;
}
std::string hook_of(const order& o) { return parts(make_seed(o).value().vendor_data).at(0); }
bool has(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

const std::string ca = R"(-----BEGIN CERTIFICATE-----
MIIBfjCCASWgAwIBAgIUXyfLEzUiqI0ZB4mSZKHVzTgtMLowCgYIKoZIzj0EAwIw
)";

} // namespace

TEST_CASE("of the published document only the header's one word is changed") {
    const auto document = published_document();
    REQUIRE(document.starts_with("#cloud-init\n"));
    const auto s = make_seed(some_order(document)).value();
    CHECK(s.user_data == "#cloud-config\n" + document.substr(12));
    CHECK(make_seed(some_order("#cloud-config\nruncmd: [ls]\n")).value().user_data == "#cloud-config\nruncmd: [ls]\n");
    CHECK(make_seed(some_order("#cloud-init \r\nruncmd: [ls]\r\n")).value().user_data == "#cloud-config \r\nruncmd: [ls]\r\n");
    CHECK(make_seed(some_order("#!/bin/sh\n#cloud-init\n")).value().user_data == "#!/bin/sh\n#cloud-init\n");
    CHECK(make_seed(some_order("#cloud-init")).value().user_data == "#cloud-config");
}

TEST_CASE("a document that a guest would not understand is refused before there is a guest") {
    const auto code = [](std::string document) { return make_seed(some_order(std::move(document))).error().code; };
    CHECK(code("") == "bad_user_data");
    CHECK(code("runcmd: [ls]\n") == "bad_user_data");
    CHECK(code("#cloud-initialise\n") == "bad_user_data");
    CHECK(code("\n#cloud-config\n") == "bad_user_data");
    CHECK(code("#cloud-config\n- a list\n") == "bad_user_data");
    CHECK(code("#cloud-config\na: [1,\n") == "bad_user_data");
    CHECK(code("#cloud-config\nvendor_data: {enabled: false}\n") == "bad_user_data");
    CHECK(code(std::string("#cloud-config\n\0", 15)) == "bad_user_data");
    CHECK(code("#cloud-config\na: " + std::string(5000, '[')) == "bad_user_data");
    CHECK(code("#cloud-config\n#" + std::string(65536, 'x')) == "user_data_too_large");
    CHECK(make_seed(some_order("#cloud-config\n#" + std::string(65536 - 15, 'x'))).has_value());
}

TEST_CASE("names inside lead to the one address outside") {
    auto o = some_order();
    o.leads = {{{"rp.fedproxy.com"}, 443, "127.0.0.1:1"}, {{"fedproxy.com", "rp.fedproxy.com"}, 2222, "127.0.0.1:2"}, {{}, 8443, "127.0.0.1:3"}};
    CHECK(has(hook_of(o), "echo '10.0.2.100 fedproxy.com rp.fedproxy.com' >> $f"));
    CHECK(!has(hook_of(some_order()), "/etc/hosts"));
    CHECK(check_leads(o.leads).has_value());
    for (const auto& [port, to, name] : std::vector<std::tuple<int, std::string, std::string>>{
             {0, "127.0.0.1:1", "a"}, {22, "127.0.0.1:1", "a"}, {80, "127.0.0.1", "a"}, {80, ":1", "a"}, {80, "h:0", "a"}, {80, "h:70000", "a"},
             {80, "h:1,fork,exec=x", "a"}, {80, "h!!EXEC:1", "a"}, {80, "h:1", "a b"}, {80, "h:1", "a'"}, {80, "h:1", "localhost"}, {80, "h:1", ""}}) {
        const auto led = to + ' ' + name;
        CAPTURE(led);
        CHECK(check_leads({{{name}, static_cast<std::uint16_t>(port), to}}).has_error());
    }
    CHECK(check_leads({{{}, 80, "h:1"}, {{}, 80, "h:2"}}).error().code == "bad_lead");
}

TEST_CASE("files reach the machine whole, whatever is in them") {
    auto o = some_order();
    std::string bytes;
    for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
    o.files = {{"/root/secrets/it's/token", bytes, 0600}, {"/etc/motd", "--==souk==\nSOUK\n", 0644}};
    const auto hook = hook_of(o);
    CHECK(has(hook, "mkdir -p '/root/secrets/it'\\''s'\n"));
    CHECK(has(hook, "base64 -d > '/root/secrets/it'\\''s/token' <<'SOUK'\n" + to_base64(bytes).substr(0, 76) + "\n"));
    CHECK(has(hook, "chmod 0600 '/root/secrets/it'\\''s/token'\n"));
    CHECK(has(hook, "chmod 0644 '/etc/motd'\n"));
    CHECK(hook.find("umask 077") < hook.find("base64 -d"));
    CHECK(parts(make_seed(o).value().vendor_data).size() == 2);
    for (const std::string path : {"", "relative", "/", "/a/../b", "/a/..", "/dir/", "/new\nline"}) {
        INFO(path);
        o.files = {{path, "", 0600}};
        CHECK(make_seed(o).error().code == "bad_file");
    }
    o.files = {{"/x", std::string(300 * 1024, 'x'), 0600}};
    CHECK(make_seed(o).error().code == "bad_file");
    o.files = {{"/x", "", 04755}};
    CHECK(make_seed(o).error().code == "bad_file");
}

TEST_CASE("the tenant's key opens the machine, and nothing rides on its line") {
    const auto s = make_seed(some_order()).value();
    CHECK(parts(s.vendor_data).at(1) == "#cloud-config\nssh_authorized_keys:\n  - '" + key + "'\n");
    CHECK(has(hook_of(some_order()), "echo '" + key + "' >> /root/.ssh/authorized_keys"));
    auto o = some_order();
    o.ssh_key = key + "\nssh-ed25519 AAAA";
    CHECK(make_seed(o).error().code == "bad_ssh_key");
    o.ssh_key = "command=\"x\" " + key;
    CHECK(make_seed(o).error().code == "bad_ssh_key");
}

TEST_CASE("a CA that is none is refused") {
    auto o = some_order();
    o.ca_pem = ca;
    CHECK(make_seed(o).error().code == "bad_ca");
    o.ca_pem = "nonsense";
    CHECK(make_seed(o).error().code == "bad_ca");
}

TEST_CASE("what a machine prints is shown without its tokens") {
    const std::string jwt = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL3gifQ.c2lnbmF0dXJlLXNpZ25hdHVyZQ";
    CHECK(without_tokens("+ TOKEN=" + jwt + "\nnext") == "+ TOKEN=[struck out]\nnext");
    CHECK(without_tokens("'Authorization: Bearer abc.def' x") == "'Authorization: Bearer [struck out]' x");
    CHECK(without_tokens("\"" + jwt + "\"") == "\"[struck out]\"");
    CHECK(without_tokens("eyJ is short; a plain line stays") == "eyJ is short; a plain line stays");
}

TEST_CASE("the host key is read from the console once its line is whole") {
    const std::string blob = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGkj6vOX8JEdgnlB1FLcJEvwDXX6UWKAJbPj0zDpT1cZ";
    CHECK(host_key_on("boot\r\nhostkey: " + blob + " root@m\r\nhostkey: rubbish\r\n").value() == blob);
    CHECK(host_key_on("hostkey: rubbish\nhostkey: " + blob + "\n").value() == blob);
    CHECK(!host_key_on("hostkey: " + blob));
    CHECK(!host_key_on("hostkey: ssh-rsa AAAA\n"));
}

TEST_CASE("QEMU's command line follows from the plan") {
    const auto line = [](const qemu_plan& p) {
        std::string out;
        for (const auto& a : qemu_arguments(p)) out += a + ' ';
        return out;
    };
    qemu_plan p{"emulation", "m-1", {2, 512, 10240}, "/images", "/fw/OVMF.fd", std::string(48, '\1')};
    const auto tcg = line(p);
    CHECK(has(tcg, "-accel tcg,thread=multi,tb-size=256 -cpu max,-svm,-la57,xlevel=0x80000008 -smp 2 -m 512 "));
    CHECK(has(tcg, "-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"));
    CHECK(has(tcg, "host=10.0.2.100,hostfwd=tcp:127.0.0.1:22022-10.0.2.15:22"));
    p.size.mem_mib = 192;
    CHECK(has(line(p), "tb-size=96 "));

    p.acceleration = "kvm";
    CHECK(has(line(p), "-accel kvm -cpu host "));
    CHECK(!has(line(p), "mitigations=off"));

    p.acceleration = "tdx";
    const auto tdx = line(p);
    CHECK(has(tdx, R"(-object {"qom-type":"tdx-guest","id":"tdx","sept-ve-disable":true,"mrconfigid":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB","quote-generation-socket":{"type":"vsock","cid":"2","port":"4050"}})"));
    CHECK(has(tdx, "-machine q35,kernel-irqchip=split,confidential-guest-support=tdx,hpet=off -accel kvm -cpu host -bios /fw/OVMF.fd "));
    CHECK(!has(tdx, "pflash"));
    CHECK(has(tdx, "-nodefaults"));
}
