#include <souk/actors/policy/chain.hpp>

#include <algorithm>

#include <souk/actors/entity/entity.hpp>
#include <souk/actors/policy/grammar.hpp>
#include <souk/actors/policy/rules.hpp>

namespace souk::policy {

namespace {

constexpr std::size_t longest_shown = 100; // of a rule's text in the trace
constexpr std::size_t most_evidence = 16;  // records a step

const char* word(ruling::kind k) {
    switch (k) {
    case ruling::kind::pass: return "pass";
    case ruling::kind::amend: return "amend";
    case ruling::kind::wait: return "wait";
    default: return "reject";
    }
}

policy_step step(const rule& r, std::string said, std::string reason, std::vector<strong_ref> evidence = {}) {
    policy_step s;
    s.rule = r.text.substr(0, longest_shown);
    if (r.text.size() > longest_shown) s.rule.replace(longest_shown - 3, 3, "...");
    if (evidence.size() > most_evidence) evidence.resize(most_evidence);
    s.said = std::move(said), s.reason = std::move(reason), s.evidence = std::move(evidence);
    return s;
}

policy_verdict refusing(std::string reason) {
    policy_verdict v;
    v.reason = std::move(reason);
    return v;
}

bool is_veto(const rule& r) { return r.wants.veto; }

rule refusal_in_place_of(const std::string& text, std::string why) {
    return {text.substr(0, longest_shown), [why = std::move(why)](const policy_question&, const facts&) -> ruling { return {ruling::kind::reject, why, {}, {}}; }};
}

} // namespace

std::vector<std::string> usual_rules(std::string_view perspective) {
    if (perspective == "bidder") return {"denounced", "expiry"}; // whoever pays may buy
    return {"denounced", "vouched", "ceiling", "expiry", "location", "tier"};
}

chain chain_of(const std::vector<std::string>& texts) {
    chain all;
    if (texts.size() > longest_chain) {
        all.push_back(refusal_in_place_of("...", "a policy has at most " + std::to_string(longest_chain) + " rules"));
    } else {
        for (const auto& text : texts) {
            auto r = parse_rule(text);
            all.push_back(r ? std::move(*r) : refusal_in_place_of(text, r.error().text));
        }
    }
    if (std::none_of(all.begin(), all.end(), is_veto)) all.insert(all.begin(), denounced_rule(veto, 0));
    return all;
}

needs needs_of(std::span<const rule> all) {
    needs n;
    for (const auto& r : all) {
        n.steps = std::max(n.steps, r.wants.steps), n.reach = std::max(n.reach, r.wants.reach);
        n.association = n.association || r.wants.association;
        n.engines.insert(n.engines.end(), r.wants.engines.begin(), r.wants.engines.end());
    }
    return n;
}

policy_verdict judge(const policy_question& question, const facts& known, std::span<const rule> rules) {
    if (!is_did(question.subject)) return refusing("the question names nobody: its subject is no DID");
    ensure(std::any_of(rules.begin(), rules.end(), is_veto), "a chain of rules without the veto");

    policy_verdict v;
    auto seen = question;
    auto decided = ruling::kind::pass;
    for (const auto& r : rules) {
        if (decided != ruling::kind::pass) {
            const bool waits = decided == ruling::kind::wait;
            v.steps.push_back(step(r, "skipped", waits ? "not run: a rule before it cannot tell yet" : "not run: a rule before it rejected"));
            continue;
        }
        auto said = r.judge(seen, known);
        if (said.said == ruling::kind::amend) {
            ensure(said.amended.has_value() && said.amended->subject == question.subject, "a rule amended whom it judges");
            seen = std::move(*said.amended);
        } else {
            decided = said.said;
        }
        if (decided != ruling::kind::pass) v.reason = said.reason;
        v.steps.push_back(step(r, word(said.said), std::move(said.reason), std::move(said.evidence)));
    }
    v.allowed = decided == ruling::kind::pass, v.wait = decided == ruling::kind::wait;
    if (v.allowed) v.reason = "every rule passed";
    return v;
}

policy_verdict cannot_tell(std::span<const rule> rules, const std::string& why) {
    auto v = refusing(why);
    v.wait = true;
    for (const auto& r : rules) v.steps.push_back(step(r, "skipped", "not run: " + why));
    return v;
}

} // namespace souk::policy
