// did:plc: the genesis operation's hash is the DID, each later one names the CID before it and is signed by one of that one's rotation keys.
// https://web.plc.directory/spec/v0.1/did-plc
#pragma once
#include <map>
#include <optional>

#include <souk/backends/records/did_document.hpp>
#include <souk/messages/time.hpp>

namespace souk::plc {

// -- reading --------------------------------------------------------------------------------------------------------------------------------

struct entry { // one operation of a log, verified
    cid id;
    std::optional<instant> at; // when the directory took it; a bare log does not say
    bool nullified = false;    // a more powerful key took it back within 72 hours
    std::size_t by = 0;        // which of the rotation keys of the operation before it signed it; 0 is the most powerful
    value operation;
};
struct history {
    std::string did;
    std::vector<entry> all; // oldest first, nullified ones too
    std::size_t head = 0;   // the last that counts
    bool given_up = false;  // it is a tombstone
    did_document document;  // what it says; only `did` when given up
    const cid& head_cid() const { return all[head].id; }
    const value& last() const { return all[head].operation; }
    bool has(const cid&) const;
    value::list operations() const; // those that count, oldest first
    value audit() const;            // as a directory tells it: list of {did, operation, cid, nullified, createdAt}
};

// Either an array of signed operations, or one of a directory's audit entries {did, operation, cid, nullified, createdAt}, oldest first. Every CID
// is recomputed, every signature verified; an audit log must say of each operation what the rules say: a fork counts when a key signed it that
// outranks the one it disputes, at most 72 hours after it. Code "bad_plc_log".
result<history> read_history(const std::string& did, const value& log);
// What it says now. Also "did_given_up".
result<did_document> verify_log(const std::string& did, const value& log);

// -- making ---------------------------------------------------------------------------------------------------------------------------------

struct genesis_of {
    crypto::public_key rotation, signing;
    std::string seal_key, handle, pds;
    std::vector<std::string> recovery = {};                                  // did:keys that outrank the rotation key, most powerful first
    std::map<std::string, std::pair<std::string, std::string>> services = {}; // id -> type, endpoint
    std::vector<crypto::public_key> also = {}; // further keys that sign, or signed once: #attestation-1 and on
};
value genesis(const genesis_of&, const crypto::secret& rotation_key); // signed operation
std::string did_of(const value& genesis_operation);

// The operation that makes an identity say what `wanted` says and keeps what it does not speak of: other people's methods and services, further
// names. Every #attestation-N is ours. std::nullopt when `before` says it already. Codes "plc_not_ours" (the key is none of the rotation keys), "plc_too_large".
result<std::optional<value>> update(const value& before, const genesis_of& wanted, const crypto::secret& rotation_key);
// Any change: these fields in place of those before. Codes "plc_not_ours", "plc_too_large", "bad_plc_operation".
result<value> change(const value& before, const value::map& fields, const crypto::secret& rotation_key);
result<value> tombstone(const value& before, const crypto::secret& rotation_key); // gives the DID up

} // namespace souk::plc
