#include <souk/runtime/escrow_desk.hpp>

#include <souk/actors/common/random_id.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/json.hpp>
#include <souk/messages/money.hpp>

namespace souk {

namespace {

using namespace std::chrono_literals;
namespace es = evm::escrow;

http::response as_json(const value& v) {
    http::response r;
    r.body = to_json(v), r.head.set("content-type", "application/json");
    return r;
}
std::int64_t seconds_of(instant t) { return std::chrono::floor<std::chrono::seconds>(t.time_since_epoch()).count(); }
std::string text(const value& v, std::string_view key) { return std::string(v.text(key)); }
std::int64_t number(const value& v, std::string_view key, std::int64_t usual) {
    const auto* at = v.find(key);
    const auto* n = at ? at->as<std::int64_t>() : nullptr;
    return n ? *n : usual;
}
// Not known: asked again under the same name, it says what came of it.
http::response told(const escrow_answer& a) { return http::error_response(a.how == moved::unknown ? 503 : 409, a.why.code.empty() ? refusal{"rail_unknown", "the rail does not know"} : a.why); }

void show(const escrow_desk_parts& p, const std::string& me, const http::request& r, const http::responder& say) {
    const auto named = [&](const char* key) { return std::string(r.param(key)); };
    escrow_source of{named("payer").empty() ? me : named("payer"), named("provider").empty() ? me : named("provider"), p.rail->token().contract, named("credit").empty() ? "0" : named("credit")};
    for (const auto* who : {&of.payer, &of.provider})
        if (const auto good = crypto::checksummed(*who); !good) return say(http::error_response(400, good.error()));
    const bool one = !named("payer").empty() || !named("provider").empty();
    value::map m{{"address", me}, {"network", p.rail->network()}, {"contract", p.rail->escrow().contract}, {"token", p.rail->token().name}};
    p.outside->balance(me, [rail = p.rail, me, of, one, m, say](result<amount> outside) mutable {
        if (!outside) return say(http::error_response(503, outside.error()));
        m["wallet"] = to_decimal(*outside);
        rail->free_of(me, [rail, of, one, m, say](result<amount> free) mutable {
            if (!free) return say(http::error_response(503, free.error()));
            m["free"] = to_decimal(*free);
            if (!one) return say(as_json(m));
            rail->look_at(of, {}, [of, m, say](const escrow_answer& a) mutable {
                if (a.how != moved::yes) return say(told(a));
                m["payer"] = of.payer, m["provider"] = of.provider, m["budget"] = to_decimal(a.books.budget), m["price"] = to_decimal(a.books.price), m["leaving"] = to_decimal(a.books.leaving);
                if (of.credit != "0") m["credit"] = of.credit, m["fits"] = a.books.fits;
                if (a.books.leaving_since != instant{}) m["leaves"] = to_datetime(a.books.leaving_since + std::chrono::seconds{es::notice});
                if (a.books.expires != instant{}) m["expires"] = to_datetime(a.books.expires);
                say(as_json(m));
            });
        });
    });
}
void order(const escrow_desk_parts& p, const value& body, const http::responder& say) {
    escrow_order o;
    o.what = text(body, "what"), o.once = text(body, "once"), o.payer = text(body, "payer"), o.provider = text(body, "provider"), o.expires = number(body, "expires", 0);
    if (const auto credit = text(body, "credit"); !credit.empty()) o.credit = credit;
    if (o.once.empty()) o.once = random_id();
    for (const auto& [key, into] : {std::pair{"amount", &o.amount}, {"price", &o.price}}) {
        if (text(body, key).empty()) continue;
        const auto sum = from_decimal(text(body, key));
        if (!sum) return say(http::error_response(400, sum.error()));
        *into = *sum;
    }
    p.rail->carry_out(o, *p.key, [o, say](const escrow_answer& a) {
        if (a.how != moved::yes) return say(told(a));
        value::map m{{"what", o.what}, {"once", o.once}, {"transaction", a.transaction}};
        if (!a.credit.empty()) m.emplace("credit", a.credit);
        say(as_json(m));
    });
}
void sign(const escrow_desk_parts& p, const std::string& me, const value& body, const http::responder& say) {
    const auto price = from_decimal(text(body, "price"));
    if (!price) return say(http::error_response(400, price.error()));
    const auto lives = number(body, "lives", 3'600);
    if (lives <= 0 || lives > 7 * 86'400) return say(http::error_response(400, {"bad_time", "a request lives a week at most"}));
    es::request r{me, text(body, "provider"), p.rail->token().contract, std::to_string(*price), text(body, "hash"), text(body, "credit"), {}, seconds_of(p.now()) + lives};
    if (r.credit.empty()) r.credit = "0";
    if (r.request_hash.empty()) r.request_hash = "0x" + to_hex(crypto::sha256(""));
    r.nonce = es::timed_nonce(r.expires, r.credit, crypto::sha256(random_id()));
    const auto s = es::sign(p.rail->escrow(), std::move(r), *p.key);
    if (!s) return say(http::error_response(400, s.error()));
    say(as_json(to_value(*s)));
}

template <class Answer, class Question>
void of_keeper(const escrow_desk_parts& p, Question q, const http::responder& say) {
    if (!p.keeper) return say(http::error_response(404, {"no_such_role", "this node is not paid by escrow ([escrow] take = true, with the role payments)"}));
    ask<Answer>(*p.sys, p.keeper, 30s, std::move(q), [say](result<Answer> a) {
        if (!a) return say(http::error_response(503, a.error()));
        if constexpr (requires { a->refused; }) {
            if (a->refused) return say(http::error_response(409, *a->refused));
        }
        say(as_json(to_value(*a)));
    });
}

} // namespace

bool answer_escrow(const escrow_desk_parts& p, const http::request& r, const value& body, const http::responder& say) {
    if (!r.path.starts_with("/v1/escrow")) return false;
    const auto is = [&](const char* method, const char* path) { return r.method == method && r.path == path; };
    if (!p.rail || !p.key) return say(http::error_response(404, {"no_escrow", "this node has no escrow: [escrow] in its configuration, and a [ledger], a [wallet] or a [rail]"})), true;
    const auto me = crypto::address_of(*p.key).value();
    if (is("GET", "/v1/escrow")) return show(p, me, r, say), true;
    if (is("POST", "/v1/escrow")) return order(p, body, say), true;
    if (is("POST", "/v1/escrow/sign")) return sign(p, me, body, say), true;
    if (is("GET", "/v1/escrow/tabs")) return of_keeper<tabs_view>(p, tabs_query{std::string(r.param("id"))}, say), true;
    if (is("POST", "/v1/escrow/serve")) {
        const auto* request = body.find("request");
        return of_keeper<request_said>(p, serve_request{octets{encode_dag_cbor(request ? *request : value())}, number(body, "within", 0)}, say), true;
    }
    if (is("POST", "/v1/escrow/end")) {
        const auto* served = body.find("served");
        const auto* flag = served ? served->as<bool>() : nullptr;
        return of_keeper<request_said>(p, end_request{text(body, "tab"), text(body, "id"), !flag || *flag}, say), true;
    }
    if (is("POST", "/v1/escrow/present")) return of_keeper<request_said>(p, present_tab{text(body, "tab")}, say), true;
    return false;
}

} // namespace souk
