#include <souk/backends/evm/quorum.hpp>

#include <algorithm>
#include <mutex>
#include <stdexcept>

namespace souk::evm {

namespace {

// Of what failed, what is worth telling: that a contract refuses it, rather than that one node was away.
const refusal& telling(const std::vector<refusal>& all) {
    const auto rank = [](const refusal& r) {
        if (r.code == "reverted" || r.code == "nonce_too_low" || r.code == "no_gas_money" || r.code == "underpriced") return 0;
        if (r.code == "rpc_unknown") return 1; // it may have been done: that must not be covered by one that was not even reached
        if (r.code == "rpc_refused" || r.code == "rpc_wrong_chain") return 2;
        return 3;
    };
    return *std::min_element(all.begin(), all.end(), [&](const refusal& a, const refusal& b) { return rank(a) < rank(b); });
}

template <class T>
struct heard {
    std::vector<T> good;
    std::vector<refusal> bad;
    std::size_t asked = 0;
};

class quorum final : public chain, public std::enable_shared_from_this<quorum> {
public:
    quorum(std::vector<std::shared_ptr<chain>> nodes, quorum_options o) : nodes_(std::move(nodes)), options_(std::move(o)), health_(nodes_.size()) {
        if (nodes_.empty() || options_.agree == 0 || options_.agree > nodes_.size()) throw std::invalid_argument("as many nodes must agree as there are, or fewer, and one at least");
        for (const auto& n : nodes_)
            if (n->id() != nodes_.front()->id()) throw std::invalid_argument("these nodes are of several chains");
    }

    std::uint64_t id() const override { return nodes_.front()->id(); }

    void head(tell<block> t) override {
        ask<block>([](chain& c, tell<block> one) { c.head(std::move(one)); }, [self = shared_from_this(), t](heard<block> h) {
            const auto need = self->options_.agree;
            if (h.good.size() < need) return t(self->too_few(h));
            std::sort(h.good.begin(), h.good.end(), [](const block& a, const block& b) { return a.number > b.number; });
            // The nodes stand at different heights: this many have this block, and are asked for it by its number.
            if (need == 1) return t(h.good.front());
            self->block_at(h.good[need - 1].number, t);
        });
    }
    void block_at(std::uint64_t number, tell<block> t) override {
        agreed<block>([number](chain& c, tell<block> one) { c.block_at(number, std::move(one)); }, std::move(t));
    }
    void code(const std::string& address, tell<std::string> t) override {
        agreed<std::string>([address](chain& c, tell<std::string> one) { c.code(address, std::move(one)); }, std::move(t));
    }
    void call(const std::string& from, const std::string& to, const std::string& data, std::optional<std::uint64_t> at, tell<called> t) override {
        agreed<called>([=](chain& c, tell<called> one) { c.call(from, to, data, at, std::move(one)); }, std::move(t));
    }
    void nonce(const std::string& address, bool with_waiting, tell<std::uint64_t> t) override {
        highest([=](chain& c, tell<std::uint64_t> one) { c.nonce(address, with_waiting, std::move(one)); }, std::move(t));
    }
    void balance(const std::string& address, tell<word> t) override {
        agreed<word>([address](chain& c, tell<word> one) { c.balance(address, std::move(one)); }, std::move(t));
    }
    void tip(tell<std::uint64_t> t) override {
        highest([](chain& c, tell<std::uint64_t> one) { c.tip(std::move(one)); }, std::move(t));
    }
    void estimate(const std::string& from, const std::string& to, const std::string& data, tell<std::uint64_t> t) override {
        highest([=](chain& c, tell<std::uint64_t> one) { c.estimate(from, to, data, std::move(one)); }, std::move(t));
    }
    void send(const std::string& raw, tell<void> t) override {
        // `ask` counts values; this has none.
        ask<bool>([raw](chain& c, tell<bool> one) { c.send(raw, [one](result<void> r) { r ? one(true) : one(r.error()); }); },
                  [t](heard<bool> h) { h.good.empty() ? t(telling(h.bad)) : t({}); });
    }
    void receipt_of(const std::string& transaction, tell<std::optional<receipt>> t) override {
        agreed<std::optional<receipt>>([transaction](chain& c, tell<std::optional<receipt>> one) { c.receipt_of(transaction, std::move(one)); }, std::move(t));
    }
    void transaction_of(const std::string& hash, tell<std::optional<sent>> t) override {
        agreed<std::optional<sent>>([hash](chain& c, tell<std::optional<sent>> one) { c.transaction_of(hash, std::move(one)); }, std::move(t));
    }
    void logs(const log_filter& f, tell<std::vector<log>> t) override {
        agreed<std::vector<log>>([f](chain& c, tell<std::vector<log>> one) { c.logs(f, std::move(one)); }, std::move(t));
    }

private:
    struct node_health {
        std::chrono::milliseconds rest{0};
        instant until{};
    };
    template <class T>
    struct round {
        std::mutex guard;
        heard<T> so_far;
        std::size_t left = 0;
    };

