// The broker between real peers: the stock OpenSSH client on one side, TLS visitors on the other.
#include "tunnel_support.hpp"

#include <algorithm>
#include <future>
#include <optional>

#include <netinet/tcp.h>

#include <souk/backends/tunnel/broker.hpp>
#include <souk/messages/bytes.hpp>

using namespace souk;
using namespace souk::testing;
using namespace souk::tunnel;

namespace {

const std::string alice = "did:plc:5svqtrhheairglgiiyvutzik";

std::string answer_all(const std::string& head) { // what the service was asked, in its answer
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(head.size()) + "\r\n\r\n" + head;
}

struct market { // a relay, an account, a machine's key
    scratch dir;
    std::mutex mutex;
    std::map<std::string, grant> grants; // by key line
    std::vector<route_change> changes;
    std::map<std::string, std::string> owners; // label -> did
    bool thinks = false;                       // about the next claim, until it is told to answer
    std::function<void(bool)> thought;
    std::optional<broker> relay;
    std::string key;

    explicit market(broker_limits limits = {}) {
        make_certificate(dir.path, "localhost");
        key = make_key(dir / "id");
        allow(key, {alice, {"cfb3c8d2", "other"}});
        broker_options o;
        o.host_key = dir / "host_key", o.certificate = dir / "tls.crt", o.key = dir / "tls.key", o.domain = "localhost", o.limits = limits;
        o.authorise = [this](const std::string& user, const std::string& type, const std::string& blob, auto answer) {
            std::thread([this, user, type, blob, answer] { answer(judge(user, type, blob)); }).detach(); // later, elsewhere
        };
        o.claim = [this](const route_change& c, auto answer) {
            std::lock_guard lock{mutex};
            if (thinks) return void(thought = answer);
            answer(owners.try_emplace(c.label, c.did).first->second == c.did);
        };
        o.changed = [this](const route_change& c) {
            std::lock_guard lock{mutex};
            changes.push_back(c);
        };
        relay.emplace(std::move(o));
    }
    ~market() { relay.reset(); }

    void allow(const std::string& line, grant g) {
        std::lock_guard lock{mutex};
        grants[line] = std::move(g);
    }
    result<grant> judge(const std::string& user, const std::string& type, const std::string& blob) {
        std::lock_guard lock{mutex};
        if (user != "alice.example" && user != alice) return refusal{"no_account", "nobody of that name"};
        const auto at = grants.find(type + ' ' + to_base64(blob));
        if (at == grants.end()) return refusal{"no_key", "that key is not recorded"};
        return at->second;
    }

