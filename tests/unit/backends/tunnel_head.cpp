#include <doctest/doctest.h>

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/empty_body.hpp>

#include <souk/backends/tunnel/head.hpp>

using namespace souk;
using namespace souk::tunnel;

namespace {

struct parsed {
    http::request_parser<http::empty_body> p;
    explicit parsed(const std::string& text) {
        boost::system::error_code e;
        p.body_limit(boost::none);
        p.put(boost::asio::buffer(text), e);
        REQUIRE_MESSAGE(p.is_header_done(), e.message());
    }
    result<request_plan> plan() const {
        const auto n = p.content_length();
        return plan_of(p.get(), p.chunked(), n.has_value(), n.value_or(0));
    }
};

std::string forwarded(const std::string& text) {
    const parsed r(text);
    return upstream_head(r.p.get(), r.plan().value(), "192.0.2.7");
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

} // namespace

TEST_CASE("a visitor's Host leads to one label, or nowhere") {
    CHECK(label_of("svc--alice.localhost", "localhost").value() == "svc--alice");
    CHECK(label_of("SVC--Alice.LocalHost:8443", "localhost").value() == "svc--alice");
    CHECK(label_of("a.relay.example.", "relay.example").value() == "a");
    CHECK(label_of("localhost", "localhost").error().code == "unknown_name");
    CHECK(label_of("a.b.localhost", "localhost").error().code == "unknown_name");
    CHECK(label_of("a.example.com", "localhost").error().code == "unknown_name");
    CHECK(label_of(".localhost", "localhost").error().code == "unknown_name");
    for (const auto* host : {"", "a b.localhost", "a.localhost:", "a.localhost:99999999", "a.localhost:x", "[::1]", "a/b.localhost", "ä.localhost"}) {
        INFO(host);
        CHECK(label_of(host, "localhost").error().code == "bad_host");
    }
}

TEST_CASE("the service sees who visits, and nothing that the visitor pretends") {
    const auto head = forwarded("GET /a?b=c HTTP/1.1\r\nHost: s--a.localhost:1\r\nX-Forwarded-For: 10.9.8.7\r\nx-forwarded-proto: http\r\n"
                                "X-Real-IP: 1.1.1.1\r\nForwarded: for=1.1.1.1\r\nAccept: */*\r\nCookie: a=b\r\n\r\n");
    CHECK(head == "GET /a?b=c HTTP/1.1\r\nHost: s--a.localhost:1\r\nAccept: */*\r\nCookie: a=b\r\nConnection: close\r\nX-Forwarded-For: 192.0.2.7\r\n"
                  "X-Forwarded-Proto: https\r\nX-Forwarded-Host: s--a.localhost:1\r\n\r\n");
}

TEST_CASE("fields of the visitor's connection end at the broker") {
    const auto head = forwarded("GET / HTTP/1.1\r\nHost: s--a.localhost\r\nConnection: keep-alive, X-Mine, Host, X-Forwarded-For\r\nX-Mine: 1\r\nKeep-Alive: 5\r\n"
                                "TE: trailers\r\nProxy-Connection: x\r\nProxy-Authorization: y\r\nX-Other: 2\r\n\r\n");
    CHECK(!has(head, "X-Mine"));
    CHECK(!has(head, "Keep-Alive"));
    CHECK(!has(head, "TE:"));
    CHECK(!has(head, "Proxy-"));
    CHECK(has(head, "X-Other: 2\r\n"));
    CHECK(has(head, "Host: s--a.localhost\r\n"));
    CHECK(has(head, "X-Forwarded-For: 192.0.2.7\r\n"));
}

TEST_CASE("a body's end is what the broker read, whatever Connection names") {
    CHECK(has(forwarded("POST / HTTP/1.1\r\nHost: a.b\r\nConnection: content-length\r\nContent-Length: 5\r\n\r\n"), "Content-Length: 5\r\n"));
    const auto chunked = forwarded("POST / HTTP/1.1\r\nHost: a.b\r\nConnection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n");
    CHECK(has(chunked, "Transfer-Encoding: chunked\r\n"));
    CHECK(!has(chunked, "Content-Length"));
}

TEST_CASE("an upgrade is passed on only when it is one") {
    const auto ws = forwarded("GET /w HTTP/1.1\r\nHost: a.b\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n");
    CHECK(has(ws, "Connection: Upgrade\r\nUpgrade: websocket\r\n"));
    CHECK(has(ws, "Sec-WebSocket-Key: k\r\n"));
    CHECK(!has(forwarded("GET /w HTTP/1.1\r\nHost: a.b\r\nUpgrade: h2c\r\n\r\n"), "Upgrade"));
    CHECK(parsed("GET / HTTP/1.1\r\nHost: a.b\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 3\r\n\r\n").plan().error().code == "bad_upgrade");
}

TEST_CASE("requests that two readers could understand in two ways are refused") {
    CHECK(parsed("GET / HTTP/1.1\r\n\r\n").plan().error().code == "bad_host");
    CHECK(parsed("GET / HTTP/1.1\r\nHost: a.b\r\nHost: c.d\r\n\r\n").plan().error().code == "bad_host");
    CHECK(parsed("GET http://c.d/ HTTP/1.1\r\nHost: a.b\r\n\r\n").plan().error().code == "bad_target");
    CHECK(parsed("CONNECT c.d:443 HTTP/1.1\r\nHost: a.b\r\n\r\n").plan().error().code == "bad_method");
    CHECK(parsed("OPTIONS * HTTP/1.1\r\nHost: a.b\r\n\r\n").plan().has_value());
}
