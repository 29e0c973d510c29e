#include <souk/runtime/machine_door.hpp>

#include <souk/actors/broker/credential.hpp>
#include <souk/messages/json.hpp>
#include <souk/messages/lexicon.hpp>

namespace souk {

namespace {

using namespace std::chrono_literals;

constexpr std::string_view record_path = "/xrpc/com.atproto.repo.createRecord", exchange_path = "/v1/oidc/issue";
constexpr std::string_view discovery_path = "/.well-known/openid-configuration", keys_path = "/.well-known/jwks";

http::response plain(unsigned status, const std::string& code, const std::string& text) { return http::error_response(status, {code, text}); }
http::response unreachable(const refusal& why) { return http::error_response(503, {"not_now", why.text}); }
http::response json(value::map body) { return http::json_response(200, to_json(std::move(body))); }

std::string_view bearer(const http::request& r) {
    const auto text = r.head.get("authorization");
    constexpr std::string_view scheme = "Bearer ";
    return text.substr(0, scheme.size()) == scheme ? text.substr(scheme.size()) : std::string_view();
}

void write_granted(const machine_door::parts& p, const std::string& service, const std::string& grant, const did_document& relay, const value& body, const http::responder& say) {
    const credential::granted_write asked{service, grant, p.did, p.keys->signing_public(), relay.did, relay.signing, credential::create_record, body, p.now()};
    if (const auto ok = credential::check_granted_write(asked); !ok) return say(http::error_response(403, ok.error()));
    const auto* record = body.find("record");
    if (!record) return say(plain(400, "InvalidRequest", "the body has no record"));
    const std::string collection(body.text("collection"));
    if (const auto good = known_lexicons().check_record(collection, *record); !good) return say(http::error_response(400, good.error()));
    std::vector<record_write> one;
    one.push_back({record_write::kind::create, collection, std::string(body.text("rkey")), *record});
    p.own->apply(std::move(one), [say](std::vector<result<stored_record>> said) {
        const auto& made = said.front();
        if (!made) return say(http::error_response(400, made.error()));
        say(json({{"uri", made->uri.text()}, {"cid", made->cid.text()}, {"validationStatus", "valid"}}));
    });
}

} // namespace

bool machine_door::is_one(const http::request& r) {
    if (r.method == "GET") return r.path == discovery_path || r.path == keys_path;
    return r.method == "POST" && (r.path == exchange_path || r.path == record_path);
}

void machine_door::answer(const http::request& r, http::responder say) const {
    if (r.path == exchange_path) return exchange(r, std::move(say));
    if (r.path == record_path) return create_record(r, std::move(say));
    issuer_document(r, std::move(say));
}

void machine_door::issuer_document(const http::request& r, http::responder say) const {
    if (!p_->issuer) return say(plain(404, "not_found", "this node issues no tokens"));
    const bool keys = r.path == keys_path;
    ask<issuer_view>(*p_->sys, p_->issuer, 10s, issuer_query{}, [say, keys](result<issuer_view> v) {
        if (!v) return say(unreachable(v.error()));
        say(http::json_response(200, keys ? v->jwks : v->discovery));
    });
}

// The machine's curl labels its JSON as a form: what it is called is not looked at.
void machine_door::exchange(const http::request& r, http::responder say) const {
    if (!p_->issuer) return say(plain(404, "not_found", "this node issues no tokens"));
    const auto body = from_json(r.body);
    if (!body) return say(http::error_response(400, body.error()));
    token_exchange x{std::string(bearer(r)), std::string(body->text("aud")), std::string(body->text("sub")), 3600};
    if (const auto* ttl = body->find("ttl"); ttl && ttl->as<std::int64_t>()) x.ttl = *ttl->as<std::int64_t>();
    ask<token_answer>(*p_->sys, p_->issuer, 10s, std::move(x), [say](result<token_answer> t) {
        if (!t) return say(unreachable(t.error()));
        if (t->refused) return say(http::json_response(401, to_json(value::map{{"id", "unauthorized"}, {"message", t->refused->text}, {"error", t->refused->code}})));
        say(json({{"token", t->token}}));
    });
}

// Two ways in: a relay that holds our grant writes for one of our machines, or (at a relay) a machine comes with its workload token.
void machine_door::create_record(const http::request& r, http::responder say) const {
    if (!r.head.get(credential::grant_header).empty()) return granted_write(r, std::move(say));
    if (!p_->broker) return say(plain(401, "AuthRequired", "writing here needs the owner's grant"));
    ask<proxied_answer>(*p_->sys, p_->broker, 45s, proxied_write{std::string(bearer(r)), r.path, r.body}, [say](result<proxied_answer> a) {
        if (!a) return say(unreachable(a.error()));
        say(http::json_response(a->status, std::move(a->body)));
    });
}

void machine_door::granted_write(const http::request& r, http::responder say) const {
    if (!p_->own || !p_->resolve) return say(plain(404, "not_found", "this node has no repository"));
    auto body = from_json(r.body, json_form::atproto);
    if (!body) return say(http::error_response(400, body.error()));
    const std::string service(bearer(r)), grant(r.head.get(credential::grant_header));
    const auto who = credential::sender_of(service);
    if (!who) return say(http::error_response(401, who.error()));
    p_->resolve(*who, [p = p_, say, service, grant, body = std::move(*body)](result<did_document> doc) {
        if (!doc) return say(http::error_response(503, doc.error()));
        write_granted(*p, service, grant, *doc, body, say);
    });
}

} // namespace souk
