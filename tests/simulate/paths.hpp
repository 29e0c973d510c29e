// The ways that one contract can go, from a request to its end: of a purchase "p" of one minute.
#pragma once
#include "little_market.hpp"

struct path {
    std::string name;
    std::function<void(little_market&)> story; // what else happens to it
    bool races = false; // an order with the machine's start, or his word that nothing was paid with her own: which comes first is a matter of time
};

inline const std::vector<path>& paths() {
    using p = purchase::phase;
    static const std::vector<path> all{
        {"its time is over", [](little_market&) {}},
        {"stopped by the tenant while it runs", [](little_market& s) { s.when_it_is(p::active, [&s] { s.alice.stop("p", "enough"); }); }},
        {"stopped by the tenant while the machine starts", [](little_market& s) { s.when_it_is(p::awaiting, [&s] { s.alice.stop("p", "enough"); }); }, true},
        {"stopped by the operator while it runs", [](little_market& s) { s.when_it_is(p::active, [&s] { s.bob.stop(s.the_bid(), "maintenance"); }); }},
        {"stopped by the operator while the machine starts", [](little_market& s) { s.when_it_is(p::awaiting, [&s] { s.bob.stop(s.the_bid(), "maintenance"); }); }, true},
        {"the machine never starts", [](little_market& s) { s.host_cloud().refuses = true; }},
        {"the machine is lost", [](little_market& s) { s.when_it_is(p::active, [&s] { s.host_cloud().lose("souk-" + s.the_bid() + "-1"); }); }},
        {"she has no money", [](little_market& s) { s.rail.fund(everyone().alice.keys->wallet_address(), -s.had), s.had = 0; }, true},
        {"the rail does not know for a while", [](little_market& s) { s.rail.silent_until = s.u.now() + 40s; }},
        {"he is denounced", [](little_market& s) { s.believe("denounce"), s.pass(60'000ms); }},
        {"it costs too much", [](little_market& s) { s.ceiling = 10; }},
    };
    return all;
}
