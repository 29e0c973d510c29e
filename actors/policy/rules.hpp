// The rules that a chain can be made of. How they are written is grammar.hpp's.
#pragma once
#include <set>

#include <souk/actors/policy/chain.hpp>

namespace souk::policy {

inline constexpr const char* veto = "denounced"; // the one rule that no chain is without

rule denounced_rule(std::string text, unsigned reach);
rule vouched_rule(std::string text, vouching);
rule operator_rule(std::string text, vouching);
rule ceiling_rule(std::string text);
rule expiry_rule(std::string text);
rule price_rule(std::string text, std::int64_t most, std::int64_t seconds, std::string shown); // atomic units for so long
rule location_rule(std::string text, place);  // besides what the request asks for
rule tier_rule(std::string text, std::string least);
rule history_rule(std::string text, std::optional<std::int64_t> honoured, std::optional<std::int64_t> broken); // at least, at most
rule allow_rule(std::string text, std::set<std::string>);
rule deny_rule(std::string text, std::set<std::string>);
rule remote_rule(std::string text, remote_engine);
rule open_rule(std::string text);

} // namespace souk::policy
