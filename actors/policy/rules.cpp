#include <souk/actors/policy/rules.hpp>

#include <algorithm>

#include <souk/messages/money.hpp>

namespace souk::policy {

namespace {

using kind = ruling::kind;

ruling pass(std::string reason, std::vector<strong_ref> evidence = {}) { return {kind::pass, std::move(reason), std::move(evidence), {}}; }
ruling reject(std::string reason, std::vector<strong_ref> evidence = {}) { return {kind::reject, std::move(reason), std::move(evidence), {}}; }
ruling wait(std::string reason, std::vector<strong_ref> evidence = {}) { return {kind::wait, std::move(reason), std::move(evidence), {}}; }

// -- trust ------------------------------------------------------------------------------------------------------------------

std::string because(const trust_mark& m) { return m.reason.empty() ? "" : ": \"" + m.reason + '"'; }

std::string percent(std::int64_t score) { // of trust_graph::whole
    const auto tenths = score * 1000 / trust_graph::whole;
    return std::to_string(tenths / 10) + (tenths % 10 ? '.' + std::to_string(tenths % 10) : "") + '%';
}

// Whoever could denounce, and of whom it is not known whether he did.
std::string silent_within(unsigned reach, const facts& known) {
    if (known.unread.empty()) return {};
    for (const auto& level : known.trust.circle(known.self, reach, reach, known.now))
        for (const auto& who : level)
            if (const auto found = known.unread.find(who); found != known.unread.end())
                return "whether " + who + " denounced anybody cannot be told: " + found->second;
    return {};
}

std::optional<ruling> vetoed(const std::string& who, unsigned reach, const facts& known) {
    const auto all = known.trust.vetoes(known.self, who, reach, known.now);
    if (all.empty()) return std::nullopt;
    std::vector<strong_ref> evidence;
    for (const auto* m : all) evidence.push_back(m->record);
    const auto& m = *all.front();
    const auto more = all.size() > 1 ? " (and " + std::to_string(all.size() - 1) + " more)" : "";
    if (m.kind == denounced) return reject(m.by + " denounced " + who + because(m) + more, std::move(evidence));
    return reject(m.by + " has a record about " + who + " that cannot be read (" + m.reason + "): it counts as a denouncement until it is mended" + more,
                  std::move(evidence));
}

// Those whose vouches could have counted.
std::string not_counted(unsigned depth, const facts& known) {
    std::size_t all = 0;
    std::string first;
    if (!known.unread.empty())
        for (const auto& level : known.trust.circle(known.self, depth - 1, known.reach, known.now))
            for (const auto& who : level)
                if (known.unread.count(who) && all++ == 0) first = who;
    if (all == 0) return {};
    return "; the vouches of " + first + (all > 1 ? " and " + std::to_string(all - 1) + " more" : "") + " could not be read, and do not count";
}

ruling stands(const std::string& who, const vouching& how, const facts& known) {
    const auto way = known.trust.best(known.self, who, how, known.reach, known.now);
    const auto missing = not_counted(how.depth, known);
    if (way.marks.empty()) {
        if (how.depth == 1) return reject(known.self + " does not vouch for " + who);
        return reject("no chain of " + std::to_string(how.depth) + " vouches leads from " + known.self + " to " + who + missing);
    }
    std::vector<strong_ref> evidence;
    std::string told;
    for (const auto* m : way.marks) {
        evidence.push_back(m->record);
        told += (told.empty() ? m->by + " vouches for " : ", who vouches for ") + m->about;
    }
    if (way.marks.size() == 1) told += because(*way.marks.front());
    const auto least = trust_graph::whole / 100 * how.least;
    const bool plain = way.marks.size() == 1 && way.score == trust_graph::whole;
    if (way.score < least)
        return reject(told + ": " + percent(way.score) + " arrives, " + std::to_string(how.least) + "% is the least" + missing, std::move(evidence));
    return pass(plain ? told : told + ": " + percent(way.score) + " arrives", std::move(evidence));
}

// -- terms ------------------------------------------------------------------------------------------------------------------

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

// What the hardware proves; more is as good as less.
std::optional<int> rank(std::string_view tier) {
    if (tier.empty() || tier == "none") return 0;
    if (tier == "simulated") return 1;
    if (tier == "hardware") return 2;
    return std::nullopt;
}

ruling of_tier(const policy_question& q, const std::string& wanted_tier) {
    const auto offered_name = q.tier.empty() ? "none" : q.tier;
    const auto wanted = rank(wanted_tier), offered = rank(q.tier);
    if (!wanted) return reject("\"" + wanted_tier + "\" is no attestation tier; there are none, simulated, hardware");
    if (!offered) return reject(q.subject + " offers \"" + q.tier + "\", which is no attestation tier");
    if (*offered < *wanted) return reject(q.subject + " offers attestation tier " + offered_name + ", " + wanted_tier + " is wanted");
    return pass("attestation tier " + offered_name + " is at least " + wanted_tier);
}

} // namespace

rule denounced_rule(std::string text, unsigned reach) {
    needs n;
    n.steps = n.reach = reach, n.veto = true;
    return {std::move(text), [reach](const policy_question& q, const facts& known) -> ruling {
                if (auto no = vetoed(q.subject, reach, known)) return std::move(*no);
                if (const auto silent = silent_within(reach, known); !silent.empty()) return wait(silent);
                if (reach == 0) return pass(known.self + " has not denounced " + q.subject);
                const auto steps = reach > 1 ? ", in " + std::to_string(reach) + " steps," : "";
                return pass("nobody whom " + known.self + " vouches for" + steps + " denounced " + q.subject + ", nor did that account itself");
            }, n};
}

rule vouched_rule(std::string text, vouching how) {
    needs n;
    n.steps = how.depth - 1;
    return {std::move(text), [how](const policy_question& q, const facts& known) -> ruling {
                if (q.subject == known.self) return pass(q.subject + " is this node's own account");
                return stands(q.subject, how, known);
            }, n};
}

rule operator_rule(std::string text, vouching how) {
    needs n;
    n.steps = how.depth - 1, n.association = true;
    return {std::move(text), [how](const policy_question& q, const facts& known) -> ruling {
                if (q.subject == known.self) return pass(q.subject + " is this node's own account");
                if (!known.operated) return wait("whose " + q.subject + " is has not been looked up");
                const auto& a = *known.operated;
                if (!a.unknown.empty()) return wait("whose " + q.subject + " is cannot be told: " + a.unknown);
                if (a.by.empty()) return reject(q.subject + " has no operator that says so, too");
                if (a.by == known.self) return pass(q.subject + " is operated by this node's own account", a.evidence);
                auto said = vetoed(a.by, known.reach, known).value_or(ruling{});
                if (said.said == kind::pass) said = stands(a.by, how, known);
                said.reason = q.subject + " is operated by " + a.by + "; " + said.reason;
                said.evidence.insert(said.evidence.begin(), a.evidence.begin(), a.evidence.end());
                return said;
            }, n};
}

rule ceiling_rule(std::string text) {
    return {std::move(text), [](const policy_question& q, const facts&) -> ruling {
                const auto price = std::to_string(q.price) + " atomic units for " + std::to_string(q.slice) + " s";
                if (q.price < 0) return reject(q.subject + " asks a negative price");
                if (q.ceiling <= 0) return pass("no ceiling was set");
                if (q.price > q.ceiling) return reject(q.subject + " asks " + price + ", above the ceiling of " + std::to_string(q.ceiling));
                return pass(price + ", within the ceiling of " + std::to_string(q.ceiling));
            }};
}

rule expiry_rule(std::string text) {
    return {std::move(text), [](const policy_question& q, const facts& known) -> ruling {
                if (q.expires == instant{}) return pass("it names no expiry");
                if (q.expires <= known.now) return reject("what " + q.subject + " published expired at " + to_datetime(q.expires));
                return pass("it holds until " + to_datetime(q.expires));
            }};
}

rule price_rule(std::string text, std::int64_t most, std::int64_t seconds, std::string shown) {
    return {std::move(text), [most, seconds, shown = std::move(shown)](const policy_question& q, const facts&) -> ruling {
                if (q.price < 0) return reject(q.subject + " asks a negative price");
                if (q.slice <= 0) return reject(q.subject + " does not say how long his price is for");
                __extension__ using wide = __int128; // two numbers of 63 bits
                const auto asked = to_decimal(q.price) + " for " + std::to_string(q.slice) + " s";
                if (static_cast<wide>(q.price) * seconds > static_cast<wide>(most) * q.slice)
                    return reject(q.subject + " asks " + asked + ", above " + shown);
                return pass(asked + ", within " + shown);
            }};
}

rule location_rule(std::string text, place always) {
    return {std::move(text), [always](const policy_question& q, const facts&) -> ruling {
                const auto wanted = q.wanted.value_or(place{}), offered = q.offered.value_or(place{});
                if (!q.wanted && always == place{}) return pass("any place will do");
                for (const auto& wrong : {misplaced("country", wanted.country, offered.country), misplaced("region", wanted.region, offered.region),
                                          misplaced("country", always.country, offered.country), misplaced("region", always.region, offered.region)})
                    if (!wrong.empty()) return reject(q.subject + ": " + wrong);
                return pass("the place is as wanted");
            }};
}

rule tier_rule(std::string text, std::string least) {
    return {std::move(text), [least = std::move(least)](const policy_question& q, const facts&) -> ruling {
                if (q.wanted_tier.empty() && least.empty()) return pass("attestation tier " + (q.tier.empty() ? "none" : q.tier) + "; none was asked for");
                auto said = of_tier(q, q.wanted_tier.empty() ? least : q.wanted_tier);
                if (said.said == kind::pass && !least.empty() && !q.wanted_tier.empty())
                    said = of_tier(q, *rank(least) > *rank(q.wanted_tier) ? least : q.wanted_tier);
                return said;
            }};
}

rule history_rule(std::string text, std::optional<std::int64_t> honoured, std::optional<std::int64_t> broken) {
    return {std::move(text), [honoured, broken](const policy_question& q, const facts&) -> ruling {
                if (!q.history) return reject("no history of " + q.subject + " is kept here");
                const auto& h = *q.history;
                const auto told = q.subject + " honoured " + std::to_string(h.honoured) + " contracts with this node and broke " + std::to_string(h.broken);
                if (honoured && h.honoured < *honoured) return reject(told + "; at least " + std::to_string(*honoured) + " honoured are wanted", h.evidence);
                if (broken && h.broken > *broken) return reject(told + "; at most " + std::to_string(*broken) + " broken are borne", h.evidence);
                return pass(told, h.evidence);
            }};
}

rule allow_rule(std::string text, std::set<std::string> who) {
    return {std::move(text), [who = std::move(who)](const policy_question& q, const facts&) -> ruling {
                return who.count(q.subject) ? pass(q.subject + " is on the list of those allowed") : reject(q.subject + " is not on the list of those allowed");
            }};
}

rule deny_rule(std::string text, std::set<std::string> who) {
    return {std::move(text), [who = std::move(who)](const policy_question& q, const facts&) -> ruling {
                return who.count(q.subject) ? reject(q.subject + " is on the list of those denied") : pass(q.subject + " is not on the list of those denied");
            }};
}

rule remote_rule(std::string text, remote_engine engine) {
    needs n;
    n.engines = {engine};
    return {std::move(text), [engine](const policy_question&, const facts& known) -> ruling {
                const auto found = known.engines.find(engine.key());
                if (found == known.engines.end()) return wait(engine.did + " has not been asked");
                const auto& a = found->second;
                if (!a.unknown.empty()) return wait(engine.did + " has not judged: " + a.unknown, a.evidence);
                return a.allowed ? pass(engine.did + " allows it" + (a.said.empty() ? "" : ": " + a.said), a.evidence)
                                 : reject(engine.did + " refuses it" + (a.said.empty() ? "" : ": " + a.said), a.evidence);
            }, n};
}

rule open_rule(std::string text) {
    return {std::move(text), [](const policy_question&, const facts&) -> ruling { return pass("open to everyone who is not denounced"); }};
}

} // namespace souk::policy
