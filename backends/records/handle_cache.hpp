// Internal. Where handles led: what was verified, and for how long; apart from it what led nowhere, for a moment. Bounded, no clock, no lock.
#pragma once
#include <list>
#include <optional>
#include <string>
#include <unordered_map>

#include <souk/messages/result.hpp>
#include <souk/messages/time.hpp>

namespace souk::internal {

class handle_cache {
public:
    static constexpr std::chrono::minutes good_for{5};
    static constexpr std::chrono::hours shown_for{24};
    static constexpr std::chrono::seconds miss_for{5};
    static constexpr std::size_t most_known = 10'000, most_misses = 2'000; // apart, so that nonsense displaces nobody

    struct known {
        std::string did;
        instant as_of;
    };
    std::optional<known> to_act_upon(const std::string& handle, instant now) const { return within(handle, now, good_for); }
    std::optional<known> to_show(const std::string& handle, instant now) const { return within(handle, now, shown_for); }
    std::optional<refusal> miss(const std::string& handle, instant now) const {
        const auto at = misses_.find(handle);
        return at != misses_.end() && lasts(at->second.when, now, miss_for) ? std::optional(at->second.why) : std::nullopt;
    }

    void keep(const std::string& handle, std::string did, instant now) {
        forget(handle);
        misses_.erase(handle);
        while (known_.size() >= most_known) known_.erase(order_.front()), order_.pop_front();
        order_.push_back(handle);
        known_.emplace(handle, entry{{std::move(did), now}, std::prev(order_.end())});
    }
    // `final`: it leads nowhere now, or to somebody else; otherwise nobody could say, and what it led to may still be shown.
    void refuse(const std::string& handle, refusal why, bool final, instant now) {
        if (final) forget(handle);
        if (misses_.size() >= most_misses) misses_.clear(); // of 5 s each: who is asked for next is asked for again
        misses_.insert_or_assign(handle, missed{std::move(why), now});
    }

private:
    struct entry {
        known what;
        std::list<std::string>::iterator place;
    };
    struct missed {
        refusal why;
        instant when;
    };
    // A clock that was set back makes nothing fresh.
    static bool lasts(instant since, instant now, std::chrono::milliseconds span) { return now >= since && now - since < span; }
    std::optional<known> within(const std::string& handle, instant now, std::chrono::milliseconds span) const {
        const auto at = known_.find(handle);
        return at != known_.end() && lasts(at->second.what.as_of, now, span) ? std::optional(at->second.what) : std::nullopt;
    }
    void forget(const std::string& handle) {
        const auto at = known_.find(handle);
        if (at == known_.end()) return;
        order_.erase(at->second.place);
        known_.erase(at);
    }

    std::unordered_map<std::string, entry> known_;
    std::list<std::string> order_; // of those, the one verified longest ago first
    std::unordered_map<std::string, missed> misses_;
};

} // namespace souk::internal
