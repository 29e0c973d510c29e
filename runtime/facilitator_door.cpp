#include <souk/runtime/facilitator_door.hpp>

#include <sodium.h>

#include <souk/messages/ascii.hpp>
#include <souk/messages/bytes.hpp>
#include <souk/messages/evm/permit2.hpp>
#include <souk/messages/json.hpp>
#include <souk/messages/x402.hpp>

namespace souk {

namespace {

using namespace std::chrono_literals;
constexpr std::string_view prefix = "/facilitator/";
constexpr std::size_t most_told = 100'000;

std::string key_of(const x402::authorization& a) { return lower(a.from) + '/' + lower(a.nonce); }
void say_json(const http::responder& say, value::map body) { say(http::json_response(200, to_json(std::move(body)))); }

// What version 1 calls the requirements, in version 2's words.
result<x402::requirements> offered_in_v1(const value& v) {
    x402::requirements r;
    const auto network = x402::network_of_v1(v.text("network"));
    if (!network) return refusal{"invalid_network", "the network \"" + std::string(v.text("network")) + "\" is not known here"};
    r.scheme = v.text("scheme"), r.network = *network, r.amount = v.text("maxAmountRequired"), r.asset = v.text("asset"), r.payTo = v.text("payTo");
    if (const auto* n = v.find("maxTimeoutSeconds"))
        if (const auto* seconds = n->as<std::int64_t>()) r.maxTimeoutSeconds = *seconds;
    if (const auto* extra = v.find("extra"); extra && !extra->is_null()) r.extra = *extra;
    return r;
}

} // namespace

struct facilitator_door::question {
    std::int64_t version = 2;
    x402::payment payment;
    x402::requirements offered;
    std::string network; // as it was asked: an answer repeats it
};

bool facilitator_door::is_one(const http::request& r) { return r.path.starts_with(prefix); }

void facilitator_door::answer(const http::request& r, http::responder say) {
    const auto what = r.path.substr(prefix.size());
    if (r.method == "GET" && what == "supported") return supported(std::move(say));
    if (r.method != "POST" || (what != "verify" && what != "settle")) return say(http::error_response(404, {"not_found", "a facilitator answers verify, settle and supported"}));
    const auto who = caller(r);
    if (!who) return say(http::error_response(401, {"unauthorized", "this facilitator settles for those whose token it knows"}));
    auto q = read(r);
    if (q && what == "settle")
        if (const auto good = settle_what_is_asked(*q); !good) q = good.error();
    if (!q) { // what cannot be read is nobody's payment: in the answer's own form, so that a server understands it
        if (what == "verify") return say(http::json_response(400, to_json(value::map{{"isValid", false}, {"invalidReason", q.error().code}, {"invalidMessage", q.error().text}})));
        return say(http::json_response(400, to_json(value::map{{"success", false}, {"errorReason", q.error().code}, {"errorMessage", q.error().text}, {"transaction", ""}, {"network", ""}})));
    }
    if (what == "verify") verify(*q, std::move(say));
    else settle(*who, std::string(r.head.get("idempotency-key")), *q, std::move(say));
}

std::optional<std::string> facilitator_door::caller(const http::request& r) const {
    if (terms_.open) return std::string("anybody");
    const auto said = r.head.get("authorization");
    if (!said.starts_with("Bearer ") || said.size() > 512) return std::nullopt;
    const auto hash = crypto::sha256(said.substr(7));
    for (const auto& [name, known] : terms_.callers) {
        const auto bytes = from_hex(known);
        if (bytes && bytes->size() == hash.size() && sodium_memcmp(bytes->data(), hash.data(), hash.size()) == 0) return name;
    }
    return std::nullopt;
}

result<facilitator_door::question> facilitator_door::read(const http::request& r) {
    const auto body = from_json(r.body, json_form::plain, {64 * 1024, 32, 10'000});
    if (!body) return refusal{"invalid_payload", body.error().text};
    const auto *payment = body->find("paymentPayload"), *offered = body->find("paymentRequirements");
    if (!payment || !offered) return refusal{"invalid_payload", "expected paymentPayload and paymentRequirements"};
    const auto version_in = [](const value& v) {
        const auto* n = v.find("x402Version") ? v.find("x402Version")->as<std::int64_t>() : nullptr;
        return n ? *n : 0;
    };
    question q;
    q.version = version_in(*payment) ? version_in(*payment) : version_in(*body);
    if (q.version == 1) {
        auto o = offered_in_v1(*offered);
        if (!o) return o.error();
        auto p = x402::from_v1_header(to_base64(to_json(*payment)), *o);
        if (!p) return refusal{p.error().code == "invalid_network" ? "invalid_network" : "invalid_payload", p.error().text};
        q.payment = std::move(*p), q.offered = std::move(*o), q.network = offered->text("network");
        return q;
    }
    if (q.version != 2) return refusal{"invalid_x402_version", "x402Version: expected 1 or 2"};
    auto o = from_value<x402::requirements>(*offered, unknown_fields::ignore);
    if (!o) return refusal{"invalid_payment_requirements", o.error().text};
    auto p = x402::payment_of(*payment);
    if (!p) return refusal{"invalid_payload", p.error().text};
    q.payment = std::move(*p), q.offered = std::move(*o), q.network = q.offered.network;
    return q;
}

// Of a permit of at most so much a server asks for what it comes to: that is moved, and the permit is judged by the most that it allows.
result<void> facilitator_door::settle_what_is_asked(question& q) {
    const auto& permit = q.payment.payload.permit2Authorization;
    if (q.offered.scheme != "upto" || !permit) return {};
    auto asked = evm::permit2::as_authorization(*permit, q.offered.amount);
    if (!asked) return refusal{"invalid_payment_requirements", asked.error().text};
    q.payment.payload.authorization = std::move(*asked), q.offered.amount = permit->permitted.amount;
    return {};
}

void facilitator_door::verify(const question& q, http::responder say) {
    ask<payment_judged>(*sys_, payments_, 25s, judge_payment{encode_described(q.payment), encode_described(q.offered)}, [q, say](result<payment_judged> j) {
        if (!j || (j->refused && j->refused->code == "rail_unknown"))
            return say(http::error_response(503, {"not_now", j ? j->refused->text : j.error().text}));
        if (j->refused)
            return say_json(say, {{"isValid", false}, {"invalidReason", j->refused->code}, {"invalidMessage", j->refused->text}, {"payer", q.payment.payload.authorization.from}});
        say_json(say, {{"isValid", true}, {"payer", j->payer}});
    });
}

void facilitator_door::settle(const std::string& who, const std::string& again, const question& q, http::responder say) {
    const auto& a = q.payment.payload.authorization;
    const auto refuse = [q, say](const refusal& why, const std::string& transaction = {}) {
        say_json(say, {{"success", false}, {"errorReason", why.code}, {"errorMessage", why.text}, {"transaction", transaction}, {"network", q.network}, {"payer", q.payment.payload.authorization.from}});
    };
    if (again.size() > longest_again) return refuse({"bad_idempotency_key", "an Idempotency-Key has 128 characters at most"});
    const auto key = key_of(a);
    const auto may = begin(key, who, again);
    if (may == may_ask::no) return refuse({"duplicate_settlement", "this payment is being settled, or was, for another request"});
    if (may == may_ask::later) return refuse({"settlement_pending", "it is being settled for this very request; ask again"});
    const auto finish = [self = shared_from_this(), key, q, say, refuse](const money_moved& m) {
        self->end(key, m.how == came::yes);
        if (m.how == came::unknown) return refuse({"settlement_pending", "it is on its way; ask again with the same payment"}, m.transaction);
        if (m.how == came::no) return refuse(*m.refused);
        say_json(say, {{"success", true}, {"transaction", m.transaction}, {"network", q.network}, {"payer", q.payment.payload.authorization.from}, {"amount", q.payment.payload.authorization.value}});
    };
    const auto collect_it = [self = shared_from_this(), q, who, finish] {
        ask<money_moved>(*self->sys_, self->payments_, 40s, collect{encode_described(q.payment), "facilitator/" + who, self->now_()}, [finish](result<money_moved> m) { finish(m ? *m : money_moved{}); });
    };
    if (may == may_ask::same_again) return collect_it();
    // Judged before: what is refused now, and was never begun, leaves nothing behind.
    ask<payment_judged>(*sys_, payments_, 25s, judge_payment{encode_described(q.payment), encode_described(q.offered)}, [self = shared_from_this(), key, finish, refuse, collect_it](result<payment_judged> j) {
        if (!j || (j->refused && j->refused->code == "rail_unknown")) return finish(money_moved{});
        // Used, and rightly signed: by ourselves a moment ago, or by whoever got hold of it. The rail knows whether it paid what it says.
        if (j->refused && j->refused->code != "invalid_exact_evm_nonce_already_used" && j->refused->code != "permit2_invalid_nonce") return self->end(key, false), refuse(*j->refused);
        collect_it();
    });
}

void facilitator_door::supported(http::responder say) {
    ask<rail_view>(*sys_, payments_, 10s, rail_query{}, [say, turn = turn_++](result<rail_view> r) {
        if (!r) return say(http::error_response(503, {"not_now", r.error().text}));
        value::list kinds{value::map{{"x402Version", 2}, {"scheme", "exact"}, {"network", r->network}}};
        if (const auto name = x402::v1_name(r->network)) kinds.push_back(value::map{{"x402Version", 1}, {"scheme", "exact"}, {"network", *name}});
        // Who is named in a permit of at most so much is the one who settles it: each of the keys in its turn.
        if (!r->signers.empty() && r->network.starts_with("eip155:"))
            kinds.push_back(value::map{{"x402Version", 2}, {"scheme", "upto"}, {"network", r->network}, {"extra", value::map{{"facilitatorAddress", r->signers[turn % r->signers.size()]}}}});
        value::list signers;
        for (const auto& s : r->signers) signers.push_back(s);
        say_json(say, {{"kinds", std::move(kinds)}, {"extensions", value::list{"payment-identifier"}}, {"signers", value::map{{"eip155:*", std::move(signers)}}}});
    });
}

facilitator_door::may_ask facilitator_door::begin(const std::string& key, const std::string& who, const std::string& again) {
    const std::lock_guard hold(guard_);
    const auto [at, first] = told_.try_emplace(key, told{who, again, true, false});
    if (first) {
        order_.push_back(key);
        for (auto old = order_.begin(); told_.size() > most_told && old != order_.end();) {
            if (told_.at(*old).asking) ++old;
            else told_.erase(*old), old = order_.erase(old);
        }
        return may_ask::yes;
    }
    auto& t = at->second;
    const bool same = t.by == who && !again.empty() && again == t.again;
    if (t.asking) return same ? may_ask::later : may_ask::no;
    if (t.done && !same) return may_ask::no;
    if (t.done) return t.asking = true, may_ask::same_again;
    t = {who, again, true, false};
    return may_ask::yes;
}
void facilitator_door::end(const std::string& key, bool done) {
    const std::lock_guard hold(guard_);
    if (const auto at = told_.find(key); at != told_.end()) at->second.asking = false, at->second.done = at->second.done || done;
}

} // namespace souk