    // All nodes that are not resting; all of them, where fewer than must agree are awake.
    std::vector<std::size_t> awake() {
        const std::lock_guard hold(guard_);
        std::vector<std::size_t> some;
        for (std::size_t i = 0; i < nodes_.size(); ++i)
            if (health_[i].until <= options_.now()) some.push_back(i);
        if (some.size() < options_.agree) {
            some.clear();
            for (std::size_t i = 0; i < nodes_.size(); ++i) some.push_back(i);
        }
        return some;
    }
    void judge(std::size_t node, const refusal* why) {
        const bool away = why && (why->code.starts_with("rpc_") && why->code != "rpc_refused");
        {
            const std::lock_guard hold(guard_);
            auto& h = health_[node];
            if (!away) h = {};
            else h.rest = std::clamp(2 * h.rest, options_.rest_at_first, options_.rest_at_most), h.until = options_.now() + h.rest;
        }
        if (away && options_.trouble) options_.trouble(node, *why);
    }
    template <class T, class Question>
    void ask(Question question, std::function<void(heard<T>)> then) {
        const auto whom = awake();
        const auto all = std::make_shared<round<T>>();
        all->left = whom.size(), all->so_far.asked = whom.size();
        for (const auto i : whom)
            question(*nodes_[i], tell<T>([self = shared_from_this(), all, then, i](result<T> r) {
                if (r) self->judge(i, nullptr);
                else {
                    const auto why = r.error();
                    self->judge(i, &why);
                }
                heard<T> done;
                {
                    const std::lock_guard hold(all->guard);
                    if (r) all->so_far.good.push_back(std::move(*r));
                    else all->so_far.bad.push_back(r.error());
                    if (--all->left) return;
                    done = std::move(all->so_far);
                }
                then(std::move(done));
            }));
    }
    template <class T>
    refusal too_few(const heard<T>& h) const {
        if (h.good.empty() && !h.bad.empty()) return telling(h.bad);
        return {"rpc_disagreement", std::to_string(h.good.size()) + " of " + std::to_string(h.asked) + " nodes answered, " + std::to_string(options_.agree) + " must agree"};
    }
    template <class T, class Question>
    void agreed(Question question, tell<T> t) {
        ask<T>(std::move(question), [self = shared_from_this(), t](heard<T> h) {
            if (h.good.size() < self->options_.agree) return t(self->too_few(h));
            const auto votes = [&](const T& one) { return static_cast<std::size_t>(std::count(h.good.begin(), h.good.end(), one)); };
            const auto best = std::max_element(h.good.begin(), h.good.end(), [&](const T& a, const T& b) { return votes(a) < votes(b); });
            const auto won = votes(*best);
            const bool tied = std::any_of(h.good.begin(), h.good.end(), [&](const T& other) { return !(other == *best) && votes(other) == won; });
            if (won >= self->options_.agree && !tied) return t(std::move(*best));
            t(refusal{"rpc_disagreement", std::to_string(h.good.size()) + " nodes say different things, " + std::to_string(self->options_.agree) + " must agree"});
        });
    }
    template <class Question>
    void highest(Question question, tell<std::uint64_t> t) {
        ask<std::uint64_t>(std::move(question), [t](heard<std::uint64_t> h) {
            if (h.good.empty()) return t(telling(h.bad));
            t(*std::max_element(h.good.begin(), h.good.end()));
        });
    }

    std::vector<std::shared_ptr<chain>> nodes_;
    quorum_options options_;
    std::mutex guard_;
    std::vector<node_health> health_;
};

} // namespace

std::shared_ptr<chain> make_quorum(std::vector<std::shared_ptr<chain>> nodes, quorum_options options) {
    return std::make_shared<quorum>(std::move(nodes), std::move(options));
}

} // namespace souk::evm
