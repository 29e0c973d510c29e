// Ten thousand strangers at each door of one node, who keep silent, drip, send nonsense or hang up halfway. Meanwhile others are served, the
// node's memory stays within what backends/limits.hpp says, and in the end each of them is cut off.
#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <optional>

#include <fmt/format.h>

#include <souk/backends/http/client.hpp>
#include <souk/backends/limits.hpp>
#include <souk/backends/tls/authority.hpp>
#include <souk/runtime/bench/scratch.hpp>
#include <souk/runtime/cli/remote.hpp>
#include <souk/runtime/demo/free_port.hpp>
#include <souk/runtime/demo/process.hpp>

using namespace souk;
using namespace std::chrono_literals;
namespace fs = std::filesystem;
using souk::demo::free_port;
using steady = std::chrono::steady_clock;

namespace {

constexpr std::size_t wanted = 10'000, addresses = 10; // 127.0.1.1 and so on: each comes from one of them
constexpr auto patience = 60s;

sockaddr_in at(std::uint32_t ip, std::uint16_t port) {
    sockaddr_in a{};
    a.sin_family = AF_INET, a.sin_port = htons(port), a.sin_addr.s_addr = htonl(ip);
    return a;
}
// -- the node that is besieged ---------------------------------------------------------------------------------------------------

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
            "[node]\nname = \"{}\"\nroles = [\"broker\"]\n[identity]\nmethod = \"web\"\nhandle = \"fort.localhost\"\n"
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
    std::size_t descriptors() {
        std::size_t n = 0;
        for ([[maybe_unused]] const auto& e : fs::directory_iterator("/proc/" + std::to_string(it_.pid()) + "/fd")) ++n;
        return n;
    }
    bool runs() { return it_.running(); }
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

// -- those who besiege it ----------------------------------------------------------------------------------------------------------

// Connected from ten addresses; of each hundred, ninety are silent, five send nonsense, three drip a byte a second, two hang up halfway.
class crowd {
public:
    crowd(std::uint16_t port, std::size_t n) {
        for (std::size_t i = 0; i < n; ++i) {
            const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
            REQUIRE(fd >= 0);
            const auto from = at(0x7f000100u + 1u + static_cast<std::uint32_t>(i % addresses), 0);
            REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&from), sizeof from) == 0);
            const auto to = at(INADDR_LOOPBACK, port);
            (void)::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to);
            all_.push_back({fd, POLLIN, 0});
            if (i % 512 == 511) ::usleep(20'000); // the listener's queue is finite: those who do not get in would only wait longer
        }
        static const std::string nonsense(200, '\xee');
        for (std::size_t i = 0; i < n; ++i) {
            if (i % 100 >= 90 && i % 100 < 95) say(all_[i].fd, nonsense);
            if (i % 100 >= 98) ::shutdown(all_[i].fd, SHUT_WR);
        }
    }
    crowd(const crowd&) = delete;
    ~crowd() {
        for (const auto& p : all_)
            if (p.fd >= 0) ::close(p.fd);
    }
    // Those who got in, or wait for it, and were not cut off; of them, some drip. Whom the listener's queue had no place for is not the
    // door's business: he asks again by himself, later and later.
    std::size_t left() {
        const bool drip = steady::now() - dripped_ > 1s;
        if (drip) dripped_ = steady::now();
        std::size_t n = 0, i = 0;
        (void)::poll(all_.data(), all_.size(), 0);
        for (auto& p : all_) {
            const auto which = i++ % 100;
            if (p.fd < 0) continue;
            if (p.revents != 0) {
                char part[4096];
                const auto k = ::recv(p.fd, part, sizeof part, 0);
                if (k == 0 || (k < 0 && errno != EAGAIN)) {
                    ::close(p.fd), p.fd = -1;
                    continue;
                }
            }
            if (drip && which >= 95 && which < 98) say(p.fd, "G");
            sockaddr_in other{};
            socklen_t size = sizeof other;
            n += ::getpeername(p.fd, reinterpret_cast<sockaddr*>(&other), &size) == 0;
        }
        return n;
    }

private:
    static void say(int fd, const std::string& bytes) { (void)!::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT); }
    std::vector<pollfd> all_;
    steady::time_point dripped_ = steady::now();
};

// -- an honest one ------------------------------------------------------------------------------------------------------------------

