#include <souk/backends/tunnel/visitor.hpp>

#include <array>
#include <cstdio>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <boost/beast/http/read.hpp>

namespace souk::tunnel {

namespace beast = boost::beast;

namespace {
constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t piece = 32 * 1024;
constexpr std::uint32_t answer_head_bytes = 64 * 1024; // cookies; a service may say more than a visitor
constexpr int interim_answers = 8;                     // 1xx before the real one

bool is_bad_http(error_code e) {
    return e && e.category() == http::make_error_code(http::error::bad_method).category() && e != http::error::end_of_stream &&
           e != http::error::partial_message;
}

std::array<char, 20> chunk_line(std::size_t n) {
    std::array<char, 20> line{};
    std::snprintf(line.data(), line.size(), "%zx\r\n", n);
    return line;
}
} // namespace

static_assert(beast::is_async_stream<channel>::value);

struct visitor::exchange {
    exchange(std::shared_ptr<session> s, const std::string& service, tcp::endpoint from) : tunnel(std::move(s), service, std::move(from)) {}
    channel tunnel;
    std::unique_ptr<request_parser> request;
    request_plan plan;
    std::string label;
    std::unique_ptr<response_parser> answer;
    beast::flat_buffer buffer; // from the service
    bool body_sent = false;    // the whole request has reached the tunnel
};

visitor::visitor(engine& e, socket s, std::shared_ptr<asio::ssl::context> tls, tcp::endpoint from)
    : engine_(e), strand_(s.get_executor()), tls_(std::move(tls)), socket_(std::move(s)), from_(std::move(from)), timer_(strand_) {}

visitor::~visitor() { engine_.visitors.leave(from_.address().to_string()); }

void visitor::start() {
    error_code e;
    wire().set_option(tcp::no_delay(true), e);
    within(engine_.options.limits.head);
    ++engine_.count.visitors;
    const auto self = shared_from_this();
    asio::co_spawn(strand_, [self]() -> asio::awaitable<void> { co_await self->run(); }, asio::detached);
    asio::co_spawn(strand_, [self]() -> asio::awaitable<void> { co_await self->watch(); }, asio::detached);
}

void visitor::abort() {
    asio::post(strand_, [self = shared_from_this()] { self->cut(); });
}

void visitor::cut() {
    error_code e;
    wire().close(e);
    if (const auto x = current_.lock()) x->tunnel.close();
    timer_.cancel();
}

// Ends a visit in which nothing has moved for too long.
asio::awaitable<void> visitor::watch() {
    while (!over_) {
        timer_.expires_at(deadline_);
        co_await timer_.async_wait(no_throw);
        if (!over_ && steady::now() < deadline_ && wire().is_open()) continue;
        break;
    }
    if (!over_) cut();
}

asio::awaitable<void> visitor::run() {
    for (int asked = 0;;) {
        const auto [silent] = co_await socket_.async_wait(socket::wait_read, no_throw);
        if (silent || over_) {
            over_ = true;
            cut();
            co_return;
        }
        if (tls::first_record_is_here(socket_.native_handle(), asked)) break;
    }
    stream_.emplace(std::move(socket_), tls_->native_handle());
    const auto [failed] = co_await stream_->async_handshake(no_throw);
    bool again = !failed;
    while (again) again = co_await one_request();
    co_await say_goodbye();
    over_ = true;
    cut();
}

asio::awaitable<void> visitor::say_goodbye() {
    if (!wire().is_open() || cut_short_) co_return;
    within(engine_.options.limits.linger);
    // Closing with bytes unread would reset the connection, and the refusal on its way with it.
    std::vector<char> rest(unread_ ? piece : 0);
    while (unread_) {
        const auto [e, n] = co_await stream_->async_read_some(asio::buffer(rest), no_throw);
        if (e) unread_ = false;
    }
    co_await stream_->async_shutdown(no_throw);
}

asio::awaitable<bool> visitor::send(asio::const_buffer b) {
    const auto [e, n] = co_await asio::async_write(*stream_, b, no_throw);
    still_alive();
    co_return !e;
}

asio::awaitable<void> visitor::refuse(unsigned status, std::string text, bool with_body) {
    ++engine_.count.refused_visitors;
    const auto answer = plain_answer(status, text, with_body);
    co_await send(asio::buffer(answer));
}

asio::awaitable<bool> visitor::one_request() {
    if (buffer_.size() == 0) buffer_.shrink_to_fit(); // he may say nothing for long
    auto parser = std::make_unique<request_parser>();
    parser->header_limit(static_cast<std::uint32_t>(engine_.options.limits.head_bytes));
    parser->body_limit(boost::none);
    waits_ = true;
    const auto [e, n] = co_await http::async_read_header(*stream_, buffer_, *parser, no_throw);
    waits_ = false;
    if (e == http::error::header_limit) {
        co_await refuse(431, "the request's head is larger than this door takes");
        co_return false;
    }
    if (is_bad_http(e)) {
        co_await refuse(400, "this is no HTTP/1.1 request: " + e.message());
        co_return false;
    }
    if (e) co_return false;
    const auto& head = parser->get();
    const bool with_body = head.method() != http::verb::head;
    const auto length = parser->content_length();
    unread_ = !parser->is_done();
    const auto plan = plan_of(head, parser->chunked(), length.has_value(), length.value_or(0));
    if (!plan) {
        co_await refuse(400, plan.error().text, with_body);
        co_return false;
    }
    const auto label = label_of(plan->host, engine_.options.domain);
    if (!label) {
        co_await refuse(label.error().code == "bad_host" ? 400 : 404, label.error().text, with_body);
        co_return false;
    }
    const auto tunnel = engine_.routes.route(*label);
    const auto service = tunnel ? tunnel->service_of(*label) : std::nullopt;
    if (!service) {
        co_await refuse(404, "no machine serves " + *label + " now: it was stopped, or its tunnel is down", with_body);
        co_return false;
    }
    const auto x = std::make_shared<exchange>(tunnel, *service, from_);
    x->request = std::move(parser), x->plan = *plan, x->label = *label;
    current_ = x;
    co_return co_await relay(x);
}

asio::awaitable<bool> visitor::relay(std::shared_ptr<exchange> x) {
    const bool with_body = x->request->get().method() != http::verb::head;
    within(engine_.options.limits.open * 2);
    const auto [closed, none] = co_await x->tunnel.async_open(no_throw);
    if (closed == asio::error::connection_refused) {
        co_await refuse(502, "the machine of " + x->label + " is there, but its service does not accept connections", with_body);
        co_return false;
    }
    if (closed) {
        co_await refuse(503, "the tunnel of " + x->label + " does not answer; try again in a moment", with_body);
        co_return false;
    }
    still_alive();
    const auto head = upstream_head(x->request->get(), x->plan, from_.address().to_string());
    const auto [unsent, sent] = co_await asio::async_write(x->tunnel, asio::buffer(head), no_throw);
    if (unsent) {
        co_await refuse(503, "the tunnel of " + x->label + " was closed before it took the request", with_body);
        co_return false;
    }
    x->body_sent = x->request->is_done();
    if (!x->body_sent) {
        const auto self = shared_from_this();
        unread_ = false; // it has its own reader now
        asio::co_spawn(strand_, [self, x]() -> asio::awaitable<void> { co_await self->copy_request_body(x); }, asio::detached);
    }
    const bool understood = co_await read_answer_head(*x);
    if (!understood) co_return false;
    if (x->answer->get().result() == http::status::switching_protocols) co_return co_await switch_protocols(x);
    const bool whole = co_await copy_answer(*x);
    // A request body that is still on its way belongs to this exchange: nothing can follow it.
    const bool again = whole && x->body_sent && x->plan.keep;
    x->tunnel.close();
    if (again) within(engine_.options.limits.idle_visitor / 2);
    co_return again;
}

asio::awaitable<void> visitor::copy_request_body(std::shared_ptr<exchange> x) {
    std::vector<char> data(piece);
    auto& body = x->request->get().body();
    while (!x->request->is_done()) {
        body.data = data.data(), body.size = data.size(), body.more = true;
        auto [e, n] = co_await http::async_read_some(*stream_, buffer_, *x->request, no_throw);
        if (e == http::error::need_buffer) e = {};
        if (e) co_return x->tunnel.close();
        still_alive();
        const auto got = data.size() - body.size;
        if (got == 0) continue;
        error_code failed;
        if (x->plan.body == framing::chunked) {
            const auto line = chunk_line(got);
            const std::array<asio::const_buffer, 3> parts{asio::buffer(line.data(), std::char_traits<char>::length(line.data())),
                                                          asio::buffer(data.data(), got), asio::buffer("\r\n", 2)};
            const auto [wrong, w] = co_await asio::async_write(x->tunnel, parts, no_throw);
            failed = wrong;
        } else {
            const auto [wrong, w] = co_await asio::async_write(x->tunnel, asio::buffer(data.data(), got), no_throw);
            failed = wrong;
        }
        if (failed) co_return; // the answer may still come
        still_alive();
    }
    if (x->plan.body == framing::chunked) {
        const auto [failed, n] = co_await asio::async_write(x->tunnel, asio::buffer("0\r\n\r\n", 5), no_throw);
        if (failed) co_return;
    }
    x->body_sent = true;
}

asio::awaitable<bool> visitor::read_answer_head(exchange& x) {
    const bool with_body = x.request->get().method() != http::verb::head;
    for (int i = 0; i < interim_answers; ++i) {
        x.answer = std::make_unique<response_parser>();
        x.answer->header_limit(answer_head_bytes);
        x.answer->body_limit(boost::none);
        x.answer->skip(!with_body);
        const auto [e, n] = co_await http::async_read_header(x.tunnel, x.buffer, *x.answer, no_throw);
        if (e) {
            const auto why = e == http::error::end_of_stream || e == asio::error::eof ? " closed the connection without an answer"
                           : is_bad_http(e) ? " did not answer in HTTP/1.1"
                                            : " was cut off before it answered";
            co_await refuse(502, "the service of " + x.label + why, with_body);
            co_return false;
        }
        still_alive();
        const auto status = x.answer->get().result_int();
        if (status >= 200 || (status == 101 && x.plan.upgrade)) co_return true;
        if (status == 101) break;
        const auto interim = interim_head(x.answer->get());
        if (x.request->get().version() < 11) continue; // HTTP/1.0 knows none
        const bool sent = co_await send(asio::buffer(interim));
        if (!sent) co_return false;
    }
    co_await refuse(502, "the service of " + x.label + " did not come to an answer", with_body);
    co_return false;
}

asio::awaitable<bool> visitor::copy_answer(exchange& x) {
    auto& p = *x.answer;
    const bool with_body = x.request->get().method() != http::verb::head;
    const auto status = p.get().result_int();
    const bool bodiless = !with_body || status == 204 || status == 304;
    const auto length = p.content_length();
    auto how = framing::none;
    if (length && !p.chunked()) how = framing::length;
    else if (!bodiless) how = x.request->get().version() == 11 ? framing::chunked : framing::until_close;
    x.plan.keep = x.plan.keep && how != framing::until_close && x.body_sent;
    const auto head = downstream_head(p.get(), how, length.value_or(0), x.plan.keep);
    bool good = co_await send(asio::buffer(head));
    std::vector<char> data(bodiless ? 0 : piece);
    while (good && !bodiless && !p.is_done()) {
        auto& body = p.get().body();
        body.data = data.data(), body.size = data.size(), body.more = true;
        auto [e, n] = co_await http::async_read_some(x.tunnel, x.buffer, p, no_throw);
        if (e == http::error::need_buffer) e = {};
        if (e) {
            cut_short_ = true; // the visitor must see that this is not the whole answer
            co_return false;
        }
        const auto got = data.size() - body.size;
        if (got == 0) continue;
        if (how == framing::chunked) {
            const auto line = chunk_line(got);
            const std::array<asio::const_buffer, 3> parts{asio::buffer(line.data(), std::char_traits<char>::length(line.data())),
                                                          asio::buffer(data.data(), got), asio::buffer("\r\n", 2)};
            const auto [wrong, w] = co_await asio::async_write(*stream_, parts, no_throw);
            good = !wrong;
            still_alive();
        } else {
            good = co_await send(asio::buffer(data.data(), got));
        }
    }
    if (good && how == framing::chunked) good = co_await send(asio::buffer("0\r\n\r\n", 5));
    co_return good;
}

// WebSocket and whatever else two ends agree on: from here only bytes.
asio::awaitable<bool> visitor::switch_protocols(std::shared_ptr<exchange> x) {
    const auto head = switching_head(x->answer->get());
    bool good = co_await send(asio::buffer(head));
    if (good && x->buffer.size() != 0) good = co_await send(x->buffer.data());
    const auto self = shared_from_this();
    asio::co_spawn(strand_, [self, x]() -> asio::awaitable<void> { co_await self->copy_raw_up(x); }, asio::detached);
    std::vector<char> data(piece);
    while (good) {
        const auto [e, n] = co_await x->tunnel.async_read_some(asio::buffer(data), no_throw);
        if (e) break;
        good = co_await send(asio::buffer(data.data(), n));
    }
    co_await say_goodbye();
    x->tunnel.close();
    co_return false;
}

asio::awaitable<void> visitor::copy_raw_up(std::shared_ptr<exchange> x) {
    if (buffer_.size() != 0) {
        const auto [failed, w] = co_await asio::async_write(x->tunnel, buffer_.data(), no_throw);
        buffer_.clear();
        if (failed) co_return;
    }
    std::vector<char> data(piece);
    for (;;) {
        const auto [e, n] = co_await stream_->async_read_some(asio::buffer(data), no_throw);
        if (e) break;
        still_alive();
        const auto [failed, w] = co_await asio::async_write(x->tunnel, asio::buffer(data.data(), n), no_throw);
        if (failed) co_return;
    }
    x->tunnel.send_eof();
    within(engine_.options.limits.linger);
}

} // namespace souk::tunnel
