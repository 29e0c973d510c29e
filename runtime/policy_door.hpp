// Another's question to this node's policy engine: com.publicdomainrelay.temp.market.evaluatePolicy. Who may ask is the operator's to say, for a verdict
// tells of whom this node trusts. What is asked about is fetched and verified; what the asker says of it counts for nothing.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <set>

#include <souk/backends/http/server.hpp>
#include <souk/backends/records/network.hpp>
#include <souk/messages/actors.hpp>

namespace souk {

class policy_door : public std::enable_shared_from_this<policy_door> {
public:
    static constexpr std::size_t most_at_once = 32; // questions; more are told to come back

    struct parts {
        caf::actor_system* sys = nullptr;
        std::function<instant()> now;
        record_network* net = nullptr;
        policy_actor policy;
        std::set<std::string> may_ask; // DIDs
    };
    explicit policy_door(parts p) : p_(std::move(p)) {} // shared: answers that are on their way keep it

    bool is_open() const { return p_.policy && !p_.may_ask.empty(); }
    // `caller` is who signed the token; the body is what its lexicon says. 200 {allow, reason, violations: [{msg, policyId}], evidence: [{uri, cid}]};
    // 403 Forbidden; 400 InvalidRequest; 503 not_now: it cannot be told now, which is neither yes nor no.
    void answer(const value& body, const std::string& caller, http::responder) const;

private:
    void about_request(policy_question, const value& body, http::responder) const;
    void about_bid(policy_question, const value& body, http::responder) const;
    void judge(policy_question, http::responder) const;

    parts p_;
    mutable std::atomic<std::size_t> under_way_{0};
};

// What an engine says, in the call's words. Pure.
value policy_answer(const policy_verdict&);

} // namespace souk
