#include <souk/actors/policy/association.hpp>

#include <algorithm>

namespace souk::policy {

namespace {

bool is_one(const stored_record& r, const std::string& author) {
    const auto service = r.value.text("service");
    return r.uri.did == author && r.uri.collection == association_nsid && (service == "bidder_associate" || service == "requester_associate");
}

} // namespace

std::vector<claim> claims_of(const std::string& did, const std::vector<stored_record>& his) {
    std::vector<claim> all;
    for (const auto& r : his) {
        const auto by = std::string(r.value.text("keyId"));
        if (!is_one(r, did) || r.value.text("challenge") != did || !is_did(by) || by == did) continue;
        if (std::any_of(all.begin(), all.end(), [&](const claim& c) { return c.by == by; })) continue;
        all.push_back({by, r.ref()});
        if (all.size() == most_operators) break;
    }
    return all;
}

std::optional<strong_ref> confirmation_of(const std::string& did, const std::string& by, const std::vector<stored_record>& the_operators) {
    for (const auto& r : the_operators) {
        if (!is_one(r, by)) continue;
        const auto key = r.value.text("keyId"), challenge = r.value.text("challenge");
        if ((key == by && challenge == did) || (key == did && challenge == by)) return r.ref();
    }
    return std::nullopt;
}

} // namespace souk::policy
