#include <souk/actors/policy/reader.hpp>

#include <algorithm>

#include <souk/actors/policy/marks.hpp>

namespace souk::policy {

mark_reader::mark_reader(reading r, record_network& net, post_to_self post, later after)
    : how_(std::move(r)), net_(net), post_(std::move(post)), after_(std::move(after)) {
    known.self = how_.self;
}

void mark_reader::look(unsigned steps, then f) {
    steps = std::min(steps, deepest);
    const auto now = how_.now();
    if (complete_until_[steps] && now < *complete_until_[steps] && *complete_until_[steps] - now <= how_.own) return f({});
    if (waiting_.size() >= most_waiting) return f(refusal{"not_now", "too many questions wait for the trust records of " + how_.self});
    waiting_.push_back(std::move(f));
    steps_ = std::max(steps_, steps);
    if (waiting_.size() > 1) return;
    if (pages_.size() > most_pages) pages_.clear(), known.trust = {}, known.unread.clear(), complete_until_.fill(std::nullopt);
    after_(how_.within, [this, batch = batch_] {
        if (batch == batch_) time_is_over();
    });
    advance();
}

void mark_reader::forget(const std::string& did) {
    complete_until_.fill(std::nullopt);
    const auto found = pages_.find(did);
    if (found == pages_.end()) return;
    found->second.read.reset(), found->second.failed.reset(), found->second.batch = 0;
    found->second.stale = true;
}

bool mark_reader::fresh(const std::string& did) const {
    const auto found = pages_.find(did);
    if (found == pages_.end()) return false;
    const auto& p = found->second;
    if (p.batch == batch_) return true;
    const auto now = how_.now();
    const auto holds = [&](const std::optional<instant>& at, std::chrono::milliseconds how_long) { return at && now >= *at && now - *at < how_long; };
    return did == how_.self ? holds(p.read, how_.own) : holds(p.read, how_.others) || holds(p.failed, failure_holds);
}

// Of the circle with the fewest vetoes, so that it is enough for every reach.
std::vector<std::string> mark_reader::missing() const {
    if (!fresh(how_.self)) return {how_.self};
    std::vector<std::string> out;
    std::size_t all = 0;
    for (const auto& level : known.trust.circle(how_.self, steps_, 0, how_.now()))
        for (const auto& who : level)
            if (++all <= how_.most && !fresh(who)) out.push_back(who);
    return out;
}

void mark_reader::advance() {
    if (waiting_.empty() || under_way_ > 0 || !queue_.empty()) return;
    const auto next = missing();
    if (next.empty()) return release({});
    queue_.assign(next.begin(), next.end());
    pump();
}

void mark_reader::pump() {
    while (under_way_ < how_.at_once && !queue_.empty()) {
        const auto did = queue_.front();
        queue_.pop_front();
        start(did);
    }
}

void mark_reader::start(const std::string& did) {
    auto& p = pages_[did];
    p.under_way = true, p.stale = false;
    ++under_way_;
    net_.list_proven(did, std::string(vouch::nsid), [this, did, post = post_, batch = batch_](result<std::vector<stored_record>> got) {
        post([this, did, batch, got = std::move(got)] {
            if (batch == batch_) heard(did, got);
        });
    });
}

void mark_reader::heard(const std::string& did, const result<std::vector<stored_record>>& got) {
    auto& p = pages_[did];
    if (!p.under_way) return;
    p.under_way = false, --under_way_;
    if (p.stale) return start(did); // a mark was written after this reading began
    if (!got) {
        known.trust.forget(did); // what was once read is not believed for longer because it cannot be read again
        if (did == how_.self) return release(refusal{got.error().code, "whom " + how_.self + " trusts cannot be read: " + got.error().text});
        p.failed = how_.now(), p.read.reset(), p.batch = batch_;
        known.unread[did] = in_one_line(got.error().text, 200);
    } else {
        const bool held = known.trust.replace(did, marks_of(did, *got));
        p.read = how_.now(), p.failed.reset(), p.batch = batch_;
        if (!held) known.unread[did] = "there is more than this node holds";
        else if (got->size() >= most_records) known.unread[did] = "there may be more than the " + std::to_string(most_records) + " that were read";
        else known.unread.erase(did);
    }
    pump();
    advance();
}

// Whoever was not reached is unknown, not silent.
void mark_reader::time_is_over() {
    if (!fresh(how_.self)) return release(refusal{"request_timeout", "whom " + how_.self + " trusts could not be read in time"});
    for (const auto& who : missing()) {
        known.trust.forget(who), known.unread[who] = "not read in time";
        pages_[who].failed = how_.now(), pages_[who].batch = batch_;
    }
    release({});
}

void mark_reader::release(const result<void>& said) {
    const auto now = how_.now();
    if (said) {
        std::size_t all = 0;
        bool complete = true;
        auto until = now + how_.own;
        for (const auto& level : known.trust.circle(how_.self, steps_, 0, now))
            for (const auto& who : level) {
                if (++all > how_.most) known.unread[who] = "more than " + std::to_string(how_.most) + " repositories are within reach";
                else if (!fresh(who)) complete = false;
                else if (const auto& p = pages_[who]; p.read) until = std::min(until, *p.read + (who == how_.self ? how_.own : how_.others));
                else if (p.failed) until = std::min(until, *p.failed + failure_holds);
            }
        if (complete)
            for (unsigned k = 0; k <= steps_; ++k) complete_until_[k] = until;
    }
    ++batch_;
    for (auto& [did, p] : pages_) p.under_way = false;
    queue_.clear(), under_way_ = 0, steps_ = 0;
    for (auto& f : std::exchange(waiting_, {})) f(said);
}

} // namespace souk::policy
