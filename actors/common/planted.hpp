// Deliberate defects, so that the simulator can be seen to find them. They exist only in a build of the tests (SOUK_PLANTED_DEFECTS);
// everywhere else `planted` is false for the compiler, and nothing of them is left.
#pragma once
#include <cstdint>

#include <boost/describe.hpp>

namespace souk {

enum class defect : std::uint8_t {
    none,
    effect_before_intent,  // the outside is asked while the journal does not have the intent yet
    forgets_at_restart,    // effects that were under way are not asked for again
    nonce_not_derived,     // each attempt to pay is another authorisation
    unknown_is_failed,     // a rail that does not know counts as one that refused
    early_absence,         // a nonce that is unused now counts as one that never will be
    end_unconfirmed,       // a machine counts as gone when its end was ordered
    launch_unpaid,         // a machine is launched on the promise of a payment
    refund_forgotten,      // what was not used is kept
    silence_is_loss,       // a host that does not answer counts as a machine that was lost
    room_leaks,            // the room of a machine that is gone is not given back
    verdict_ignored,       // the cheapest bid is taken, whoever made it
    unsigned_believed,     // a record is believed for its stream, not for its signature
    route_stays_up,        // a name is said to be up when its tunnel is gone
    name_not_owned,        // a name goes to whoever asks for it last
    grant_unkept,          // a relay says that it keeps a grant before it does
};
BOOST_DESCRIBE_ENUM(defect, none, effect_before_intent, forgets_at_restart, nonce_not_derived, unknown_is_failed, early_absence, end_unconfirmed, launch_unpaid, refund_forgotten,
                    silence_is_loss, room_leaks, verdict_ignored, unsigned_believed, route_stays_up, name_not_owned, grant_unkept)

#ifdef SOUK_PLANTED_DEFECTS
inline namespace with_defects { // another name than that of the others: both kinds of objects may meet in one test
inline defect planted_defect = defect::none;
inline bool planted(defect d) { return planted_defect == d; }
} // namespace with_defects
#else
constexpr bool planted(defect) { return false; }
#endif

} // namespace souk
