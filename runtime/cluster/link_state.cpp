#include <souk/runtime/cluster/link_state.hpp>

#include <algorithm>
#include <utility>

namespace souk::carrier {

using std::chrono::milliseconds;

link_state::link_state(milliseconds first, milliseconds longest, bool ours, std::uint64_t seed)
    : first_(first), longest_(std::max(first, longest)), ours_(ours), random_(seed) {}

link_state::step link_state::start() {
    if (!ours_ || phase_ != phase::waiting) return {};
    phase_ = phase::dialling, ++timer_;
    return {!std::exchange(under_way_, true), {}, 0};
}

link_state::step link_state::timer(std::uint64_t which) { return which == timer_ ? start() : step{}; }

link_state::step link_state::failed(std::string why) {
    under_way_ = false;
    if (phase_ != phase::dialling) return {};
    why_ = std::move(why);
    return dial_later(backed_off());
}

link_state::step link_state::refused(std::string why, bool by_dial) {
    if (by_dial) under_way_ = false;
    if (phase_ == phase::up) return {};
    why_ = std::move(why);
    if (!by_dial || phase_ != phase::dialling) return {};
    return dial_later(longest_);
}

link_state::step link_state::up(link_id link, bool by_dial) {
    if (by_dial) under_way_ = false;
    phase_ = phase::up, link_ = link, failures_ = 0, why_.clear();
    ++timer_;
    return {};
}

link_state::step link_state::lost(link_id link, std::string why) {
    if (phase_ != phase::up || link != link_) return {};
    why_ = std::move(why);
    return dial_later(backed_off());
}

link_state::step link_state::dial_later(milliseconds wait) {
    phase_ = phase::waiting;
    if (!ours_) return {};
    return {false, jittered(wait), ++timer_};
}

milliseconds link_state::backed_off() {
    auto wait = first_;
    for (unsigned i = 0; i < failures_ && wait < longest_; ++i) wait *= 2;
    if (wait < longest_) ++failures_;
    return std::min(wait, longest_);
}

// Half of it to all of it, so that nodes that lost each other together do not dial together.
milliseconds link_state::jittered(milliseconds wait) {
    random_ += 0x9e3779b97f4a7c15;
    auto x = random_;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9, x = (x ^ x >> 27) * 0x94d049bb133111eb, x ^= x >> 31;
    const auto half = wait.count() / 2;
    return milliseconds(wait.count() - half + static_cast<std::int64_t>(x % static_cast<std::uint64_t>(half + 1)));
}

} // namespace souk::carrier
