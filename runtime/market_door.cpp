#include <souk/runtime/market_door.hpp>

#include <algorithm>
#include <charconv>
#include <mutex>

#include <souk/actors/common/foreign_thread.hpp>
#include <souk/actors/common/service_call.hpp>
#include <souk/actors/common/verified.hpp>
#include <souk/actors/policy/engine.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/dag_cbor.hpp>
#include <souk/messages/dialect.hpp>
#include <souk/messages/json.hpp>
#include <souk/messages/lexicon.hpp>
#include <souk/runtime/paid_door.hpp>
#include <souk/runtime/policy_door.hpp>

namespace souk {

namespace {

using namespace std::chrono_literals;

constexpr std::string_view prefix = "/xrpc/";
constexpr std::string_view procedures[] = {service::submit_rfp, service::submit_bid, service::submit_accept, service::submit_event, service::register_bidder, policy::evaluate_nsid};
constexpr std::string_view offers_cursor = "o~";
constexpr std::int64_t usual_page = 50, largest_page = 200;
constexpr std::size_t read_at_once = 100, looked_at_most = 1'000; // registrations, for one page of a list

http::response plain(unsigned status, const char* code, const std::string& text) { return http::error_response(status, {code, text}); }
http::response invalid(const std::string& text) { return plain(400, "InvalidRequest", text); }
http::response json(value::map body) { return http::json_response(200, to_json(std::move(body))); }
http::response ok() { return json({{"ok", true}}); }
http::response unreachable(const refusal& why) { return plain(503, "not_now", why.text); }

std::string_view method_of(const http::request& r) { return std::string_view(r.path).substr(std::min(prefix.size(), r.path.size())); }

std::string_view bearer(const http::request& r) {
    const auto text = r.head.get("authorization");
    constexpr std::string_view scheme = "Bearer ";
    return text.substr(0, scheme.size()) == scheme ? text.substr(scheme.size()) : std::string_view();
}

strong_ref named(const value& body, const char* uri, const char* content) { return {std::string(body.text(uri)), std::string(body.text(content))}; }

std::optional<speech> speech_in(const strong_ref& ref) {
    const auto uri = at_uri::parse(ref.uri);
    return uri ? speech_of(uri->collection) : std::nullopt;
}

// A key that a DID may be: most are one, those with a percent sign are not.
std::string key_for(const std::string& did) { return is_record_key(did) ? did : "sha-" + to_hex(crypto::sha256(did)); }

} // namespace

struct market_door::state {
    parts p;
    std::set<std::string> ours; // DIDs that tokens may be for
    std::mutex registering;
    std::optional<std::size_t> registered;
    std::shared_ptr<const policy_door> rules;

    // -- who calls? --------------------------------------------------------------------------------------------------------
    void authorised(std::shared_ptr<state> self, const http::request& r, const http::responder& say, std::function<void(const std::string& caller)> then) const {
        const std::string token(bearer(r)), method(method_of(r));
        if (token.empty()) return say(plain(401, "Unauthorized", "a service token is needed: Authorization: Bearer ..."));
        const auto claims = service::peek(token, ours, method, p.now());
        if (!claims) return say(plain(401, "Unauthorized", claims.error().text));
        p.net->keys(claims->issuer, [self, say, token, method, claims = *claims, then = std::move(then)](result<did_document> doc) {
            const foreign_thread here;
            if (!doc) return say(is_passing(doc.error()) ? unreachable(doc.error()) : plain(401, "Unauthorized", doc.error().text));
            if (const auto good = service::verify(token, claims, doc->signing, method, self->p.now()); !good) return say(plain(401, "Unauthorized", good.error().text));
            then(claims.issuer);
        });
    }

    // -- what is said? -----------------------------------------------------------------------------------------------------
    template <class Role>
    void hand(const Role& to, record_note n, const http::responder& say) const {
        auto asking = [to, n = std::move(n), say](caf::event_based_actor* self, none_needed) mutable { // said when it is taken up: no caller is faster than that
            request(*self, to, 30s, std::move(n)).then([say] { say(ok()); }, [say](const caf::error&) { say(plain(503, "not_now", "it was not taken up in time")); });
        };
        p.sys->spawn<caf::hidden>(std::move(asking), none_needed{});
    }

    template <class Role>
    void given(const Role& to, const value& body, const std::string& by, const http::responder& say) const {
        const auto bytes = encode_dag_cbor(*body.find("record"));
        auto ref = named(body, "uri", "cid");
        if (cid::of_dag_cbor(bytes).text() != ref.cid) return say(invalid("the record does not have the content that its CID names"));
        hand(to, {std::move(ref.uri), std::move(ref.cid), octets{bytes}, by}, say);
    }

