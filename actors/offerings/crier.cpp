#include <souk/actors/offerings/crier.hpp>

#include <souk/messages/dag_cbor.hpp>

namespace souk {

namespace {

using namespace std::chrono_literals;
constexpr auto usual = 9s; // below the engine's own patience

bool is_passing(const std::string& code) { return code == "disk_full" || code == "record_unreachable" || code == "not_now"; }

struct look_now {};

} // namespace
} // namespace souk

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(souk::look_now)

namespace souk {

void offering_world::perform(const standing_offer::publish& f, reply_to<standing_offer::publish> tell) {
    auto record = decode_dag_cbor(f.says.data);
    auto* fields = record ? record->as<value::map>() : nullptr;
    if (!fields) return tell({f, verdict::failed, {}, "what is to be offered cannot be read"});
    (*fields)["createdAt"] = to_datetime(f.since), (*fields)["refreshedAt"] = to_datetime(f.renewed);
    (*fields)["expiresAt"] = to_datetime(f.renewed + standing_offer::life);
    ask<signed_record>(sys_, signer_, usual, sign_record{std::string(market::offering::nsid), f.key, encode_dag_cbor(*record), false, false}, [f, tell = std::move(tell)](result<signed_record> r) {
        outcome<standing_offer::publish> o{f, verdict::unknown, {}, {}};
        if (!r) o.why = r.error().text;
        else if (r->refused) o.said = is_passing(r->refused->code) ? verdict::unknown : verdict::failed, o.why = r->refused->text;
        else o.said = verdict::done, o.found.ref = {r->uri, r->cid};
        tell(std::move(o));
    });
}

void offering_world::perform(const standing_offer::withdraw& f, reply_to<standing_offer::withdraw> tell) {
    ask<kept>(sys_, signer_, usual, withdraw_record{std::string(market::offering::nsid), f.key}, [f, tell = std::move(tell)](result<kept> k) {
        const bool done = k && !k->refused;
        tell({f, done ? verdict::done : verdict::unknown, {}, done ? "" : k ? k->refused->text : k.error().text});
    });
}

caf::actor spawn_crier(caf::actor_system& sys, crier_options options, fleet_actor fleet, journal& log, performer<standing_offer>& world) {
    struct state {
        std::shared_ptr<entities<standing_offer>> all;
        std::optional<octets> said; // what was last ordered; empty: nothing is offered
        octets seen;                // and what the fleet has had to offer since then
        instant since;
    };
    footing<standing_offer> on{&log, &world, options.now, {}, {}, options.trouble};
    auto all = std::make_shared<entities<standing_offer>>(sys, 1, std::move(on));
    const auto key = offerings::key_of(options.did);
    return sys.spawn<caf::hidden>([options = std::move(options), fleet = std::move(fleet), all = std::move(all), key](caf::event_based_actor* self, none_needed) -> caf::behavior {
        auto s = std::make_shared<state>(state{all, {}, {}, {}});
        const auto order = [s, key](const octets& says) {
            if (says.data.empty()) s->all->submit(key, standing_offer::end{});
            else s->all->submit(key, standing_offer::offer{key, says});
            s->said = says;
        };
        if (!options.offers) {
            order({});
            return {[s](const look_now&) {}}; // for as long as that takes
        }
        const auto compare = [s, order, options](const fleet_view& v) {
            const auto what = offerings::offering_of(options.terms, v.hosts);
            octets says;
            if (what) {
                auto record = to_value(*what);
                record.as<value::map>()->erase("createdAt");
                says = octets{encode_dag_cbor(record)};
            }
            if (s->said == says) {
                s->since = instant{}; // what it had begun to be has passed
                return;
            }
            const auto now = options.now();
            if (says != s->seen || s->since == instant{}) s->seen = says, s->since = now;
            const bool first = what && (!s->said || s->said->data.empty()); // nobody is told anything else yet
            if (first || now - s->since >= options.settles) order(says), s->since = instant{};
        };
        self->send(self, look_now{});
        return {[self, fleet, compare, options](const look_now&) {
            send_after(*self, caf::actor_cast<caf::actor>(self), options.look_every, look_now{});
            request(*self, fleet, options.look_every, host_query{}).then(compare, [](const caf::error&) {}); // a fleet that cannot be asked is no news
        }};
    }, none_needed{});
}

} // namespace souk
