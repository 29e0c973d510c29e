// A machine: one attempt to run one instance, known to its backend by a tag that derives from its contract and the attempt.
//
//   reserved -> launching -> running -> stopping -> gone
//   reserved -> gone                                       nothing was ever asked of a backend
//   launching -> stopping                                  cancelled, refused or too slow: it may exist all the same
#pragma once
#include <souk/actors/entity/entity.hpp>
#include <souk/backends/compute/backend.hpp>
#include <souk/messages/actors.hpp>

namespace souk {

struct machine {
    static constexpr std::string_view kind = "machine";

    enum class phase : std::uint8_t { none, reserved, launching, running, stopping, gone };

    struct state {
        phase at = phase::none;
        room_request room;
        machine_start what;
        instant create_until; // past this no backend starts it any more
        compute::running where;
        std::string why;
        instant since, due;
        std::uint32_t alarms = 0;
    };

    struct create { // at most one instance a tag, and none after `not_after`, however late the request arrives
        room_request room;
        machine_start what;
        instant not_after;
        struct answer { compute::running where; };
        static constexpr std::chrono::milliseconds answer_within{240'000};
        std::string id() const { return "create/" + what.tag; }
    };
    struct destroy { // done: the backend has looked, at `as_of`, and there is no instance of this tag
        std::string tag;
        struct answer {
            instant as_of;
            bool final = false; // and no create that was ever asked for can still take effect
        };
        static constexpr std::chrono::milliseconds answer_within{30'000}, again_at_most{5'000};
        std::string id() const { return "destroy/" + tag; }
    };
    struct observe { // is it still there?
        std::string tag;
        struct answer { compute::presence is = compute::presence::unknown; instant as_of; };
        static constexpr bool looks = true;
        static constexpr std::chrono::milliseconds again_at_most{5'000};
        std::string id() const { return "observe/" + tag; }
    };
    using effect = std::variant<create, destroy, observe>;

    struct reserve { room_request what; };
    struct launch { machine_start what; };
    struct stop { std::string why; };
    using command = std::variant<reserve, launch, stop, deadline_passed, outcome<create>, outcome<destroy>, outcome<observe>>;

    struct reserved { static constexpr auto type = "reserved"; room_request room; instant at; };
    struct launching { static constexpr auto type = "launching"; machine_start what; instant not_after, at; };
    struct running { static constexpr auto type = "running"; compute::running where; instant at; };
    struct stopping { static constexpr auto type = "stopping"; std::string why; instant look_again, at; };
    struct gone { static constexpr auto type = "gone"; std::string why; instant at; };
    struct overdue { static constexpr auto type = "overdue"; instant look_again; };
    using event = std::variant<reserved, launching, running, stopping, gone, overdue>;

    static decision<event> decide(const state&, const command&, instant now);
    static state evolve(state, const event&);
    static std::vector<effect> effects(const state&);
    static bool is_final(const state& s) { return s.at == phase::gone; }
    static bool rests(const state& s) { return s.at == phase::running; }
    static std::optional<instant> deadline(const state& s);

    static bool owns_instance(const state& s) { return s.at >= phase::launching && s.at <= phase::stopping; }
    static bool holds_room(const state& s) { return s.at >= phase::reserved && s.at <= phase::stopping; }
};

// The sweep: of the tags that a backend lists, those that no machine owns. `durable` must answer from the journal's facts, and
// finds nothing for a tag that was never ours to create.
std::vector<std::string> orphans(const std::vector<std::string>& listed, const std::function<machine::state(const std::string& tag)>& durable);

BOOST_DESCRIBE_ENUM(machine::phase, none, reserved, launching, running, stopping, gone)
BOOST_DESCRIBE_STRUCT(machine::state, (), (at, room, what, create_until, where, why, since, due, alarms))
BOOST_DESCRIBE_STRUCT(machine::reserved, (), (room, at))
BOOST_DESCRIBE_STRUCT(machine::launching, (), (what, not_after, at))
BOOST_DESCRIBE_STRUCT(machine::running, (), (where, at))
BOOST_DESCRIBE_STRUCT(machine::stopping, (), (why, look_again, at))
BOOST_DESCRIBE_STRUCT(machine::gone, (), (why, at))
BOOST_DESCRIBE_STRUCT(machine::overdue, (), (look_again))

} // namespace souk
