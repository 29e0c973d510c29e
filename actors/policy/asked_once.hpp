// Answers that take a while to get, kept for a while: whoever asks meanwhile waits for the same one. In one actor's own turn.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <souk/messages/time.hpp>

namespace souk::policy {

template <class T>
class asked_once {
public:
    using then = std::function<void(const T&)>;
    static constexpr std::size_t most = 10'000, most_waiting = 1'000; // answers; who waits for one
    static constexpr std::chrono::seconds patience{30};                // then it is begun again

    // `begin` is called when there is nothing yet; what it finds out goes to `heard`. False: so much is asked already that this is not.
    bool get(const std::string& key, instant now, const std::function<void()>& begin, then f) {
        auto found = all_.find(key);
        const auto is_over = [now](const entry& e) { return e.waiting.empty() && (now < e.from || now >= e.until); };
        if (found != all_.end() && is_over(found->second)) all_.erase(found), found = all_.end();
        if (found != all_.end() && found->second.waiting.empty()) return f(found->second.answer), true;
        if (found == all_.end() && all_.size() >= most) {
            std::erase_if(all_, [](const auto& x) { return x.second.waiting.empty(); });
            if (all_.size() >= most) return false;
        }
        auto& e = all_[key];
        if (e.waiting.size() >= most_waiting) return false;
        e.waiting.push_back(std::move(f));
        if (e.waiting.size() > 1 && now - e.from < patience) return true;
        e.from = now;
        begin();
        return true;
    }
    void heard(const std::string& key, T answer, instant now, std::chrono::milliseconds keep) {
        const auto found = all_.find(key);
        if (found == all_.end() || found->second.waiting.empty()) return;
        auto& e = found->second;
        const auto waiting = std::exchange(e.waiting, {});
        e.answer = answer, e.from = now, e.until = now + keep;
        for (const auto& f : waiting) f(answer); // `e` may be gone after the first
    }
    // What is known; what is being asked is not interrupted.
    template <class F>
    void forget_if(F f) {
        std::erase_if(all_, [&](const auto& x) { return x.second.waiting.empty() && f(x.first, x.second.answer); });
    }

private:
    struct entry {
        T answer;
        instant from, until; // it holds; while it is waited for: since when
        std::vector<then> waiting;
    };
    std::map<std::string, entry> all_;
};

} // namespace souk::policy
