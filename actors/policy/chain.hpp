// The policy engine's judgement, pure: an ordered chain of small rules over one candidate. Each rule passes, rejects with a reason that
// a person understands, or amends what the rules after it see. The first rejection decides; the trace shows every rule.
#pragma once
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <souk/messages/actors.hpp>

namespace souk::policy {

struct facts { // what is known, besides the question itself
    std::string self; // who judges
    std::vector<trust_mark> marks; // by anyone about anyone; only those by `self` count
    instant now;
};

// The kinds of a mark. A record that cannot be read is a mark too: it may have been meant as a denouncement.
inline constexpr const char* vouched_for = "vouch";
inline constexpr const char* denounced = "denounce";
inline constexpr const char* unreadable = "unreadable";

struct ruling {
    enum class kind { pass, reject, amend } said = kind::pass;
    std::string reason;
    std::vector<strong_ref> evidence;
    std::optional<policy_question> amended; // what the rules after this one see, when `amend`; the subject stays who it is
};

struct rule {
    std::string_view name;
    std::function<ruling(const policy_question&, const facts&)> judge;
};

// "denounced", "vouched", "ceiling", "expiry", "location", "tier", "open".
std::span<const rule> known_rules();

// What a node with no chain of its own uses: by perspective.
std::vector<std::string> usual_rules(std::string_view perspective);

inline constexpr std::size_t longest_chain = 32;

// Runs the rules named, in that order. A denouncement is a veto, so a chain without that rule gets it first. An unknown name rejects.
policy_verdict judge(const policy_question&, const facts&, std::vector<std::string> names, std::span<const rule> from = known_rules());

// Nothing may be concluded now, and why: ask again, never pass.
policy_verdict cannot_tell(std::vector<std::string> names, const std::string& why);

} // namespace souk::policy