    std::vector<std::string> ssh(std::vector<std::string> more, const std::string& id = "id") {
        std::vector<std::string> argv{"ssh", "-F", "/dev/null", "-p", std::to_string(relay->ssh_port()), "-i", dir / id, "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none",
            "-o", "UserKnownHostsFile=" + (dir / "known").string(), "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-o", "ConnectTimeout=10"};
        std::ofstream(dir / "known") << "[127.0.0.1]:" << relay->ssh_port() << ' ' << relay->host_key() << '\n';
        argv.insert(argv.end(), more.begin(), more.end());
        return argv;
    }
    // The machine's side, as its document has it.
    std::unique_ptr<child> machine(std::uint16_t port, const std::string& service = "cfb3c8d2", const std::string& user = "alice.example", const std::string& id = "id") {
        return std::make_unique<child>(ssh({"-NnT", "-R", service + ":80:127.0.0.1:" + std::to_string(port), user + "@127.0.0.1"}, id), dir / "ssh.log");
    }
    bool saw(const std::string& label, bool up, std::size_t times = 1) {
        return eventually([&] {
            std::lock_guard lock{mutex};
            return static_cast<std::size_t>(std::count_if(changes.begin(), changes.end(), [&](const auto& c) { return c.label == label && c.up == up; })) >= times;
        });
    }
    std::string ask(const std::string& request) {
        tls_wire w(relay->https_port());
        REQUIRE(w.joined());
        w.put(request);
        return w.rest();
    }
    std::string get(const std::string& label, const std::string& path = "/") {
        return ask("GET " + path + " HTTP/1.1\r\nHost: " + label + ".localhost\r\nConnection: close\r\n\r\n");
    }
};

const std::string label = "cfb3c8d2--alice-example";
bool has(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

} // namespace

TEST_CASE("a machine that opens a tunnel is visited by its public name") {
    market m;
    service page([](wire& w) { w.put(answer_all(w.until("\r\n\r\n"))); });
    const auto ssh = m.machine(page.port());
    REQUIRE_MESSAGE(m.saw(label, true), read_file(m.dir / "ssh.log"));

    const auto got = m.get(label, "/hello");
    CHECK(got.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(has(got, "GET /hello HTTP/1.1\r\nHost: " + label + ".localhost\r\n"));
    CHECK(has(got, "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: https\r\n"));

    SUBCASE("over TLS 1.2 as over 1.3, and no older") {
        CHECK(tls_wire(m.relay->https_port(), TLS1_2_VERSION).joined());
        CHECK(!tls_wire(m.relay->https_port(), TLS1_1_VERSION).joined());
    }
    SUBCASE("several times on one connection") {
        tls_wire w(m.relay->https_port());
        for (int i = 0; i < 3; ++i) {
            w.put("GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: " + label + ".localhost\r\n\r\n");
            const auto head = w.until("\r\n\r\n");
            CHECK(has(head, "Connection: keep-alive"));
            CHECK(has(w.until("X-Forwarded-Host: " + label + ".localhost\r\n\r\n"), "GET /" + std::to_string(i)));
        }
    }
    SUBCASE("a name that nobody serves is not found, and says so") {
        const auto none = m.get("cfb3c8d3--alice-example");
        CHECK(none.starts_with("HTTP/1.1 404 "));
        CHECK(has(none, "no machine serves cfb3c8d3--alice-example now"));
        CHECK(m.ask("GET / HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n").starts_with("HTTP/1.1 404 "));
        CHECK(m.ask("GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 400 "));
        CHECK(m.ask("rubbish\r\n\r\n").starts_with("HTTP/1.1 400 "));
        CHECK(m.ask("GET / HTTP/1.1\r\nX: " + std::string(20000, 'x') + "\r\n\r\n").starts_with("HTTP/1.1 431 "));
    }
    SUBCASE("its counters say what went by") {
        const auto c = m.relay->so_far();
        CHECK(c.logins == 1);
        CHECK(c.tunnels == 1);
        CHECK(c.visitors == 1);
        CHECK(c.bytes_up > 50);
        CHECK(c.bytes_down > 50);
    }
    SUBCASE("both ends of the tunnel go without Nagle's delay") {
        int found = 0;
        for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
            const int fd = std::stoi(entry.path().filename());
            sockaddr_in local{}, remote{};
            socklen_t n = sizeof local, r = sizeof remote;
            if (::getsockname(fd, reinterpret_cast<sockaddr*>(&local), &n) || local.sin_family != AF_INET || ntohs(local.sin_port) != m.relay->ssh_port()) continue;
            if (::getpeername(fd, reinterpret_cast<sockaddr*>(&remote), &r)) continue; // the listener
            int nodelay = 0;
            socklen_t size = sizeof nodelay;
            CHECK(::getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &nodelay, &size) == 0);
            CHECK(nodelay == 1);
            CHECK((::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
            ++found;
        }
        CHECK(found >= 1);
    }
    SUBCASE("when its client is killed, its name is gone at once, and comes back with the next login") {
        ssh->signal(SIGKILL);
        REQUIRE(m.saw(label, false));
        CHECK(m.get(label).starts_with("HTTP/1.1 404 "));
        const auto again = m.machine(page.port());
        REQUIRE(m.saw(label, true, 2));
        CHECK(m.get(label).starts_with("HTTP/1.1 200 "));
    }
    SUBCASE("a newer login of the same account takes the name over at once") {
        service other([](wire& w) { w.until("\r\n\r\n"), w.put("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew"); });
        const auto second = m.machine(other.port());
        REQUIRE(m.saw(label, true, 2));
        CHECK(m.get(label).ends_with("new"));
        ssh->signal(SIGKILL);
        CHECK(ssh->wait() == 128 + SIGKILL);
        REQUIRE(eventually([&] { return m.get(label).ends_with("new"); }));
        CHECK(m.get(label).ends_with("new"));
        second->signal(SIGKILL);
        CHECK(m.saw(label, false));
    }
    SUBCASE("a withdrawn grant closes the account's tunnels") {
        m.relay->close_account("did:plc:somebodyelse");
        CHECK(m.get(label).starts_with("HTTP/1.1 200 "));
        m.relay->close_account(alice);
        CHECK(m.saw(label, false));
        CHECK(ssh->wait() == 255);
    }
    SUBCASE("closing the broker ends everything in good order") {
        tls_wire held(m.relay->https_port());
        m.relay.reset();
        CHECK(ssh->wait() == 255);
        CHECK(m.saw(label, false));
    }
}

TEST_CASE("a DID may be the account's name") {
    market m;
    service page([](wire& w) { w.put(answer_all(w.until("\r\n\r\n"))); });
    const auto ssh = m.machine(page.port(), "other", alice);
    REQUIRE(m.saw("other--did-plc-5svqtrhheairglgiiyvutzik", true));
    CHECK(m.get("other--did-plc-5svqtrhheairglgiiyvutzik").starts_with("HTTP/1.1 200 "));
}

TEST_CASE("keys of every kind that OpenSSH makes may log in") {
    market m;
    service page([](wire& w) { w.put(answer_all(w.until("\r\n\r\n"))); });
    for (const std::string type : {"ecdsa", "rsa"}) {
        INFO(type);
        m.allow(make_key(m.dir / type, type), {alice, {type}});
        const auto ssh = m.machine(page.port(), type, "alice.example", type);
        CHECK(m.saw(type + "--alice-example", true));
    }
}

TEST_CASE("what was not granted is refused, and the broker goes on") {
    market m;
    service page([](wire& w) { w.put(answer_all(w.until("\r\n\r\n"))); });
    const auto honest = m.machine(page.port());
    REQUIRE(m.saw(label, true));
    const auto log = m.dir / "refused.log";
    const auto refused = [&](std::vector<std::string> more, const std::string& id = "id") {
        more.push_back("alice.example@127.0.0.1");
        return child(m.ssh(std::move(more), id), log).wait();
    };
    make_key(m.dir / "stranger");
    CHECK(refused({"-NnT", "-R", "cfb3c8d2:80:127.0.0.1:1"}, "stranger") == 255); // a key that is not recorded
    CHECK(has(read_file(log), "Permission denied (publickey)"));
    CHECK(child(m.ssh({"-NnT", "-R", "cfb3c8d2:80:127.0.0.1:1", "mallory.example@127.0.0.1"}), log).wait() == 255);
    CHECK(refused({"-vNnT", "-R", "dddddddd:80:127.0.0.1:1"}) == 255); // a service that the key's record does not name
    CHECK(has(read_file(log), "remote port forwarding failed"));
    CHECK(has(read_file(log), "souk: this key may not open that service"));
    CHECK(refused({"-NnT", "-R", "cfb3c8d2:81:127.0.0.1:1"}) == 255);
    CHECK(refused({"-NnT", "-R", "80:127.0.0.1:1"}) == 255);
    CHECK(refused({"-NnT", "-R", "/tmp/x:127.0.0.1:1"}) == 255);
    CHECK(refused({"-W", "127.0.0.1:22"}) == 255);
    CHECK(refused({"-T"}) != 0);                      // a shell
    CHECK(child(m.ssh({"alice.example@127.0.0.1", "id"}), log).wait() != 0); // a command
    CHECK(refused({"-s", "sftp"}) != 0);
    {
        std::lock_guard lock{m.mutex};
        m.owners["other--alice-example"] = "did:plc:bob"; // the caller remembers who had the name first
    }
    CHECK(refused({"-vNnT", "-R", "other:80:127.0.0.1:1"}) == 255);
    CHECK(has(read_file(log), "souk: this name belongs to another account"));
    CHECK(m.get(label).starts_with("HTTP/1.1 200 "));
    CHECK(m.relay->so_far().refused_logins >= 2);
}

TEST_CASE("a name that is given too late is taken back: no tunnel stands for it") {
    broker_limits quick;
    quick.login = 3s;
    market m(quick);
    m.thinks = true;
    service page([](wire& w) { w.put(answer_all(w.until("\r\n\r\n"))); });
    const auto ssh = m.machine(page.port());
    REQUIRE(eventually([&] {
        std::lock_guard lock{m.mutex};
        return static_cast<bool>(m.thought);
    }));
    CHECK(ssh->wait() == 255); // it was told that nobody answered, and goes
    std::function<void(bool)> answer;
    {
        std::lock_guard lock{m.mutex};
        CHECK(m.changes.empty());
        answer = m.thought;
    }
    answer(true);
    CHECK(m.saw(label, false));
    CHECK(m.get(label).starts_with("HTTP/1.1 404 "));
}

TEST_CASE("a visitor is told which part of the way failed") {
    broker_limits limits;
    limits.open = 500ms;
    market m(limits);
    const auto free_port = service([](wire&) {}).port(); // nobody listens there any more
    const auto ssh = m.machine(free_port);
    REQUIRE(m.saw(label, true));
    const auto bad = m.get(label);
    CHECK(bad.starts_with("HTTP/1.1 502 "));
    CHECK(has(bad, "its service does not accept connections"));
    ssh->signal(SIGSTOP);
    const auto silent = m.get(label);
    CHECK(silent.starts_with("HTTP/1.1 503 "));
    CHECK(has(silent, "does not answer"));
    ssh->signal(SIGCONT);
    CHECK(m.get(label).starts_with("HTTP/1.1 502 "));
}

TEST_CASE("a service that does not speak HTTP, or stops in the middle, is not taken for a good one") {
    market m;
    service odd([](wire& w) {
        const auto head = w.until("\r\n\r\n");
        if (has(head, "/rubbish")) w.put("SSH-2.0-whatever\r\n\r\n");
        if (has(head, "/short")) w.put("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this");
        if (has(head, "/chunk")) w.put("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
        if (has(head, "/old")) w.put("HTTP/1.0 200 OK\r\n\r\nuntil the end");
    });
    const auto ssh = m.machine(odd.port());
    REQUIRE(m.saw(label, true));
    CHECK(m.get(label, "/rubbish").starts_with("HTTP/1.1 502 "));
    CHECK(has(m.get(label, "/nothing"), "closed the connection without an answer"));
    CHECK(m.get(label, "/short").ends_with("only this"));
    const auto cut = m.get(label, "/chunk");
    CHECK(has(cut, "5\r\nfirst\r\n"));
    CHECK(!has(cut, "0\r\n\r\n"));
    const auto old = m.get(label, "/old");
    CHECK(has(old, "Transfer-Encoding: chunked\r\n"));
    CHECK(old.ends_with("0\r\n\r\n"));
    CHECK(m.ask("GET /old HTTP/1.0\r\nHost: " + label + ".localhost\r\n\r\n").ends_with("\r\n\r\nuntil the end"));
}

TEST_CASE("bodies stream both ways, as they come") {
    market m;
    std::promise<void> first_seen;
    auto seen = first_seen.get_future().share();
    service s([seen](wire& w) {
        const auto head = w.until("\r\n\r\n");
        if (has(head, "GET /slow")) {
            w.put("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
            seen.wait_for(10s); // goes on only when the visitor has the first part
            w.put("6\r\nsecond\r\n0\r\n\r\n");
        } else if (has(head, "POST /chunked")) {
            const auto all = w.until("0\r\n\r\n");
            w.put(answer_all(std::to_string(all.size())));
        } else if (has(head, "Content-Length: 3000000\r\n")) {
            const auto body = w.exactly(3000000);
            w.put("HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + body);
        } else if (has(head, "Expect: 100-continue")) {
            w.put("HTTP/1.1 100 Continue\r\n\r\n");
            w.put(answer_all(w.exactly(4)));
        } else if (head.starts_with("HEAD")) {
            w.put("HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n");
        }
    });
    const auto ssh = m.machine(s.port());
    REQUIRE(m.saw(label, true));
    const auto host = "Host: " + label + ".localhost\r\n";

    tls_wire w(m.relay->https_port());
    w.put("GET /slow HTTP/1.1\r\n" + host + "\r\n");
    CHECK(has(w.until("first\r\n"), "Transfer-Encoding: chunked"));
    first_seen.set_value();
    CHECK(w.until("0\r\n\r\n") == "6\r\nsecond\r\n0\r\n\r\n");

    std::string big(3000000, '\0'); // more than any window on the way
    for (std::size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>(i * 2654435761u >> 13);
    w.put("POST /big HTTP/1.1\r\n" + host + "Content-Length: 3000000\r\n\r\n");
    std::thread up([&] { // the answer may begin before all is up: one end writes while the other reads
        for (std::size_t i = 0; i < big.size(); i += 100000) w.put(std::string_view(big).substr(i, 100000));
    });
    up.join();
    CHECK(has(w.until("\r\n\r\n"), "Content-Length: 3000000"));
    CHECK(w.exactly(3000000) == big);

    w.put("POST /chunked HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    w.put("4\r\ndefg\r\n0\r\n\r\n");
    w.until("\r\n\r\n");
    CHECK(std::stoi(w.exactly(2)) >= 17);

    w.put("PUT /wait HTTP/1.1\r\n" + host + "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    CHECK(w.until("\r\n\r\n").starts_with("HTTP/1.1 100 "));
    w.put("body");
    CHECK(has(w.until("\r\n\r\n"), "Content-Length: 4\r\n"));
    CHECK(w.exactly(4) == "body");

    w.put("HEAD /x HTTP/1.1\r\n" + host + "\r\n");
    CHECK(has(w.until("\r\n\r\n"), "Content-Length: 12345\r\n"));
    w.put("HEAD /y HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n");
    CHECK(w.rest().ends_with("\r\n\r\n"));
}

TEST_CASE("an upgraded connection carries whatever its ends agree on") {
    market m;
    service echo([](wire& w) {
        CHECK(has(w.until("\r\n\r\n"), "Upgrade: websocket\r\n"));
        w.put("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\nearly;");
        for (std::string line; !(line = w.until(";")).empty();) {
            if (line == "bye;") return void(w.put("bye too;"));
            w.put("echo " + line);
        }
    });
    const auto ssh = m.machine(echo.port());
    REQUIRE(m.saw(label, true));
    tls_wire w(m.relay->https_port());
    w.put("GET /w HTTP/1.1\r\nHost: " + label + ".localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nahead;");
    const auto head = w.until("\r\n\r\n");
    CHECK(head.starts_with("HTTP/1.1 101 "));
    CHECK(has(head, "Sec-WebSocket-Accept: x\r\n"));
    CHECK(w.until(";") == "early;");
    CHECK(w.until(";") == "echo ahead;");
    for (int i = 0; i < 20; ++i) {
        w.put(std::to_string(i) + ";");
        CHECK(w.until(";") == "echo " + std::to_string(i) + ";");
    }
    w.put("bye;");
    CHECK(w.rest() == "bye too;");
}

TEST_CASE("silent logins are bounded in number and time, and cost the honest nothing") {
    broker_limits limits;
    limits.login = 800ms, limits.pending_logins = 20, limits.pending_logins_per_peer = 20;
    market m(limits);
    std::vector<std::unique_ptr<wire>> silent;
    for (int i = 0; i < 40; ++i) silent.push_back(std::make_unique<wire>(connect_to(m.relay->ssh_port())));
    CHECK(eventually([&] { return m.relay->so_far().refused_logins >= 20; }));
    for (auto& w : silent) w->rest(); // all are closed, the last ones by the clock
    CHECK(m.relay->so_far().refused_logins == 40);
    service page([](wire& w) { w.put(answer_all(w.until("\r\n\r\n"))); });
    const auto ssh = m.machine(page.port());
    CHECK(m.saw(label, true));
}

TEST_CASE("rubbish at the SSH door is closed") {
    market m;
    for (const auto& text : {std::string("GET / HTTP/1.1\r\n\r\n"), std::string("SSH-1.5-old\r\n"), std::string(100000, 'x'), std::string("SSH-2.0-x\r\n\xff\xff\xff\xff") + std::string(100, 'a')}) {
        wire w(connect_to(m.relay->ssh_port()));
        w.put(text);
        w.rest();
    }
    service page([](wire& w) { w.put(answer_all(w.until("\r\n\r\n"))); });
    const auto ssh = m.machine(page.port());
    CHECK(m.saw(label, true));
}

TEST_CASE("the host key is made once, is secret, and stays") {
    market m;
    const auto first = m.relay->host_key();
    CHECK(first.starts_with("ssh-ed25519 AAAA"));
    CHECK((fs::status(m.dir / "host_key").permissions() & fs::perms::mask) == (fs::perms::owner_read | fs::perms::owner_write));
    broker_options o;
    o.host_key = m.dir / "host_key", o.certificate = m.dir / "tls.crt", o.key = m.dir / "tls.key", o.domain = "localhost";
    o.authorise = [](auto&&...) {};
    CHECK(broker(o).host_key() == first);
    o.ssh_port = m.relay->ssh_port();
    CHECK_THROWS_WITH_AS(broker{o}, doctest::Contains("cannot listen"), std::runtime_error);
}
