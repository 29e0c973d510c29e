// Strangers who have TLS up: ten thousand who then say nothing, or little, or got stuck on the way; and as many readers of the record stream as
// are let in, none of whom reads. Meanwhile others are served, and the node's memory stays within what backends/limits.hpp says.
#include <csignal>
#include <mutex>
#include <optional>

#include <souk/backends/records/network.hpp>

#include "secured.hpp"

using namespace hostile;

namespace {

std::size_t mib(std::size_t bytes) { return bytes >> 20; }

// Of a hundred, ninety complete the handshake: eighty-five of them are silent then, five drip a request's head. Five stop after their first
// message, five in the middle of it.
secured::habit idle_or_drip(std::size_t i) {
    secured::habit h;
    h.half_hello = i % 100 >= 95, h.hello_only = i % 100 >= 90 && !h.half_hello;
    h.drips = i % 100 >= 85 && i % 100 < 90;
    if (h.drips) h.says = "G";
    return h;
}

// Every second one wants all of history, and none reads any of it.
secured::habit reader_that_does_not_read(std::size_t i) {
    secured::habit h;
    h.says = std::string("GET /subscribe") + (i % 2 ? "?cursor=1" : "") +
             " HTTP/1.1\r\nHost: fort.localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    return h;
}

// An honest reader: what he was told, in the order in which he was told it.
class listener {
public:
    listener(const fort& f, std::int64_t cursor)
        : watch_(f.trusting(f.http), {"https://fort.localhost:" + std::to_string(f.http), {}, cursor},
                 [this](const stored_record& r) {
                     const std::lock_guard hold(guard_);
                     heard_.push_back(r.uri.rkey);
                 },
                 [this](bool up, const std::string&) {
                     const std::lock_guard hold(guard_);
                     ++(up ? ups_ : downs_);
                 }) {}
    std::size_t ups() const {
        const std::lock_guard hold(guard_);
        return ups_;
    }
    std::size_t downs() const {
        const std::lock_guard hold(guard_);
        return downs_;
    }
    std::vector<std::string> heard() const {
        const std::lock_guard hold(guard_);
        return heard_;
    }

private:
    mutable std::mutex guard_;
    std::vector<std::string> heard_;
    std::size_t ups_ = 0, downs_ = 0;
    record_watch watch_; // last: it tells the others
};
std::vector<std::string> names(int from, int to) {
    std::vector<std::string> all;
    for (int i = from; i < to; ++i) all.push_back(fmt::format("did:web:n{}.example", i));
    return all;
}

// A door of a node, and those before it. They are there, and an honest client has been served among them, when this is made.
class siege {
public:
    siege(std::string name, fort& f, std::uint16_t port, std::size_t strangers, std::size_t most, std::function<std::int64_t()> counted)
        : name_(std::move(name)), f_(f), port_(port), strangers_(strangers), most_(most), counted_(std::move(counted)) {
        REQUIRE(f_.status_of(port_) != 0);
        f_.forget_peak();
        before_ = f_.peak(), files_ = f_.descriptors(), counted_before_ = counted_(), began_ = steady::now();
        crowd_.emplace(port_, strangers_, secured::manner{idle_or_drip, 0});
        up_ = steady::now();
        for (; tried_ < 5; ++tried_) {
            look();
            served_ += f_.status_of(port_) != 0;
        }
    }
    bool gone() {
        look();
        if (!gone_ && crowd_->left() <= strangers_ / 100 && f_.descriptors() <= files_ + 8) gone_ = steady::now();
        return gone_.has_value();
    }
    void judge() {
        CAPTURE(name_);
        REQUIRE(f_.runs());
        const auto cost = f_.peak() - before_;
        CHECK(served_ + 1 >= tried_);
        CHECK(cost <= most_);
        CHECK(gone_.has_value());
        CHECK(counted_() > counted_before_);
        CHECK(f_.status_of(port_) != 0);
        MESSAGE(name_ << ": " << strangers_ << " strangers, " << crowd_->completed() << " handshakes in " << seconds(up_ - began_) << " s, at most " << most_files_ - files_ << " in at once, " << mib(cost)
                      << " MiB, " << served_ << " of " << tried_ << " served meanwhile, all gone after " << (gone_ ? seconds(*gone_ - began_) : -1) << " s, " << counted_() - counted_before_ << " counted");
    }

private:
    void look() { most_files_ = std::max(most_files_, f_.descriptors()); }
    static std::int64_t seconds(steady::duration d) { return std::chrono::duration_cast<std::chrono::seconds>(d).count(); }

