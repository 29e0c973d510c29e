#include "loopback.hpp"

#include <fstream>
#include <thread>

#include <sys/resource.h>
#include <sys/stat.h>

#include <souk/backends/http/client.hpp>
#include <souk/backends/http/server.hpp>

using namespace souk;
using namespace loopback;

namespace {

http::handler greeter() {
    http::handler h;
    h.answer = [](http::request r, http::responder tell) { tell(http::json_response(200, "{\"path\":\"" + r.path + "\"}")); };
    return h;
}
http::server_options on_loopback() { return {}; }

// Echoes what it hears; says "hello" at once.
http::handler echo(inbox<std::shared_ptr<http::stream>>* opened = nullptr, inbox<std::string>* closed = nullptr) {
    auto h = greeter();
    h.upgrade = [=](const http::request&, std::shared_ptr<http::stream> s) -> std::variant<http::stream_handler, http::response> {
        s->send("hello");
        if (opened) opened->put(s);
        return http::stream_handler{[s](std::string text) { s->send("echo " + text); },
                                    [closed] {
                                        if (closed) closed->put("closed");
                                    },
                                    {}};
    };
    return h;
}
const std::string upgrade_request = "GET /subscribe HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

} // namespace

TEST_SUITE("http door") {

TEST_CASE("a request is handed over in parts, and many go over one connection") {
    inbox<http::request> seen;
    http::handler h;
    h.answer = [&](http::request r, http::responder tell) {
        seen.put(r);
        tell({200, {}, r.body + "!"});
    };
    const http::server door(on_loopback(), h);
    raw c(door.port());
    c.say("POST //a%2Fb?x=1%202&y=a+b&x=3 HTTP/1.1\r\nHost: h\r\nX-One: 1\r\nContent-Length: 4\r\n\r\nbody");
    CHECK(c.hear("body!").starts_with("HTTP/1.1 200 OK\r\n"));
    const auto r = seen.take();
    CHECK(r.method == "POST");
    CHECK(r.target == "//a%2Fb?x=1%202&y=a+b&x=3");
    CHECK(r.path == "//a%2Fb");
    CHECK(r.param("x") == "1 2");
    CHECK(r.param("y") == "a b");
    CHECK(r.query.size() == 3);
    CHECK(r.head.get("x-one") == "1");
    CHECK(r.peer == "127.0.0.1");
    // Two at once, the second before the first is answered; the last says that it is the last.
    c.say(
        "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: "
        "close\r\n\r\n2\r\nab\r\n0\r\n\r\n");
    const auto all = c.hear();
    CHECK(all.find("ab!") != all.npos);
    CHECK(all.find("Connection: close") != all.npos);
    CHECK(door.so_far().answered == 3);
    CHECK(door.so_far().accepted == 1);
}

TEST_CASE("an answer may come later and from another thread, and only the first counts") {
    inbox<http::responder> waiting;
    http::handler h;
    h.answer = [&](http::request, http::responder tell) { waiting.put(std::move(tell)); };
    const http::server door(on_loopback(), h);
    raw c(door.port());
    c.say("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    std::thread([tell = waiting.take()] {
        tell({200, {}, "first"});
        tell({200, {}, "second"});
    }).join();
    CHECK(c.hear("first").ends_with("first"));
    c.say("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    { const auto dropped = waiting.take(); }
    CHECK(c.hear("}").starts_with("HTTP/1.1 500 "));
}

TEST_CASE("a handler that does not answer becomes a 504, one that throws a 500, and the connection goes on") {
    auto o = on_loopback();
    o.limits.answer_within = 100ms;
    inbox<http::responder> waiting;
    http::handler h;
    h.answer = [&](http::request r, http::responder tell) {
        if (r.path == "/throws") throw std::runtime_error("a secret");
        if (r.path == "/slow") waiting.put(std::move(tell));
        else tell({200, {}, "fine."});
    };
    const http::server door(o, h);
    raw c(door.port());
    CHECK(c.say("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").hear("}").starts_with("HTTP/1.1 504 "));
    waiting.take()({200, {}, "too late"});
    const auto failed = c.say("GET /throws HTTP/1.1\r\nHost: h\r\n\r\n").hear("}");
    CHECK(failed.starts_with("HTTP/1.1 500 "));
    CHECK(failed.find("secret") == failed.npos);
    CHECK(c.say("GET / HTTP/1.1\r\nHost: h\r\n\r\n").hear("fine.").starts_with("HTTP/1.1 200 "));
    CHECK(door.so_far().timed_out == 1);
}

TEST_CASE("a silent connection, an endless head and a dripping body are ended in time") {
    auto o = on_loopback();
    o.limits.head_within = 500ms, o.limits.body_within = 500ms, o.limits.idle = 500ms;
    const http::server door(o, greeter());
    raw silent(door.port()), dripping(door.port()), half(door.port()), kept(door.port());
    dripping.say("GET / HTTP/1.1\r\nHost: h\r\nX-");
    half.say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf");
    kept.say("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK(silent.hear().empty());
    CHECK(dripping.hear().starts_with("HTTP/1.1 408 "));
    CHECK(half.hear().starts_with("HTTP/1.1 408 "));
    CHECK(kept.hear().starts_with("HTTP/1.1 200 "));
    CHECK(door.so_far().timed_out == 3); // one that was served and then idle is no offence
    CHECK(soon([&] { return door.so_far().open == 0; }));
}

TEST_CASE("a head or a body over the limit is refused before it is read") {
    auto o = on_loopback();
    o.limits.head_bytes = 4096, o.limits.body_bytes = 1000;
    const http::server door(o, greeter());
    raw head(door.port()), declared(door.port()), chunked(door.port());
    CHECK(head.say("GET / HTTP/1.1\r\nHost: h\r\nX-Long: " + std::string(8192, 'x')).hear().starts_with("HTTP/1.1 431 "));
    CHECK(declared.say("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n").hear().starts_with("HTTP/1.1 413 "));
    chunked.say("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    chunked.say("500\r\n" + std::string(0x500, 'x') + "\r\n");
    CHECK(chunked.hear().starts_with("HTTP/1.1 413 "));
    raw extension(door.port());
    extension.say("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;" + std::string(200'000, 'x'));
    const auto heard = extension.hear();
    CAPTURE(heard);
    CHECK(heard.starts_with("HTTP/1.1 400 "));
    CHECK(door.so_far().oversized == 4);
}

TEST_CASE("what is not one clear request is refused") {
    const http::server door(on_loopback(), greeter());
    const char* all[] = {
        "nonsense\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",                                                                         // no Host
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",                                                   // two
        "GET path HTTP/1.1\r\nHost: h\r\n\r\n",                                                           // no path
        "GET /?a=%zz HTTP/1.1\r\nHost: h\r\n\r\n",                                                        // a bad escape
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", // two lengths
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",               // two others
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n folded: x\r\n\r\n\x01",
    };
    for (const auto* one : all) {
        CAPTURE(one);
        const auto heard = raw(door.port()).say(one).hear();
        if (std::string(one).find("folded") == std::string::npos) CHECK(heard.starts_with("HTTP/1.1 400 "));
    }
    CHECK(door.so_far().malformed >= std::size(all) - 1);
}

TEST_CASE("a handler's header line cannot become two") {
    http::handler h;
    h.answer = [](http::request, http::responder tell) { tell({200, http::headers{{{"X-A", "b\r\nX-C: d"}}}, "body"}); };
    const http::server door(on_loopback(), h);
    const auto heard = raw(door.port()).say("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").hear();
    CHECK(heard.starts_with("HTTP/1.1 500 "));
    CHECK(heard.find("X-C") == heard.npos);
}

TEST_CASE("HEAD has a length and no body, 1.0 closes, 100-continue is answered") {
    const http::server door(on_loopback(), greeter());
    const auto head = raw(door.port()).say("HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").hear();
    CHECK(head.find("Content-Length: 12\r\n") != head.npos);
    CHECK(head.ends_with("\r\n\r\n"));
    CHECK(raw(door.port()).say("GET / HTTP/1.0\r\n\r\n").hear().ends_with("{\"path\":\"/\"}"));
    raw waits(door.port());
    waits.say("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    CHECK(waits.hear("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
    CHECK(waits.say("ab").hear("}").starts_with("HTTP/1.1 200 "));
}

TEST_CASE("two thousand idle connections leave other clients served") {
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    REQUIRE(files.rlim_cur >= 4500);
    auto o = on_loopback();
    o.limits.connections_per_peer = 4096; // here all peers have one address
    const http::server door(o, greeter());
    std::vector<raw> idle;
    for (int i = 0; i < 2000; ++i) idle.emplace_back(door.port()).say("GET / HT");
    REQUIRE(soon([&] { return door.so_far().open == 2000; }));
    const auto before = std::chrono::steady_clock::now();
    CHECK(raw(door.port()).say("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").hear().starts_with("HTTP/1.1 200 "));
    CHECK(std::chrono::steady_clock::now() - before < 5s);
}

TEST_CASE("one address, and all together, hold only so many connections") {
    auto o = on_loopback();
    o.limits.connections_per_peer = 3;
    const http::server door(o, greeter());
    std::vector<raw> held;
    for (int i = 0; i < 3; ++i) held.emplace_back(door.port());
    REQUIRE(soon([&] { return door.so_far().open == 3; }));
    CHECK(raw(door.port()).hear().empty());
    CHECK(door.so_far().refused == 1);
    held.pop_back();
    REQUIRE(soon([&] { return door.so_far().open == 2; }));
    CHECK(raw(door.port()).say("GET / HTTP/1.0\r\n\r\n").hear().starts_with("HTTP/1.1 200 "));
}

TEST_CASE("a port in use is a clear error") {
    const http::server first(on_loopback(), greeter());
    auto o = on_loopback();
    o.port = first.port();
    const auto wanted = "cannot listen on 127.0.0.1:" + std::to_string(o.port) + ": the port is in use by another process";
    CHECK_THROWS_WITH_AS(http::server(o, greeter()), wanted.c_str(), std::runtime_error);
    o.address = "no address";
    CHECK_THROWS_AS(http::server(o, greeter()), std::runtime_error);
}

TEST_CASE("a unix socket is its owner's alone, survives a kill, and is not taken from a living process") {
    const directory home;
    auto o = on_loopback();
    o.unix_socket = home / "door.sock";
    {
        const int dead = ::socket(AF_UNIX, SOCK_STREAM, 0); // what a killed process leaves
        sockaddr_un at{};
        at.sun_family = AF_UNIX;
        o.unix_socket.string().copy(at.sun_path, sizeof at.sun_path - 1);
        REQUIRE(::bind(dead, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
        ::close(dead);
    }
    {
        const http::server door(o, greeter());
        struct stat is{};
        REQUIRE(::stat(o.unix_socket.c_str(), &is) == 0);
        CHECK((is.st_mode & 0777) == 0600);
        CHECK_THROWS_AS(http::server(o, greeter()), std::runtime_error);
        http::client client;
        http::call c;
        c.url = "http://node/here", c.unix_socket = o.unix_socket;
        const auto answer = client.fetch_now(c);
        REQUIRE(answer);
        CHECK(answer->body == "{\"path\":\"/here\"}");
    }
    CHECK_FALSE(std::filesystem::exists(o.unix_socket));
    { std::ofstream(o.unix_socket) << "mine"; }
    CHECK_THROWS_AS(http::server(o, greeter()), std::runtime_error);
}

TEST_CASE("several threads share the connections") {
    auto o = on_loopback();
    o.threads = 3;
    const http::server door(o, greeter());
    std::vector<std::thread> clients;
    std::atomic<int> good{0};
    for (int i = 0; i < 6; ++i)
        clients.emplace_back([&] {
            raw c(door.port());
            for (int j = 0; j < 50; ++j) good += c.say("GET / HTTP/1.1\r\nHost: h\r\n\r\n").hear("}").starts_with("HTTP/1.1 200 ");
        });
    for (auto& c : clients) c.join();
    CHECK(good == 300);
}

TEST_CASE("a door closes with answers outstanding and streams open, and late words are harmless") {
    inbox<http::responder> waiting;
    inbox<std::shared_ptr<http::stream>> opened;
    inbox<std::string> closed;
    auto h = echo(&opened, &closed);
    h.answer = [&](http::request, http::responder tell) { waiting.put(std::move(tell)); };
    auto door = std::make_unique<http::server>(on_loopback(), h);
    raw c(door->port()), ws(door->port());
    c.say("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    ws.say(upgrade_request);
    ws.hear("hello");
    const auto tell = waiting.take();
    const auto stream = opened.take();
    door.reset();
    CHECK(closed.take() == "closed");
    tell({200, {}, "late"});
    stream->send("late");
    stream->close("late");
    CHECK(c.hear().empty());
}

} // TEST_SUITE

TEST_SUITE("http stream") {

TEST_CASE("a stream carries both ways; what is sent before it is open arrives first") {
    inbox<std::string> closed;
    const http::server door(on_loopback(), echo(nullptr, &closed));
    inbox<std::string> heard, states;
    http::client_options mine;
    mine.allow_private = true;
    {
        const http::stream_client watch(
            mine, {[&] { return "ws://127.0.0.1:" + std::to_string(door.port()) + "/s"; }, [&](std::string t) { heard.put(t); },
                   [&](bool up, std::string) { states.put(up ? "up" : "down"); }});
        CHECK(states.take() == "up");
        CHECK(heard.take() == "hello");
    }
    CHECK(closed.take() == "closed");
    raw c(door.port());
    c.say(upgrade_request);
    const auto first = c.hear("hello");
    CHECK(first.starts_with("HTTP/1.1 101 "));
    c.say(std::string("\x81\x82", 2) + std::string(4, '\0') + "ok"); // a masked text frame
    CHECK(c.hear("echo ok").find("echo ok") != std::string::npos);
}

TEST_CASE("a reader that stops reading is cut off, and others are not") {
    inbox<std::shared_ptr<http::stream>> opened;
    inbox<std::string> closed;
    auto o = on_loopback();
    o.limits.stream_queue_bytes = 256 * 1024;
    const http::server door(o, echo(&opened, &closed));
    raw stuck(door.port());
    stuck.say(upgrade_request);
    const auto to_stuck = opened.take();
    raw good(door.port());
    good.say(upgrade_request);
    const auto to_good = opened.take();
    good.hear("hello");
    const std::string line(16 * 1024, 'x');
    REQUIRE(soon([&] {
        to_stuck->send(line);
        return door.so_far().cut_off == 1;
    }));
    CHECK(closed.take() == "closed");
    to_stuck->send("for nobody");
    CHECK(to_stuck->queued() == 0);
    to_good->send("still here");
    CHECK(good.hear("still here").ends_with("still here"));
}

TEST_CASE("a reader that takes nothing is cut off by time too") {
    inbox<std::shared_ptr<http::stream>> opened;
    auto o = on_loopback();
    o.limits.stream_write_within = 200ms, o.limits.stream_queue_bytes = 64 << 20;
    const http::server door(o, echo(&opened));
    raw stuck(door.port());
    stuck.say(upgrade_request);
    opened.take()->send(std::string(32 << 20, 'x')); // more than the kernel's buffers
    CHECK(soon([&] { return door.so_far().cut_off == 1; }));
}

TEST_CASE("a message over the limit ends the stream; a refused upgrade is an answer; a close says why") {
    inbox<std::shared_ptr<http::stream>> opened;
    auto o = on_loopback();
    o.limits.stream_message_bytes = 10;
    auto h = echo(&opened);
    const http::server door(o, h);
    {
        raw big(door.port());
        big.say(upgrade_request).hear("hello");
        big.say(std::string("\x81\x8b", 2) + std::string(4, '\0') + "eleven char").hear();
    }
    CHECK(soon([&] { return door.so_far().oversized == 1; }));
    opened.take();
    raw told(door.port());
    told.say(upgrade_request).hear("hello");
    opened.take()->close("the node is stopping");
    CHECK(told.hear("the node is stopping").find("the node is stopping") != std::string::npos);
    const http::server plain(on_loopback(), greeter());
    CHECK(raw(plain.port()).say(upgrade_request).hear("}").starts_with("HTTP/1.1 400 "));
}

TEST_CASE("readers who take nothing hold no more than the total, and cost those who read nothing") {
    inbox<std::shared_ptr<http::stream>> opened;
    auto o = on_loopback();
    o.limits.stream_total_bytes = 1 << 20;
    const http::server door(o, echo(&opened));
    std::vector<raw> stuck;
    std::vector<std::shared_ptr<http::stream>> to;
    for (int i = 0; i < 4; ++i) {
        stuck.emplace_back(door.port()).say(upgrade_request);
        to.push_back(opened.take());
    }
    raw good(door.port());
    good.say(upgrade_request).hear("hello");
    const auto to_good = opened.take();
    REQUIRE(soon([&] {
        for (const auto& s : to) s->send(std::string(16 * 1024, 'x')); // one of his own for each
        REQUIRE(door.so_far().stream_bytes <= 1 << 20);
        return door.so_far().cut_off >= 1;
    }));
    to_good->send("still here");
    CHECK(good.hear("still here").ends_with("still here"));
    CHECK(soon([&] { return door.so_far().streams == 5 - door.so_far().cut_off; }));
}

TEST_CASE("what is sent to many is held once, and each of them gets all of it") {
    inbox<std::shared_ptr<http::stream>> opened;
    const http::server door(on_loopback(), echo(&opened));
    std::vector<raw> readers;
    const auto text = std::make_shared<const std::string>(std::string(3 << 20, 'x') + "end"); // more than the kernel takes
    for (int i = 0; i < 8; ++i) {
        readers.emplace_back(door.port()).say(upgrade_request).hear("hello");
        opened.take()->send(text);
    }
    CHECK(soon([&] { return text.use_count() > 8; }));
    CHECK(door.so_far().stream_bytes >= text->size());
    CHECK(door.so_far().stream_bytes < text->size() + 10'000);
    for (auto& r : readers) CHECK(r.hear("end").size() >= text->size());
    CHECK(soon([&] { return door.so_far().stream_bytes == 0; }));
    CHECK(soon([&] { return text.use_count() == 1; }));
}

TEST_CASE("when a door is full, the address that holds most of it makes room, but not for what it is being served") {
    http::responder answer;
    inbox<int> asked;
    auto o = on_loopback();
    o.limits.connections = 3;
    http::handler h;
    h.answer = [&](http::request r, http::responder tell) {
        if (r.path != "/slow") return tell({200, {}, "quick"});
        answer = std::move(tell);
        asked.put(1);
    };
    const http::server door(o, h);
    raw served(door.port()), first(door.port()), second(door.port());
    served.say("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n");
    asked.take();
    REQUIRE(soon([&] { return door.so_far().open == 3; }));
    CHECK(raw(door.port()).hear().empty()); // one more of the same address: no
    CHECK(door.so_far().refused == 1);
    raw other(door.port(), "127.0.0.2");
    CHECK(other.say("GET / HTTP/1.1\r\nHost: h\r\n\r\n").hear("quick").ends_with("quick"));
    CHECK(first.hear().empty()); // the oldest that waited for nothing
    CHECK(second.open());
    CHECK(door.so_far().refused == 2);
    answer({200, {}, "slow"});
    CHECK(served.hear("slow").ends_with("slow"));
}

TEST_CASE("a reader for whom there is no place is told so, and asks in vain only while those who have one share them fairly") {
    inbox<std::shared_ptr<http::stream>> opened;
    inbox<std::string> closed;
    auto o = on_loopback();
    o.limits.streams = 2;
    const http::server door(o, echo(&opened, &closed));
    raw one(door.port()), two(door.port()), three(door.port());
    one.say(upgrade_request).hear("hello"), two.say(upgrade_request).hear("hello");
    CHECK(three.say(upgrade_request).hear("}").starts_with("HTTP/1.1 503 ")); // the same address
    CHECK(closed.take() == "closed");
    CHECK(door.so_far().refused == 1);
    CHECK(door.so_far().streams == 2);
    CHECK(three.say("GET /x HTTP/1.1\r\nHost: h\r\n\r\n").hear("}").find("200 OK") != std::string::npos); // he may still ask
}

TEST_CASE("drained is told when all is with the kernel, so that a long replay never fills the queue") {
    auto o = on_loopback();
    o.limits.stream_queue_bytes = 64 * 1024;
    auto h = greeter();
    auto left = std::make_shared<int>(400); // 400 pieces of 4 KiB: much more than the queue holds
    h.upgrade = [=](const http::request&, std::shared_ptr<http::stream> s) -> std::variant<http::stream_handler, http::response> {
        const auto pump = [=] {
            while (*left > 0 && s->queued() < 32 * 1024) s->send(std::string(4096, --*left ? 'x' : 'z'));
        };
        pump();
        return http::stream_handler{[](std::string) {}, [] {}, pump};
    };
    const http::server door(o, h);
    raw c(door.port());
    CHECK(c.say(upgrade_request).hear("zzzz").size() > 399 * 4096);
    CHECK(door.so_far().cut_off == 0);
}

} // TEST_SUITE
