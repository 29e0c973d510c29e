#include <souk/runtime/policy_door.hpp>

#include <souk/actors/common/foreign_thread.hpp>
#include <souk/actors/common/verified.hpp>
#include <souk/actors/requester/requester.hpp>
#include <souk/messages/json.hpp>
#include <souk/messages/money.hpp>

namespace souk {

namespace {

using namespace std::chrono_literals;
constexpr std::size_t most_evidence = 64;

http::response plain(unsigned status, const char* code, const std::string& text) { return http::error_response(status, {code, text}); }
http::response because(const refusal& why) {
    return is_passing(why) ? plain(503, "not_now", why.text) : plain(400, "InvalidRequest", why.code + ": " + why.text);
}

std::optional<strong_ref> reference(const value& body, const char* field) {
    const auto* at = body.find(field);
    if (!at) return std::nullopt;
    return strong_ref{std::string(at->text("uri")), std::string(at->text("cid"))};
}

void fetch_whole(record_network& net, const strong_ref& ref, std::function<void(result<verified_record>)> then) {
    verify_reference(net, ref, [&net, then = std::move(then)](result<verified_record> r) mutable {
        const foreign_thread here;
        if (!r) return then(r.error());
        gather_parts(net, std::move(*r), std::move(then));
    });
}

} // namespace

value policy_answer(const policy_verdict& v) {
    value::list violations, evidence;
    for (const auto& step : v.steps) {
        for (const auto& e : step.evidence)
            if (evidence.size() < most_evidence) evidence.push_back(to_value(e));
        if (step.said != "reject") continue;
        value::map one{{"msg", step.rule + ": " + step.reason}};
        if (!step.evidence.empty()) one["policyId"] = to_value(step.evidence.front());
        violations.push_back(std::move(one));
    }
    return value::map{{"allow", v.allowed}, {"reason", v.reason}, {"violations", std::move(violations)}, {"evidence", std::move(evidence)}};
}

void policy_door::answer(const value& body, const std::string& caller, http::responder say) const {
    if (!p_.may_ask.contains(caller)) return say(plain(403, "Forbidden", "the operator of this node does not let you ask"));
    if (!body.text("name").empty() || body.find("policyRef")) return say(plain(400, "InvalidRequest", "this engine has one policy, its node's own"));
    const bool judged_twice = !body.text("counterpartyDid").empty() && body.text("counterpartyDid") != body.text("subjectDid");
    if (judged_twice) return say(plain(400, "InvalidRequest", "one is judged: subjectDid and counterpartyDid are two"));
    if (under_way_.fetch_add(1) >= most_at_once) {
        under_way_.fetch_sub(1);
        return say(plain(503, "not_now", "so many questions are being answered already"));
    }
    auto once = [say = std::move(say), self = shared_from_this()](http::response r) {
        self->under_way_.fetch_sub(1);
        say(std::move(r));
    };
    policy_question q;
    q.perspective = body.text("perspective") == "bidder" ? "bidder" : "requester";
    q.subject = body.text("subjectDid"), q.expires = p_.now() + 1h;
    about_request(std::move(q), body, std::move(once));
}

void policy_door::about_request(policy_question q, const value& body, http::responder say) const {
    const auto ref = reference(body, "demand");
    if (!ref) return about_bid(std::move(q), body, std::move(say));
    fetch_whole(*p_.net, *ref, [self = shared_from_this(), q = std::move(q), body, say = std::move(say)](result<verified_record> r) mutable {
        if (!r) return say(because(r.error()));
        const auto asked = read_request(r->uri.collection, r->content, r->parts);
        if (!asked) return say(because(asked.error()));
        if (q.perspective == "bidder" && r->uri.did != q.subject) return say(plain(400, "InvalidRequest", "the demand is by somebody else than is judged"));
        q.rfp_uri = r->ref.uri, q.rfp_cid = r->ref.cid, q.wanted = asked->said.location;
        if (q.perspective == "bidder" && asked->said.expiresAt)
            if (const auto end = from_datetime(*asked->said.expiresAt)) q.expires = *end;
        self->about_bid(std::move(q), body, std::move(say));
    });
}

void policy_door::about_bid(policy_question q, const value& body, http::responder say) const {
    const auto ref = reference(body, "offer");
    if (!ref) return judge(std::move(q), std::move(say));
    fetch_whole(*p_.net, *ref, [self = shared_from_this(), q = std::move(q), say = std::move(say)](result<verified_record> r) mutable {
        if (!r) return say(because(r.error()));
        const auto o = offer_of(r->ref, r->uri, r->content, r->parts);
        if (!o) return say(because(o.error()));
        if (q.perspective != "bidder" && o->bidder != q.subject) return say(plain(400, "InvalidRequest", "the offer is by somebody else than is judged"));
        if (!q.rfp_cid.empty() && o->rfp.cid != q.rfp_cid) return say(plain(400, "InvalidRequest", "the offer is on another demand"));
        q.bid_uri = o->ref.uri, q.bid_cid = o->ref.cid, q.price = o->for_slice, q.slice = o->slice, q.tier = o->tier, q.offered = o->location;
        if (q.perspective != "bidder") q.expires = o->expires;
        self->judge(std::move(q), std::move(say));
    });
}

void policy_door::judge(policy_question q, http::responder say) const {
    ask<policy_verdict>(*p_.sys, p_.policy, 9s, std::move(q), [say = std::move(say)](result<policy_verdict> v) {
        if (!v) return say(plain(503, "not_now", v.error().text));
        if (v->wait) return say(plain(503, "not_now", "it cannot be told now: " + v->reason.substr(0, 400)));
        say(http::json_response(200, to_json(policy_answer(*v))));
    });
}

} // namespace souk
