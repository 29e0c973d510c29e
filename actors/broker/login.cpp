#include <souk/actors/broker/login.hpp>

#include <set>

#include <souk/messages/records.hpp>
#include <souk/messages/ssh_key.hpp>

namespace souk::login {

namespace {

constexpr std::size_t longest_service = 253; // no host name is longer

bool is_key(const std::optional<std::string>& line, std::string_view type, std::string_view blob) {
    if (!line) return false;
    const auto parsed = ssh_key_line::parse(*line);
    return parsed && parsed->type == type && parsed->blob == blob;
}

} // namespace

std::vector<std::string> services_for(const std::vector<stored_record>& records, std::string_view key_type, std::string_view key_blob) {
    std::set<std::string> services;
    for (const auto& r : records) {
        if (r.uri.collection != ssh_public_key::nsid) continue;
        const auto read = from_record<ssh_public_key>(r.value);
        if (!read || read->service.empty() || read->service.size() > longest_service) continue;
        // Both spellings exist. Where a record has both they must agree, or it would mean one key to one reader and another to the next.
        if (read->key && read->publicKey && *read->key != *read->publicKey) continue;
        if (is_key(read->key ? read->key : read->publicKey, key_type, key_blob)) services.insert(read->service);
    }
    return {services.begin(), services.end()};
}

} // namespace souk::login