bool hears_a_greeting(std::uint16_t port, const std::string& first) { // whoever speaks first there
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval t{5, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
    const auto to = at(INADDR_LOOPBACK, port);
    std::string heard(first.size(), '\0');
    const bool so = ::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0 && ::recv(fd, heard.data(), heard.size(), MSG_WAITALL) == static_cast<ssize_t>(heard.size());
    ::close(fd);
    return so && heard == first;
}
int status_of(fort& f, std::uint16_t port) { // of an HTTPS answer; 0: none
    http::client_options o;
    o.ca_file = f.authority, o.allow_private = true, o.hosts = {{"fort.localhost", "127.0.0.1:" + std::to_string(port)}};
    http::client web(o);
    http::call c;
    c.url = "https://fort.localhost:" + std::to_string(port) + "/.well-known/did.json", c.within = 5s;
    const auto got = web.fetch_now(std::move(c));
    return got ? static_cast<int>(got->status) : 0;
}
bool shakes_hands(std::uint16_t port) { // TLS 1.3 as far as the server's own certificate: it then wants ours
    const auto said = demo::run_to_end({"openssl", "s_client", "-connect", "127.0.0.1:" + std::to_string(port), "-tls1_3"}, 5);
    return said.output.find("BEGIN CERTIFICATE") != said.output.npos;
}

// As many as there may be descriptors for, here and in the node.
std::size_t as_many_as_may_be() {
    rlimit files{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &files) == 0);
    files.rlim_cur = std::min<rlim_t>(files.rlim_max, 65'536);
    ::setrlimit(RLIMIT_NOFILE, &files);
    REQUIRE(files.rlim_cur >= 2'048);
    return std::min<std::size_t>(wanted, files.rlim_cur - 512);
}

struct door {
    const char* name;
    std::uint16_t port;
    std::size_t most;                  // bytes
    std::function<bool()> serves;      // an honest client, within five seconds
    std::function<std::int64_t()> counted; // of those who were refused
};

} // namespace

TEST_CASE("ten thousand strangers at a door cost little, keep nobody out, and are cut off") {
    const auto strangers = as_many_as_may_be();
    fort f;
    const most_memory most;
    const std::vector<door> doors{
        {"http", f.http, most.http, [&] { return status_of(f, f.http) == 200; }, [&] { return f.counted("door", "refused"); }},
        {"cluster", f.cluster, most.cluster, [&] { return shakes_hands(f.cluster); }, [&] { return f.counted("cluster", "refused_handshakes"); }},
        {"ssh", f.ssh, most.ssh, [&] { return hears_a_greeting(f.ssh, "SSH-2.0-"); }, [&] { return f.counted("tunnels", "refused_logins"); }},
        {"https", f.https, most.https, [&] { return status_of(f, f.https) != 0; }, [&] { return f.counted("tunnels", "refused_visitors"); }},
    };
    for (const auto& d : doors) {
        const std::string name = d.name;
        CAPTURE(name);
        REQUIRE(d.serves());
        const auto before = f.memory(), files = f.descriptors();
        const auto refused = d.counted();
        std::size_t peak = 0, served = 0, tried = 0, most_files = 0;
        const auto began = steady::now();
        std::optional<steady::duration> gone;
        {
            crowd c(d.port, strangers);
            for (const auto end = began + patience; steady::now() < end && !gone; ::usleep(50'000)) {
                peak = std::max(peak, f.memory()), most_files = std::max(most_files, f.descriptors());
                if (tried < 5) ++tried, served += d.serves(); // the first five times it is full of them
                // By the node's own count of what it holds. A few may believe that they are connected whose last word was lost in a full queue.
                if (c.left() <= strangers / 100 && f.descriptors() <= files + 8) gone = steady::now() - began;
            }
        }
        REQUIRE(f.runs());
        CHECK(served + 1 >= tried); // a door that is full may turn one away; the next is let in
        CHECK(peak - std::min(peak, before) <= d.most);
        CHECK(gone.has_value());
        CHECK(d.counted() > refused);
        CHECK(f.soon([&] { return f.descriptors() <= files + 8; }));
        CHECK(d.serves());
        MESSAGE(name << ": " << strangers << " strangers, at most " << most_files - files << " let in at once, " << (peak - std::min(peak, before)) / 1024 / 1024 << " MiB, " << served << " of " << tried
                       << " served meanwhile, all gone after " << (gone ? std::chrono::duration_cast<std::chrono::seconds>(*gone).count() : -1) << " s, " << d.counted() - refused << " counted");
    }
}
