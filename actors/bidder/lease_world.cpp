#include <souk/actors/bidder/bidder.hpp>
#include <souk/actors/common/foreign_thread.hpp>
#include <souk/actors/common/publish.hpp>

namespace souk {

namespace {

using namespace std::chrono_literals;
constexpr auto usual = 9s; // below the engine's own patience, so that the reason for an unknown is ours

// One question to one role, its answer made into an outcome by `judge`, which returns the verdict and fills what was found.
template <class Answer, class Effect, class Role, class Message, class Judge>
void put(caf::actor_system& sys, const Role& role, std::chrono::milliseconds within, Message what, Effect f, reply_to<Effect> tell, Judge judge) {
    ask<Answer>(sys, role, within, std::move(what), [f = std::move(f), tell = std::move(tell), judge](result<Answer> a) {
        outcome<Effect> o{f, verdict::unknown, {}, {}};
        if (!a) o.why = a.error().text;
        else judge(*a, o);
        tell(std::move(o));
    });
}

// Date and signatures are the signer's to fill.
template <class Record>
value undated(const Record& r) {
    auto v = to_record(r);
    if (auto* fields = v.template as<value::map>()) fields->erase("createdAt"), fields->erase("signatures");
    return v;
}

template <class Effect>
auto published() {
    return [](const signed_record& r, outcome<Effect>& o) {
        if (r.refused) {
            // A full disk or a network that is away is no final word about the record.
            const bool passing = r.refused->code == "disk_full" || r.refused->code == "record_unreachable" || r.refused->code == "not_now";
            o.said = passing ? verdict::unknown : verdict::failed;
            o.why = r.refused->text;
            return;
        }
        o.said = verdict::done;
        o.found.ref = {r.uri, r.cid};
    };
}

template <class Effect>
void publish(caf::actor_system& sys, const signer_actor& signer, const std::string& key, result<std::vector<draft>> drafts, bool chained, Effect f, reply_to<Effect> tell) {
    if (!drafts) return tell({std::move(f), verdict::failed, {}, drafts.error().text});
    publish_drafts(sys, signer, key, std::move(*drafts), chained, usual, [f = std::move(f), tell = std::move(tell)](result<signed_record> r) {
        outcome<Effect> o{f, verdict::unknown, {}, {}};
        if (!r) o.why = r.error().text;
        else published<Effect>()(*r, o);
        tell(std::move(o));
    });
}

} // namespace

void lease_world::perform(const lease::reserve& f, reply_to<lease::reserve> tell) {
    put<room_answer>(sys_, roles_.fleet, usual, f.what, f, std::move(tell), [](const room_answer& a, outcome<lease::reserve>& o) {
        if (a.refused && a.refused->code == "host_lost") return o.why = a.refused->text, void(); // no answer yet: asked again
        o.said = verdict::done;
        o.found.room = a;
    });
}

void lease_world::perform(const lease::publish_bid& f, reply_to<lease::publish_bid> tell) {
    const auto v = decode_dag_cbor(f.bid.data);
    const auto b = v ? from_record<ccb>(*v) : result<ccb>(v.error());
    if (!b) return tell({f, verdict::failed, {}, b.error().text});
    auto drafts = write_bid(f.by, *b, service_of(f.by, options_.door));
    if (!drafts) return tell({f, verdict::failed, {}, drafts.error().text});
    publish(sys_, roles_.signer, f.key, std::move(drafts), false, f, std::move(tell));
}

// Published again it is what was published, and that is sent. She takes it up durably before she answers.
void lease_world::perform(const lease::tell_bid& f, reply_to<lease::tell_bid> tell) {
    const auto v = decode_dag_cbor(f.bid.data);
    const auto b = v ? from_record<ccb>(*v) : result<ccb>(v.error());
    auto drafts = b ? write_bid(f.by, *b, service_of(f.by, options_.door)) : result<std::vector<draft>>(b.error());
    if (!drafts || !options_.calls.key) return tell({f, verdict::failed, {}, drafts ? "this node makes no calls" : drafts.error().text});
    publish_drafts(sys_, roles_.signer, f.key, std::move(*drafts), false, usual, [this, f, tell = std::move(tell)](result<signed_record> r) {
        const auto record = r && !r->refused ? decode_dag_cbor(r->record.data) : result<value>(refusal{"not_now", "the bid cannot be read now"});
        if (!record) return tell({f, verdict::unknown, {}, record.error().text});
        service::call(options_.calls, f.answer_to, service::submit_bid, value::map{{"uri", r->uri}, {"cid", r->cid}, {"record", *record}}, [f, tell](result<http::response> said) {
            const foreign_thread here;
            tell({f, service::verdict_of(said), {}, said ? "HTTP " + std::to_string(said->status) : said.error().text});
        });
    });
}

// It is in the stream, too: what comes of the call changes nothing.
void lease_world::send(std::string_view method, const std::string& key, const std::string& service, const signed_record& what) {
    if (service.empty() || !options_.calls.key) return;
    const auto record = decode_dag_cbor(what.record.data);
    if (!record) return;
    service::call(options_.calls, service, method, value::map{{"uri", what.uri}, {"cid", what.cid}, {"record", *record}},
                  [key, method = std::string(method.substr(method.rfind('.') + 1)), trouble = options_.trouble](result<http::response> r) {
                      if (trouble && (!r || r->status >= 400)) trouble(key, method, verdict::unknown, r ? "HTTP " + std::to_string(r->status) : r.error().text);
                  });
}

void lease_world::perform(const lease::settle& f, reply_to<lease::settle> tell) {
    put<money_moved>(sys_, roles_.payments, usual, collect{f.payment, f.accept, f.refundable_until}, f, std::move(tell),
                     [](const money_moved& m, outcome<lease::settle>& o) {
                         if (m.refused) o.why = m.refused->code + ": " + m.refused->text;
                         if (m.how == came::unknown) return;
                         o.said = verdict::done;
                         o.found = {m.key, m.transaction, m.how == came::no ? std::optional(m.refused.value_or(refusal{"refused", "the payment was refused"})) : std::nullopt};
                     });
}

void lease_world::perform(const lease::launch& f, reply_to<lease::launch> tell) {
    put<machine_view>(sys_, roles_.fleet, 28s, f.what, f, std::move(tell), [](const machine_view& m, outcome<lease::launch>& o) {
        if (m.phase == "running") {
            o.said = verdict::done;
            o.found.machine = m;
        } else if (m.phase == "gone" || m.phase == "stopping" || (m.refused && m.phase == "none")) {
            o.said = verdict::done;
            o.found.refused = m.refused && !m.refused->text.empty() ? *m.refused : refusal{"machine_over", m.why};
        } // reserved, launching: asked again soon
    });
}

void lease_world::perform(const lease::publish_receipt& f, reply_to<lease::publish_receipt> tell) {
    access_details in;
    in.accept = f.accept.ref.cid;
    in.machine = f.machine.tag;
    in.host = f.machine.address;
    in.port = f.machine.port;
    in.user = f.machine.user;
    in.host_key = f.machine.host_key;
    ccr r;
    r.rfp = {std::string(ccrfp::nsid), f.rfp};
    r.bid = {std::string(ccb::nsid), f.bid};
    r.accept = embed{std::string(ccba::nsid), f.accept.ref};
    r.attestation = f.machine.tier;
    const auto sealed = seal_access(in, f.accept.seal_to);
    if (!sealed) return tell({f, verdict::failed, {}, sealed.error().text});
    r.sealed = octets{*sealed};
    r.createdAt = to_datetime(options_.now());
    const auto accept = f.accept.record.empty() ? result<value>(value()) : decode_dag_cbor(f.accept.record.data);
    if (!accept) return tell({f, verdict::failed, {}, accept.error().text});
    auto drafts = write_receipt(f.by, r, service_of(f.by, options_.door), *accept, f.accept.author);
    const bool linked = f.by == dialect::g1 || f.by == dialect::g2;
    publish(sys_, roles_.signer, f.key, std::move(drafts), linked, f, std::move(tell));
}

void lease_world::perform(const lease::watch& f, reply_to<lease::watch> tell) {
    put<machine_list>(sys_, roles_.fleet, usual, machine_query{f.tag}, f, std::move(tell), [f](const machine_list& l, outcome<lease::watch>& o) {
        for (const auto& m : l.all) {
            if (m.host != f.host) continue;
            o.said = verdict::done;
            o.found.gone = m.phase == "gone"; // confirmed by its backend; silence or a lost host is not
            o.found.why = m.why;
        }
    });
}

void lease_world::perform(const lease::terminate& f, reply_to<lease::terminate> tell) {
    put<machine_view>(sys_, roles_.fleet, usual, f.what, f, std::move(tell), [this](const machine_view& m, outcome<lease::terminate>& o) {
        if (m.phase != "gone" && m.phase != "none") return;
        o.said = verdict::done;
        o.found.as_of = options_.now();
    });
}

void lease_world::perform(const lease::refund& f, reply_to<lease::refund> tell) {
    put<money_moved>(sys_, roles_.payments, usual, give_back{f.payment_key, f.amount, f.why}, f, std::move(tell), [](const money_moved& m, outcome<lease::refund>& o) {
        if (m.refused) o.why = m.refused->text;
        if (m.how != came::yes) return; // owed until it is paid
        o.said = verdict::done;
        o.found.transaction = m.transaction;
    });
}

void lease_world::perform(const lease::publish_statement& f, reply_to<lease::publish_statement> tell) {
    put<signed_record>(sys_, roles_.signer, usual, sign_record{std::string(ccf::nsid), f.key, encode_dag_cbor(undated(f.statement)), true, false}, f, std::move(tell),
                       [this, f](const signed_record& r, outcome<lease::publish_statement>& o) {
                           published<lease::publish_statement>()(r, o);
                           if (o.said == verdict::done) send(service::submit_event, f.key, f.answer_to, r); // she looks for it here, too
                       });
}

} // namespace souk
