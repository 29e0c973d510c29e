// The actor that runs many entities of one kind: a shard. It owns an engine, gives it input in its own thread and wakes it in time; it
// knows no rules. Orders and answers stay inside the process.
#pragma once
#include <map>
#include <memory>

#include <souk/actors/common/local_messages.hpp>
#include <souk/actors/entity/engine.hpp>

namespace souk {

template <class E>
struct order {
    std::string key;
    typename E::command what;
};
struct wake_up {
    instant armed;
};
template <class E>
struct state_query {
    std::string key;
};
template <class E>
struct state_answer { // empty: not live here (unknown, or ended: the journal has its past)
    std::optional<typename E::state> found;
};

template <class E>
struct states_query {};
template <class E>
struct states_answer { // all that are live in one shard
    std::vector<std::pair<std::string, typename E::state>> found;
};

} // namespace souk

SOUK_LOCAL_MESSAGE(souk::answer)
SOUK_LOCAL_MESSAGE(souk::wake_up)
SOUK_LOCAL_MESSAGE_TEMPLATE((class E), souk::order<E>)
SOUK_LOCAL_MESSAGE_TEMPLATE((class E), souk::input<E>)
SOUK_LOCAL_MESSAGE_TEMPLATE((class E), souk::state_query<E>)
SOUK_LOCAL_MESSAGE_TEMPLATE((class E), souk::state_answer<E>)
SOUK_LOCAL_MESSAGE_TEMPLATE((class E), souk::states_query<E>)
SOUK_LOCAL_MESSAGE_TEMPLATE((class E), souk::states_answer<E>)

