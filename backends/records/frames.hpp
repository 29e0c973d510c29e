// Internal. The frames that readers of a stream wait for, each made once and held once, however many wait for it and whether they hear of it
// live or read it again from the repository. A frame that nobody waits for any more is gone.
#pragma once
#include <map>
#include <mutex>

#include <souk/backends/records/frame.hpp>

namespace souk::internal {

class frame_shelf {
public:
    using text = std::shared_ptr<const std::string>;

    // A record's time is its own for ever: a replacement has another.
    text of(const stored_record& r) {
        const std::lock_guard hold(guard_); // while it is made too: the others that wait here are those who want it
        auto& place = frames_[r.time_us];
        auto made = place.lock();
        if (!made) place = made = std::make_shared<const std::string>(to_frame(r));
        if (frames_.size() > sweep_above_) sweep();
        return made;
    }
    std::size_t size() const { // of those that somebody waits for
        const std::lock_guard hold(guard_);
        std::size_t n = 0;
        for (const auto& [time, frame] : frames_) n += !frame.expired();
        return n;
    }

private:
    static constexpr std::size_t few = 1024;
    void sweep() {
        std::erase_if(frames_, [](const auto& one) { return one.second.expired(); });
        sweep_above_ = few + 2 * frames_.size();
    }

    mutable std::mutex guard_;
    std::map<std::int64_t, std::weak_ptr<const std::string>> frames_;
    std::size_t sweep_above_ = few;
};

} // namespace souk::internal
