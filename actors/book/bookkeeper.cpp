#include <souk/actors/book/bookkeeper.hpp>

#include <algorithm>
#include <future>

namespace souk {

namespace {

using namespace std::chrono_literals;
constexpr auto settles_within = 30s; // younger promises are left to whoever made them

template <class Event>
bool none_about_money(const std::vector<Event>& events) {
    return !events.empty() && std::none_of(events.begin(), events.end(), [](const Event& e) { return book::is_about_money(e); });
}

} // namespace

bookkeeper::bookkeeper(bookkeeper_options o, std::shared_ptr<book::store> s, journal& log) : options_(std::move(o)), store_(std::move(s)), log_(log) {
    ended_ = static_cast<std::uint64_t>(store_->mark("ended"));
    opened_ = store_->mark("opened/" + options_.asset) != 0;
    follow_lanes();
}

void bookkeeper::enter(book::folded x, bool may_wait, std::vector<std::pair<std::string, std::int64_t>> marks) {
    if (options_.trouble)
        for (const auto& why : x.refused) options_.trouble(why.code + ": " + why.text);
    store_->write({std::move(x.entries), std::move(x.labels), std::move(marks), {}}, may_wait);
}

void bookkeeper::changed(const std::string& key, const payment::state& s, const std::vector<payment::event>& events) {
    if (!none_about_money(events)) enter(book::fold(key, s, options_.wallet, options_.now()), events.empty());
}
void bookkeeper::changed(const std::string& key, const purchase::state& s, const std::vector<purchase::event>& events) {
    if (!none_about_money(events)) enter(book::fold(key, s, options_.asset, options_.now()), events.empty());
}
void bookkeeper::changed(const std::string& key, const lease::state& s, const std::vector<lease::event>& events) {
    if (!none_about_money(events)) enter(book::fold(key, s, options_.asset, options_.now()), events.empty());
}

// A lane forgets what is buried, and never ends: so its facts are followed one by one, and counted, that a start knows from where to go on.
void bookkeeper::changed(const std::string& key, const lane::state&, const std::vector<lane::event>& events) {
    if (events.empty()) return; // just loaded: it was read when the books were opened
    book::folded all;
    std::int64_t facts = 0;
    {
        const std::lock_guard hold(guard_);
        auto& f = lanes_[key];
        for (const auto& e : events) {
            auto spent = book::gas_of(key, f.at, e, options_.now());
            std::move(spent.entries.begin(), spent.entries.end(), std::back_inserter(all.entries));
            std::move(spent.refused.begin(), spent.refused.end(), std::back_inserter(all.refused));
            f.at = lane::evolve(std::move(f.at), e);
        }
        facts = f.facts += static_cast<std::int64_t>(events.size());
    }
    if (!all.entries.empty() || !all.refused.empty()) enter(std::move(all), false, {{"lane/" + key, facts}});
}

void bookkeeper::follow_lanes() {
    std::vector<std::pair<std::string, history>> open;
    log_.open_streams(lane::kind, [&open](std::string key, history h) { open.emplace_back(std::move(key), std::move(h)); });
    for (auto& [key, h] : open) {
        const auto to = static_cast<std::uint64_t>(store_->mark("lane/" + key));
        if (h.snapshot_at > to) h = log_.past(lane::kind, key); // more than is left since the last snapshot: as much as there still is
        auto s = h.snapshot_at ? from_journal<lane::state>(h.snapshot) : lane::state{};
        auto facts = h.snapshot_at;
        book::folded all;
        for (const auto& x : h.facts) {
            const auto e = from_journal<lane::event>(x.bytes);
            if (facts >= to) {
                auto spent = book::gas_of(key, s, e, x.at);
                std::move(spent.entries.begin(), spent.entries.end(), std::back_inserter(all.entries));
            }
            s = lane::evolve(std::move(s), e);
            ++facts;
        }
        lanes_[key] = {std::move(s), static_cast<std::int64_t>(facts)};
        if (facts > to) enter(std::move(all), true, {{"lane/" + key, static_cast<std::int64_t>(facts)}});
    }
}

bool bookkeeper::catch_up(std::size_t most) {
    std::vector<std::pair<std::string, history>> found;
    const std::vector<std::string_view> kinds{payment::kind, purchase::kind, lease::kind};
    const auto from = [this] {
        const std::lock_guard hold(guard_);
        return ended_;
    }();
    const auto to = log_.ended(kinds, from, most, [&found](std::string name, history h) { found.emplace_back(std::move(name), std::move(h)); });
    if (to == from) return false;
    book::folded all;
    for (const auto& [name, h] : found) {
        const auto slash = name.find('/');
        const auto kind = name.substr(0, slash), key = name.substr(slash + 1);
        book::folded one;
        if (kind == payment::kind) one = book::fold_past<payment>(h, [&](const payment::state& s, instant at) { return book::fold(key, s, options_.wallet, at); });
        else if (kind == purchase::kind) one = book::fold_past<purchase>(h, [&](const purchase::state& s, instant at) { return book::fold(key, s, options_.asset, at); });
        else one = book::fold_past<lease>(h, [&](const lease::state& s, instant at) { return book::fold(key, s, options_.asset, at); });
        std::move(one.entries.begin(), one.entries.end(), std::back_inserter(all.entries));
        std::move(one.labels.begin(), one.labels.end(), std::back_inserter(all.labels));
    }
    {
        const std::lock_guard hold(guard_);
        ended_ = to;
    }
    enter(std::move(all), true, {{"ended", static_cast<std::int64_t>(to)}});
    return true;
}

// -- payments at others' doors -----------------------------------------------------------------------------------------------

void bookkeeper::promise(const book::spending& s, std::function<void(result<void>)> then) {
    auto e = book::promised(s, options_.now());
    if (!e) return then(e.error());
    book::writing w;
    w.entries.push_back(std::move(*e)), w.kept = std::move(then);
    {
        const std::lock_guard hold(guard_);
        if (!closed_) return store_->write(std::move(w), false);
    }
    w.kept(refusal{"not_now", "this node is stopping"});
}

void bookkeeper::moved(const book::spending& s, const std::string& transaction, std::optional<amount> much) {
    const auto at = options_.now();
    const auto promise = book::promised(s, at);
    if (!promise) return;
    const auto e = book::came_true(promise->what(), book::token_of(s.network, s.asset), s.value, transaction, at, much);
    if (e) store_->write({{*e}, {}, {}, {}}, false);
}

// What the store answers, it answers one after the other: when this is answered, nobody who was answered before still asks the rail.
void bookkeeper::close() {
    {
        const std::lock_guard hold(guard_);
        closed_ = true;
    }
    const auto done = std::make_shared<std::promise<void>>();
    book::query q;
    q.most = 0, q.sums = false;
    store_->read(std::move(q), [done](const result<book::page>&) { done->set_value(); });
    done->get_future().wait();
}

bool bookkeeper::has_opened() const {
    const std::lock_guard hold(guard_);
    return opened_;
}

void bookkeeper::ask(payment_rail& rail) {
    {
        const std::lock_guard hold(guard_);
        if (closed_ || std::exchange(asking_, true)) return;
    }
    book::query q;
    q.most = 0, q.sums = false;
    store_->read(std::move(q), [self = shared_from_this(), &rail](result<book::page> p) {
        bool opened = false;
        {
            const std::lock_guard hold(self->guard_);
            self->asking_ = false, opened = self->opened_;
            if (self->closed_) return;
        }
        if (!p) return;
        if (!opened && !self->options_.asset.empty()) self->open_with(rail, *p);
        for (const auto& x : p->open)
            if (x.what.subject.starts_with("pay/") && self->options_.now() - x.what.at > settles_within) self->look_after(rail, x);
    });
}

// The rail's word counts if nothing was under way before it was given, nor came after: else another time.
void bookkeeper::open_with(payment_rail& rail, const book::page& before) {
    if (!before.open.empty() || before.behind) return;
    rail.balance(options_.wallet, [self = shared_from_this(), n = before.entries](result<amount> there) {
        if (!there) return;
        book::query q;
        q.most = 0;
        const std::lock_guard open(self->guard_);
        if (self->closed_) return;
        self->store_->read(std::move(q), [self, n, there = *there](result<book::page> p) {
            if (!p || p->entries != n || !p->open.empty()) return;
            {
                const std::lock_guard hold(self->guard_);
                if (std::exchange(self->opened_, true)) return;
            }
            book::wide known = 0;
            for (const auto& b : p->all)
                if (b.in == book::account::wallet && b.asset == self->options_.asset) known += b.sum;
            const auto rest = static_cast<book::wide>(there) - known;
            book::folded x;
            if (rest != static_cast<amount>(rest)) x.refused.push_back({"entry_overflow", "what was there before is more than there can be"});
            else if (auto e = book::opening(self->options_.wallet, self->options_.asset, static_cast<amount>(rest), self->options_.now())) x.entries.push_back(std::move(*e));
            self->enter(std::move(x), false, {{"opened/" + self->options_.asset, 1}});
        });
    });
}

void bookkeeper::look_after(payment_rail& rail, const book::outstanding& promise) {
    const auto slash = promise.what.subject.rfind('/');
    x402::authorization a;
    a.from = promise.what.subject.substr(4, slash - 4), a.nonce = promise.what.subject.substr(slash + 1);
    const auto value = static_cast<amount>(-promise.sum);
    a.to = promise.what.party, a.value = std::to_string(value);
    if (a.nonce.starts_with(x402::permit_nonce)) a.value.clear(); // what came of it, which may be less
    rail.look_up(a, [self = shared_from_this(), promise, value](const look_up_answer& said) {
        if (said.how == moved::unknown || (said.how == moved::no && !said.spent && said.as_of <= promise.what.until)) return;
        const auto at = self->options_.now();
        const auto e = said.how == moved::yes ? book::came_true(promise.what, promise.asset, value, said.transaction, at, said.value)
                                              : book::came_to_nothing(promise.what, promise.asset, value, "the authorisation was never used", at);
        if (e) self->store_->write({{*e}, {}, {}, {}}, false);
    });
}

} // namespace souk
