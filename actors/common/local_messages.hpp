// The numbers of the messages that never leave their process. One that is missing here does not compile (SOUK_LOCAL_MESSAGE); what
// each of them is, its actor says. No number is ever seen by another process, so the order is free.
#pragma once
#include <souk/messages/actors.hpp>

namespace souk {

struct turn;

// Of the entity engine, for each entity that it runs.
struct answer;
struct wake_up;
template <class E>
struct order;
template <class E>
struct input;
template <class E>
struct state_query;
template <class E>
struct state_answer;
template <class E>
struct states_query;
template <class E>
struct states_answer;
struct channel;
struct lane;
struct lease;
struct machine;
struct payment;
struct purchase;
struct route;
struct standing_offer;
struct tab;

// Of one actor each.
struct channel_changed;
struct channel_overdue;
struct give_up;
struct lease_changed;
struct machine_changed;
struct payment_changed;
struct purchase_changed;
struct stop_waiting;
struct sweep_now;
struct swept;
struct tab_changed;
struct withdrawn;
struct written;

} // namespace souk

#define SOUK_NUMBER_ENTITY(...)                                    \
    CAF_ADD_TYPE_ID(souk_local, (souk::order<__VA_ARGS__>))        \
    CAF_ADD_TYPE_ID(souk_local, (souk::input<__VA_ARGS__>))        \
    CAF_ADD_TYPE_ID(souk_local, (souk::state_query<__VA_ARGS__>))  \
    CAF_ADD_TYPE_ID(souk_local, (souk::state_answer<__VA_ARGS__>)) \
    CAF_ADD_TYPE_ID(souk_local, (souk::states_query<__VA_ARGS__>)) \
    CAF_ADD_TYPE_ID(souk_local, (souk::states_answer<__VA_ARGS__>))

CAF_BEGIN_TYPE_ID_BLOCK(souk_local, ::souk::first_local_type_id)
    CAF_ADD_TYPE_ID(souk_local, (souk::turn))
    CAF_ADD_TYPE_ID(souk_local, (souk::answer))
    CAF_ADD_TYPE_ID(souk_local, (souk::wake_up))
    SOUK_NUMBER_ENTITY(souk::channel)
    SOUK_NUMBER_ENTITY(souk::lane)
    SOUK_NUMBER_ENTITY(souk::lease)
    SOUK_NUMBER_ENTITY(souk::machine)
    SOUK_NUMBER_ENTITY(souk::payment)
    SOUK_NUMBER_ENTITY(souk::purchase)
    SOUK_NUMBER_ENTITY(souk::route)
    SOUK_NUMBER_ENTITY(souk::standing_offer)
    SOUK_NUMBER_ENTITY(souk::tab)
    CAF_ADD_TYPE_ID(souk_local, (souk::channel_changed))
    CAF_ADD_TYPE_ID(souk_local, (souk::channel_overdue))
    CAF_ADD_TYPE_ID(souk_local, (souk::give_up))
    CAF_ADD_TYPE_ID(souk_local, (souk::lease_changed))
    CAF_ADD_TYPE_ID(souk_local, (souk::machine_changed))
    CAF_ADD_TYPE_ID(souk_local, (souk::payment_changed))
    CAF_ADD_TYPE_ID(souk_local, (souk::purchase_changed))
    CAF_ADD_TYPE_ID(souk_local, (souk::stop_waiting))
    CAF_ADD_TYPE_ID(souk_local, (souk::sweep_now))
    CAF_ADD_TYPE_ID(souk_local, (souk::swept))
    CAF_ADD_TYPE_ID(souk_local, (souk::tab_changed))
    CAF_ADD_TYPE_ID(souk_local, (souk::withdrawn))
    CAF_ADD_TYPE_ID(souk_local, (souk::written))
CAF_END_TYPE_ID_BLOCK(souk_local)
#undef SOUK_NUMBER_ENTITY

static_assert(caf::id_block::souk_local::end <= souk::first_free_type_id);
