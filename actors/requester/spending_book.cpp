#include <souk/actors/requester/spending_book.hpp>

#include <souk/actors/entity/engine.hpp>

namespace souk {

namespace {
const std::string only_key = "all";
}

spending_book::spending_book(journal& log, spending_limits limits, std::function<instant()> now) : log_(log), limits_(limits), now_(std::move(now)) {
    log_.open_streams(spending::kind, [this](const std::string& key, const history& h) {
        if (key == only_key) load(h);
    });
}
void spending_book::load(const history& h) {
    now_is_ = h.snapshot_at ? from_journal<spending::state>(h.snapshot) : spending::state{};
    for (const auto& f : h.facts) now_is_ = spending::evolve(std::move(now_is_), from_journal<spending::event>(f.bytes));
    seq_ = h.last();
}

void spending_book::hold(spending::entry e, std::function<void(result<void>)> tell) { give({spending::hold{std::move(e), limits_}, std::move(tell)}); }
void spending_book::release(const std::string& id) { give({spending::release{id}, {}}); }

std::vector<spending::use> spending_book::used(const std::string& to) const {
    const std::lock_guard mine(guard_);
    return spending::used(now_is_, limits_, to, "", now_());
}
std::vector<spending::entry> spending_book::all() const {
    const std::lock_guard mine(guard_);
    return now_is_.all;
}

void spending_book::give(order o) {
    told say;
    {
        const std::lock_guard mine(guard_);
        if (waiting_.size() < most_waiting) waiting_.push_back(std::move(o)), pump(say);
        else if (o.tell) say.push_back([tell = std::move(o.tell)] { tell(refusal{"not_now", "too many payments wait to be counted"}); });
    }
    for (const auto& f : say) f(); // whoever is told may ask for more
}

// One write at a time: the next is decided by what the one before it made true.
void spending_book::pump(told& say) {
    while (!writing_ && !waiting_.empty()) {
        auto next = std::move(waiting_.front());
        waiting_.pop_front();
        const auto answer = [&](result<void> r) {
            if (next.tell) say.push_back([tell = next.tell, r = std::move(r)] { tell(r); });
        };
        if (lost_) {
            answer(refusal{"not_now", "the journal does not say what is spent"});
            continue;
        }
        auto said = spending::decide(now_is_, next.what, now_());
        if (said.refused || said.events.empty()) {
            answer(said.refused ? result<void>(*said.refused) : result<void>());
            continue;
        }
        append_request ask{std::string(spending::kind) + '/' + only_key, seq_, now_(), {}, false, {}};
        auto after = now_is_;
        for (const auto& e : said.events) ask.events.push_back(encode_described(e)), after = spending::evolve(std::move(after), e);
        if (seq_ / snapshot_every != (seq_ + said.events.size()) / snapshot_every) ask.snapshot = encode_described(after);
        writing_ = true;
        // The journal may answer on the spot: not under the lock.
        say.push_back([self = shared_from_this(), ask = std::make_shared<append_request>(std::move(ask)), next = std::move(next), events = std::move(said.events)]() mutable {
            self->log_.append(std::move(*ask), [self, next, events](append_answer a) { self->written(next, events, std::move(a)); });
        });
    }
}

void spending_book::written(order by, std::vector<spending::event> events, append_answer a) {
    told say;
    {
        const std::lock_guard mine(guard_);
        writing_ = false;
        switch (a.how) {
        case stored::yes:
            for (const auto& e : events) now_is_ = spending::evolve(std::move(now_is_), e), ++seq_;
            if (by.tell) say.push_back([tell = std::move(by.tell)] { tell({}); });
            break;
        case stored::conflict: // facts of our own from before: true, so it is decided again by them
            load(a.found);
            waiting_.push_front(std::move(by));
            break;
        case stored::unknown: // it may be kept, or not; nothing is signed on a guess, and a restart knows
            lost_ = true;
            if (by.tell) say.push_back([tell = std::move(by.tell)] { tell(refusal{"not_now", "the journal does not say what is spent"}); });
        }
        pump(say);
    }
    for (auto& f : say) f();
}

} // namespace souk
