#include <souk/actors/book/fold.hpp>

#include <algorithm>

#include <souk/messages/ascii.hpp>

namespace souk::book {

namespace {

struct writer {
    folded all;
    details of; // but what
    std::string asset;

    void put(kind what, std::vector<std::pair<account, amount>> moved, std::string why = {}, std::string transaction = {}) {
        auto d = of;
        d.what = what, d.why = std::move(why), d.transaction = std::move(transaction);
        if (what != kind::promised) d.until = {};
        std::vector<posting> postings;
        for (const auto& [in, value] : moved) postings.push_back({in, asset, value});
        if (auto e = entry::make(std::move(d), std::move(postings))) all.entries.push_back(std::move(*e));
        else all.refused.push_back(e.error());
    }
};

// 0 where it has none, so that the entry is refused and nothing wraps.
amount minus(amount v) { return v > 0 ? -v : 0; }

// Of what was promised this much moved; the rest of it is owed no more.
std::vector<std::pair<account, amount>> settling(amount promised, amount v) {
    return {{account::payable, promised}, {account::wallet, minus(v)}, {account::expense, v}, {account::promised, minus(promised)}};
}
std::vector<std::pair<account, amount>> settling(amount v) { return settling(v, v); }
std::vector<std::pair<account, amount>> lapsing(amount v) { return {{account::payable, v}, {account::promised, minus(v)}}; }

std::string payment_subject(const std::string& key) { return "payment/" + key; }

} // namespace

folded fold(const std::string& key, const payment::state& s, const std::string& own, instant at) {
    using phase = payment::phase;
    if (s.at == phase::none) return {};
    const auto& a = s.what.authorised.authorization;
    writer w;
    w.all.labels.push_back({payment_subject(key), s.what.accept, {}, {}});
    if (lower(a.to) != lower(own)) return std::move(w.all);
    w.of = {kind::promised, payment_subject(key), s.what.accept, lower(a.from), {}, {}, at, s.what.valid_before};
    w.asset = token_of(s.what.network, s.what.asset);
    const auto v = s.what.value;
    if (const auto& permit = s.what.authorised.permit2Authorization; v == 0 && permit && permit->witness.facilitator) return std::move(w.all); // nothing was asked for
    w.put(kind::promised, {{account::receivable, v}, {account::promised, minus(v)}});
    if (s.at == phase::failed) w.put(kind::lapsed, {{account::promised, v}, {account::receivable, minus(v)}}, s.why.text);
    if (s.at < phase::confirmed || s.at == phase::failed) return std::move(w.all);
    w.put(kind::settled, {{account::wallet, v}, {account::receivable, minus(v)}, {account::promised, v}, {account::revenue, minus(v)}}, {}, s.transaction);
    if (s.back == 0) return std::move(w.all);
    w.put(kind::refund_owed, {{account::refunds, s.back}, {account::payable, minus(s.back)}}, s.back_why);
    if (s.at == phase::refunded) w.put(kind::refunded, {{account::payable, s.back}, {account::wallet, minus(s.back)}}, s.back_why, s.back_transaction);
    return std::move(w.all);
}

folded fold(const std::string& key, const purchase::state& s, const std::string& asset, instant at) {
    using phase = purchase::phase;
    const auto* seller = purchase::winner(s);
    if (s.accept.cid.empty() || s.authorised == 0 || !seller) return {};
    writer w;
    w.all.labels.push_back({s.accept.cid, s.accept.cid, seller->bidder, key});
    w.of = {kind::promised, "purchase/" + key, s.accept.cid, seller->bidder, {}, {}, at, s.pay_until};
    w.asset = asset;
    const auto v = s.authorised;
    w.put(kind::promised, {{account::promised, v}, {account::payable, minus(v)}});
    if (s.stream) { // what the seller claimed, by the rail's word; the rest was this wallet's all along
        if (!purchase::is_final(s)) return std::move(w.all);
        if (s.paid > 0) w.put(kind::settled, settling(s.paid), {}, s.stream->channel);
        if (s.paid < v) w.put(kind::lapsed, lapsing(v - s.paid), s.why);
        return std::move(w.all);
    }
    // One authorisation was signed, of this much: whatever a statement says was paid, it was that or nothing.
    const bool settled = !s.transaction.empty() || (s.at == phase::closed && s.paid > 0);
    if (settled) w.put(kind::settled, settling(v), {}, s.transaction);
    else if (purchase::is_final(s)) w.put(kind::lapsed, lapsing(v), s.why);
    if (s.at != phase::closed || s.refunded == 0) return std::move(w.all);
    if (!settled || s.refunded < 0 || s.refunded > v) w.all.refused.push_back({"refund_not_believed", "the seller states that more came back than was paid"});
    else w.put(kind::refunded, {{account::wallet, s.refunded}, {account::refunds, minus(s.refunded)}}, s.why);
    return std::move(w.all);
}

folded fold(const std::string& key, const lease::state& s, const std::string& asset, instant at) {
    if (!lease::accepted(s)) return {};
    writer w;
    w.all.labels.push_back({s.accept.ref.cid, s.accept.ref.cid, s.what.tenant, key});
    const bool settled = s.at == lease::phase::stating || s.at == lease::phase::closed;
    if (!s.from || !settled || s.from->metered == 0) return std::move(w.all); // what was paid beforehand is its payment's
    w.of = {kind::settled, "lease/" + key, s.accept.ref.cid, s.what.tenant, {}, {}, at, {}};
    w.asset = asset;
    w.put(kind::settled, {{account::wallet, s.from->metered}, {account::revenue, minus(s.from->metered)}}, s.why, s.from->channel);
    return std::move(w.all);
}

bool is_about_money(const payment::event& e) {
    return match(
        e, [](const payment::doubted&) { return false; }, [](const payment::settled&) { return false; }, [](const payment::overdue&) { return false; }, [](const auto&) { return true; });
}
bool is_about_money(const purchase::event& e) {
    return match(
        e, [](const purchase::accepted&) { return true; }, [](const purchase::paid&) { return true; }, [](const purchase::stated&) { return true; },
        [](const purchase::failed&) { return true; }, [](const purchase::emptied&) { return true; }, [](const auto&) { return false; });
}
bool is_about_money(const lease::event& e) { return std::holds_alternative<lease::taken>(e) || std::holds_alternative<lease::settled_up>(e); }

folded gas_of(const std::string& key, const lane::state& before, const lane::event& e, instant at) {
    const auto* over = std::get_if<lane::buried>(&e);
    if (!over) return {};
    for (const auto& x : before.slots) {
        if (x.nonce != over->nonce || !x.mined) continue;
        writer w;
        // "pay/PAYER/NONCE" is what the lane knows it by; the payment's label says for which contract that was.
        const auto contract = x.what.id.starts_with("pay/") ? payment_subject(x.what.id.substr(4)) : x.what.id;
        const auto network = key.substr(0, key.find('/'));
        w.of = {kind::gas, "lane/" + key + '/' + std::to_string(x.nonce), contract, network, {}, {}, at, {}};
        w.asset = coin_of(network);
        amount cost = 0;
        if (x.mined->gas_used < 0 || x.mined->gas_price < 0 || __builtin_mul_overflow(x.mined->gas_used, x.mined->gas_price, &cost))
            return {{}, {}, {{"entry_overflow", "a transaction cost more gas than there can be"}}};
        if (cost > 0) w.put(kind::gas, {{account::gas, cost}, {account::wallet, minus(cost)}}, x.mined->succeeded ? "" : "it came to nothing: " + x.mined->why, x.mined->hash);
        return std::move(w.all);
    }
    return {};
}

std::string subject_of(const spending& s) { return "pay/" + lower(s.from) + '/' + lower(s.nonce); }

result<entry> promised(const spending& s, instant at) {
    const auto asset = token_of(s.network, s.asset);
    return entry::make({kind::promised, subject_of(s), s.url.substr(0, entry::longest_name), lower(s.to), {}, {}, at, s.until}, {{account::promised, asset, s.value}, {account::payable, asset, minus(s.value)}});
}

namespace {
result<entry> outcome_of(const details& promise, kind what, const std::string& asset, const std::vector<std::pair<account, amount>>& moved, const std::string& why, const std::string& transaction, instant at) {
    auto d = promise;
    d.what = what, d.why = why, d.transaction = transaction, d.at = at, d.until = {};
    std::vector<posting> postings;
    for (const auto& [in, value] : moved) postings.push_back({in, asset, value});
    return entry::make(std::move(d), std::move(postings));
}
} // namespace

result<entry> came_true(const details& promise, const std::string& asset, amount value, const std::string& transaction, instant at, std::optional<amount> moved) {
    if (moved && *moved == 0) return came_to_nothing(promise, asset, value, "nothing of it was asked for", at);
    return outcome_of(promise, kind::settled, asset, settling(value, std::min(moved.value_or(value), value)), {}, transaction, at);
}
result<entry> came_to_nothing(const details& promise, const std::string& asset, amount value, const std::string& why, instant at) {
    return outcome_of(promise, kind::lapsed, asset, lapsing(value), why, {}, at);
}
result<entry> opening(const std::string& address, const std::string& asset, amount value, instant at) {
    if (value == std::numeric_limits<amount>::min()) return refusal{"entry_bad_amount", "it has no opposite"};
    return entry::make({kind::opening, "opening/" + asset + '/' + lower(address), {}, {}, "what was there before these books", {}, at, {}},
                       {{account::wallet, asset, value}, {account::equity, asset, -value}});
}

} // namespace souk::book
