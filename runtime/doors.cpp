#include <souk/runtime/doors.hpp>

#include <souk/actors/broker/credential.hpp>
#include <souk/messages/json.hpp>
#include <souk/runtime/cluster/enrolment.hpp>
#include <souk/runtime/paid_door.hpp>

namespace souk {

namespace {

using namespace std::chrono_literals;

http::response plain(unsigned status, const std::string& code, const std::string& text) { return http::error_response(status, {code, text}); }
http::response unreachable(const refusal& why) { return http::error_response(503, {"not_now", why.text}); }
http::response json(value::map body) { return http::json_response(200, to_json(std::move(body))); }

std::string_view bearer(const http::request& r) {
    const auto text = r.head.get("authorization");
    constexpr std::string_view scheme = "Bearer ";
    return text.substr(0, scheme.size()) == scheme ? text.substr(scheme.size()) : std::string_view();
}
bool begins(std::string_view text, std::string_view with) { return text.substr(0, with.size()) == with; }

class doors : public std::enable_shared_from_this<doors> {
public:
    explicit doors(door_parts parts) : p_(std::move(parts)) {}

    void answer(http::request r, http::responder say) {
        const bool get = r.method == "GET", post = r.method == "POST";
        if (paid_door::is_one(r)) return paid(r, std::move(say));
        if (get && r.path == "/health") return say(json({{"status", "up"}, {"did", p_.did}}));
        if (get && (r.path == "/.well-known/openid-configuration" || r.path == "/.well-known/jwks")) return issuer_document(r, std::move(say));
        if (post && r.path == "/v1/oidc/issue") return exchange(r, std::move(say));
        if (post && r.path == "/xrpc/com.atproto.repo.createRecord") return create_record(r, std::move(say));
        if (begins(r.path, "/ledger/")) return ledger(r, std::move(say));
        if (post && r.path == "/cluster/join") return join(r, std::move(say));
        if (p_.records)
            if (auto known = p_.records->answer(r)) return say(std::move(*known));
        say(plain(404, "not_found", "there is nothing here by that name"));
    }

    std::variant<http::stream_handler, http::response> upgrade(const http::request& r, std::shared_ptr<http::stream> s) {
        if (p_.records)
            if (auto taken = p_.records->upgrade(r, std::move(s))) return std::move(*taken);
        return plain(404, "not_found", "no stream by that name");
    }

private:
    void paid(const http::request& r, http::responder say) {
        if (!p_.bidder) return say(plain(404, "not_found", "this node sells nothing"));
        auto asked = paid_door::read(r, p_.public_url);
        if (!asked) return say(http::error_response(400, asked.error()));
        ask<paid_answer>(*p_.sys, p_.bidder, 60s, std::move(*asked), [say](result<paid_answer> a) {
            if (!a) return say(unreachable(a.error()));
            say(paid_door::write(std::move(*a)));
        });
    }

    void issuer_document(const http::request& r, http::responder say) {
        if (!p_.issuer) return say(plain(404, "not_found", "this node issues no tokens"));
        const bool keys = r.path == "/.well-known/jwks";
        ask<issuer_view>(*p_.sys, p_.issuer, 10s, issuer_query{}, [say, keys](result<issuer_view> v) {
            if (!v) return say(unreachable(v.error()));
            say(http::json_response(200, keys ? v->jwks : v->discovery));
        });
    }

    // The machine's curl labels its JSON as a form: what it is called is not looked at.
    void exchange(const http::request& r, http::responder say) {
        if (!p_.issuer) return say(plain(404, "not_found", "this node issues no tokens"));
        const auto body = from_json(r.body);
        if (!body) return say(http::error_response(400, body.error()));
        token_exchange x{std::string(bearer(r)), std::string(body->text("aud")), std::string(body->text("sub")), 3600};
        if (const auto* ttl = body->find("ttl"); ttl && ttl->as<std::int64_t>()) x.ttl = *ttl->as<std::int64_t>();
        ask<token_answer>(*p_.sys, p_.issuer, 10s, std::move(x), [say](result<token_answer> t) {
            if (!t) return say(unreachable(t.error()));
            if (t->refused) return say(http::json_response(401, to_json(value::map{{"id", "unauthorized"}, {"message", t->refused->text}, {"error", t->refused->code}})));
            say(json({{"token", t->token}}));
        });
    }