namespace souk {

template <entity E>
using entity_handle = typed_actor<
    // Decides, journals, and answers once that is durable.
    caf::result<answer>(order<E>),
    // What a live one is now.
    caf::result<state_answer<E>>(state_query<E>),
    // What all live ones are now: for people's questions.
    caf::result<states_answer<E>>(states_query<E>),
    // The shard's own: what comes back from outside, and its timer.
    caf::result<void>(input<E>), caf::result<void>(wake_up)>;

// What a shard stands on. All of it must outlive the shard.
template <entity E>
struct footing {
    journal* log = nullptr;
    performer<E>* world = nullptr;
    std::function<instant()> now;
    std::function<void(const std::string& key, const typename E::state&, const std::vector<typename E::event>&)> changed;
    limits within;
    std::function<void(const std::string& key, const std::string& effect, verdict, const std::string& why)> trouble;
};

template <entity E, class Rules = sound>
class entity_actor final : public entity_handle<E>::base {
    using handle = entity_handle<E>;
    using base = typename handle::base;

public:
    // `streams` are the entities that this shard owns from the start.
    entity_actor(caf::actor_config& cfg, footing<E> on, saved streams) : base(cfg), now_(on.now), streams_(std::move(streams)) {
        bring_local_messages<handle>();
        const auto self = handle{this};
        engine_ = std::make_unique<engine<E, Rules>>(
            ports<E>{*on.log, *on.world, now_, [self](input<E> in) { tell(self, std::move(in)); }, std::move(on.changed), std::move(on.trouble)}, on.within);
    }
    const char* name() const override { return E::kind.data(); }
    void on_exit() override { engine_.reset(); } // breaks the cycle through `post`

protected:
    typename base::behavior_type make_behavior() override {
        for (auto& [key, from] : streams_) engine_->recover(key, from);
        streams_ = {};
        arm();
        return {
            [this](const order<E>& o) -> caf::result<answer> {
                auto promise = this->template make_response_promise<answer>();
                engine_->submit(o.key, o.what, [promise](answer a) mutable { promise.deliver(std::move(a)); });
                after_input();
                return promise;
            },
            [this](const state_query<E>& q) -> caf::result<state_answer<E>> {
                const auto* found = engine_->find(q.key);
                return state_answer<E>{found ? std::optional(*found) : std::nullopt};
            },
            [this](const states_query<E>&) -> caf::result<states_answer<E>> {
                states_answer<E> all;
                engine_->each([&all](const std::string& key, const typename E::state& s) { all.found.emplace_back(key, s); });
                return all;
            },
            [this](input<E>& in) {
                engine_->take(std::move(in));
                after_input();
            },
            [this](const wake_up& due) {
                if (armed_ == due.armed) armed_.reset();
                engine_->tick();
                after_input();
            },
        };
    }

private:
    void after_input() {
        if (engine_->must_restart()) this->quit(caf::make_error(caf::sec::runtime_error, "the journal lost certainty"));
        else arm();
    }
    // One timer in CAF's clock for all entities here, never further off than a minute: a delayed message cannot be cancelled and keeps
    // its receiver alive, and a wall clock that jumps is noticed within that minute.
    void arm() {
        const auto next = engine_->next_wake();
        if (!next || (armed_ && *armed_ <= *next)) return;
        armed_ = next;
        using std::chrono::milliseconds;
        const auto delay = std::clamp<milliseconds>(*next - now_(), milliseconds{0}, milliseconds{60'000});
        send_after(*this, handle{this}, delay, wake_up{*next});
    }

    std::function<instant()> now_;
    saved streams_;
    std::unique_ptr<engine<E, Rules>> engine_;
    std::optional<instant> armed_;
};

// All entities of one kind in this process, spread over a few shards.
template <entity E>
class entities {
public:
    // Loads what the journal has open and goes on with it. `footing` must outlive the system's actors.
    entities(caf::actor_system& sys, std::size_t shards, footing<E> on) : sys_(&sys), log_(on.log) {
        std::vector<saved> parts(shards);
        on.log->open_streams(E::kind, [&](std::string key, history h) {
            auto& part = parts[std::hash<std::string>{}(key) % shards];
            part.emplace_back(std::move(key), std::move(h));
        });
        for (auto& part : parts) all_.push_back(sys.spawn<entity_actor<E>>(on, std::move(part)));
    }
    entities(const entities&) = delete;
    entities& operator=(const entities&) = delete;
    ~entities() {
        for (auto& x : all_) caf::anon_send_exit(x, caf::exit_reason::user_shutdown);
    }

    const entity_handle<E>& shard(const std::string& key) const { return all_[std::hash<std::string>{}(key) % all_.size()]; }
    const std::vector<entity_handle<E>>& shards() const { return all_; }

    // Gives an order; `then` runs in an actor of its own, after the facts are durable.
    void submit(const std::string& key, typename E::command what, std::function<void(result<answer>)> then) const {
        ask<answer>(*sys_, shard(key), std::chrono::seconds{30}, order<E>{key, std::move(what)}, std::move(then));
    }
    void submit(const std::string& key, typename E::command what) const {
        tell(shard(key), order<E>{key, std::move(what)});
    }
    // All that are live, in the order of their keys. `then` runs in `self`'s own turn; a shard that does not answer is left out.
    template <class Self>
    void live(Self& self, std::function<void(std::map<std::string, typename E::state>)> then) const {
        struct round {
            std::size_t left;
            std::map<std::string, typename E::state> found;
            std::function<void(std::map<std::string, typename E::state>)> then;
            void one_less() {
                if (--left == 0) then(std::move(found));
            }
        };
        const auto r = std::make_shared<round>(round{all_.size(), {}, std::move(then)});
        for (const auto& one : all_)
            request(self, one, std::chrono::seconds{10}, states_query<E>{})
                .then(
                    [r](states_answer<E>& a) {
                        for (auto& [key, s] : a.found) r->found.emplace(key, std::move(s));
                        r->one_less();
                    },
                    [r](const caf::error&) { r->one_less(); });
    }
    // From the journal: what it is, or was. Blocking, for people's questions.
    typename E::state durable(const std::string& key) const { return state_of<E>(log_->past(E::kind, key)); }

private:
    caf::actor_system* sys_;
    journal* log_;
    std::vector<entity_handle<E>> all_;
};

} // namespace souk
