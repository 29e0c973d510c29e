#include <souk/actors/policy/chain.hpp>

#include <algorithm>

namespace souk::policy {

namespace {

using kind = ruling::kind;

ruling pass(std::string reason, std::vector<strong_ref> evidence = {}) { return {kind::pass, std::move(reason), std::move(evidence), {}}; }
ruling reject(std::string reason, std::vector<strong_ref> evidence = {}) { return {kind::reject, std::move(reason), std::move(evidence), {}}; }

// -- trust ------------------------------------------------------------------------------------------------------------------

const trust_mark* own_mark(const facts& known, std::string_view about, std::string_view what) {
    for (const auto& m : known.marks)
        if (m.by == known.self && m.about == about && m.kind == what) return &m;
    return nullptr;
}

std::string because(const trust_mark& m) { return m.reason.empty() ? "" : ": \"" + m.reason + '"'; }

ruling not_denounced(const policy_question& q, const facts& known) {
    if (const auto* m = own_mark(known, q.subject, denounced)) return reject(known.self + " denounced " + q.subject + because(*m), {m->record});
    if (const auto* m = own_mark(known, q.subject, unreadable))
        return reject(known.self + " has a record about " + q.subject + " that cannot be read (" + m->reason +
                          "): it counts as a denouncement until it is mended",
                      {m->record});
    return pass(known.self + " has not denounced " + q.subject);
}

ruling is_vouched(const policy_question& q, const facts& known) {
    if (q.subject == known.self) return pass(q.subject + " is this node's own account");
    if (const auto* m = own_mark(known, q.subject, vouched_for)) return pass(known.self + " vouches for " + q.subject + because(*m), {m->record});
    return reject(known.self + " does not vouch for " + q.subject);
}

// -- terms ------------------------------------------------------------------------------------------------------------------

ruling under_ceiling(const policy_question& q, const facts&) {
    const auto price = std::to_string(q.price) + " atomic units for " + std::to_string(q.slice) + " s";
    if (q.price < 0) return reject(q.subject + " asks a negative price");
    if (q.ceiling <= 0) return pass("no ceiling was set");
    if (q.price > q.ceiling) return reject(q.subject + " asks " + price + ", above the ceiling of " + std::to_string(q.ceiling));
    return pass(price + ", within the ceiling of " + std::to_string(q.ceiling));
}

ruling not_expired(const policy_question& q, const facts& known) {
    if (q.expires == instant{}) return pass("it names no expiry");
    if (q.expires <= known.now) return reject("what " + q.subject + " published expired at " + to_datetime(q.expires));
    return pass("it holds until " + to_datetime(q.expires));
}

bool same_name(std::string_view a, std::string_view b) { // "USA" is "usa"
    const auto low = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return low(x) == low(y); });
}

// Empty where it suits; else what is wrong.
std::string misplaced(const char* what, const std::optional<std::string>& wanted, const std::optional<std::string>& offered) {
    if (!wanted || wanted->empty()) return {};
    if (!offered || offered->empty()) return std::string(what) + ' ' + *wanted + " is wanted, and the offer does not say its " + what;
    if (!same_name(*wanted, *offered)) return std::string(what) + ' ' + *wanted + " is wanted, " + *offered + " is offered";
    return {};
}

ruling in_place(const policy_question& q, const facts&) {
    if (!q.wanted) return pass("any place will do");
    const auto offered = q.offered.value_or(place{});
    for (const auto& wrong : {misplaced("country", q.wanted->country, offered.country), misplaced("region", q.wanted->region, offered.region)})
        if (!wrong.empty()) return reject(q.subject + ": " + wrong);
    return pass("the place is as wanted");
}

// What the hardware proves; more is as good as less.
std::optional<int> rank(std::string_view tier) {
    if (tier.empty() || tier == "none") return 0;
    if (tier == "simulated") return 1;
    if (tier == "hardware") return 2;
    return std::nullopt;
}

ruling of_tier(const policy_question& q, const facts&) {
    const auto offered_name = q.tier.empty() ? "none" : q.tier;
    if (q.wanted_tier.empty()) return pass("attestation tier " + offered_name + "; none was asked for");
    const auto wanted = rank(q.wanted_tier), offered = rank(q.tier);
    if (!wanted) return reject("\"" + q.wanted_tier + "\" is no attestation tier; there are none, simulated, hardware");
    if (!offered) return reject(q.subject + " offers \"" + q.tier + "\", which is no attestation tier");
    if (*offered < *wanted) return reject(q.subject + " offers attestation tier " + offered_name + ", " + q.wanted_tier + " is wanted");
    return pass("attestation tier " + offered_name + " is at least " + q.wanted_tier);
}

ruling open_to_all(const policy_question&, const facts&) { return pass("open to everyone who is not denounced"); }

const rule table[] = {
    {"denounced", not_denounced}, {"vouched", is_vouched}, {"ceiling", under_ceiling}, {"expiry", not_expired},
    {"location", in_place},       {"tier", of_tier},       {"open", open_to_all},
};

} // namespace

std::span<const rule> known_rules() { return table; }

} // namespace souk::policy