    // Two ways in: a relay that holds our grant writes for one of our machines, or (at a relay) a machine comes with its workload token.
    void create_record(const http::request& r, http::responder say) {
        if (!r.head.get(credential::grant_header).empty()) return granted_write(r, std::move(say));
        if (!p_.broker) return say(plain(401, "AuthRequired", "writing here needs the owner's grant"));
        ask<proxied_answer>(*p_.sys, p_.broker, 45s, proxied_write{std::string(bearer(r)), r.path, r.body}, [say](result<proxied_answer> a) {
            if (!a) return say(unreachable(a.error()));
            say(http::json_response(a->status, std::move(a->body)));
        });
    }
    void granted_write(const http::request& r, http::responder say) {
        if (!p_.own || !p_.identities) return say(plain(404, "not_found", "this node has no repository"));
        auto body = from_json(r.body, json_form::atproto);
        if (!body) return say(http::error_response(400, body.error()));
        const std::string service(bearer(r)), grant(r.head.get(credential::grant_header));
        const auto who = credential::sender_of(service);
        if (!who) return say(http::error_response(401, who.error()));
        p_.identities->resolve(*who, [self = shared_from_this(), say, service, grant, body = std::move(*body)](result<did_document> doc) {
            if (!doc) return say(http::error_response(503, doc.error()));
            say(self->write_for(service, grant, *doc, body));
        });
    }
    http::response write_for(const std::string& service, const std::string& grant, const did_document& relay, const value& body) {
        const credential::granted_write asked{service, grant, p_.did, p_.keys->signing_public(), relay.did, relay.signing, credential::create_record, body, p_.now()};
        if (const auto ok = credential::check_granted_write(asked); !ok) return http::error_response(403, ok.error());
        const auto* record = body.find("record");
        if (!record) return plain(400, "InvalidRequest", "the body has no record");
        const auto written = p_.own->create(std::string(body.text("collection")), std::string(body.text("rkey")), *record);
        if (!written) return http::error_response(400, written.error());
        return json({{"uri", written->uri.text()}, {"cid", written->cid.text()}, {"validationStatus", "unknown"}});
    }

    void ledger(const http::request& r, http::responder say) {
        if (!p_.ledger) return say(plain(404, "not_found", "this node keeps no ledger"));
        if (r.path == "/ledger/token") {
            const auto t = p_.ledger->token();
            return say(json({{"network", p_.ledger->network()}, {"asset", p_.ledger->asset()}, {"name", t.name}, {"version", t.version}}));
        }
        if (r.path == "/ledger/balance")
            return p_.ledger->balance(std::string(r.param("address")), [say](result<amount> a) {
                if (!a) return say(http::error_response(400, a.error()));
                say(json({{"balance", std::to_string(*a)}}));
            });
        if (r.path == "/ledger/authorization")
            return p_.ledger->look_up(std::string(r.param("from")), std::string(r.param("nonce")), [say](look_up_answer a) {
                if (a.how == moved::unknown) return say(plain(503, "not_now", "the ledger does not know"));
                say(json({{"used", a.how == moved::yes}, {"transaction", a.transaction}, {"asOf", to_datetime(a.as_of)}}));
            });
        if (r.method == "POST" && r.path == "/ledger/settle") {
            const auto body = from_json(r.body);
            if (!body) return say(http::error_response(400, body.error()));
            const auto paid = from_value<x402::exact_payload>(*body);
            if (!paid) return say(http::error_response(400, paid.error()));
            return p_.ledger->settle(*paid, [say](settle_answer a) {
                if (a.how == moved::unknown) return say(plain(503, "not_now", "the ledger does not know"));
                if (a.how == moved::no) return say(http::error_response(402, a.why));
                say(json({{"transaction", a.transaction}}));
            });
        }
        say(plain(404, "not_found", "the ledger answers token, balance, authorization and settle"));
    }

    void join(const http::request& r, http::responder say) {
        if (p_.enrolment.empty()) return say(plain(404, "not_found", "this node does not admit members"));
        const auto body = from_json(r.body);
        if (!body) return say(http::error_response(400, body.error()));
        const auto in = enrolment::admit(p_.enrolment, {std::string(body->text("node")), std::string(body->text("token")), std::string(body->text("request"))}, p_.now());
        if (!in) return say(http::error_response(403, in.error()));
        say(json({{"certificate", in->certificate}, {"authority", in->authority}}));
    }

    door_parts p_;
};

} // namespace

http::handler make_doors(door_parts parts) {
    auto all = std::make_shared<doors>(std::move(parts));
    return {[all](http::request r, http::responder say) { all->answer(std::move(r), std::move(say)); },
            [all](const http::request& r, std::shared_ptr<http::stream> s) { return all->upgrade(r, std::move(s)); }};
}

} // namespace souk
