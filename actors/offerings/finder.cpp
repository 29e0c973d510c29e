#include <souk/actors/offerings/finder.hpp>

#include <algorithm>
#include <deque>
#include <set>

#include <souk/actors/common/turn.hpp>
#include <souk/actors/common/verified.hpp>

namespace souk {

namespace {

using namespace std::chrono_literals;
constexpr unsigned most_tries = 4; // at a repository that does not answer; then it waits for the next time that somebody tells of it

struct finder_state {
    using handle = extended<offerings_actor, caf::result<void>(turn)>;
    static constexpr const char* name = "souk.finder";

    finder_state(handle::pointer self, finder_options o, offering_reader read) : self_(self), options_(std::move(o)), read_(std::move(read)), known_(options_.most) {}

    handle::behavior_type make_behavior() {
        return {
            [this](const record_note& n) {
                if (const auto uri = at_uri::parse(n.uri); uri && uri->collection == market::offering::nsid) look_at(uri->did);
            },
            [this](const offerings_query& q) -> caf::result<offerings_view> { return list(q); },
            [this](const sellers_query& q) -> caf::result<sellers_view> { return sellers(q); },
            [](const turn& t) { t.run(); },
        };
    }

private:
    // -- reading -----------------------------------------------------------------------------------------------------------
    void look_at(const std::string& did) {
        if (did == options_.self || waits_.contains(did)) return;
        if (waits_.size() >= options_.most_waiting) {
            ++passed_over_;
            return;
        }
        waits_.insert(did);
        const auto now = options_.now();
        const auto last = read_at_.find(did);
        const auto rests = last == read_at_.end() || last->second > now ? 0ms : std::max<std::chrono::milliseconds>(0ms, last->second + options_.rest - now);
        if (rests > 0ms) return later(rests, [this, did] { queue_.push_back(did), go_on(); });
        queue_.push_back(did);
        go_on();
    }
    void go_on() {
        while (under_way_ < options_.at_once && !queue_.empty()) {
            auto did = std::move(queue_.front());
            queue_.pop_front();
            waits_.erase(did); // told of again while it is read, it is read again after that
            ++under_way_;
            read(did, 0);
        }
    }
    void read(const std::string& did, unsigned tries) {
        remember(did);
        read_(did, [me = handle{self_}, this, did, tries](result<proved_offering> r) {
            tell(me, turn{[this, did, tries, r = std::move(r)]() mutable { heard(did, tries, std::move(r)); }});
        });
    }
    void heard(const std::string& did, unsigned tries, result<proved_offering> r) {
        --under_way_;
        if (!r) {
            if (is_passing(r.error()) && tries + 1 < most_tries)
                later(look_again_in(tries + 2), [this, did, tries] { // nothing is known: what was proved before stands until its time is over
                    ++under_way_;
                    read(did, tries + 1);
                });
            else ++unread_;
            return go_on();
        }
        const auto now = options_.now();
        if (!r->newest) {
            known_.remove(did, now);
        } else if (r->newest->uri.did != did) {
            ++unread_; // a reader of ours that mixes people up would sell one's word as another's
        } else if (auto v = offerings::read_offering(r->newest->uri, r->newest->ref(), r->newest->value, now); v) {
            known_.put(std::move(*v), std::move(r->rev), std::move(r->host), now);
        } else {
            known_.remove(did, now);
        }
        go_on();
    }
    // When somebody was last looked at, of those for whom it still matters.
    void remember(const std::string& did) {
        const auto now = options_.now();
        if (read_at_.size() > 2 * options_.most_waiting) std::erase_if(read_at_, [&](const auto& x) { return x.second + options_.rest < now || x.second > now; });
        read_at_[did] = now;
    }
    void later(std::chrono::milliseconds d, std::function<void()> f) { send_after(*self_, handle{self_}, d, turn{std::move(f)}); }

    // -- answering ---------------------------------------------------------------------------------------------------------
    offerings_view list(const offerings_query& q) {
        const auto now = options_.now();
        known_.forget_old(now);
        offerings_view out;
        const auto all = known_.all(now);
        out.known = static_cast<std::int64_t>(all.size()), out.given_up = known_.given_up(), out.unread = unread_;
        out.passed_over = passed_over_ + known_.turned_away();
        for (const auto* v : all) {
            if (v->did <= q.after || std::cmp_greater_equal(out.all.size(), std::clamp<std::int64_t>(q.most, 0, 1'000))) continue;
            if (q.payload.empty() || std::find(v->applies_to.begin(), v->applies_to.end(), q.payload) != v->applies_to.end()) out.all.push_back(*v);
        }
        return out;
    }
    sellers_view sellers(const sellers_query& q) const {
        const auto w = offerings::wanted_of(q);
        if (!w) return {};
        auto all = known_.all(options_.now());
        std::erase_if(all, [&](const auto* v) { return !offerings::may_sell(*v, *w); });
        std::sort(all.begin(), all.end(), [](const auto* a, const auto* b) { return offerings::is_cheaper(*a, *b); });
        sellers_view out;
        std::set<std::string> services; // a door that many name is called once
        for (const auto* v : all)
            if (out.all.size() < finder_options::most_sellers && services.insert(v->service).second) out.all.push_back({v->did, v->service});
        return out;
    }

    handle::pointer self_;
    finder_options options_;
    offering_reader read_;
    offerings::directory known_;
    std::deque<std::string> queue_;
    std::set<std::string> waits_; // in the queue, or for their rest
    std::map<std::string, instant> read_at_;
    std::size_t under_way_ = 0;
    std::int64_t passed_over_ = 0, unread_ = 0;
};

} // namespace

offerings_actor spawn_finder(caf::actor_system& sys, finder_options o, offering_reader read) {
    return sys.spawn<actor_of<finder_state>>(std::move(o), std::move(read));
}

} // namespace souk
