// Another's policy engine, as a client: POST https://HOST/xrpc/com.publicdomainrelay.temp.market.evaluatePolicy, with a service token of this
// account. It is a rule like any other: what it does not answer is not allowed.
#pragma once
#include <souk/actors/policy/chain.hpp>
#include <souk/backends/http/client.hpp>

namespace souk::policy {

inline constexpr std::string_view evaluate_nsid = "com.publicdomainrelay.temp.market.evaluatePolicy";

// The claims of the token: 60 s, for that engine and that method alone.
value::map engine_claims(const remote_engine&, const std::string& self, instant now, std::string nonce);
// Code "bad_rule": its DID is of no host that can be asked.
result<http::call> engine_call(const remote_engine&, const policy_question&, const std::string& self, const std::string& token);
// {allow, violations: [{msg, policyId}]}; its words are cut at 400 bytes. Anything else is no answer.
engine_answer read_engine_answer(const result<http::response>&);
// What one question is, for it: asked again within a while it gets the same answer.
std::string engine_key(const remote_engine&, const policy_question&);

} // namespace souk::policy
