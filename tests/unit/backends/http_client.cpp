#include "loopback.hpp"

#include <netinet/in.h>

#include <souk/backends/http/address_guard.hpp>
#include <souk/backends/http/client.hpp>
#include <souk/backends/http/server.hpp>

using namespace souk;
using namespace loopback;

namespace {

http::client_options local() {
    http::client_options o;
    o.allow_private = true;
    return o;
}
http::call to(std::uint16_t port, std::string target = "/") {
    http::call c;
    c.url = "http://127.0.0.1:" + std::to_string(port) + target;
    c.within = 5s;
    return c;
}
std::string code_of(const result<http::response>& r) { return r ? "answered " + std::to_string(r->status) : r.error().code; }

// A TCP server that does what the test says with each connection.
class rogue {
public:
    explicit rogue(std::function<void(int)> with) : with_(std::move(with)), fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in at{};
        at.sin_family = AF_INET, at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof at;
        if (::bind(fd_, reinterpret_cast<sockaddr*>(&at), size) != 0 || ::listen(fd_, 16) != 0)
            throw std::runtime_error("cannot listen");
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size);
        port_ = ntohs(at.sin_port);
        thread_ = std::thread([this] {
            for (int c; (c = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0; ::close(c)) ++connections_, with_(c);
        });
    }
    ~rogue() {
        ::shutdown(fd_, SHUT_RDWR);
        thread_.join();
        ::close(fd_);
    }
    std::uint16_t port() const { return port_; }
    int connections() const { return connections_; }
    static std::string read_head(int fd) {
        std::string all;
        for (char c; all.find("\r\n\r\n") == all.npos && ::recv(fd, &c, 1, 0) == 1;) all += c;
        return all;
    }
    static void write(int fd, const std::string& text) { (void)!::send(fd, text.data(), text.size(), MSG_NOSIGNAL); }

private:
    std::function<void(int)> with_;
    int fd_;
    std::uint16_t port_ = 0;
    std::atomic<int> connections_{0};
    std::thread thread_;
};

bool is_private(const char* text) {
    sockaddr_storage any{};
    if (auto* v4 = reinterpret_cast<sockaddr_in*>(&any); ::inet_pton(AF_INET, text, &v4->sin_addr) == 1) v4->sin_family = AF_INET;
    else if (auto* v6 = reinterpret_cast<sockaddr_in6*>(&any); ::inet_pton(AF_INET6, text, &v6->sin6_addr) == 1)
        v6->sin6_family = AF_INET6;
    return http::internal::is_private(reinterpret_cast<sockaddr&>(any));
}

} // namespace

