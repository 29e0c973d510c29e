// The one header that knows which CAF this is (0.17.6 is what Debian has and what is tested; 1.1 builds, see docs/embedding.md).
// Everything else writes caf::result<R>(A) signatures, souk::request/send/send_after, souk::actor_of<State>.
#pragma once
#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include <caf/config.hpp>
#if CAF_MAJOR_VERSION >= 1 // CAF_VERSION is 1706 in 0.17.6 but octal 0100 in 1.1.0: never compare it
#    define SOUK_CAF_1 1
#else
#    define SOUK_CAF_1 0
#endif

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/result.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <caf/type_id.hpp>
#include <caf/typed_actor.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <caf/typed_response_promise.hpp>
#if SOUK_CAF_1
#    include <caf/anon_mail.hpp>
#    include <caf/init_global_meta_objects.hpp>
#endif

#include <souk/messages/described.hpp>
#include <souk/messages/json.hpp>

namespace souk {

// -- how messages travel ------------------------------------------------------------------------------------------------
// A described struct crosses the cluster as one bounded string of DAG-CBOR, fields by name. So both CAF versions carry the same
// bytes, every member type that has a value form may be used, and an added optional field does not break an older peer.

template <class T>
concept message_struct = described_struct<T>;

namespace detail {
template <class Inspector, class T>
auto inspect_as_text(Inspector& f, T& x) {
#if SOUK_CAF_1
    if constexpr (!Inspector::is_loading) {
        std::string bytes;
        if (f.has_human_readable_format()) {
            bytes = to_json(to_value(x));
        } else {
            try {
                bytes = encode_described(x);
            } catch (const std::logic_error& e) { // a text that is no UTF-8, say
                f.emplace_error(caf::sec::invalid_argument, e.what());
                return false;
            }
        }
        return f.object(x).fields(f.field("cbor", bytes));
    } else {
        std::string bytes;
        if (!f.object(x).fields(f.field("cbor", bytes))) return false;
        auto read = decode_described<T>(bytes, missing_fields::take_default);
        if (!read) {
            f.emplace_error(caf::sec::invalid_argument, read.error().text);
            return false;
        }
        x = std::move(*read);
        return true;
    }
#else
    using outcome = typename Inspector::result_type;
    if constexpr (std::is_same_v<outcome, void>) { // for people
        std::string shown = to_json(to_value(x));
        f(shown);
    } else if constexpr (Inspector::reads_state) {
        std::string bytes;
        try {
            bytes = encode_described(x);
        } catch (const std::logic_error& e) { // a text that is no UTF-8, say: here, on the cluster's thread, it would end the process
            return outcome{caf::make_error(caf::sec::invalid_argument, e.what())};
        }
        return f(bytes);
    } else {
        std::string bytes;
        if (auto err = f(bytes)) return err;
        auto read = decode_described<T>(bytes, missing_fields::take_default);
        if (!read) return outcome{caf::make_error(caf::sec::invalid_argument, read.error().text)};
        x = std::move(*read);
        return outcome{};
    }
#endif
}
} // namespace detail

template <class Inspector, message_struct T>
auto inspect(Inspector& f, T& x) {
    return detail::inspect_as_text(f, x);
}

// Other messages stay inside one process. They may hold anything and are never serialised: SOUK_LOCAL_MESSAGE, at the end of this
// file, says so of a type that has a number in a CAF type-id block. Only CAF 1.x has a use for the number, but both versions ask for
// it: what is built every day is 0.17.
template <class T>
concept numbered_message = requires { caf::type_id<T>::value; };

#if SOUK_CAF_1
namespace detail {
// CAF 1.x moves and copies messages by a table that must be full before there is an actor system. A block fills it where all of its
// types are complete, and these are complete nowhere together. So each actor brings those that its interface names, before `main`.
class local_type {
public:
    local_type(caf::type_id_t id, caf::detail::meta_object how) : id_(id), how_(how), next_(std::exchange(first_, this)) {}
    local_type(const local_type&) = delete;
    local_type& operator=(const local_type&) = delete;
    static void add_all() {
        for (const auto* x = first_; x; x = x->next_) caf::detail::set_global_meta_objects(x->id_, caf::make_span(&x->how_, 1));
    }

private:
    static inline constinit const local_type* first_ = nullptr;
    caf::type_id_t id_;
    caf::detail::meta_object how_;
    const local_type* next_;
};
template <class T>
inline const local_type local_type_of{caf::type_id_v<T>, caf::detail::make_meta_object<T>(caf::type_name_v<T>)};

template <class T>
void bring() {
    if constexpr (caf::allowed_unsafe_message_type<T>::value) static_cast<void>(&local_type_of<T>);
}
template <class... R, class... As>
void bring_all(caf::result<R...> (*)(As...)) {
    (bring<R>(), ...);
    (bring<As>(), ...);
}
template <class... Fs>
void bring_all(caf::type_list<Fs...>) {
    (bring_all(static_cast<Fs*>(nullptr)), ...);
}
} // namespace detail
#endif

// For the constructor of every actor that is not an `actor_of`.
template <class Handle>
void bring_local_messages() {
#if SOUK_CAF_1
    detail::bring_all(typename Handle::signatures{});
#endif
}

// To be called before the actor system is constructed: with `caf::id_block::souk` and the blocks of an embedder's own. Twice is once.
template <class... Blocks>
void add_message_types([[maybe_unused]] caf::actor_system_config& config) {
#if SOUK_CAF_1
    caf::core::init_global_meta_objects();
    (caf::init_global_meta_objects<Blocks>(), ...);
    detail::local_type::add_all();
#else
    (config.add_message_types<Blocks>(), ...);
#endif
}

// -- typed interfaces -----------------------------------------------------------------------------------------------------
#if SOUK_CAF_1
template <class... Fs>
using typed_actor = caf::typed_actor<Fs...>;
#else
namespace detail {
template <class F>
struct signature;
template <class... R, class... As>
struct signature<caf::result<R...>(As...)> {
    using type = caf::typed_mpi<caf::detail::type_list<As...>, caf::output_tuple<R...>>;
};
} // namespace detail
template <class... Fs>
using typed_actor = caf::typed_actor<typename detail::signature<Fs>::type...>;
#endif

// A role's public interface and what its actor says to itself besides.
#if SOUK_CAF_1
template <class Public, class... Fs>
using extended = typename Public::template extend<Fs...>;
#else
template <class Public, class... Fs>
using extended = typename Public::template extend<typename detail::signature<Fs>::type...>;
#endif

// -- verbs ------------------------------------------------------------------------------------------------------------------
// Every request has a deadline. There is no other form.
template <class Self, class Dst, class... Ts>
auto request(Self& self, const Dst& dst, std::chrono::milliseconds within, Ts&&... xs) {
#if SOUK_CAF_1
    return self.mail(std::forward<Ts>(xs)...).request(dst, within);
#else
    return self.request(dst, within, std::forward<Ts>(xs)...);
#endif
}
template <class Self, class Dst, class... Ts>
void send(Self& self, const Dst& dst, Ts&&... xs) {
#if SOUK_CAF_1
    self.mail(std::forward<Ts>(xs)...).send(dst);
#else
    self.send(dst, std::forward<Ts>(xs)...);
#endif
}
template <class Self, class Dst, class... Ts>
void send_after(Self& self, const Dst& dst, std::chrono::milliseconds delay, Ts&&... xs) {
#if SOUK_CAF_1
    self.mail(std::forward<Ts>(xs)...).delay(delay).send(dst);
#else
    self.delayed_send(dst, delay, std::forward<Ts>(xs)...);
#endif
}
template <class Dst, class... Ts>
void tell(const Dst& dst, Ts&&... xs) { // from no actor
#if SOUK_CAF_1
    caf::anon_mail(std::forward<Ts>(xs)...).send(dst);
#else
    caf::anon_send(dst, std::forward<Ts>(xs)...);
#endif
}

// An argument for an actor that is a function and wants none: CAF 0.17 reads through an empty pointer to no arguments.
struct none_needed {};

// Asks from outside any actor, or from code that must not know its actor. `done` and `failed` run in an actor of their own, which
// lives for this one question. Unlike a raw request it cannot outlive its deadline.
template <class Answer, class Dst, class Message>
void ask(caf::actor_system& sys, const Dst& dst, std::chrono::milliseconds within, Message what, std::function<void(result<Answer>)> then) {
    auto body = [dst, within, what = std::move(what), then = std::move(then)](caf::event_based_actor* self, none_needed) mutable {
        if (!dst) return then(refusal{"no_such_role", "no node of this cluster hosts that role now"});
        request(*self, dst, within, std::move(what))
            .then([then](Answer& a) { then(std::move(a)); },
                  [then](caf::error& e) {
                      const bool late = e == caf::sec::request_timeout;
                      then(refusal{late ? "request_timeout" : "peer_lost", late ? "no answer in time" : "the actor that was asked is gone or out of reach"});
                  });
    };
    sys.spawn<caf::hidden>(std::move(body), none_needed{});
}

// -- actors out of a state class: the same source on both versions ----------------------------------------------------------
// State has: `handle`, `static constexpr const char* name`, a constructor (handle::pointer self, ...), make_behavior().
template <class State>
class actor_of final : public State::handle::base {
    using base = typename State::handle::base;

public:
    template <class... Ts>
    explicit actor_of(caf::actor_config& cfg, Ts&&... xs) : base(cfg), state_(std::in_place, this, std::forward<Ts>(xs)...) {
        bring_local_messages<typename State::handle>();
    }
    const char* name() const override { return State::name; }
    void on_exit() override {
        state_.reset(); // members may hold handles that make a cycle
        base::on_exit();
    }

protected:
    typename base::behavior_type make_behavior() override { return state_->make_behavior(); }

private:
    std::optional<State> state_;
};

} // namespace souk

// Stays inside one process. A template of messages is named as it is specialised: its parameters, then its name with them.
#define SOUK_LOCAL_MESSAGE(...) SOUK_LOCAL_MESSAGE_TEMPLATE((), __VA_ARGS__)
#define SOUK_LOCAL_MESSAGE_TEMPLATE(parameters, ...)                                                                              \
    template <SOUK_WITHOUT_PARENTHESES parameters>                                                                                \
    struct caf::allowed_unsafe_message_type<__VA_ARGS__> : std::true_type {                                                       \
        static_assert(souk::numbered_message<__VA_ARGS__>, "a local message needs a number: actors/common/local_messages.hpp");   \
    };
#define SOUK_WITHOUT_PARENTHESES(...) __VA_ARGS__
