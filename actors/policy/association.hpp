// Whose somebody is: com.publicdomainrelay.temp.badgeBlueKeys records. Anyone may call anyone his operator, so an association counts
// only where both sides publish it: {keyId: the operator, challenge: him} in his repository, and in the operator's either the same or
// {keyId: him, challenge: the operator}. The service is "bidder_associate" or "requester_associate".
#pragma once
#include <optional>
#include <vector>

#include <souk/backends/records/repository.hpp>

namespace souk::policy {

inline constexpr std::string_view association_nsid = "com.publicdomainrelay.temp.badgeBlueKeys";
inline constexpr std::size_t most_operators = 4; // that somebody may claim; the rest is not looked at

struct claim {
    std::string by; // DID of the operator
    strong_ref record;
};
// Whom `did` calls his operators, in the order of his records, each once.
std::vector<claim> claims_of(const std::string& did, const std::vector<stored_record>& his);
// The record by which the operator says the same.
std::optional<strong_ref> confirmation_of(const std::string& did, const std::string& by, const std::vector<stored_record>& the_operators);

} // namespace souk::policy
