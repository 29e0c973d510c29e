// What a record must be before this node puts its name to it. Pure: the clock, the key and the repository are the actor's.
#pragma once
#include <optional>
#include <string>

#include <souk/messages/actors.hpp>

namespace souk::signing {

struct circumstances {
    instant now;
    std::optional<std::string> previous; // CID of this signer's newest receipt; none: there is no receipt yet
};

// The record as it will be attested: "$type" is the collection, `createdAt` is there, and a receipt names the one before it.
// Codes "unknown_kind", "wrong_type", "not_attestable", "not_chainable", "bad_record_key", "bad_datetime", and
// those of decode_dag_cbor.
result<value> complete(const sign_record&, const circumstances&);

// Refuses what a strict reader of this kind, or its lexicon, would refuse. Codes "unknown_kind", "invalid_record", and those of from_record.
result<void> check_kind(const std::string& collection, const value& record);

// Whether records of this collection are the links of a signer's log. A market.receipt is none: its `cid` is over all that it says, before the
// signer sees it.
bool is_linked(std::string_view collection);

// Whether a record under a key may be replaced: a vouch is about a person, and its key is that person; an offering is what its author sells now.
bool is_replaceable(const std::string& collection);
// Whether it may be taken back. A market's word is never unsaid: only permissions, opinions and offers to all can be.
bool is_withdrawable(const std::string& collection);

// Whether two records say the same, whenever and with whatever signatures they say it.
bool say_the_same(const value&, const value&);

} // namespace souk::signing
