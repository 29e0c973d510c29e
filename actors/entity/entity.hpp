// What an entity is: a pure state machine whose facts are journalled and whose effects are carried out by others.
// Nothing here, and nothing in an entity, knows of clocks, disks, threads or actors.
#pragma once
#include <algorithm>
#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <boost/describe.hpp>

#include <souk/messages/described.hpp>

namespace souk {

// What came of an effect. `unknown` is not `failed`: it may have happened, and only the outside can tell.
enum class verdict : std::uint8_t { done, failed, unknown };
BOOST_DESCRIBE_ENUM(verdict, done, failed, unknown)

// The answer to an effect, fed back to the entity as a command. It carries the effect itself, so that `decide`
// can tell a late answer from a current one.
template <class Effect>
struct outcome {
    using effect_type = Effect;
    Effect of;
    verdict said = verdict::unknown;
    typename Effect::answer found{};
    std::string why;
};

// Always fed by whoever runs the entity, when `deadline(state)` has passed.
struct deadline_passed {};

// What `decide` says: new facts, nothing new (a repeated command), or a refusal.
template <class Event>
struct decision {
    std::vector<Event> events;
    std::optional<refusal> refused;

    decision() = default;
    decision(refusal why) : refused(std::move(why)) {}
    template <class... Facts>
        requires(sizeof...(Facts) > 0 && (std::constructible_from<Event, Facts> && ...))
    decision(Facts... facts) {
        (events.emplace_back(std::move(facts)), ...);
    }
};

template <class E>
concept entity = requires(const typename E::state& s, const typename E::command& c, const typename E::event& e,
                          const typename E::effect& f, instant now) {
    { E::kind } -> std::convertible_to<std::string_view>;
    { E::decide(s, c, now) } -> std::same_as<decision<typename E::event>>;
    { E::evolve(s, e) } -> std::same_as<typename E::state>;
    { E::effects(s) } -> std::same_as<std::vector<typename E::effect>>; // everything that still has to happen
    { E::deadline(s) } -> std::same_as<std::optional<instant>>;
    { E::is_final(s) } -> std::same_as<bool>;
    { std::visit([](const auto& x) { return x.id(); }, f) } -> std::same_as<std::string>;
} && std::constructible_from<typename E::command, deadline_passed>;

// Whether it waits for long in this state: by `rests` of its kind. The journal then gets the state itself, so that a start reads one
// thing instead of all that led there; as it does at the end.
template <class E>
bool comes_to_rest(const typename E::state& before, const typename E::state& after) {
    if (E::is_final(after)) return true;
    if constexpr (requires { E::rests(after); }) return E::rests(after) && !E::rests(before);
    else return false;
}

// Raised where an invariant of ours does not hold. It ends the actor: going on would be worse. Stays on in production.
struct broken_invariant : std::logic_error {
    using std::logic_error::logic_error;
};
inline void ensure(bool holds, const char* what) {
    if (!holds) throw broken_invariant(what);
}

// -- effects: one small interface for each kind ----------------------------------------------------------------

template <class Effect>
using reply_to = std::function<void(outcome<Effect>)>;

// How long an effect may stay unanswered before it counts as unknown and is asked again: `answer_within` of its type, else this.
inline constexpr std::chrono::milliseconds usual_answer{10'000};
template <class Effect>
constexpr std::chrono::milliseconds answer_within() {
    if constexpr (requires { Effect::answer_within; }) return Effect::answer_within;
    else return usual_answer;
}

// An effect that changes nothing outside, `static constexpr bool looks = true`: after a restart it need not be asked at once. A node that owns ten
// thousand leases would ask ten thousand questions of the same hosts, before it does what cannot wait.
template <class Effect>
constexpr bool looks() {
    if constexpr (requires { Effect::looks; }) return Effect::looks;
    else return false;
}

// The first pause before it is asked again, doubled from then on: `again_after` of its type where that is shorter, or the engine's own.
template <class Effect>
constexpr std::chrono::milliseconds again_after(std::chrono::milliseconds usual) {
    if constexpr (requires { Effect::again_after; }) return std::min<std::chrono::milliseconds>(usual, Effect::again_after);
    else return usual;
}

// The longest pause before it is asked again: `again_at_most` of its type, or the engine's own.
template <class Effect>
constexpr std::chrono::milliseconds again_at_most(std::chrono::milliseconds usual) {
    if constexpr (requires { Effect::again_at_most; }) return std::min<std::chrono::milliseconds>(usual, Effect::again_at_most);
    else return usual;
}

// Carries out one kind of effect. May be asked for the same id again at any time (a retry, a restart) and must then do
// it once; may answer at once, late, twice or never, from any thread.
template <class Effect>
struct performs {
    virtual ~performs() = default;
    virtual void perform(const Effect&, reply_to<Effect>) = 0;
};

template <class Effects>
struct performer_of;
template <class... Effects>
struct performer_of<std::variant<Effects...>> : performs<Effects>... {
    using performs<Effects>::perform...;
};
template <class E>
using performer = performer_of<typename E::effect>;

// Told of each outcome that was not `done`: which entity, which effect, and why.
using on_trouble = std::function<void(const std::string& key, const std::string& effect, verdict, const std::string& why)>;

// Gives back the memory of what an entity has no more use for; assigning an empty string would keep it.
inline void let_go(std::string& text) { std::string().swap(text); }
inline void let_go(octets& bytes) { let_go(bytes.data); }

// -- std::visit, readable ---------------------------------------------------------------------------------------

template <class... Fs>
struct overloaded : Fs... {
    using Fs::operator()...;
};
template <class Variant, class... Fs>
decltype(auto) match(Variant&& v, Fs&&... fs) {
    return std::visit(overloaded<std::decay_t<Fs>...>{std::forward<Fs>(fs)...}, std::forward<Variant>(v));
}

} // namespace souk
