#include <souk/actors/policy/chain.hpp>

#include <algorithm>

#include <souk/actors/entity/entity.hpp>

namespace souk::policy {

namespace {

constexpr std::string_view veto = "denounced";

ruling run(const std::string& name, std::span<const rule> from, const policy_question& q, const facts& known) {
    for (const auto& r : from)
        if (r.name == name) return r.judge(q, known);
    std::string names;
    for (const auto& r : from) names += (names.empty() ? "" : ", ") + std::string(r.name);
    return {ruling::kind::reject, "there is no policy rule \"" + name.substr(0, 64) + "\"; there are " + names, {}, {}};
}

const char* word(ruling::kind k) { return k == ruling::kind::pass ? "pass" : k == ruling::kind::amend ? "amend" : "reject"; }

policy_step step(std::string rule_name, std::string said, std::string reason, std::vector<strong_ref> evidence = {}) {
    policy_step s;
    s.rule = std::move(rule_name), s.said = std::move(said), s.reason = std::move(reason), s.evidence = std::move(evidence);
    return s;
}

void with_veto(std::vector<std::string>& names) {
    if (std::find(names.begin(), names.end(), veto) == names.end()) names.insert(names.begin(), std::string(veto));
}

policy_verdict refusing(std::string reason) {
    policy_verdict v;
    v.reason = std::move(reason);
    return v;
}

} // namespace

std::vector<std::string> usual_rules(std::string_view perspective) {
    if (perspective == "bidder") return {"denounced", "expiry"}; // whoever pays may buy
    return {"denounced", "vouched", "ceiling", "expiry", "location", "tier"};
}

policy_verdict judge(const policy_question& question, const facts& known, std::vector<std::string> names, std::span<const rule> from) {
    if (!is_did(question.subject)) return refusing("the question names nobody: its subject is no DID");
    if (names.size() > longest_chain) return refusing("a policy has at most " + std::to_string(longest_chain) + " rules");
    with_veto(names);

    policy_verdict v;
    auto seen = question;
    bool rejected = false;
    for (const auto& name : names) {
        if (rejected) {
            v.steps.push_back(step(name, "skipped", "not run: a rule before it rejected"));
            continue;
        }
        auto said = run(name, from, seen, known);
        if (said.said == ruling::kind::amend) {
            ensure(said.amended.has_value() && said.amended->subject == question.subject, "a rule amended whom it judges");
            seen = std::move(*said.amended);
        }
        rejected = said.said == ruling::kind::reject;
        if (rejected) v.reason = said.reason;
        v.steps.push_back(step(name, word(said.said), std::move(said.reason), std::move(said.evidence)));
    }
    v.allowed = !rejected;
    if (v.allowed) v.reason = "every rule passed";
    return v;
}

policy_verdict cannot_tell(std::vector<std::string> names, const std::string& why) {
    with_veto(names);
    auto v = refusing(why);
    v.wait = true;
    for (const auto& name : names) v.steps.push_back(step(name, "skipped", "not run: " + why));
    return v;
}

} // namespace souk::policy
