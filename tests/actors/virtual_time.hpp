// An actor system whose actors run when the test says so, and whose clock moves when the test says so.
#pragma once
#include <caf/scheduler/test_coordinator.hpp>
#include <doctest/doctest.h>

#include <souk/messages/actors.hpp>

using namespace std::chrono_literals;

struct virtual_time {
    struct config : caf::actor_system_config {
        config() {
            souk::add_message_types<caf::id_block::souk>(*this);
            set("scheduler.policy", caf::atom("testing"));
            set("logger.verbosity", caf::atom("quiet"));
        }
    };

    config cfg;
    caf::actor_system sys{cfg};
    caf::scheduler::test_coordinator& sched = dynamic_cast<caf::scheduler::test_coordinator&>(sys.scheduler());
    souk::instant now{std::chrono::seconds{1'778'312'530}}; // 2026-05-09T07:42:10Z
    std::vector<caf::strong_actor_ptr> cast;

    ~virtual_time() {
        for (const auto& x : cast) caf::anon_send_exit(x, caf::exit_reason::kill);
        sched.run();
    }

    std::function<souk::instant()> clock() {
        return [this] { return now; };
    }
    void pass(std::chrono::milliseconds d) {
        now += d;
        sched.advance_time(d);
        sched.run();
    }
    template <class Handle>
    Handle keep(Handle h) { // on stage until the test ends
        cast.push_back(caf::actor_cast<caf::strong_actor_ptr>(h));
        sched.run();
        return h;
    }

    template <class Answer>
    using pending = std::shared_ptr<std::optional<souk::result<Answer>>>;
    template <class Answer, class Dst, class Message>
    pending<Answer> ask(const Dst& dst, Message what) {
        auto got = std::make_shared<std::optional<souk::result<Answer>>>();
        souk::ask<Answer>(sys, dst, std::chrono::minutes{2}, std::move(what), [got](souk::result<Answer> a) { got->emplace(std::move(a)); });
        sched.run();
        return got;
    }
    // For what is answered without time passing.
    template <class Answer, class Dst, class Message>
    Answer answer(const Dst& dst, Message what) {
        const auto got = ask<Answer>(dst, std::move(what));
        REQUIRE(got->has_value());
        REQUIRE((*got)->has_value());
        return std::move((*got)->value());
    }
};

template <class T>
std::string code(const souk::result<T>& r) {
    return r ? "good" : r.error().code;
}
inline std::string code(const std::optional<souk::refusal>& r) { return r ? r->code : "good"; }
