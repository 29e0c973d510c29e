// A real node, besieged: what its memory, its descriptors and its counters say, by its own account and the kernel's.
#pragma once
#include <doctest/doctest.h>

#include <netinet/in.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>

#include <fmt/format.h>

#include <souk/backends/http/client.hpp>
#include <souk/backends/limits.hpp>
#include <souk/backends/tls/authority.hpp>
#include <souk/runtime/bench/scratch.hpp>
#include <souk/runtime/cli/remote.hpp>
#include <souk/runtime/demo/free_port.hpp>
#include <souk/runtime/demo/process.hpp>

namespace hostile {

using namespace souk;
using namespace std::chrono_literals;
namespace fs = std::filesystem;
using souk::demo::free_port;
using steady = std::chrono::steady_clock;

inline constexpr std::size_t wanted = 10'000, addresses = 10; // 127.0.1.1 and so on: each comes from one of them
inline constexpr auto patience = 60s;

inline sockaddr_in at(std::uint32_t ip, std::uint16_t port) {
    sockaddr_in a{};
    a.sin_family = AF_INET, a.sin_port = htons(port), a.sin_addr.s_addr = htonl(ip);
    return a;
}

class fort {
public:
    fort() {
        const auto ca = tls::make_authority("hostile peers' test", 48h);
        tls::leaf l;
        l.common_name = "fort", l.dns = {"fort.localhost", "localhost"}, l.ips = {"127.0.0.1"}, l.valid = 48h;
        const auto id = tls::issue(ca, l);
        authority = files_.path() / "ca.crt";
        tls::write_secret(authority, ca.certificate);
        fs::create_directories(home());
        tls::write_secret(home() / "door.crt", id.certificate), tls::write_secret(home() / "door.key", id.key);
        const auto made = demo::run_to_end({SOUK_PROGRAM, "cluster", "init", "siege", "fort", "--node", home().string()}, 30);
        REQUIRE_MESSAGE(made.status == 0, made.output);
        std::ofstream(home() / "souk.toml") << fmt::format(
            "[node]\nname = \"{}\"\nroles = [\"broker\", \"signer\"]\n[identity]\nmethod = \"web\"\nhandle = \"fort.localhost\"\n"
            "[door]\nlisten = \"127.0.0.1:{}\"\npublic = \"https://fort.localhost:{}\"\ncertificate = \"door.crt\"\nkey = \"door.key\"\n"
            "[network]\nauthority = \"../ca.crt\"\nallow_private = true\n"
            "[cluster]\nlisten = \"127.0.0.1:{}\"\nallowed = [\"nobody\"]\n"
            "[broker]\nssh = \"127.0.0.1:{}\"\nhttps = \"127.0.0.1:{}\"\ndomain = \"localhost\"\ncertificate = \"door.crt\"\nkey = \"door.key\"\n",
            "fort", http, http, cluster, ssh, https);
        it_.start();
        REQUIRE(soon([&] { return remote_.get("/v1/status").has_value(); }));
    }
    fs::path home() const { return files_.path() / "fort"; }
    bool soon(const std::function<bool()>& so) {
        for (const auto end = steady::now() + patience; steady::now() < end; ::usleep(20'000)) // another process is watched: nothing to wait on
            if (so()) return true;
        return so();
    }
    std::size_t memory() { // resident, bytes
        std::ifstream in("/proc/" + std::to_string(it_.pid()) + "/statm");
        std::size_t all = 0, resident = 0;
        in >> all >> resident;
        return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    }
    std::size_t peak() { // the most that was resident since `forget_peak`, bytes: by the kernel's own account, so that no moment is missed
        std::ifstream in("/proc/" + std::to_string(it_.pid()) + "/status");
        for (std::string line; std::getline(in, line);)
            if (line.starts_with("VmHWM:")) return std::stoull(line.substr(6)) * 1024;
        return 0;
    }
    void forget_peak() { std::ofstream("/proc/" + std::to_string(it_.pid()) + "/clear_refs") << "5"; }
    std::size_t descriptors() {
        std::size_t n = 0;
        for ([[maybe_unused]] const auto& e : fs::directory_iterator("/proc/" + std::to_string(it_.pid()) + "/fd")) ++n;
        return n;
    }
    bool runs() { return it_.running(); }
    http::client_options trusting(std::uint16_t port) const { // of an honest client
        http::client_options o;
        o.ca_file = authority, o.allow_private = true, o.hosts = {{"fort.localhost", "127.0.0.1:" + std::to_string(port)}};
        return o;
    }
    int status_of(std::uint16_t port) const { // of an HTTPS answer; 0: none
        http::client web(trusting(port));
        http::call c;
        c.url = "https://fort.localhost:" + std::to_string(port) + "/.well-known/did.json", c.within = 5s;
        const auto got = web.fetch_now(std::move(c));
        return got ? static_cast<int>(got->status) : 0;
    }
    bool publish(const std::string& about, std::size_t size) { // a record of about that size
        return remote_.post("/v1/vouch", {{"did", about}, {"kind", "vouch"}, {"reason", std::string(size, 'x')}}).has_value();
    }
    std::int64_t counted(const char* door, const char* what) {
        const auto s = remote_.get("/v1/status");
        REQUIRE(s.has_value());
        const auto* now = s->find("now");
        const auto* of = now ? now->find(door) : nullptr;
        const auto* n = of ? of->find(what) : nullptr;
        REQUIRE(n != nullptr);
        return *n->as<std::int64_t>();
    }

    const std::uint16_t http = free_port(), cluster = free_port(), ssh = free_port(), https = free_port();
    fs::path authority;

private:
    bench::scratch files_{fs::temp_directory_path()};
    demo::process it_{"fort", {SOUK_PROGRAM, "node", "--config", (files_.path() / "fort" / "souk.toml").string()}, files_.path() / "log"};
    cli::remote remote_{files_.path() / "fort"};
};

// As many as there may be descriptors for, here and in the node.
inline std::size_t as_many_as_may_be(std::size_t most = wanted) {
    rlimit files{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &files) == 0);
    files.rlim_cur = std::min<rlim_t>(files.rlim_max, 65'536);
    ::setrlimit(RLIMIT_NOFILE, &files);
    REQUIRE(files.rlim_cur >= 2'048);
    return std::min<std::size_t>(most, files.rlim_cur - 512);
}

} // namespace hostile