    void request_named(const std::shared_ptr<state>& self, const value& body, const std::string& by, const http::responder& say) const {
        const auto ref = named(body, "rfpUri", "rfpCid");
        if (speech_in(ref) != speech::request) return say(invalid("rfpUri names no request"));
        p.net->fetch(ref, [self, ref, by, say](result<stored_record> found) {
            const foreign_thread here;
            if (!found) return say(is_passing(found.error()) ? unreachable(found.error()) : invalid(found.error().text));
            self->hand(self->p.bidder, {ref.uri, ref.cid, octets{encode_dag_cbor(found->value)}, by}, say);
        });
    }

    // What ends a contract, told by either side: the seller's own word goes to her who buys, all else to him who sells.
    void event_given(const value& body, const std::string& by, const http::responder& say) const {
        const auto uri = at_uri::parse(body.text("uri"));
        const bool sellers_word = uri && (uri->collection == ccf::nsid || uri->collection == ccbw::nsid);
        if (sellers_word ? !p.requester : !p.bidder) return say(plain(404, "not_found", sellers_word ? "this node buys nothing" : "this node sells nothing"));
        if (sellers_word) given(p.requester, body, by, say);
        else given(p.bidder, body, by, say);
    }

    // The same as the paid URL: nobody has a machine for having named an accept.
    void accept_named(const http::request& r, const value& body, const http::responder& say) const {
        auto ref = named(body, "acceptUri", "acceptCid");
        if (speech_in(ref) != speech::accept) return say(invalid("acceptUri names no accept"));
        auto resource = p.public_url + "/ccr/" + ref.uri + '/' + ref.cid;
        paid_request q{std::move(ref), std::move(resource), {}, {}, r.head.get("prefer") == "respond-async"};
        if (const auto h = r.head.get("payment-signature"); !h.empty()) q.payment = std::string(h);
        if (const auto h = r.head.get("x-payment"); !h.empty()) q.payment_v1 = std::string(h);
        ask<paid_answer>(*p.sys, p.bidder, 60s, std::move(q), [say, url = p.public_url](result<paid_answer> a) {
            if (!a) return say(unreachable(a.error()));
            auto body_of = from_json(a->body);
            if (a->status == 200 && body_of && body_of->as<value::map>()) {
                body_of->as<value::map>()->insert_or_assign("submitEvent", url);
                a->body = to_json(*body_of);
            }
            say(paid_door::write(std::move(*a)));
        });
    }

    // -- the registry ------------------------------------------------------------------------------------------------------
    std::size_t count() const {
        std::size_t n = 0;
        std::string last;
        for (auto page = p.own->list(std::string(market::bidder_registration::nsid), read_at_once, last, true); !page.empty();
             page = p.own->list(std::string(market::bidder_registration::nsid), read_at_once, last, true))
            n += page.size(), last = page.back().uri.rkey;
        return n;
    }
    void register_one(const value& body, const http::responder& say) {
        const std::string collection(market::bidder_registration::nsid), who(body.text("bidderDid")), key = key_for(who);
        market::bidder_registration r;
        r.bidderDid = who, r.indexedAt = to_datetime(p.now());
        for (const auto& each : *body.find("appliesTo")->as<value::list>()) r.appliesTo.push_back(*each.as<std::string>());
        const std::lock_guard hold(registering);
        if (!registered) registered = count();
        const bool known = p.own->get(collection, key).has_value();
        if (!known && *registered >= most_registered) return say(plain(503, "not_now", "this registry is full"));
        const auto kept = p.own->put(collection, key, to_record(r));
        if (!kept) return say(http::error_response(503, kept.error()));
        if (!known) ++*registered;
        say(json({{"ok", true}, {"registrationUri", kept->uri.text()}, {"registrationCid", kept->cid.text()}}));
    }

