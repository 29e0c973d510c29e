// The contract was written down four times, and peers speak any of them. Here a request, bid, accept or receipt of each generation becomes what
// the market's actors work with, the structs of records.hpp, and those become the records of the generation that the peer speaks.
//   g1  com.publicdomainrelay.cc*                 one record each, references nested
//   g2  com.publicdomainrelay.temp.cc*            the same, references flat
//   g3  com.publicdomainrelay.temp.market.*       an envelope that names what it consists of: the machine, the terms, the workload's identity
//   g4  the same, with services that answers are sent to
// Pure: a reader is given the records that an envelope consists of; a writer gives back what to publish, in order. What one generation cannot
// say and money or access depends on is refused, never left out.
#pragma once
#include <souk/messages/market_records.hpp>

namespace souk {

enum class dialect : std::uint8_t { g1, g2, g3, g4 };
BOOST_DESCRIBE_ENUM(dialect, g1, g2, g3, g4)
inline constexpr dialect all_dialects[] = {dialect::g1, dialect::g2, dialect::g3, dialect::g4};

enum class speech { request, bid, accept, receipt };

// The collection of what begins or names such a thing; g3 and g4 share theirs.
std::string_view collection_of(dialect, speech);
// What a record of this collection is; none: none of the four.
std::optional<speech> speech_of(std::string_view collection);
inline bool is_said_in(std::string_view collection, speech what) { return speech_of(collection) == what; }
// Where such things lie, in any generation: what a stream is asked for.
std::vector<std::string> collections_of(std::initializer_list<speech>);

// -- reading ---------------------------------------------------------------------------------------------------------

template <class R>
struct spoken {
    dialect by = dialect::g1;
    R said;                // its references are nested, whatever they were; signatures are left to whoever verified the record
    std::string answer_to; // the service that an answer is sent to: submitBid, submitAccept, submitEvent; "": the stream alone
};

// Records that an envelope consists of: to be fetched by URI and CID before it can be read. Empty for g1 and g2.
std::vector<strong_ref> parts_of(const value& record);
// The request that a bid says it is on, before anything is fetched for it; none: it says nothing of the kind.
std::optional<strong_ref> request_of(const value& bid);

// `parts`: the values of parts_of, in any order; each counts for the CID that its bytes make and for nothing else. The type may be missing, the
// collection says it. Codes of from_record; "missing_part", "unknown_version", "not_applicable" (wants no machine), "free_terms", "bad_paid_url".
result<spoken<ccrfp>> read_request(std::string_view collection, const value& record, const std::vector<value>& parts = {});
result<spoken<ccb>> read_bid(std::string_view collection, const value& record, const std::vector<value>& parts = {});
result<spoken<ccba>> read_accept(std::string_view collection, const value& record);
// Of g3 and g4 the caller compares `cid` with remote_cid: only he has the accept's value.
result<spoken<ccr>> read_receipt(std::string_view collection, const value& record);

// -- writing ---------------------------------------------------------------------------------------------------------

// To be published; the last of several is the envelope. A field of `names` takes the reference to the draft of that number.
struct draft {
    std::string collection;
    value record;
    struct name {
        std::string field;
        std::uint32_t draft = 0;
        bool operator==(const name&) const = default;
    };
    std::vector<name> names;
    bool attested = true;
    bool operator==(const draft&) const = default;
};
BOOST_DESCRIBE_STRUCT(draft::name, (), (field, draft))
BOOST_DESCRIBE_STRUCT(draft, (), (collection, record, names, attested))

// A draft whose `names` are filled in. `published`: of the drafts before it, in order.
value filled(const draft&, const std::vector<strong_ref>& published);

// Code "dialect_cannot_say", with the path.
result<std::vector<draft>> write_request(dialect, const ccrfp&, const std::string& answer_to);
result<std::vector<draft>> write_bid(dialect, const ccb&, const std::string& answer_to);
result<std::vector<draft>> write_accept(dialect, const ccba&, const std::string& answer_to);
// `accept`: the value that the receipt is for, and the DID in whose repository it lives: g3 and g4 bind it (and so need a `createdAt`).
result<std::vector<draft>> write_receipt(dialect, const ccr&, const std::string& answer_to, const value& accept, std::string_view accept_repository);

} // namespace souk