TEST_SUITE("http client") {

TEST_CASE("a call carries method, head and body, and brings the answer back") {
    inbox<http::request> seen;
    http::handler h;
    h.answer = [&](http::request r, http::responder tell) {
        seen.put(r);
        tell({418, http::headers{{{"X-Answer", "42"}}}, "tea"});
    };
    const http::server door({}, h);
    http::client client(local());
    auto c = to(door.port(), "//twice/../up?q=%2F");
    c.method = "POST", c.body = std::string("a\0b", 3);
    c.head.set("Content-Type", "application/json").set("X-Empty", "");
    const auto r = client.fetch_now(c);
    REQUIRE(r);
    CHECK(r->status == 418);
    CHECK(r->body == "tea");
    CHECK(r->head.get("x-answer") == "42");
    const auto got = seen.take();
    CHECK(got.method == "POST");
    CHECK(got.target == "//twice/../up?q=%2F");
    CHECK(got.body == c.body);
    CHECK(got.head.get("content-type") == "application/json");
    c.method = "DELETE", c.body.clear();
    REQUIRE(client.fetch_now(c));
    CHECK(seen.take().method == "DELETE");
}

TEST_CASE("redirects are answers, not orders") {
    http::handler h;
    h.answer = [](http::request, http::responder tell) { tell({302, http::headers{{{"Location", "/elsewhere"}}}, ""}); };
    const http::server door({}, h);
    http::client client(local());
    CHECK(code_of(client.fetch_now(to(door.port()))) == "answered 302");
    CHECK(soon([&] { return door.so_far().answered == 1; })); // counted when the answer is with the kernel, and that may be after it was read
}

TEST_CASE("many calls go at once over kept connections") {
    http::handler h;
    h.answer = [](http::request r, http::responder tell) { tell({200, {}, r.path}); };
    const http::server door({}, h);
    http::client client(local());
    inbox<std::string> told;
    for (int i = 0; i < 500; ++i)
        client.fetch(to(door.port(), "/" + std::to_string(i)), [&](auto r) { told.put(r ? r->body : r.error().code); });
    std::vector<std::string> all;
    for (int i = 0; i < 500; ++i) all.push_back(told.take());
    std::sort(all.begin(), all.end());
    CHECK(std::unique(all.begin(), all.end()) == all.end());
    CHECK(all.front() == "/0");
    CHECK(door.so_far().accepted <= 64);
}

TEST_CASE("an answer is bounded, in head and body, declared or not") {
    http::handler h;
    h.answer = [](http::request r, http::responder tell) {
        if (r.path == "/head") tell({200, http::headers{{{"X", std::string(70'000, 'x')}}}, ""});
        else tell({200, {}, std::string(2000, 'x')});
    };
    const http::server door({}, h);
    const rogue endless([](int c) {
        rogue::read_head(c);
        rogue::write(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + std::string(5000, 'x'));
    });
    http::client client(local());
    auto c = to(door.port());
    c.largest_answer = 1999;
    CHECK(code_of(client.fetch_now(c)) == "http_too_large");
    c.largest_answer = 2000;
    CHECK(code_of(client.fetch_now(c)) == "answered 200");
    CHECK(code_of(client.fetch_now(to(door.port(), "/head"))) == "http_too_large");
    c = to(endless.port());
    c.largest_answer = 4000;
    CHECK(code_of(client.fetch_now(c)) == "http_too_large");
}

TEST_CASE("what did not happen is told from what may have") {
    std::uint16_t closed_port = 0;
    {
        const rogue gone([](int) {});
        closed_port = gone.port();
    }
    inbox<int> silent;
    const rogue breaks([](int c) { rogue::read_head(c); });
    const rogue truncates([](int c) {
        rogue::read_head(c);
        rogue::write(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    });
    const rogue never([&](int c) {
        rogue::read_head(c);
        char byte;
        (void)!::recv(c, &byte, 1, 0); // until the client gives up
    });
    http::client client(local());
    CHECK(code_of(client.fetch_now(to(closed_port))) == "http_unreachable");
    CHECK(code_of(client.fetch_now(to(breaks.port()))) == "http_broken");
    CHECK(code_of(client.fetch_now(to(truncates.port()))) == "http_broken");
    auto c = to(never.port());
    c.within = 200ms;
    CHECK(code_of(client.fetch_now(c)) == "http_timeout");
    c = to(0);
    c.url = "https://127.0.0.1:" + std::to_string(breaks.port()); // no TLS there: no request was sent
    CHECK(code_of(client.fetch_now(c)) == "http_unreachable");
}

TEST_CASE("a body is handed over as it comes, and none of it is gathered") {
    constexpr std::size_t piece = 64 * 1024, pieces = 64;
    http::handler h;
    h.answer = [](http::request r, http::responder tell) {
        http::response out{r.path == "/gone" ? 404u : 200u, {}, "begin"};
        out.more = [left = pieces, breaks = r.path == "/breaks"]() mutable -> result<std::string> {
            if (breaks && left == 1) return refusal{"disk_error", "no more"};
            return left-- > 0 ? std::string(piece, 'x') : std::string();
        };
        tell(std::move(out));
    };
    const http::server door({}, h);
    http::client client(local());
    std::size_t taken = 0, largest = 0;
    const auto taking = [&](const char* target) {
        taken = largest = 0;
        auto c = to(door.port(), target);
        c.largest_answer = 5 + piece * pieces;
        c.take = [&](std::string_view part) -> result<void> { return taken += part.size(), largest = std::max(largest, part.size()), result<void>(); };
        return c;
    };
    auto said = client.fetch_now(taking("/"));
    REQUIRE(said);
    CHECK(said->status == 200);
    CHECK(said->body.empty());
    CHECK(taken == 5 + piece * pieces);
    CHECK(largest <= piece); // of libcurl's own, far below the whole
    auto c = taking("/");
    --c.largest_answer;
    CHECK(code_of(client.fetch_now(c)) == "http_too_large");
    CHECK(taken < 5 + piece * pieces);
    CHECK(code_of(client.fetch_now(taking("/breaks"))) == "http_broken");
    c = taking("/");
    c.take = [&](std::string_view part) -> result<void> {
        if ((taken += part.size()) > piece) return refusal{"enough", "no more of it"};
        return {};
    };
    CHECK(code_of(client.fetch_now(c)) == "enough");
    CHECK(taken <= 2 * piece);
    said = client.fetch_now(taking("/gone")); // why not is for whoever asked, not for who takes bodies
    REQUIRE(said);
    CHECK(said->status == 404);
    CHECK(said->body.size() == 5 + piece * pieces);
    CHECK(taken == 0);
}

TEST_CASE("a request that may have had an effect is never sent twice by itself") {
    // The first answer keeps the connection, the second request on it is swallowed: libcurl alone would repeat it.
    std::atomic<int> posts{0};
    const rogue forgetful([&](int c) {
        if (rogue::read_head(c).empty()) return;
        ++posts;
        rogue::write(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        if (!rogue::read_head(c).empty()) ++posts;
    });
    http::client client(local());
    auto c = to(forgetful.port());
    c.method = "POST";
    CHECK(code_of(client.fetch_now(c)) == "answered 200");
    CHECK(code_of(client.fetch_now(c)) == "http_broken");
    CHECK(posts == 2);
}

TEST_CASE("private addresses are not called, by whatever name; the operator's own names are") {
    http::handler h;
    h.answer = [](http::request r, http::responder tell) { tell({200, {}, std::string(r.head.get("Host"))}); };
    const http::server door({}, h);
    const auto port = std::to_string(door.port());
    http::client_options strict;
    strict.hosts["relay.example"] = "127.0.0.1:" + port;
    http::client client(strict);
    for (const auto* host : {"127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "0.0.0.0", "any.localhost"}) {
        CAPTURE(host);
        http::call c;
        c.url = std::string("http://") + host + ":" + port + "/";
        CHECK(code_of(client.fetch_now(c)) == "private_address");
    }
    http::call c;
    c.url = "http://RELAY.example:81/";
    const auto r = client.fetch_now(c);
    REQUIRE(r);
    CHECK(r->body == "RELAY.example:81");
    CHECK(door.so_far().accepted == 1);
}

TEST_CASE("which addresses are private") {
    for (const auto* yes : {"0.1.2.3",
                            "10.0.0.1",
                            "100.64.0.1",
                            "127.255.255.255",
                            "169.254.169.254",
                            "172.16.0.1",
                            "172.31.255.255",
                            "192.168.1.1",
                            "198.18.0.1",
                            "224.0.0.1",
                            "255.255.255.255",
                            "::",
                            "::1",
                            "fe80::1",
                            "fc00::1",
                            "fdff::1",
                            "ff02::1",
                            "::ffff:10.0.0.1",
                            "64:ff9b::7f00:1",
                            "2002:7f00:1::",
                            "2001::1"}) {
        CAPTURE(yes);
        CHECK(is_private(yes));
    }
    for (const auto* no : {"1.1.1.1", "8.8.8.8", "172.15.0.1", "172.32.0.1", "100.128.0.1", "198.20.0.1", "223.255.255.255",
                           "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::"}) {
        CAPTURE(no);
        CHECK_FALSE(is_private(no));
    }
}

TEST_CASE("what is no http URL, or no header line, is refused before anything is sent") {
    http::client client(local());
    for (const auto* url : {"", "file:///etc/passwd", "gopher://h/", "ftp://h/", "http://", "http://user:pass@h/", "http://h/a b",
                            "http://h/\r\nX: y", "/path"}) {
        CAPTURE(url);
        http::call c;
        c.url = url;
        CHECK(code_of(client.fetch_now(c)) == "bad_url");
    }
    auto c = to(1);
    c.head.all.emplace_back("X-A", "b\r\nX-C: d");
    CHECK(code_of(client.fetch_now(c)) == "bad_header");
    c = to(1);
    c.method = "GET / HTTP/1.1\r\nX:";
    CHECK(code_of(client.fetch_now(c)) == "bad_header");
}

TEST_CASE("a client that goes tells every call so") {
    const rogue never([&](int c) {
        rogue::read_head(c);
        char byte;
        (void)!::recv(c, &byte, 1, 0);
    });
    inbox<std::string> told;
    {
        http::client client(local());
        for (int i = 0; i < 5; ++i) client.fetch(to(never.port()), [&](auto r) { told.put(code_of(r)); });
    }
    for (int i = 0; i < 5; ++i) CHECK(told.take() == "client_closed");
}

TEST_CASE("a stream client comes back after its host did, and asks for the URL again") {
    inbox<std::shared_ptr<http::stream>> opened;
    inbox<std::string> targets, states, heard;
    http::handler h;
    h.answer = [](http::request, http::responder tell) { tell({404, {}, ""}); };
    h.upgrade = [&](const http::request& r, std::shared_ptr<http::stream> s) -> std::variant<http::stream_handler, http::response> {
        targets.put(r.target);
        s->send("here");
        opened.put(s);
        return http::stream_handler{[](std::string) {}, [] {}, {}};
    };
    http::server_options o;
    auto door = std::make_unique<http::server>(o, h);
    o.port = door->port();
    int asked = 0;
    const http::stream_client watch(
        local(), {[&] { return "ws://localhost:" + std::to_string(o.port) + "/?cursor=" + std::to_string(++asked); },
                  [&](std::string t) { heard.put(std::move(t)); },
                  [&](bool up, std::string why) {
                      states.put(up ? "up" : why.empty() ? "no reason" : "down");
                  }});
    CHECK(states.take() == "up");
    CHECK(heard.take() == "here");
    CHECK(targets.take() == "/?cursor=1");
    door.reset();
    CHECK(states.take() == "down");
    door = std::make_unique<http::server>(o, h);
    std::string state;
    while ((state = states.take()) == "down") {}
    CHECK(state == "up");
    CHECK(targets.take().starts_with("/?cursor="));
}

TEST_CASE("a stream client does not call private addresses either") {
    inbox<std::string> states;
    const http::stream_client watch(
        {}, {[] { return std::string("ws://localhost:1/"); }, [](std::string) {}, [&](bool, std::string why) { states.put(why); }});
    CHECK(states.take().starts_with("private_address"));
}

} // TEST_SUITE
