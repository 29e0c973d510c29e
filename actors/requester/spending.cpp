#include <souk/actors/requester/spending.hpp>

namespace souk {

namespace {

__extension__ using wide = __int128; // ten thousand sums of any size

amount cut(wide sum) { return sum > std::numeric_limits<amount>::max() ? std::numeric_limits<amount>::max() : static_cast<amount>(sum); }

struct rules {
    const spending::state& s;
    instant now;

    decision<spending::event> operator()(const spending::hold& c) const {
        const auto& e = c.what;
        if (e.sum <= 0 || e.id.empty() || e.to.empty()) return refusal{"bad_amount", "what is spent is a positive amount, for somebody"};
        const auto known = std::find_if(s.all.begin(), s.all.end(), [&](const auto& x) { return x.id == e.id; });
        if (known != s.all.end() && known->to == e.to && known->sum == e.sum && spending::counts(*known, now)) { // it has its room
            if (e.until <= known->until) return {};
            return spending::held{e};
        }
        for (const auto& u : spending::used(s, c.by, e.to, e.id, now))
            if (u.left() < e.sum) return refusal{"spending_limit", sentence(u, e)};
        decision<spending::event> said;
        const auto over = std::count_if(s.all.begin(), s.all.end(), [&](const auto& x) { return !spending::counts(x, now); });
        if (s.all.size() - static_cast<std::size_t>(over) >= spending::most_entries) return refusal{"not_now", "ten thousand payments of one day are remembered, and no more"};
        if (over > 0) said.events.emplace_back(spending::forgotten{now});
        said.events.emplace_back(spending::held{e});
        return said;
    }
    decision<spending::event> operator()(const spending::release& c) const {
        for (const auto& x : s.all)
            if (x.id == c.id) return spending::released{c.id};
        return {};
    }

private:
    static std::string sentence(const spending::use& u, const spending::entry& e) {
        const auto of = u.limit == "per_contract" ? std::string("for one contract") : u.limit == "per_day" ? std::string("for 24 hours") : "for " + e.to + " in 24 hours";
        return to_decimal(e.sum) + " is more than is left of the limit " + of + ": " + to_decimal(u.left()) + " of " + to_decimal(u.most) + " ([spending] " + u.limit + ')';
    }
};

} // namespace

decision<spending::event> spending::decide(const state& s, const command& c, instant now) { return std::visit(rules{s, now}, c); }

spending::state spending::evolve(state s, const event& e) {
    const auto drop = [&](const auto& which) { std::erase_if(s.all, which); };
    match(
        e,
        [&](const held& x) {
            drop([&](const entry& y) { return y.id == x.what.id; });
            s.all.push_back(x.what);
        },
        [&](const released& x) { drop([&](const entry& y) { return y.id == x.id; }); },
        [&](const forgotten& x) { drop([&](const entry& y) { return !counts(y, x.by); }); });
    return s;
}

std::vector<spending::use> spending::used(const state& s, const spending_limits& by, const std::string& to, const std::string& id, instant now) {
    wide theirs = 0, all = 0;
    for (const auto& e : s.all) {
        if (e.id == id || !counts(e, now)) continue;
        all += e.sum;
        if (e.to == to) theirs += e.sum;
    }
    std::vector<use> out;
    if (by.per_contract > 0) out.push_back({"per_contract", by.per_contract, 0});
    if (by.per_counterparty > 0) out.push_back({"per_counterparty", by.per_counterparty, cut(theirs)});
    if (by.per_day > 0) out.push_back({"per_day", by.per_day, cut(all)});
    return out;
}

} // namespace souk
