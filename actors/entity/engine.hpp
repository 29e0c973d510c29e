// Runs many entities of one kind: journals what they decide, then has their effects carried out, again after a restart,
// again when the answer is unknown. One thread at a time, no actors: the actor around it only brings it its input.
#pragma once
#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include <souk/actors/common/planted.hpp>
#include <souk/actors/entity/entity.hpp>
#include <souk/backends/store/journal.hpp>

namespace souk {

// The word that an order is kept: given only once its facts are durable.
struct answer {
    std::uint64_t seq = 0; // facts that this entity now has
    std::optional<refusal> refused;
};

template <class E>
struct input { // what comes back from outside, possibly from another thread
    struct journalled { append_answer answer; };
    struct heard { std::string effect; typename E::command outcome; };
    std::string key;
    std::variant<journalled, heard> what;
};

template <entity E>
struct ports {
    journal& log;
    performer<E>& world;
    std::function<instant()> now;
    std::function<void(input<E>)> post; // from any thread back to the engine's own; never runs it on the spot
    // Told of every fact once it is durable, and of what was loaded at start (then with no facts). On the engine's thread.
    std::function<void(const std::string& key, const typename E::state&, const std::vector<typename E::event>&)> changed;
    // Told of each outcome that was not `done`, with the reason: for people who wonder why something waits. May be empty.
    std::function<void(const std::string& key, const std::string& effect, verdict, const std::string& why)> trouble;
};

// What a newer program reads of an older one's journal: fields that the older one lacked stay at their defaults. What cannot be
// read at all ends the program: going on without a fact that was acknowledged would be worse.
template <class T>
T from_journal(std::string_view bytes) {
    auto r = decode_described<T>(bytes, missing_fields::take_default);
    if (!r) throw broken_invariant(("the journal holds what this program cannot read: " + r.error().text).c_str());
    return std::move(*r);
}

template <entity E>
typename E::state state_of(const history& from) {
    auto s = from.snapshot_at ? from_journal<typename E::state>(from.snapshot) : typename E::state{};
    for (const auto& f : from.facts) s = E::evolve(std::move(s), from_journal<typename E::event>(f.bytes));
    return s;
}

// How long, how often, how many. The simulator runs with the very same figures.
struct limits {
    std::chrono::milliseconds again_after{1'000}, again_at_most{60'000}; // asked again: doubled from one to the other
    std::uint64_t snapshot_every = 64;                         // facts
    std::size_t waiting_orders = 32;                           // for one entity; one more is refused
};

// The two rules that give the pattern its worth, as a switch that only the tests turn, to see that they would notice.
struct sound {
    static constexpr bool effects_wait_for_the_journal = true;
    static constexpr bool asks_again_after_restart = true;
};

using saved = std::vector<std::pair<std::string, history>>;

template <entity E, class Rules = sound>
class engine {
    using state = typename E::state;
    using command = typename E::command;
    using event = typename E::event;
    using effect = typename E::effect;

public:
    using reply = std::function<void(answer)>;

    explicit engine(ports<E> out, limits within = {}) : out_(std::move(out)), limits_(within) {}

    // -- input ----------------------------------------------------------------------------------------------------

    void recover(std::string key, const history& from) {
        auto& [own, c] = *cells_.try_emplace(std::move(key)).first;
        load(c, from);
        if (out_.changed) out_.changed(own, c.now, {});
        if (Rules::asks_again_after_restart && !planted(defect::forgets_at_restart)) settle(own, c, true);
    }
    void submit(const std::string& of, command what, reply tell) {
        auto& [key, c] = *cells_.try_emplace(of).first;
        if (c.queue.size() >= limits_.waiting_orders) return tell({c.seq, refusal{"not_now", "too many orders wait for this one"}});
        if (out_.log.crowded()) return tell({c.seq, refusal{"not_now", "too much waits to be written"}}); // outcomes are taken all the same
        c.queue.push_back({std::move(what), std::move(tell)});
        pump(key, c);
    }
    void take(input<E> in) {
        const auto found = cells_.find(in.key);
        if (found == cells_.end()) return; // an answer to an entity that has ended since
        const auto& key = found->first;
        auto& c = found->second;
        match(in.what,
              [&](typename input<E>::journalled& x) { journalled(key, c, x.answer); },
              [&](typename input<E>::heard& x) { heard(key, c, x.effect, std::move(x.outcome)); });
    }
    // Does what is due. Call at `next_wake()` or at any other time.
    void tick() {
        while (!timers_.empty() && timers_.begin()->first <= out_.now()) {
            const auto found = cells_.find(*timers_.begin()->second);
            ensure(found != cells_.end(), "a timer outlived its entity");
            wake(found->first, found->second);
        }
    }

    // -- what it is doing -------------------------------------------------------------------------------------------

