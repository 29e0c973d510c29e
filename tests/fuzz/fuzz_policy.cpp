// Rules of a policy, one a line, as an operator or a buyer writes them; then a candidate named by the same bytes.
#include <souk/actors/policy/grammar.hpp>

#include "fuzz.hpp"

using namespace souk;

FUZZ {
    std::vector<std::string> texts;
    for (std::size_t at = 0; at <= bytes.size() && texts.size() < 40;) {
        const auto end = std::min(bytes.find('\n', at), bytes.size());
        texts.emplace_back(bytes.substr(at, end - at));
        at = end + 1;
    }
    bool all = true;
    for (const auto& text : texts) {
        const auto r = policy::parse_rule(text);
        all = all && r;
        if (!r) {
            must(r.error().code == "bad_rule" && !r.error().text.empty() && r.error().text.size() < 1000, "a refusal says why, in few words");
            continue;
        }
        const auto again = policy::parse_rule(r->text);
        must(again && again->text == r->text, "a rule has one text");
        must(r->wants.veto == (policy::name_of(r->text) == "denounced"), "the veto is what is called so");
    }
    must(policy::check_rules(texts).has_value() == (all && texts.size() <= policy::longest_chain), "a policy is good when its rules are");

    const auto chain = policy::chain_of(texts);
    must(std::any_of(chain.begin(), chain.end(), [](const policy::rule& r) { return r.wants.veto; }), "no chain is without the veto");
    policy::facts known;
    known.self = "did:plc:alice";
    trust_mark m;
    m.by = known.self, m.about = "did:plc:eve", m.kind = policy::denounced;
    known.trust.replace(m.by, {m});
    policy_question q;
    q.perspective = "requester", q.price = 1, q.slice = 1;
    for (const auto& who : {m.about, std::string(bytes.substr(0, bytes.find('\n')))}) {
        q.subject = who;
        const auto v = policy::judge(q, known, chain);
        must(!v.allowed || (who != m.about && is_did(who)), "who is denounced, or nobody, is never allowed");
        must(!(v.allowed && v.wait), "what cannot be told is not allowed");
        if (is_did(who)) must(v.steps.size() == chain.size(), "the trace shows every rule");
    }
}
