#include <souk/backends/http/lane.hpp>

#include <ctime>

namespace souk::http::internal {

namespace {
// Deadlines are seconds, so a look at every connection twenty times a second is exact enough, and costs a request nothing.
constexpr std::chrono::milliseconds sweep_every{50};
} // namespace

void lane::run() {
    work_.emplace(context_.get_executor());
    thread_ = std::thread([this] { context_.run(); });
}

void lane::stop() {
    asio::post(context_, [this] {
        stopping_ = true;
        sweeper_.cancel();
        const auto all = connections_;
        for (const auto& [raw, one] : all) one->end();
        work_.reset();
    });
    if (thread_.joinable()) thread_.join();
    {
        const std::lock_guard hold(guard_);
        stopped_ = true;
    }
    context_.restart(); // what was posted while the thread ended
    context_.poll();
}

void lane::admit(std::shared_ptr<connection> one) {
    if (stopping_) return one->end();
    auto* raw = one.get();
    raw->take_place();
    connections_.emplace(raw, std::move(one));
    if (!sweeping_) sweeping_ = true, sweep();
    raw->start();
}

void lane::sweep() {
    sweeper_.expires_after(sweep_every);
    sweeper_.async_wait([this](boost::system::error_code error) {
        if (error || stopping_) return;
        const auto now = clock::now();
        std::vector<std::shared_ptr<connection>> late;
        for (const auto& [raw, one] : connections_)
            if (one->deadline() <= now) late.push_back(one);
        for (const auto& one : late) one->overdue();
        if (connections_.empty()) sweeping_ = false;
        else sweep();
    });
}

void lane::in_turn(std::function<void()> work) {
    post([this, work = std::move(work)]() mutable {
        turns_.push_back(std::move(work));
        if (turns_.size() == 1) take_turn();
    });
}
void lane::take_turn() {
    asio::post(context_, [this] {
        if (stopping_) return turns_.clear();
        const auto work = std::move(turns_.front());
        work();
        turns_.pop_front(); // not before: who asks again meanwhile starts no second round
        if (!turns_.empty()) take_turn();
    });
}

std::string_view lane::date() {
    const auto now = std::time(nullptr);
    if (now == dated_) return date_;
    dated_ = now;
    std::tm parts{};
    gmtime_r(&now, &parts);
    char text[40];
    date_.assign(text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts));
    return date_;
}

} // namespace souk::http::internal
