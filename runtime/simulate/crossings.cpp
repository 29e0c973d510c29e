#include <souk/runtime/simulate/crossings.hpp>

namespace souk::simulate {

using namespace std::chrono_literals;

void crossings::carry(const life& by, milliseconds takes, const char* what, bool repeats, std::function<void()> arrive, std::function<void()> lost) {
    const auto number = ++count_;
    const auto f = plan_ ? plan_(number, what, repeats) : fate{};
    const auto come = [this, by, arrive = std::move(arrive)] {
        if (!*by) return;
        arrive();
        arrived();
    };
    using k = fate::kind;
    switch (f.what) {
    case k::lost: return lost();
    case k::late: return u_.later(takes + f.by, come);
    case k::twice: u_.later(takes, come); return u_.later(takes, come);
    case k::again: u_.later(takes, come); return u_.later(takes + f.by, come);
    case k::overtaken: {
        const auto once = std::make_shared<bool>(false);
        const auto now = [once, come] {
            if (!std::exchange(*once, true)) come();
        };
        held_.emplace(arrived_ + f.past, now);
        return u_.later(takes + 30s, now);
    }
    default: u_.later(takes, come);
    }
}

void crossings::arrived() {
    ++arrived_;
    while (!held_.empty() && held_.begin()->first <= arrived_) {
        const auto next = held_.extract(held_.begin());
        u_.later(1ms, next.mapped()); // behind whatever the last one set going on the spot
    }
}

} // namespace souk::simulate
