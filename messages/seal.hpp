// What a receipt carries for Alice alone. Bob seals this to the key that her accept names (ccba.sealTo).
#pragma once
#include <souk/messages/crypto.hpp>
#include <souk/messages/described.hpp>

namespace souk {

struct access_details {
    std::string accept;              // CID of the accept: a seal lifted from another receipt does not open this contract
    std::string machine;             // the machine's id
    std::string host;                // where SSH answers
    std::uint16_t port = 0;
    std::string user;                // "root"
    std::string host_key;            // "ssh-ed25519 AAAA...", to be pinned
    bool operator==(const access_details&) const = default;
};
BOOST_DESCRIBE_STRUCT(access_details, (), (accept, machine, host, port, user, host_key))

result<std::string> seal_access(const access_details&, std::string_view seal_did_key);
// Codes "cannot_open", "seal_of_another_contract", and those of decoding.
result<access_details> open_access(std::string_view sealed, std::string_view accept_cid, std::string_view public32,
                                   const crypto::secret& private32);

} // namespace souk
