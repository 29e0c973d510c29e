#include <souk/runtime/unread_accounts.hpp>

#include <algorithm>
#include <sstream>

#include <souk/messages/at.hpp>

namespace souk {

namespace {

constexpr char named = '+', done = '-', all_of_them = '*';
constexpr std::size_t longest_line = 4096;
constexpr std::size_t slack_lines = 1'000; // beside twice what is true: then the file is written anew

} // namespace

unread_accounts::unread_accounts(options o, instant now) : options_(std::move(o)) {
    if (options_.file.empty()) return;
    load(now);
    write_anew();
}

// A line that was cut when the machine went down says nothing.
void unread_accounts::load(instant now) {
    std::ifstream in(options_.file);
    std::string text;
    while (std::getline(in, text)) {
        std::istringstream parts(text.substr(0, longest_line));
        char what = 0;
        std::int64_t since = 0;
        std::string did;
        parts >> what;
        if (what == all_of_them) everyone_ = true;
        if (what != named && what != done) continue;
        if (!(parts >> since >> did) || !is_did(did)) continue;
        if (what == done) all_.erase(did);
        else if (all_.size() < options_.most) all_.try_emplace(did, account{instant{std::chrono::milliseconds{since}}, now, {}, false, false});
    }
    for (const auto& [did, a] : all_) fresh_.push_back(did); // tried at once: why it failed before may have been this node
}

void unread_accounts::write_anew() {
    const auto next = std::filesystem::path(options_.file).concat(".next");
    out_ = std::ofstream(next, std::ios::trunc);
    lines_ = 0;
    if (everyone_) out_ << all_of_them << '\n';
    for (const auto& [did, a] : all_) line(named, did, a.since);
    out_.flush();
    std::error_code ignored; // what cannot be kept is read all the same, by this run
    std::filesystem::rename(next, options_.file, ignored);
}

void unread_accounts::line(char what, const std::string& did, instant since) {
    if (options_.file.empty()) return;
    out_ << what << ' ' << since.time_since_epoch().count() << ' ' << did << '\n';
    ++lines_;
}

void unread_accounts::add(const std::string& did, instant now) {
    if (!is_did(did)) return;
    if (const auto at = all_.find(did); at != all_.end()) {
        at->second.again = at->second.out;
        return;
    }
    if (all_.size() >= options_.most && !make_room()) return void(++count_.passed_over);
    all_.emplace(did, account{now, now, {}, false, false});
    fresh_.push_back(did);
    line(named, did, now), out_.flush();
}
void unread_accounts::add_everyone() {
    if (std::exchange(everyone_, true) || options_.file.empty()) return;
    out_ << all_of_them << '\n' << std::flush;
}

// Whoever has not been tried stays: he would be forgotten unheard, and those who name many would push out everybody.
bool unread_accounts::make_room() {
    if (tried_.empty()) return false;
    ++count_.passed_over;
    drop(all_.find(std::prev(tried_.end())->second));
    return true;
}

void unread_accounts::drop(std::map<std::string, account>::iterator at) {
    tried_.erase({at->second.next, at->first});
    line(done, at->first, at->second.since);
    all_.erase(at);
    if (lines_ > 2 * all_.size() + slack_lines) write_anew();
    else out_.flush();
}

std::optional<std::string> unread_accounts::take(instant now) {
    if (everyone_) return std::string();
    while (!fresh_.empty()) {
        const auto did = std::move(fresh_.front());
        fresh_.pop_front();
        const auto at = all_.find(did);
        if (at == all_.end() || at->second.out || at->second.pause.count() > 0) continue;
        at->second.out = true;
        return did;
    }
    if (tried_.empty() || tried_.begin()->first > now) return std::nullopt;
    const auto did = tried_.begin()->second;
    tried_.erase(tried_.begin());
    all_.at(did).out = true;
    return did;
}

void unread_accounts::read(const std::string& did) {
    if (did.empty()) return everyone_ = false, options_.file.empty() ? void() : write_anew();
    const auto at = all_.find(did);
    if (at == all_.end()) return;
    if (!at->second.again) return drop(at);
    at->second = {at->second.since, at->second.since, {}, false, false}; // something was missed while he was being read
    fresh_.push_back(did);
}

void unread_accounts::failed(const std::string& did, instant now) {
    if (did.empty()) return read(did); // the host lists nobody: what it forgot is not to be had from it
    const auto at = all_.find(did);
    if (at == all_.end()) return;
    auto& a = at->second;
    a.out = a.again = false;
    if (now - a.since >= options_.no_use) {
        ++count_.given_up;
        return drop(at);
    }
    a.pause = a.pause.count() == 0 ? first_pause : std::min(2 * a.pause, longest_pause);
    a.next = now + a.pause;
    tried_.emplace(a.next, did);
}

std::optional<instant> unread_accounts::next() const {
    if (everyone_ || !fresh_.empty()) return instant{};
    return tried_.empty() ? std::nullopt : std::optional(tried_.begin()->first);
}

unread_accounts::counters unread_accounts::so_far() const {
    auto c = count_;
    c.waiting = all_.size();
    c.failing = static_cast<std::size_t>(std::count_if(all_.begin(), all_.end(), [](const auto& a) { return a.second.pause.count() > 0; }));
    return c;
}

} // namespace souk