    std::optional<instant> next_wake() const {
        if (timers_.empty()) return std::nullopt;
        return timers_.begin()->first;
    }
    // The journal could not say whether it kept something. Memory is worth nothing now: end this engine and recover.
    bool must_restart() const { return must_restart_; }
    std::size_t live() const { return cells_.size(); }
    const state* find(const std::string& key) const {
        const auto found = cells_.find(key);
        return found == cells_.end() ? nullptr : &found->second.now;
    }
    template <class F>
    void each(F f) const {
        for (const auto& [key, c] : cells_)
            if (c.seq > 0) f(key, c.now);
    }

private:
    using milliseconds = std::chrono::milliseconds;
    struct order { command what; reply tell; };
    struct call { // an effect under way; what it is follows from the state
        std::string id;
        instant due; // when asked: the answer is overdue; else: ask again
        unsigned tries = 0;
        bool asked = false;
    };
    struct write { std::vector<event> events; order by; answer tell; };
    struct cell {
        state now;
        std::uint64_t seq = 0;
        bool known = false;         // the journal has confirmed `seq`; before that even a refusal is only a guess
        std::vector<order> queue;   // orders wait while a write is under way: one writer, one order of facts
        std::unique_ptr<write> under_way;
        std::vector<call> calls;
        std::optional<instant> deadline_said, armed;
    };

    void pump(const std::string& key, cell& c) {
        while (!c.under_way && !c.queue.empty()) {
            auto next = std::move(c.queue.front());
            if (c.queue.size() == 1) std::vector<order>().swap(c.queue); // most entities wait most of their time
            else c.queue.erase(c.queue.begin());
            // It waited behind a write that changed the deadline: of the one that is now, nothing was said yet. `settle` arms it.
            if (std::holds_alternative<deadline_passed>(next.what) && E::deadline(c.now) != c.deadline_said) continue;
            auto said = E::decide(c.now, next.what, out_.now());
            if (said.events.empty() && c.known) {
                if (next.tell) next.tell({c.seq, std::move(said.refused)});
            } else {
                start_write(key, c, std::move(next), std::move(said));
            }
        }
        if (!c.under_way) settle(key, c);
    }
    // An empty write asks the journal whether it knows this entity: one that has ended is not in memory.
    void start_write(const std::string& key, cell& c, order by, decision<event> said) {
        append_request ask{std::string(E::kind) + '/' + key, c.seq, out_.now(), {}, false, {}};
        auto after = c.now;
        for (const auto& e : said.events) {
            ask.events.push_back(encode_described(e));
            after = E::evolve(std::move(after), e);
        }
        const auto seq = c.seq + said.events.size();
        ask.closes = E::is_final(after);
        if (c.seq / limits_.snapshot_every != seq / limits_.snapshot_every || (seq > c.seq && comes_to_rest<E>(c.now, after))) ask.snapshot = encode_described(after);
        c.under_way = std::make_unique<write>(write{std::move(said.events), std::move(by), {seq, std::move(said.refused)}});
        if (!Rules::effects_wait_for_the_journal || planted(defect::effect_before_intent)) {
            c.now = std::move(after);
            c.under_way->events.clear();
            settle(key, c);
        }
        out_.log.append(std::move(ask), [post = out_.post, key](append_answer a) {
            post({key, typename input<E>::journalled{std::move(a)}});
        });
    }
    void journalled(const std::string& key, cell& c, const append_answer& said) {
        ensure(c.under_way != nullptr, "the journal answered a write that was not under way");
        const auto done = std::move(c.under_way);
        switch (said.how) {
        case stored::unknown:
            must_restart_ = true; // `done->by.tell` stays silent: whoever ordered must ask again, and learns what is so
            return;
        case stored::conflict: // someone else's facts, or our own from before: they are true, so decide again by them
            load(c, said.found);
            c.queue.insert(c.queue.begin(), std::move(done->by));
            break;
        case stored::yes:
            for (const auto& e : done->events) c.now = E::evolve(std::move(c.now), e);
            c.seq = done->tell.seq;
            c.known = true;
            if (out_.changed && !done->events.empty()) out_.changed(key, c.now, done->events);
            if (done->by.tell) done->by.tell(std::move(done->tell));
        }
        pump(key, c);
    }
    void load(cell& c, const history& from) {
        c.now = state_of<E>(from);
        c.seq = from.last();
        c.known = true;
        c.deadline_said.reset();
    }

