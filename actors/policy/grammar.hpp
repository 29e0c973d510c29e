// How a rule is written: a name, then what it is given, apart by blanks. docs/operations.md tables it for people.
//
//   denounced [reach=0..8]                                    price at-most AMOUNT per hour|day|month
//   vouched [depth=1..8] [decay=1..100] [least=1..100]        location [country=NAME] [region=NAME]
//   operator [depth=...] [decay=...] [least=...]              tier [at-least none|simulated|hardware]
//   allow DID...        deny DID...                           history [honoured>=N] [broken<=N]
//   ceiling   expiry   open                                   remote DID:WEB [name=NAME] [policy=AT-URI cid=CID]
#pragma once
#include <souk/actors/policy/chain.hpp>

namespace souk::policy {

inline constexpr std::size_t longest_rule = 4'096; // bytes
inline constexpr std::size_t most_listed = 64;     // DIDs in one rule

// Code "bad_rule"; the text quotes the rule and says what is wrong with it. What is read is written in one way: blanks single, options as given.
result<rule> parse_rule(std::string_view text);
// Whether all of them are rules, and not too many: for configuration and for orders, before anything depends on them.
result<void> check_rules(const std::vector<std::string>& texts);
// The first word.
std::string_view name_of(std::string_view text);
// Rules on one line, as the command line takes them: apart by commas.
std::vector<std::string> split_rules(std::string_view text);

} // namespace souk::policy
