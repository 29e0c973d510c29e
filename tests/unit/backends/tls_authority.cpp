#include "loopback.hpp"

#include <fstream>

#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include <souk/backends/http/client.hpp>
#include <souk/backends/http/server.hpp>
#include <souk/backends/tls/authority.hpp>

using namespace souk;
using namespace loopback;

namespace {

// The door of `names`, and what it takes to trust it.
struct tls_door {
    directory home;
    tls::identity authority = tls::make_authority("Test CA");
    std::unique_ptr<http::server> door;

    explicit tls_door(tls::leaf names) {
        const auto leaf = tls::issue(authority, names);
        tls::write_secret(home / "door.pem", leaf.certificate);
        tls::write_secret(home / "door.key", leaf.key);
        tls::write_secret(home / "ca.pem", authority.certificate);
        http::server_options o;
        o.certificate = home / "door.pem", o.key = home / "door.key";
        http::handler h;
        h.answer = [](http::request r, http::responder tell) { tell({200, {}, r.path + std::string(100'000, 'x')}); };
        h.upgrade = [](const http::request&,
                       std::shared_ptr<http::stream> s) -> std::variant<http::stream_handler, http::response> {
            s->send("over TLS");
            return http::stream_handler{[](std::string) {}, [] {}, {}};
        };
        door = std::make_unique<http::server>(o, h);
    }
    std::string port() const { return std::to_string(door->port()); }
    http::client_options trusting() const {
        http::client_options o;
        o.ca_file = home / "ca.pem", o.allow_private = true;
        o.hosts["bob.example"] = "127.0.0.1:" + port();
        o.hosts["eve.example"] = "127.0.0.1:" + port();
        return o;
    }
};
std::string run(const std::string& command) { // of the openssl that the machine has
    std::string out;
    FILE* pipe = ::popen(command.c_str(), "r");
    for (int c; pipe && (c = ::fgetc(pipe)) != EOF;) out += static_cast<char>(c);
    return pipe && ::pclose(pipe) == 0 ? out : "failed: " + out;
}
std::string ask(http::client& client, const std::string& url) {
    http::call c;
    c.url = url;
    const auto r = client.fetch_now(c);
    return r ? std::to_string(r->status) : r.error().code;
}

} // namespace

TEST_SUITE("tls authority") {

TEST_CASE("a door with our certificate is trusted by name and by address, and by nobody else's roots") {
    const tls_door bob({"bob", {"bob.example", "localhost"}, {"127.0.0.1"}});
    http::client trusting(bob.trusting());
    CHECK(ask(trusting, "https://bob.example/") == "200");
    CHECK(ask(trusting, "https://localhost:" + bob.port() + "/") == "200");
    CHECK(ask(trusting, "https://127.0.0.1:" + bob.port() + "/") == "200");
    CHECK(ask(trusting, "https://eve.example/") == "http_unreachable"); // another name than the certificate's
    auto o = bob.trusting();
    o.ca_file.clear();
    http::client stranger(o);
    CHECK(ask(stranger, "https://bob.example/") == "http_unreachable");
}

TEST_CASE("a stream client checks the certificate too") {
    const tls_door bob({"bob", {"bob.example"}, {}});
    inbox<std::string> heard, states;
    const auto watch = [&](const char* url, http::client_options o) {
        return std::make_unique<http::stream_client>(
            o, http::stream_client::events{[url] { return std::string(url); }, [&](std::string t) { heard.put(t); },
                                           [&](bool up, std::string why) { states.put(up ? "up" : why); }});
    };
    const auto good = watch("wss://bob.example/", bob.trusting());
    CHECK(states.take() == "up");
    CHECK(heard.take() == "over TLS");
    const auto wrong_name = watch("wss://eve.example/", bob.trusting());
    CHECK(states.take().find("certificate verify failed") != std::string::npos);
}

TEST_CASE("our doors speak TLS 1.3 and HTTP/1.1 only, and a stranger's noise costs nobody else") {
    const tls_door bob({"bob", {"localhost"}, {}});
    const auto to = "openssl s_client -connect 127.0.0.1:" + bob.port() + " -CAfile " + (bob.home / "ca.pem").string() + " ";
    CHECK(run(to + "-tls1_3 -alpn h2,http/1.1 </dev/null 2>/dev/null | grep -c 'ALPN protocol: http/1.1'") == "1\n");
    CHECK(run(to + "-tls1_2 </dev/null 2>&1 | grep -c 'alert protocol version'") == "1\n");
    CHECK(run(to + "-tls1_3 -alpn h2 </dev/null 2>&1 | grep -c 'alert no application protocol'") == "1\n");
    raw noise(bob.door->port());
    noise.say("GET / HTTP/1.1\r\nHost: h\r\n\r\n").hear();
    raw silent(bob.door->port());
    http::client client(bob.trusting());
    CHECK(ask(client, "https://localhost:" + bob.port() + "/") == "200");
    CHECK(bob.door->so_far().malformed >= 3);
}

TEST_CASE("a megabyte each way over TLS is what it was") {
    const tls_door files({"bob", {"localhost"}, {}}); // for its certificate
    http::server_options o;
    o.certificate = files.home / "door.pem", o.key = files.home / "door.key";
    const http::server door(o, {[](http::request r, http::responder tell) { tell({200, {}, std::move(r.body)}); }, {}});
    http::client client(files.trusting());
    http::call c;
    c.url = "https://localhost:" + std::to_string(door.port()) + "/", c.method = "POST";
    for (std::size_t size : {1u, 4'095u, 4'096u, 16'384u, 16'385u, 32'768u, 1u << 20}) {
        c.body.clear();
        for (std::size_t i = 0; c.body.size() < size; ++i) c.body += std::to_string(i);
        c.body.resize(size);
        const auto got = client.fetch_now(c);
        REQUIRE(got);
        CHECK(got->status == 200);
        CHECK((got->body == c.body)); // too long to print
    }
}

TEST_CASE("the first word of TLS is waited for as a whole, however it comes, and not for ever") {
    const tls_door bob({"bob", {"localhost"}, {}});
    const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free);
    const std::unique_ptr<SSL, decltype(&SSL_free)> client(SSL_new(context.get()), &SSL_free);
    BIO* out = BIO_new(BIO_s_mem());
    SSL_set_bio(client.get(), BIO_new(BIO_s_mem()), out);
    SSL_connect(client.get());
    char* data = nullptr;
    const auto size = BIO_get_mem_data(out, &data);
    const std::string hello(data, static_cast<std::size_t>(size));
    raw piecemeal(bob.door->port());
    const int at_once = 1;
    ::setsockopt(piecemeal.fd(), IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
    for (const char c : hello) {
        CHECK(piecemeal.open());
        piecemeal.say({c});
    }
    CHECK(piecemeal.hear("\x16\x03\x03").starts_with("\x16\x03\x03")); // its answer
    raw leaves(bob.door->port());
    leaves.say(hello.substr(0, 50));
    ::shutdown(leaves.fd(), SHUT_WR);
    leaves.hear(); // to the end
    CHECK(soon([&] { return bob.door->so_far().malformed == 1; }));
}

TEST_CASE("a handshake that does not go on is ended in time") {
    tls_door bob({"bob", {"localhost"}, {}});
    http::server_options o;
    o.certificate = bob.home / "door.pem", o.key = bob.home / "door.key";
    o.limits.handshake_within = 150ms;
    const http::server door(o, {[](http::request, http::responder) {}, {}});
    CHECK(raw(door.port()).hear().empty());
    CHECK(door.so_far().timed_out == 1);
}

TEST_CASE("certificates are what the openssl tool takes them for") {
    const directory home;
    const auto authority = tls::make_authority("Souk test");
    const auto leaf = tls::issue(authority, {"node-1", {"node-1.cluster"}, {"10.0.0.1", "::1"}, true, true, 48h});
    tls::write_secret(home / "ca.pem", authority.certificate);
    tls::write_secret(home / "leaf.pem", leaf.certificate);
    const auto ca = (home / "ca.pem").string(), one = (home / "leaf.pem").string();
    CHECK(run("openssl verify -x509_strict -CAfile " + ca + " " + one) == one + ": OK\n");
    CHECK(run("openssl verify -x509_strict -purpose sslclient -CAfile " + ca + " " + one) == one + ": OK\n");
    const auto text = run("openssl x509 -noout -text -in " + one);
    CHECK(text.find("DNS:node-1.cluster, IP Address:10.0.0.1, IP Address:0:0:0:0:0:0:0:1") != text.npos);
    CHECK(text.find("CN = node-1") != text.npos);
    CHECK(run("openssl x509 -noout -hash -in " + ca) == tls::subject_hash(authority.certificate) + "\n");
    auto print = run("openssl x509 -noout -fingerprint -sha256 -in " + one);
    print = print.substr(print.find('=') + 1);
    std::string hex;
    for (const char c : print)
        if (std::isxdigit(static_cast<unsigned char>(c))) hex += static_cast<char>(std::tolower(c));
    CHECK(hex == tls::fingerprint(leaf.certificate));
}

TEST_CASE("a node enrols with its own key, under the names that the authority gives it") {
    const directory home;
    const auto authority = tls::make_authority("Souk test");
    std::string key;
    const auto request = tls::make_request(key, "i am the head");
    const auto signed_one = tls::sign_request(authority, request, {"node-2", {"node-2.cluster"}, {}, true, true});
    REQUIRE(signed_one);
    tls::write_secret(home / "ca.pem", authority.certificate);
    tls::write_secret(home / "node.pem", *signed_one);
    tls::write_secret(home / "node.key", key);
    const auto node = (home / "node.pem").string();
    CHECK(run("openssl verify -x509_strict -CAfile " + (home / "ca.pem").string() + " " + node) == node + ": OK\n");
    CHECK(run("openssl x509 -noout -subject -in " + node) == "subject=CN = node-2\n");
    CHECK(run("openssl x509 -noout -pubkey -in " + node) == run("openssl pkey -pubout -in " + (home / "node.key").string()));

    auto broken = request;
    broken[broken.size() / 2] = broken[broken.size() / 2] == 'A' ? 'B' : 'A';
    for (const auto& bad : {std::string(), std::string("nonsense"), broken, std::string(20'000, 'x')}) {
        const auto refused = tls::sign_request(authority, bad, {"node-2", {}, {}});
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == "bad_request");
    }
}

TEST_CASE("a name is data: it cannot smuggle in another") {
    const auto authority = tls::make_authority("Souk test");
    CHECK_THROWS_AS(tls::issue(authority, {"n", {"a.example,DNS:b.example"}, {}}), std::invalid_argument);
    CHECK_THROWS_AS(tls::issue(authority, {"n", {}, {"10.0.0.1,DNS:b"}}), std::invalid_argument);
    CHECK_THROWS_AS(tls::issue(authority, {"", {}, {}}), std::invalid_argument);
}

TEST_CASE("a secret's file is its owner's alone, and is replaced as a whole or not at all") {
    const directory home;
    const auto file = home / "secret";
    { std::ofstream(file) << "old, and readable by all"; }
    std::filesystem::permissions(file, std::filesystem::perms::all);
    tls::write_secret(file, "new");
    struct stat is{};
    REQUIRE(::stat(file.c_str(), &is) == 0);
    CHECK((is.st_mode & 0777) == 0600);
    CHECK(tls::read_file(file) == "new");
    CHECK_THROWS_AS(tls::read_file(file, 2), std::runtime_error);
    CHECK_THROWS_AS(tls::read_file(home / "none"), std::runtime_error);
    CHECK_THROWS_AS(tls::write_secret(home / "none" / "secret", "x"), std::runtime_error);
    std::filesystem::create_directory(home / "taken");
    CHECK_THROWS_AS(tls::write_secret(home / "taken", "x"), std::runtime_error);
    CHECK(std::distance(std::filesystem::directory_iterator(home.path()), {}) == 2); // no litter
}

} // TEST_SUITE
