#include <souk/actors/policy/engine.hpp>

#include <souk/actors/policy/marks.hpp>
#include <souk/messages/json.hpp>

namespace souk::policy {

namespace {

using namespace std::chrono_literals;

constexpr auto answer_within = 6s; // below what whoever asks for a verdict waits
constexpr std::size_t largest_answer = 64 * 1024, longest_said = 400, most_violations = 8;

result<std::string> host_of(const remote_engine& e) {
    const auto host = http::percent_decode(std::string_view(e.did).substr(std::string_view("did:web:").size()));
    if (!host || host->empty() || host->find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:") != host->npos)
        return refusal{"bad_rule", e.did + " names no host"};
    return *host;
}

value reference(const std::string& uri, const std::string& cid) { return value::map{{"uri", uri}, {"cid", cid}}; }

engine_answer no_answer(std::string why) {
    engine_answer a;
    a.unknown = std::move(why);
    return a;
}

} // namespace

value::map engine_claims(const remote_engine& e, const std::string& self, instant now, std::string nonce) {
    const auto issued = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch()).count();
    return {{"iss", self}, {"aud", e.did}, {"iat", issued}, {"exp", issued + 60}, {"jti", std::move(nonce)}, {"lxm", std::string(evaluate_nsid)}};
}

result<http::call> engine_call(const remote_engine& e, const policy_question& q, const std::string& self, const std::string& token) {
    const auto host = host_of(e);
    if (!host) return host.error();
    const bool here = host->substr(0, host->find(':')) == "localhost"; // as did:web is read elsewhere in this protocol
    const bool buying = q.perspective != "bidder";
    value::map body{{"subjectDid", q.subject}, {"counterpartyDid", q.subject}, {"selfDid", self}, {"perspective", q.perspective}};
    body["rootRequesterDid"] = buying ? self : q.subject;
    if (!e.name.empty()) body["name"] = e.name;
    if (e.policy) body["policyRef"] = reference(e.policy->uri, e.policy->cid);
    if (!q.rfp_uri.empty()) body["demand"] = reference(q.rfp_uri, q.rfp_cid);
    if (!q.bid_uri.empty()) body["offer"] = reference(q.bid_uri, q.bid_cid);
    http::call c;
    c.method = "POST", c.url = (here ? "http://" : "https://") + *host + "/xrpc/" + std::string(evaluate_nsid), c.body = to_json(std::move(body));
    c.head.set("Content-Type", "application/json").set("Authorization", "Bearer " + token);
    c.within = answer_within, c.largest_answer = largest_answer;
    return c;
}

engine_answer read_engine_answer(const result<http::response>& r) {
    if (!r) return no_answer("it cannot be asked: " + in_one_line(r.error().text, longest_said));
    if (r->status != 200) return no_answer("it answered " + std::to_string(r->status));
    json_limits small;
    small.bytes = largest_answer, small.items = 10'000, small.depth = 16;
    const auto body = from_json(r->body, json_form::plain, small);
    if (!body) return no_answer("its answer cannot be read: " + body.error().code);
    const auto* allow = body->find("allow");
    if (!allow || !allow->as<bool>()) return no_answer("its answer does not say whether it allows it");
    engine_answer a;
    a.allowed = *allow->as<bool>();
    const auto* list = body->find("violations");
    if (const auto* all = list ? list->as<value::list>() : nullptr)
        for (std::size_t i = 0; i < std::min(all->size(), most_violations); ++i) {
            const auto& one = (*all)[i];
            if (const auto text = in_one_line(one.text("msg"), longest_said); !text.empty() && a.said.size() + text.size() + 2 <= longest_said)
                a.said += (a.said.empty() ? "" : "; ") + text;
            if (const auto* by = one.find("policyId"); by && at_uri::parse(by->text("uri")) && cid::parse(by->text("cid")))
                a.evidence.push_back({std::string(by->text("uri")), std::string(by->text("cid"))});
        }
    return a;
}

std::string engine_key(const remote_engine& e, const policy_question& q) {
    return e.key() + '\n' + q.perspective + '\n' + q.subject + '\n' + q.rfp_cid + '\n' + q.bid_cid;
}

} // namespace souk::policy
