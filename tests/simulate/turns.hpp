// One contract in which one or more messages do not take their usual course.
#pragma once
#include <fmt/format.h>

#include "paths.hpp"

struct turn_of_events {
    std::uint64_t message = 0; // 1 is the first after the order to buy
    fate what;
};

inline std::string text_of(const turn_of_events& t) {
    static constexpr std::array names{"usual", "lost", "twice", "again", "overtaken", "late"};
    return fmt::format("message {} {} {} {} ms", t.message, names.at(static_cast<std::size_t>(t.what.what)), t.what.past, t.what.by.count());
}

// All that can become of one message. Six minutes are longer than an authorisation lives, twelve longer than a bid stands.
inline std::vector<fate> fates(bool repeats) {
    using k = fate::kind;
    std::vector<fate> all{{k::lost}, {k::overtaken, 1}, {k::overtaken, 2}, {k::overtaken, 3}, {k::overtaken, 5}, {k::late, 0, 20s}, {k::late, 0, 6min}, {k::late, 0, 12min}};
    if (repeats)
        for (const auto& f : {fate{k::twice}, fate{k::again, 0, 20s}, fate{k::again, 0, 6min}, fate{k::again, 0, 30min}}) all.push_back(f);
    return all;
}
// What is combined with itself: less of each, and nothing of what is only looked up.
inline std::vector<fate> few_fates(const std::string& what, bool repeats) {
    using k = fate::kind;
    if (what == "read" || what == "look") return {};
    std::vector<fate> all{{k::lost}, {k::overtaken, 1}, {k::late, 0, 6min}};
    if (repeats) all.push_back({k::again, 0, 20s});
    return all;
}

struct outcome_of_turns {
    bool delivered = false;
    std::vector<std::pair<std::string, bool>> messages; // that there were: what each is, and whether it can arrive twice
    std::vector<std::string> broken;
};

inline outcome_of_turns live(const path& way, const std::vector<turn_of_events>& turns) {
    little_market s({2, 4096, 65'536}, 60);
    way.story(s);
    outcome_of_turns e;
    s.ways.lay_down([&](std::uint64_t number, const std::string& what, bool repeats) {
        e.messages.emplace_back(what, repeats);
        for (const auto& t : turns)
            if (t.message == number) return t.what;
        return fate{};
    });
    const auto hold = [&](bool so, std::string what) {
        if (!so) e.broken.push_back(std::move(what));
    };
    s.wants("p", 1, s.ceiling);
    hold(s.ends("p"), "it never ended");
    s.pass(2'100'000ms); // the last of what was late has come, offers ran out, the sweeps came round
    const auto p = s.alice.purchase_of("p");
    e.delivered = !p.receipt.cid.empty();
    const auto& moved = s.rail.all();
    const auto paid = std::count_if(moved.begin(), moved.end(), [](const auto& t) { return crypto::same_address(t.from, everyone().alice.keys->wallet_address()); });
    hold(paid <= 1, "she paid more than once");
    hold(s.spent() == p.paid - p.refunded, fmt::format("{} were spent, her books say {}", s.spent(), p.paid - p.refunded));
    hold(s.spent() >= 0 && s.spent() <= 1'000, "more than the price was spent");
    hold(s.machines() == 0, "a machine is left over");
    hold(s.free_cpus() == 2, "room is left over");
    std::size_t runs = 0;
    for (const auto& [tag, all] : s.host.machines().history())
        for (const auto& r : all) ++runs, hold(paid == 1 && moved.front().at <= r.from, "a machine ran before it was paid for");
    hold(runs <= 1, "a machine ran more than once");
    if (p.at == purchase::phase::failed) hold(paid == 0, "it counts as failed, and was paid");
    if (runs == 0) hold(s.spent() == 0, "money was kept for a machine that never ran");
    hold(s.bob.records().count(std::string(ccb::nsid)) <= 1, "he bid more than once");
    hold(s.bob.records().count(std::string(ccf::nsid)) <= 1, "he stated more than once");
    std::size_t leases = 0;
    s.bob.log().open_streams(lease::kind, [&](const std::string&, const history&) { ++leases; });
    hold(leases == 0, "a lease is left open");
    return e;
}
