// Walks every state that an entity can reach: all orders, all deadlines, and every outcome of every effect that was ever asked for, on
// time or late. What is asserted here holds for all of them, not for a story.
#pragma once
#include <doctest/doctest.h>

#include <deque>
#include <map>
#include <set>

#include <souk/actors/entity/entity.hpp>

namespace souk::test {

template <entity E>
struct step {
    typename E::state before;
    typename E::command command;
    decision<typename E::event> said;
    typename E::state after;
    instant now;
};

template <entity E>
struct explorer {
    using state = typename E::state;
    using command = typename E::command;
    using effect = typename E::effect;

    std::function<std::vector<command>(const state&)> orders;                       // what people and peers may say now
    std::function<std::vector<command>(const effect&, instant)> outcomes;           // what may come of an effect
    std::function<void(const step<E>&)> judge = [](const step<E>&) {};              // asserts
    std::function<std::string(const state&)> same = [](const state& s) { return encode_described(s); }; // states taken as one
    instant now{std::chrono::seconds{1'700'000'000}};
    std::size_t most = 200'000;

    std::size_t states = 0, steps = 0;
    std::set<std::size_t> events_seen; // indexes of the event variant

    void run() {
        struct place { state s; std::map<std::string, effect> asked; instant now; };
        std::deque<place> todo{{state{}, {}, now}};
        std::set<std::string> seen;
        while (!todo.empty()) {
            auto at = std::move(todo.front());
            todo.pop_front();
            ++states;
            REQUIRE(states < most);
            const auto wanted = E::effects(at.s);
            std::set<std::string> ids;
            for (const auto& f : wanted) {
                const auto id = std::visit([](const auto& x) { return x.id(); }, f);
                CHECK_MESSAGE(ids.insert(id).second, "two effects of one state share the id " << id);
                at.asked.insert_or_assign(id, f);
            }
            if (E::is_final(at.s)) CHECK(wanted.empty());
            else if (!(seen.empty())) CHECK(E::deadline(at.s).has_value());
            std::vector<std::pair<command, instant>> next;
            for (auto& c : orders(at.s)) next.emplace_back(std::move(c), at.now);
            for (const auto& [id, f] : at.asked)
                for (auto& c : outcomes(f, at.now)) next.emplace_back(std::move(c), at.now);
            if (const auto due = E::deadline(at.s)) next.emplace_back(deadline_passed{}, std::max(at.now, *due));
            for (auto& [c, when] : next) {
                ++steps;
                step<E> x{at.s, c, E::decide(at.s, c, when), at.s, when};
                for (const auto& e : x.said.events) events_seen.insert(e.index()), x.after = E::evolve(std::move(x.after), e);
                if (E::is_final(at.s) && !allows_revival) CHECK_MESSAGE(x.said.events.empty(), "something happened after the last word");
                if (x.said.refused) CHECK(!x.said.refused->code.empty());
                judge(x);
                if (x.said.events.empty()) continue;
                // A start may have nothing but the state itself, as the journal kept it.
                const auto kept = encode_described(x.after);
                const auto found = decode_described<state>(kept, missing_fields::take_default);
                REQUIRE(found.has_value());
                CHECK(encode_described(*found) == kept);
                // What was asked before can still be answered: part of where we are.
                std::string key = same(x.after);
                for (const auto& [id, f] : at.asked) key += '|' + id;
                if (seen.insert(std::move(key)).second) todo.push_back({x.after, at.asked, when});
            }
        }
    }
    bool allows_revival = false;
};

// One entity in a story: told one thing after the other, each at its time.
template <entity E>
struct told {
    typename E::state s;
    instant now{std::chrono::seconds{1'700'000'000}};

    std::optional<refusal> give(const typename E::command& c) {
        auto said = E::decide(s, c, now);
        for (const auto& e : said.events) s = E::evolve(std::move(s), e);
        return said.refused;
    }
    template <class Effect>
    std::optional<Effect> wants() const {
        for (const auto& f : E::effects(s))
            if (const auto* e = std::get_if<Effect>(&f)) return *e;
        return std::nullopt;
    }
    template <class Effect>
    void answer(typename Effect::answer found) { // it was done
        const auto f = wants<Effect>();
        REQUIRE(f);
        give(outcome<Effect>{*f, verdict::done, std::move(found), {}});
    }
};

} // namespace souk::test
