#include <souk/runtime/statement.hpp>

#include <algorithm>
#include <charconv>
#include <map>

namespace souk {

namespace {

using book::account;
using book::kind;
using book::wide;

struct unit {
    std::string name;
    int decimals = 0;
};
unit unit_of(const std::string& asset) {
    if (asset.find("/slip44:60") != asset.npos) return {"ETH", 18};
    return {"USDC", usdc_decimals};
}

// What it is called on this side.
std::string said(const book::line& l) {
    const auto earns = std::any_of(l.postings.begin(), l.postings.end(), [](const book::posting& p) { return p.in == account::revenue; });
    switch (l.what.what) {
    case kind::settled: return earns ? "earned" : "paid";
    case kind::refunded: return "refund";
    case kind::lapsed: return "lapsed";
    case kind::gas: return "gas";
    case kind::opening: return "opening";
    case kind::promised: return "promised";
    case kind::refund_owed: return "refund owed";
    }
    return "?";
}

value::map named(const book::details& d, const std::string& own) {
    value::map m{{"at", to_datetime(d.at)}, {"contract", d.contract}, {"id", own}, {"party", d.party}, {"why", d.why}, {"subject", d.subject}};
    if (!d.transaction.empty()) m["transaction"] = d.transaction;
    return m;
}

struct sums {
    wide before = 0, in = 0, out = 0, all = 0, wallet = 0;
    std::map<account, wide> within;
    value::list lines, parties, promised;
};

result<instant> time_in(std::string_view text, bool to_its_end) {
    const bool day = text.size() == 10;
    std::string whole(text);
    if (day) whole.append("T00:00:00Z");
    auto t = from_datetime(whole);
    if (t && day && to_its_end) *t += std::chrono::hours{24};
    return t;
}

} // namespace

result<book::query> read_statement_query(const http::request& r) {
    book::query q;
    for (const auto& [name, into] : {std::pair{"from", &q.from}, {"to", &q.to}}) {
        const auto text = r.param(name);
        if (text.empty()) continue;
        auto t = time_in(text, into == &q.to);
        if (!t) return t.error();
        *into = *t;
    }
    q.party = r.param("party"), q.contract = r.param("contract");
    if (q.party.size() > book::entry::longest_name || q.contract.size() > book::entry::longest_name) return refusal{"bad_name", "nobody and nothing has so long a name"};
    if (const std::string_view most = r.param("most"); !most.empty()) {
        const auto [end, bad] = std::from_chars(most.data(), most.data() + most.size(), q.most);
        if (bad != std::errc() || end != most.data() + most.size() || q.most > 5'000) return refusal{"bad_number", "most: up to 5000 lines"};
    }
    return q;
}

value statement_of(const book::page& p, const book::query& q, const bookkeeper_options& o, bool opened, const std::optional<result<amount>>& on_rail) {
    const bool whole = q.party.empty() && q.contract.empty();
    std::map<std::string, sums> by;
    if (!o.asset.empty()) by[o.asset];
    for (const auto& b : p.before)
        if (b.in == account::wallet) by[b.asset].before += b.sum;
    for (const auto& b : p.within) by[b.asset].within[b.in] += b.sum;
    for (const auto& b : p.all) {
        by[b.asset].all += b.sum;
        if (b.in == account::wallet) by[b.asset].wallet += b.sum;
    }
    for (const auto& d : p.moved) by[d.asset].in += d.in, by[d.asset].out += d.out;
    for (const auto& d : p.dealings) {
        auto& s = by[d.asset];
        const auto u = unit_of(d.asset);
        if (d.party.empty()) continue; // the opening
        s.parties.push_back(value::map{{"party", d.party}, {"in", book::decimal_of(d.in, u.decimals)}, {"out", book::decimal_of(d.out, u.decimals)}, {"entries", d.entries}});
    }
    for (const auto& l : p.lines) {
        if (l.what.what == kind::promised || l.what.what == kind::refund_owed) continue; // shown apart, while they are that
        std::map<std::string, wide> moved;
        for (const auto& x : l.postings) moved[x.asset] += x.in == account::wallet ? x.value : 0;
        for (const auto& [asset, n] : moved) {
            auto m = named(l.what, l.own);
            const auto u = unit_of(asset);
            m["what"] = said(l), m["in"] = n > 0 ? book::decimal_of(n, u.decimals) : "", m["out"] = n < 0 ? book::decimal_of(-n, u.decimals) : "";
            by[asset].lines.emplace_back(std::move(m));
        }
    }
    for (const auto& x : p.open) {
        auto m = named(x.what, x.own);
        const auto u = unit_of(x.asset);
        m["what"] = x.what.what == kind::refund_owed ? "refund owed" : "promised";
        m["in"] = x.sum > 0 ? book::decimal_of(x.sum, u.decimals) : "", m["out"] = x.sum < 0 ? book::decimal_of(-x.sum, u.decimals) : "";
        if (x.what.until != instant{}) m["until"] = to_datetime(x.what.until);
        by[x.asset].promised.emplace_back(std::move(m));
    }
    value::list assets;
    for (auto& [asset, s] : by) {
        const auto u = unit_of(asset);
        const auto text = [&u](wide n) { return book::decimal_of(n, u.decimals); };
        value::map m{{"asset", asset}, {"unit", u.name}, {"decimals", u.decimals}, {"in", text(s.in)}, {"out", text(s.out)}, {"sum", text(s.all)}, {"lines", std::move(s.lines)}, {"parties", std::move(s.parties)},
                     {"promised", std::move(s.promised)}};
        value::map accounts;
        for (const auto& [in, n] : s.within) accounts[boost::describe::enum_to_string(in, "?")] = text(n);
        m["accounts"] = std::move(accounts);
        if (whole) m["opening"] = text(s.before), m["closing"] = text(s.before + s.in - s.out);
        if (whole && asset == o.asset && on_rail) {
            value::map r{{"books", text(s.wallet)}};
            if (*on_rail) {
                r["balance"] = text(**on_rail);
                if (opened) r["outside"] = text(static_cast<wide>(**on_rail) - s.wallet);
            } else {
                r["why"] = on_rail->error().text;
            }
            m["rail"] = std::move(r);
        }
        assets.emplace_back(std::move(m));
    }
    value::map all{{"asOf", to_datetime(o.now())}, {"wallet", o.wallet}, {"entries", p.entries}, {"omitted", std::max<std::int64_t>(0, p.in_window - static_cast<std::int64_t>(p.lines.size()))},
                   {"behind", p.behind}, {"assets", std::move(assets)}};
    if (q.from) all["from"] = to_datetime(*q.from);
    if (q.to) all["to"] = to_datetime(*q.to);
    return all;
}

} // namespace souk