    // Brings what is under way in line with what the state asks for. The cell may be gone afterwards.
    void settle(const std::string& key, cell& c, bool restarted = false) {
        auto wanted = E::effects(c.now);
        std::erase_if(c.calls, [&](const call& x) {
            return find(wanted, x.id) == nullptr;
        });
        for (const auto& f : wanted) {
            auto id = id_of(f);
            if (std::any_of(c.calls.begin(), c.calls.end(), [&](const call& x) { return x.id == id; })) continue;
            c.calls.push_back({std::move(id), {}, 0, false});
            if (const auto later = restarted ? may_wait(f) : milliseconds{0}; later.count() > 0) c.calls.back().due = out_.now() + share(later, key, c.calls.back());
            else ask(key, c.calls.back(), f);
        }
        const bool over = E::is_final(c.now);
        ensure(!over || c.calls.empty(), "a final state still wants something done");
        ensure(over || c.seq == 0 || E::deadline(c.now).has_value(), "a state that is not final has no deadline");
        if (!c.under_way && c.queue.empty() && (over || c.seq == 0)) {
            disarm(key, c);
            cells_.erase(cells_.find(key)); // the journal keeps it
        } else {
            arm(key, c);
        }
    }
    void ask(const std::string& key, call& x, const effect& what) {
        x.asked = true;
        x.due = out_.now() + std::visit([]<class F>(const F&) { return answer_within<F>(); }, what);
        std::visit([&]<class F>(const F& f) {
            out_.world.perform(f, [post = out_.post, trouble = out_.trouble, key, id = x.id](outcome<F> o) {
                if (trouble && o.said != verdict::done) trouble(key, id, o.said, o.why);
                post({key, typename input<E>::heard{id, std::move(o)}});
            });
        }, what);
    }
    // An effect that is still listed after its answer was decided upon is asked again, later each time.
    void heard(const std::string& key, cell& c, const std::string& id, command outcome) {
        for (auto& x : c.calls) {
            if (x.id != id || !x.asked) continue;
            x.asked = false;
            const auto [first, longest] = std::visit([&]<class C>(const C&) {
                if constexpr (requires { typename C::effect_type; })
                    return std::pair{again_after<typename C::effect_type>(limits_.again_after), again_at_most<typename C::effect_type>(limits_.again_at_most)};
                else return std::pair{limits_.again_after, limits_.again_at_most};
            }, outcome);
            const auto pause = std::min(longest, first * (1 << std::min(x.tries, 6u)));
            x.due = out_.now() + pause - share(pause / 4, key, x);
            ++x.tries;
        }
        c.queue.push_back({std::move(outcome), {}});
        pump(key, c);
    }
    // Part of a span, another each time, the same in every run: those that failed together do not come back together.
    static milliseconds share(milliseconds span, const std::string& key, const call& x) {
        const auto dice = std::hash<std::string>{}(key + x.id + std::to_string(x.tries)) % 256;
        return span * (255 - static_cast<std::int64_t>(dice)) / 255;
    }
    // How long after a restart it may be left unasked: not at all, unless it only looks.
    milliseconds may_wait(const effect& f) const {
        return std::visit([&]<class F>(const F&) { return looks<F>() ? again_at_most<F>(limits_.again_at_most) : milliseconds{0}; }, f);
    }
    void wake(const std::string& key, cell& c) {
        const auto now = out_.now();
        disarm(key, c);
        const auto wanted = E::effects(c.now);
        std::vector<std::pair<std::string, command>> silent;
        for (auto& x : c.calls) {
            if (x.due > now) continue;
            const auto* what = find(wanted, x.id);
            if (!what) continue; // a write is under way; after it this call is dropped
            if (x.asked) silent.push_back({x.id, std::visit([]<class F>(const F& f) -> command {
                return outcome<F>{f, verdict::unknown, {}, "no answer in time"};
            }, *what)});
            else ask(key, x, *what);
        }
        if (const auto end = E::deadline(c.now); end && *end <= now && c.deadline_said != end) {
            c.deadline_said = end; // once each: the next one must be another
            c.queue.push_back({deadline_passed{}, {}});
        }
        if (silent.empty()) return pump(key, c);
        for (auto& [id, unknown] : silent) // the cell outlives this: its effects are still wanted, or a write is under way
            heard(key, c, id, std::move(unknown));
    }
    void arm(const std::string& key, cell& c) {
        std::optional<instant> next;
        const auto sooner = [&](instant t) { next = next ? std::min(*next, t) : t; };
        for (const auto& x : c.calls) sooner(x.due);
        if (const auto end = E::deadline(c.now); end && end != c.deadline_said) sooner(*end);
        if (!next || (c.armed && *c.armed <= *next)) return; // an earlier timer will look again
        disarm(key, c);
        c.armed = next;
        timers_.emplace(*next, &key);
    }
    void disarm(const std::string& key, cell& c) {
        if (c.armed) timers_.erase({*c.armed, &key});
        c.armed.reset();
    }
    static const effect* find(const std::vector<effect>& all, const std::string& id) {
        const auto at = std::find_if(all.begin(), all.end(), [&](const effect& f) { return id_of(f) == id; });
        return at == all.end() ? nullptr : &*at;
    }
    static std::string id_of(const effect& f) { return std::visit([](const auto& x) { return x.id(); }, f); }

    using timer = std::pair<instant, const std::string*>; // the key in `cells_`: every `key` that is handed around here is that one
    ports<E> out_;
    limits limits_;
    std::unordered_map<std::string, cell> cells_;
    struct by_time { // the order of the keys decides between equals, not where they lie in memory: a simulation repeats itself
        bool operator()(const timer& a, const timer& b) const { return a.first != b.first ? a.first < b.first : *a.second < *b.second; }
    };
    std::set<timer, by_time> timers_; // at most one for each
    bool must_restart_ = false;
};

} // namespace souk