    // Those who registered, by their keys; after the last of them those whose offerings are known, by their DIDs. Nobody twice.
    void list(const std::shared_ptr<state>& self, const http::request& r, const http::responder& say) const {
        const std::string wanted(r.param("payloadNsid")), cursor(r.param("cursor"));
        const auto limit = r.param("maxResults");
        std::int64_t most = usual_page;
        if (!limit.empty()) {
            const auto [end, error] = std::from_chars(limit.data(), limit.data() + limit.size(), most);
            if (error != std::errc() || end != limit.data() + limit.size() || most < 1 || most > largest_page) return say(invalid("maxResults is 1 to 200"));
        }
        if (!wanted.empty() && !is_nsid(wanted)) return say(invalid("payloadNsid is no NSID"));
        const bool among_offers = cursor.starts_with(offers_cursor);
        const auto after = among_offers ? cursor.substr(offers_cursor.size()) : std::string();
        if (among_offers ? !after.empty() && !is_did(after) : !cursor.empty() && !is_record_key(cursor)) return say(invalid("not a cursor of this list"));
        value::list bidders;
        if (among_offers) return list_offers(self, wanted, after, most, std::move(bidders), say);
        std::string last = cursor;
        std::size_t looked_at = 0;
        while (looked_at < looked_at_most) {
            const auto page = p.own->list(std::string(market::bidder_registration::nsid), read_at_once, last, true);
            if (page.empty()) return list_offers(self, wanted, "", most, std::move(bidders), say);
            for (const auto& one : page) {
                ++looked_at, last = one.uri.rkey;
                const auto x = from_record<market::bidder_registration>(one.value);
                if (!x || (!wanted.empty() && std::ranges::find(x->appliesTo, wanted) == x->appliesTo.end())) continue;
                bidders.push_back(value::map{{"bidderDid", x->bidderDid}, {"appliesTo", to_value(x->appliesTo)}});
                if (std::cmp_greater_equal(bidders.size(), most)) return say(json({{"bidders", std::move(bidders)}, {"cursor", last}}));
            }
        }
        say(json({{"bidders", std::move(bidders)}, {"cursor", last}}));
    }
    void list_offers(const std::shared_ptr<state>& self, const std::string& wanted, const std::string& after, std::int64_t most, value::list bidders, const http::responder& say) const {
        if (!p.offerings) return say(json({{"bidders", std::move(bidders)}}));
        const auto left = most - static_cast<std::int64_t>(bidders.size());
        if (left <= 0) return say(json({{"bidders", std::move(bidders)}, {"cursor", std::string(offers_cursor) + after}}));
        ask<offerings_view>(*p.sys, p.offerings, 10s, offerings_query{wanted, after, left}, [self, bidders = std::move(bidders), left, say](result<offerings_view> found) mutable {
            if (!found) return say(unreachable(found.error()));
            for (const auto& o : found->all)
                if (!self->p.own->get(std::string(market::bidder_registration::nsid), key_for(o.did)))
                    bidders.push_back(value::map{{"bidderDid", o.did}, {"appliesTo", to_value(o.applies_to)}});
            value::map body{{"bidders", std::move(bidders)}};
            if (std::cmp_greater_equal(found->all.size(), left)) body["cursor"] = std::string(offers_cursor) + found->all.back().did;
            say(json(std::move(body)));
        });
    }
};

market_door::market_door(parts p) : s_(std::make_shared<state>()) {
    s_->ours = {p.did};
    if (const auto door = service::did_of_door(p.public_url)) s_->ours.insert(*door);
    s_->rules = std::make_shared<const policy_door>(policy_door::parts{p.sys, p.now, p.net, p.policy, p.may_ask});
    s_->p = std::move(p);
}

bool market_door::is_one(const http::request& r) {
    if (!r.path.starts_with(prefix)) return false;
    const auto method = method_of(r);
    return r.method == "GET" ? method == service::list_bidders : r.method == "POST" && std::ranges::find(procedures, method) != std::end(procedures);
}

void market_door::answer(const http::request& r, http::responder say) const {
    const auto method = method_of(r);
    const auto& p = s_->p;
    if (!p.own || !p.net) return say(plain(404, "not_found", "this node has no identity"));
    const bool registering = method == service::list_bidders || method == service::register_bidder;
    const bool to_seller = method == service::submit_rfp || method == service::submit_accept;
    if (registering && !p.registry) return say(plain(404, "not_found", "this node is no registry"));
    if (to_seller && !p.bidder) return say(plain(404, "not_found", "this node sells nothing"));
    if (method == service::submit_event && !p.bidder && !p.requester) return say(plain(404, "not_found", "this node neither sells nor buys"));
    if (method == service::submit_bid && !p.requester) return say(plain(404, "not_found", "this node buys nothing"));
    if (method == policy::evaluate_nsid && !s_->rules->is_open()) return say(plain(404, "not_found", "this node answers nobody about its policy"));
    if (method == service::list_bidders) return s_->list(s_, r, say);

    auto body = from_json(r.body, json_form::atproto);
    if (!body) return say(invalid(body.error().text));
    if (const auto good = known_lexicons().check_input(method, *body); !good) return say(invalid(good.error().text));
    // Whose word it is: the record's author's own, or the bidder's about himself.
    std::string whose(body->text("bidderDid"));
    for (const auto* field : {"rfpUri", "acceptUri", "uri"})
        if (const auto uri = at_uri::parse(body->text(field))) whose = uri->did;
    s_->authorised(s_, r, say, [s = s_, r, say, body = std::move(*body), whose](const std::string& caller) {
        if (method_of(r) == policy::evaluate_nsid) return s->rules->answer(body, caller, say);
        if (caller != whose) return say(plain(403, "Forbidden", "the caller is not the author"));
        const auto called = method_of(r);
        if (called == service::submit_rfp) return s->request_named(s, body, caller, say);
        if (called == service::submit_accept) return s->accept_named(r, body, say);
        if (called == service::submit_bid) return s->given(s->p.requester, body, caller, say);
        if (called == service::submit_event) return s->event_given(body, caller, say);
        s->register_one(body, say);
    });
}

} // namespace souk
