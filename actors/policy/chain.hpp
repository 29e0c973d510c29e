// The policy engine's judgement, pure: an ordered chain of small rules over one candidate. Each rule passes, rejects with a reason that
// a person understands, cannot tell yet, or amends what the rules after it see. The first that does not let him through decides; the trace
// shows every rule. What rules there are: rules.hpp; how they are written: grammar.hpp.
#pragma once
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <souk/actors/policy/graph.hpp>
#include <souk/messages/actors.hpp>

namespace souk::policy {

struct association { // whose the candidate is
    std::string by;                   // DID of the operator; "": nobody's that both sides speak of
    std::vector<strong_ref> evidence; // what he says, and what the operator says
    std::string unknown;              // why it cannot be told now
};

struct engine_answer { // of another's policy engine
    bool allowed = false;
    std::string said; // its words, bounded
    std::vector<strong_ref> evidence;
    std::string unknown; // why there is none
};

struct facts { // what is known, besides the question itself
    std::string self; // who judges
    trust_graph trust;
    instant now;
    unsigned reach = 0;                        // of the chain's denouncements
    std::map<std::string, std::string> unread; // DIDs whose marks could not be read, and why
    std::optional<association> operated;       // the candidate's
    std::map<std::string, engine_answer> engines; // by remote_engine::key
};

struct ruling {
    enum class kind { pass, reject, amend, wait } said = kind::pass;
    std::string reason;
    std::vector<strong_ref> evidence;
    std::optional<policy_question> amended; // what the rules after this one see, when `amend`; the subject stays who it is
};

struct remote_engine {
    std::string did, name;          // did:web; its own name of the policy that is asked for, may be empty
    std::optional<strong_ref> policy; // or the record that is one
    std::string key() const { return did + '\n' + name + '\n' + (policy ? policy->uri + '\n' + policy->cid : ""); }
};

struct needs { // what must be known before a chain can be run
    unsigned steps = 0; // whose marks: those of the circle within so many
    unsigned reach = 0;
    bool association = false;
    bool veto = false; // this is the one that no chain is without
    std::vector<remote_engine> engines;
};

struct rule {
    std::string text; // as it is written, and shown
    std::function<ruling(const policy_question&, const facts&)> judge;
    needs wants = {};
};
using chain = std::vector<rule>;

// What a node with no chain of its own uses: by perspective.
std::vector<std::string> usual_rules(std::string_view perspective);

inline constexpr std::size_t longest_chain = 32;

// The rules in that order, and before them the veto where it was left out. A text that is no rule rejects, in its place; so do too many.
chain chain_of(const std::vector<std::string>& texts);
needs needs_of(std::span<const rule>);

policy_verdict judge(const policy_question&, const facts&, std::span<const rule>);

// Nothing may be concluded now, and why: ask again, never pass.
policy_verdict cannot_tell(std::span<const rule>, const std::string& why);

} // namespace souk::policy
