#include <algorithm>

#include <fmt/format.h>

#include <souk/runtime/cli/commands.hpp>
#include <souk/runtime/cli/table.hpp>
#include <souk/runtime/cli/view.hpp>

namespace souk::cli {

namespace {

// What others wrote is shown, and does nothing to a terminal.
std::string plain(std::string text) {
    for (auto& c : text)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
    return text;
}
bool is_nothing(const std::string& amount) { return amount.find_first_not_of("-0.") == amount.npos; }
// Decimals that say nothing: of a coin with eighteen. A token's six stay, so that they stand below one another.
std::string brief(std::string amount, const std::string& unit) {
    if (unit == "USDC" || amount.find('.') == amount.npos) return amount;
    while (amount.back() == '0' && amount[amount.size() - 2] != '.') amount.pop_back();
    return amount;
}
std::string minute(const std::string& at) { return at.size() < 16 ? at : at.substr(0, 10) + ' ' + at.substr(11, 5); }
std::string named(const value& v) {
    const auto own = text_of(v, "id"), contract = plain(text_of(v, "contract"));
    return own.empty() ? contract : own;
}

struct columns { // 80 wide in all
    std::size_t amount = 8;
    bool in = false, out = false;
    columns(const value& asset, const std::string& unit) {
        for (const char* of : {"lines", "promised", "parties"})
            for (const auto& l : list_of(asset, of)) see(l, unit);
        for (const char* one : {"opening", "closing", "in", "out"}) amount = std::max(amount, brief(text_of(asset, one), unit).size());
        if (!in && !out) in = out = true;
    }
    std::size_t money() const { return (amount + 2) * (std::size_t{in} + out); }
    std::string amounts(const value& l, const std::string& unit) const {
        std::string all;
        for (const auto& [shown, key] : {std::pair{in, "in"}, {out, "out"}})
            if (shown) all += fmt::format("  {:>{}}", is_nothing(text_of(l, key)) ? "" : brief(text_of(l, key), unit), amount);
        return all;
    }
    std::string heads() const { return (in ? fmt::format("  {:>{}}", "IN", amount) : "") + (out ? fmt::format("  {:>{}}", "OUT", amount) : ""); }

private:
    void see(const value& l, const std::string& unit) {
        const auto a = text_of(l, "in"), b = text_of(l, "out");
        in = in || !is_nothing(a), out = out || !is_nothing(b);
        amount = std::max({amount, brief(a, unit).size(), brief(b, unit).size()});
    }
};

std::string trimmed(std::string line) {
    while (!line.empty() && line.back() == ' ') line.pop_back();
    return line + '\n';
}
std::string total_line(const std::string& what, const std::string& amount) { return fmt::format("{:<{}}{}\n", what, 80 - std::min<std::size_t>(amount.size(), 60), amount); }

std::string movements(const value::list& lines, const columns& c, const std::string& unit, const char* last_head) {
    const std::size_t left = 80 - c.money() - 16 - 2;
    const std::size_t what = last_head == std::string_view("DATE") ? 7 : 11, contract = left > 36 ? 13 : 9, party = left > what + contract + 4 + 8 ? left - what - contract - 4 : 8;
    auto out = trimmed(fmt::format("{:<16}  {:<{}}  {:<{}}  {:<{}}{}", last_head, "CONTRACT", contract, "WITH", party, "WHAT", what, c.heads()));
    for (const auto& l : lines) {
        out += trimmed(fmt::format("{:<16}  {:<{}}  {:<{}}  {:<{}}{}", minute(text_of(l, last_head == std::string_view("UNTIL") ? "until" : "at")), shortened(named(l), contract), contract,
                                   shortened(plain(text_of(l, "party")), party), party, text_of(l, "what"), what, c.amounts(l, unit)));
        if (const auto why = plain(text_of(l, "why")); !why.empty()) out += "                  " + wrapped(why, 18) + '\n';
    }
    return out;
}

std::string asset_text(const value& a, std::int64_t omitted, std::int64_t entries) {
    const auto unit = text_of(a, "unit");
    const columns c(a, unit);
    auto out = fmt::format("{} ({})\n", unit, text_of(a, "asset"));
    if (out.size() > 81) out = unit + "\n  " + wrapped(text_of(a, "asset"), 2) + '\n';
    out += '\n';
    if (a.find("opening")) out += total_line("opening balance", brief(text_of(a, "opening"), unit));
    if (omitted > 0) out += fmt::format("({} earlier entries are not shown: --from, --to, --most)\n", omitted);
    const auto& lines = list_of(a, "lines");
    out += lines.empty() ? "nothing moved\n" : movements(lines, c, unit, "DATE");
    if (a.find("closing")) out += total_line("closing balance", brief(text_of(a, "closing"), unit));
    if (const auto& parties = list_of(a, "parties"); !parties.empty()) {
        const auto wide = 80 - c.money();
        out += '\n' + trimmed(fmt::format("{:<{}}{}", "IN ALL, WITH", wide, c.heads()));
        for (const auto& p : parties) out += trimmed(fmt::format("{:<{}}{}", shortened(plain(text_of(p, "party")), wide), wide, c.amounts(p, unit)));
    }
    if (const auto& open = list_of(a, "promised"); !open.empty()) out += "\nPROMISED, NOT SETTLED YET\n" + movements(open, c, unit, "UNTIL");
    out += fmt::format("\nbooks balance: {} {} over {} {}\n", brief(text_of(a, "sum"), unit), unit, entries, entries == 1 ? "entry" : "entries");
    if (const auto* rail = a.find("rail")) {
        const auto outside = text_of(*rail, "outside"), there = text_of(*rail, "balance"), known = text_of(*rail, "books");
        if (there.empty()) out += "the rail does not say what the wallet holds: " + plain(text_of(*rail, "why")) + '\n';
        else if (outside.empty()) out += fmt::format("the rail holds {}; what was there before these books is not entered yet\n", there);
        else if (is_nothing(outside)) out += fmt::format("the rail holds {}, and so say the books\n", there);
        else out += fmt::format("the rail holds {}, the books say {}:\n{}{} {} moved outside Souk{}\n", there, known, outside.front() == '-' ? "" : "+", outside, unit,
                                list_of(a, "promised").empty() ? "" : ", or is promised and moved meanwhile");
    }
    return out;
}

std::string statement_text(const value& v) {
    const auto from = text_of(v, "from"), to = text_of(v, "to");
    auto out = fmt::format("statement of {}\n", text_of(v, "wallet"));
    if (!from.empty() || !to.empty()) out += fmt::format("{}{}{}\n", from.empty() ? "" : "from " + minute(from), from.empty() || to.empty() ? "" : " ", to.empty() ? "" : "until " + minute(to));
    const auto* omitted = v.find("omitted");
    const auto* entries = v.find("entries");
    const auto number = [](const value* n) { return n && n->as<std::int64_t>() ? *n->as<std::int64_t>() : std::int64_t{0}; };
    for (const auto& a : list_of(v, "assets")) out += '\n' + asset_text(a, number(omitted), number(entries));
    if (text_of(v, "behind") == "yes") out += "\nthe books are behind: some entries come at the node's next start, or when its disk has room\n";
    return out;
}

// A cell that begins like a formula is text all the same.
std::string cell(std::string text) {
    text = plain(std::move(text));
    if (!text.empty() && std::string_view("=+-@").find(text.front()) != std::string_view::npos) text.insert(0, 1, '\'');
    if (text.find_first_of(",\"") == text.npos) return text;
    std::string quoted = "\"";
    for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    return quoted + '"';
}

std::string statement_csv(const value& v) {
    std::string out = "at,what,contract,id,party,asset,in,out,state,until,why,transaction\n";
    for (const auto& a : list_of(v, "assets"))
        for (const auto& [of, state] : {std::pair{"lines", "moved"}, {"promised", "promised"}})
            for (const auto& l : list_of(a, of)) {
                const auto what = text_of(l, "what");
                out += fmt::format("{},{},{},{},{},{},{},{},{},{},{},{}\n", text_of(l, "at"), what, cell(text_of(l, "contract")), cell(text_of(l, "id")), cell(text_of(l, "party")), cell(text_of(a, "asset")),
                                   text_of(l, "in"), text_of(l, "out"), what == "lapsed" ? "lapsed" : state, text_of(l, "until"), cell(text_of(l, "why")), cell(text_of(l, "transaction")));
            }
    return out;
}

} // namespace

void add_statement(CLI::App& app, context& c) {
    static std::string from, to, party, contract, most;
    static bool csv = false;
    auto* s = app.add_subcommand("statement", "what moved, with whom and for what; what is promised; and whether it all adds up");
    s->add_option("--from", from, "a day, 2026-11-01, or a time, 2026-11-01T12:00:00Z");
    s->add_option("--to", to, "as well; a day counts to its end");
    s->add_option("--party", party, "what the other's DID or address begins with");
    s->add_option("--contract", contract, "what the contract's id, or its accept's CID, begins with");
    s->add_option("--most", most, "lines, the newest (1000)");
    s->add_flag("--csv", csv, "a line an entry, for a spreadsheet");
    s->callback([&c] {
        const auto v = c.ask().get("/v1/statement", {{"from", from}, {"to", to}, {"party", party}, {"contract", contract}, {"most", most}});
        if (v && csv) return fmt::print("{}", statement_csv(*v));
        c.answer(v, statement_text);
    });
}

} // namespace souk::cli
