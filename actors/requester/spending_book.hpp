// The limits on spending over a journal: asked before anything is promised and before anything is signed, from any thread.
#pragma once
#include <souk/actors/requester/spending.hpp>

namespace souk {

class spending_book : public std::enable_shared_from_this<spending_book> {
public:
    // Reads what is held. The journal must outlive what is asked of it.
    spending_book(journal&, spending_limits, std::function<instant()> now);
    // Yes when it is durable, on any thread; who asks again for the same is told so at once. Codes of spending::hold; "not_now" while the journal cannot say.
    void hold(spending::entry, std::function<void(result<void>)>);
    void release(const std::string& id); // what it is for was not signed, or can no longer be moved
    std::vector<spending::use> used(const std::string& to) const;
    std::vector<spending::entry> all() const;
    const spending_limits& limits() const { return limits_; }

private:
    struct order {
        spending::command what;
        std::function<void(result<void>)> tell; // may be empty
    };
    using told = std::vector<std::function<void()>>;
    void give(order);
    void pump(told&); // with `guard_` held
    void written(order, std::vector<spending::event>, append_answer);
    void load(const history&);

    static constexpr std::size_t most_waiting = 1'000, snapshot_every = 64;
    journal& log_;
    const spending_limits limits_;
    const std::function<instant()> now_;
    mutable std::mutex guard_; // over all below
    spending::state now_is_;
    std::uint64_t seq_ = 0;
    bool writing_ = false, lost_ = false;
    std::deque<order> waiting_;
};

} // namespace souk
