// souk escrow: money that is set aside for a provider, or given to be spent with one, and the requests that are paid out of it.
#include <fstream>
#include <iostream>
#include <iterator>

#include <fmt/format.h>

#include <souk/actors/common/random_id.hpp>
#include <souk/messages/json.hpp>
#include <souk/messages/money.hpp>
#include <souk/runtime/cli/commands.hpp>
#include <souk/runtime/cli/table.hpp>
#include <souk/runtime/cli/view.hpp>

namespace souk::cli {

namespace {

struct escrow_words { // what is said on the command line
    std::string amount, provider, payer, price, credit, id, hash, file, tab, nonce;
    std::int64_t days = 30, lives = 3'600, within = 0;
    bool dry = false, unserved = false;
};

amount sum_of(const value& v, const char* key) {
    const auto sum = from_decimal(text_of(v, key));
    return sum ? *sum : 0;
}
std::string escrow_line(const char* what, const std::string& text) { return text.empty() ? "" : fmt::format("{:<9} {}\n", what, text); }

std::string escrow_text(const value& v) {
    auto out = escrow_line("address", text_of(v, "address")) + escrow_line("escrow", text_of(v, "contract")) + escrow_line("network", text_of(v, "network"));
    out += escrow_line("wallet", text_of(v, "wallet") + ' ' + text_of(v, "token")) + escrow_line("free", text_of(v, "free") + " in escrow, neither set aside nor given");
    if (text_of(v, "provider").empty()) return out;
    out += '\n' + escrow_line("payer", text_of(v, "payer")) + escrow_line("provider", text_of(v, "provider"));
    if (const auto credit = text_of(v, "credit"); !credit.empty()) {
        if (text_of(v, "fits") != "yes") return out + escrow_line("credit", credit + ": none of these two");
        out += escrow_line("credit", fmt::format("{}, until {}", credit, text_of(v, "expires")));
        return out + escrow_line("left", text_of(v, "budget"));
    }
    out += escrow_line("set aside", fmt::format("{}, at most {} a request", text_of(v, "budget"), text_of(v, "price")));
    if (const auto leaves = text_of(v, "leaves"); !leaves.empty()) out += escrow_line("leaving", fmt::format("{}, from {} on", text_of(v, "leaving"), leaves));
    return out;
}

// -- one's own money ---------------------------------------------------------------------------------------------------------------

std::vector<std::pair<std::string, std::string>> question_of(const escrow_words& w) {
    std::vector<std::pair<std::string, std::string>> q;
    if (!w.provider.empty()) q.emplace_back("provider", w.provider);
    if (!w.payer.empty()) q.emplace_back("payer", w.payer);
    if (!w.credit.empty()) q.emplace_back("credit", w.credit);
    return q;
}
void show_escrow(context& c, const escrow_words& w) { c.answer(c.ask().get("/v1/escrow", question_of(w)), escrow_text); }

// What an order changes, by the sums of now. None: that it will be refused.
result<value::map> escrow_sums(const std::string& what, const value& now, const escrow_words& w) {
    const auto much = w.amount.empty() ? result<amount>(0) : from_decimal(w.amount);
    if (!much) return much.error();
    amount wallet = sum_of(now, "wallet"), free = sum_of(now, "free"), aside = sum_of(now, "budget"), leaving = sum_of(now, "leaving");
    const auto* from = "";
    amount has = 0;
    if (what == "deposit") has = wallet, from = "the wallet", wallet -= *much, free += *much;
    else if (what == "withdraw") has = free, from = "what is free", free -= *much, wallet += *much;
    else if (what == "approve") has = free, from = "what is free", free -= *much, aside += *much;
    else if (what == "grant") has = free, from = "what is free", free -= *much;
    else if (what == "announce") has = aside, from = "what is set aside", leaving = *much;
    else if (what == "release") has = aside, from = "what is set aside", free += std::min(leaving, aside), aside -= std::min(leaving, aside), leaving = 0;
    if (*much > has && what != "reclaim") return refusal{"too_much", fmt::format("{} is more than {} has: {}", to_decimal(*much), from, to_decimal(has))};
    const auto pair = [](amount before, amount after) { return value(value::map{{"now", to_decimal(before)}, {"after", to_decimal(after)}}); };
    value::map m{{"what", what}, {"wallet", pair(sum_of(now, "wallet"), wallet)}, {"free", pair(sum_of(now, "free"), free)}};
    if (now.find("budget")) m.emplace("set_aside", pair(sum_of(now, "budget"), aside)), m.emplace("leaving", pair(sum_of(now, "leaving"), leaving));
    return m;
}
std::string sums_text(const value& v) {
    table t({"", "NOW", "AFTER"});
    for (const auto& [key, name] : {std::pair{"wallet", "wallet"}, {"free", "free in escrow"}, {"set_aside", "set aside"}, {"leaving", "leaving"}})
        if (const auto* s = v.find(key)) t.row({name, text_of(*s, "now"), text_of(*s, "after")});
    return t.text();
}

void order_escrow(context& c, const std::string& what, escrow_words w) {
    const bool of_provider = what == "approve" || what == "announce" || what == "release";
    escrow_words asked;
    if (of_provider) asked.provider = w.provider;
    const auto now = c.ask().get("/v1/escrow", question_of(asked));
    if (!now) return c.fail(now.error());
    if (w.dry) {
        auto sums = escrow_sums(what, *now, w);
        if (!sums) return c.fail(sums.error());
        return c.print(*sums, [](const value& v) { return sums_text(v) + "Nothing was done.\n"; });
    }
    if (w.id.empty()) w.id = random_id();
    value::map order{{"what", what}, {"once", w.id}, {"amount", w.amount}, {"price", w.price}, {"provider", w.provider}, {"payer", w.payer}, {"credit", w.credit}};
    if (what == "grant") order.insert_or_assign("expires", std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count() + w.days * 86'400);
    const auto done = c.ask().post("/v1/escrow", order);
    if (!done) {
        c.fail(done.error());
        const bool unknown = done.error().code == "rail_unknown" || c.status == unknown_status;
        if (unknown) c.status = unknown_status, fmt::print(stderr, "It may be done. The same order with --id {} says what came of it.\n", w.id);
        return;
    }
    auto all = *done->as<value::map>();
    if (const auto after = c.ask().get("/v1/escrow", question_of(asked))) all.emplace("now", *after);
    c.print(all, [&](const value& v) {
        auto out = escrow_line("done", text_of(v, "what") + (text_of(v, "credit").empty() ? "" : ": credit " + text_of(v, "credit")));
        out += escrow_line("by", text_of(v, "transaction")) + escrow_line("id", text_of(v, "once"));
        if (const auto* after = v.find("now")) out += '\n' + escrow_text(*after);
        return out;
    });
}

// -- requests ----------------------------------------------------------------------------------------------------------------------

std::string said_text(const value& v) { return escrow_line("request", text_of(v, "stage")) + escrow_line("tab", text_of(v, "tab")) + escrow_line("id", text_of(v, "id")); }

void sign_request(context& c, const escrow_words& w) {
    c.answer(c.ask().post("/v1/escrow/sign", {{"provider", w.provider}, {"price", w.price}, {"hash", w.hash}, {"credit", w.credit}, {"lives", w.lives}}),
             [](const value& v) { return to_json(v) + '\n'; });
}
void serve_signed(context& c, const escrow_words& w) {
    std::string text;
    if (w.file == "-") text.assign(std::istreambuf_iterator<char>(std::cin), {});
    else if (std::ifstream in(w.file); in) text.assign(std::istreambuf_iterator<char>(in), {});
    else return c.fail({"no_file", w.file + " cannot be read"});
    const auto request = from_json(text);
    if (!request) return c.fail(request.error());
    c.answer(c.ask().post("/v1/escrow/serve", {{"request", *request}, {"within", w.within}}), said_text);
}
std::string tabs_text(const value& v) {
    table t({"TAB", "PAYER", "CREDIT", "HELD", "SERVED", "PAID", "LOST"});
    const auto money = [](const value& x, const char* key) {
        const auto* at = x.find(key);
        const auto* n = at ? at->as<std::int64_t>() : nullptr;
        return to_decimal(n ? *n : 0);
    };
    for (const auto& x : list_of(v, "all"))
        t.row({text_of(x, "id").substr(0, 10), shortened(text_of(x, "payer"), 12), text_of(x, "credit"), money(x, "held"), money(x, "served"), money(x, "consumed"), money(x, "lost")});
    return t.text() + fmt::format("{} of {} are open.\n", money(v, "at_risk"), money(v, "most_at_risk"));
}

} // namespace

void add_escrow(CLI::App& app, context& c) {
    static escrow_words w;
    auto* all = app.add_subcommand("escrow", "money set aside, and paid request by request");
    all->require_subcommand(0, 1);
    const auto narrow = std::make_shared<CLI::Formatter>(); // eighty columns
    narrow->column_width(18);
    all->formatter(narrow);
    const auto ordering = [&](const char* what, const char* help) {
        auto* s = all->add_subcommand(what, help);
        s->add_option("--id", w.id, "your name for this: given again, it is done once");
        s->add_flag("--dry", w.dry, "show the sums of now and of then, and do nothing");
        s->callback([&c, what] { order_escrow(c, what, w); });
        return s;
    };
    const auto sum = [](CLI::App* s) { s->add_option("amount", w.amount, "in whole units")->required(); };
    const auto whom = [](CLI::App* s) { s->add_option("provider", w.provider, "an address")->required(); };
    auto* s = all->add_subcommand("show", "what is there; with one provider, payer or credit");
    s->add_option("provider", w.provider, "an address (default: this node's own)");
    s->add_option("--payer", w.payer, "an address (default: this node's own)");
    s->add_option("--credit", w.credit, "the number of a trial credit");
    s->callback([&c] { show_escrow(c, w); });
    sum(ordering("deposit", "put some of the wallet's money there"));
    sum(ordering("withdraw", "take out what is neither set aside nor given, or earned"));
    s = ordering("approve", "set more aside for a provider");
    whom(s), sum(s);
    s->add_option("--price", w.price, "of one request at most; it only grows while any is set aside")->required();
    s = ordering("announce", "that so much of it leaves, a day from now");
    whom(s), sum(s);
    s = ordering("release", "what was announced a day ago");
    whom(s);
    s = ordering("grant", "a trial credit: a payer spends it there, and cannot take it");
    s->add_option("payer", w.payer, "an address")->required();
    whom(s), sum(s);
    s->add_option("--days", w.days, "until its rest is yours again")->check(CLI::Range(1, 3650))->capture_default_str();
    s = ordering("reclaim", "the rest of a credit whose days are over, to its giver");
    s->add_option("credit", w.credit, "its number")->required();
    s = all->add_subcommand("sign", "sign one request, as its payer");
    whom(s);
    s->add_option("price", w.price, "in whole units")->required();
    s->add_option("--hash", w.hash, "of what is to be done: 0x and 64 digits");
    s->add_option("--credit", w.credit, "the number of a trial credit that pays it");
    s->add_option("--lives", w.lives, "seconds until it expires")->capture_default_str();
    s->callback([&c] { sign_request(c, w); });
    s = all->add_subcommand("serve", "take a signed one, as its provider, before it is served");
    s->add_option("file", w.file, "as `sign` wrote it; \"-\": standard input")->required();
    s->add_option("--within", w.within, "seconds to serve it in (default: ten minutes)");
    s->callback([&c] { serve_signed(c, w); });
    s = all->add_subcommand("served", "say that it was served; or was not, and is never paid");
    s->add_option("tab", w.tab, "as `serve` said")->required();
    s->add_option("request", w.nonce, "its id, as `serve` said")->required();
    s->add_flag("--not", w.unserved, "it was not");
    s->callback([&c] { c.answer(c.ask().post("/v1/escrow/end", {{"tab", w.tab}, {"id", w.nonce}, {"served", !w.unserved}}), said_text); });
    s = all->add_subcommand("present", "present what was served, without waiting for more");
    s->add_option("tab", w.tab, "as `serve` said")->required();
    s->callback([&c] { c.answer(c.ask().post("/v1/escrow/present", {{"tab", w.tab}}), said_text); });
    all->add_subcommand("tabs", "what payers have had served, and what of it is paid")->callback([&c] { c.answer(c.ask().get("/v1/escrow/tabs"), tabs_text); });
    all->callback([&c, all] {
        if (all->get_subcommands().empty()) show_escrow(c, {});
    });
}

} // namespace souk::cli