    const std::string name_;
    fort& f_;
    const std::uint16_t port_;
    const std::size_t strangers_, most_;
    const std::function<std::int64_t()> counted_;
    std::size_t before_ = 0, files_ = 0, most_files_ = 0, served_ = 0, tried_ = 0;
    std::int64_t counted_before_ = 0;
    steady::time_point began_, up_;
    std::optional<steady::time_point> gone_;
    std::optional<secured> crowd_;
};

} // namespace

TEST_CASE("ten thousand who have TLS up cost little, keep nobody out, and are cut off") {
    std::signal(SIGPIPE, SIG_IGN); // theirs: they write to a node that has cut them off
    constexpr std::size_t at_http = 5'000; // it lets in 4,096
    const auto strangers = std::min(as_many_as_may_be(), as_many_as_may_be(at_http + wanted) - at_http);
    const most_memory most;
    fort one, two; // a node each, so that each has its memory for itself; the time of the first runs out while the second is besieged
    siege http("http with TLS up", one, one.http, at_http, most.http_secured, [&] { return one.counted("door", "timed_out"); });
    siege https("https with TLS up", two, two.https, strangers, most.https_secured, [&] { return two.counted("tunnels", "visitors"); });
    for (const auto end = steady::now() + patience; steady::now() < end; ::usleep(50'000)) {
        const bool first = http.gone(), second = https.gone();
        if (first && second) break;
    }
    http.judge();
    https.judge();
}

TEST_CASE("readers who never read cost a bounded sum, are cut off, and keep no record from those who do") {
    std::signal(SIGPIPE, SIG_IGN);
    constexpr std::size_t come = 3'000, size = 2'400; // a reason is no longer than its lexicon allows
    constexpr int history = 330, published = 1'000; // 2.4 MB: many times what the kernel holds for one
    fort f;
    const most_memory most;
    for (const auto& n : names(0, history)) REQUIRE(f.publish(n, size));
    listener first(f, 0);
    REQUIRE(f.soon([&] { return first.ups() == 1; }));
    f.forget_peak();
    const auto before = f.peak();
    const auto cut = f.counted("door", "cut_off");
    std::size_t most_held = 0;
    secured c(f.http, come, {reader_that_does_not_read, 4'096});
    const http::server_limits limits;
    CHECK(f.soon([&] { return static_cast<std::size_t>(f.counted("door", "readers")) >= limits.streams; }));
    const auto look = [&] { most_held = std::max(most_held, static_cast<std::size_t>(f.counted("door", "reader_bytes"))); };
    look();
    const auto readers = f.counted("door", "readers");
    listener second(f, 1); // comes when all places are taken, and wants all of it
    int i = history;
    for (const auto& n : names(history, published)) {
        REQUIRE(f.publish(n, size));
        if (i++ % 10 == 0) look();
        if (i % 40 == 0) CHECK(f.status_of(f.http) == 200);
    }
    CHECK(f.soon([&] { return look(), first.heard().size() >= published - history && second.heard().size() >= published; }));
    CHECK(first.heard() == names(history, published)); // in order, without a gap, and none twice
    CHECK(second.heard() == names(0, published));
    CHECK(f.soon([&] { return look(), f.counted("door", "readers") <= 2; }));
    REQUIRE(f.runs());
    CHECK(first.downs() == 0);
    CHECK(second.downs() == 0);
    CHECK(c.left(true) <= come);
    CHECK(most_held <= limits.stream_total_bytes);
    const auto cost = f.peak() - before;
    CHECK(cost <= most.readers);
    CHECK(static_cast<std::size_t>(f.counted("door", "cut_off") - cut) + 2 >= limits.streams);
    CHECK(f.counted("door", "refused") > 0);
    REQUIRE(f.publish("did:web:last.example", 10));
    CHECK(f.soon([&] { return first.heard().back() == "did:web:last.example" && second.heard().back() == "did:web:last.example"; }));
    MESSAGE("readers: " << come << " came, " << readers << " let in at once, " << mib(cost) << " MiB, of these at most " << most_held / 1024 << " KiB waiting for them, "
                        << f.counted("door", "cut_off") - cut << " cut off");
}
